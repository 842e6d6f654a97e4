/**
 * ACLs as people write them: the short form of getfacl(1) and setfacl(1), `u::rw-,u:1000:r--`, and
 * with `d:` those of the default ACL. Ids are numbers: a volume knows no names of users.
 */
import { HoldfastError } from './errors.js'
import {
  EXECUTE,
  GROUP,
  GROUP_OBJ,
  MASK,
  OTHER,
  READ,
  UNDEFINED_ID,
  USER,
  USER_OBJ,
  WRITE,
  type Acl,
  type AclEntry,
} from './posix_acl.js'

interface Word {
  readonly letter: string
  readonly word: string
  /** The tag of an entry without an id, and of one with an id (0: there is none). */
  readonly plain: number
  readonly named: number
}

const WORDS: readonly Word[] = [
  { letter: 'u', word: 'user', plain: USER_OBJ, named: USER },
  { letter: 'g', word: 'group', plain: GROUP_OBJ, named: GROUP },
  { letter: 'm', word: 'mask', plain: MASK, named: 0 },
  { letter: 'o', word: 'other', plain: OTHER, named: 0 },
]

/** Entries of one text, in order; those of a part of an ACL, as setfacl -m takes it, too. */
export interface AclText {
  readonly access: Acl
  readonly default: Acl
}

/** `u::rw-,g::r--,o::---`; with `prefix` before each entry, as `d:`. */
export function formatAcl(acl: Acl, prefix = ''): string {
  return acl.map((one) => prefix + formatEntry(one)).join(',')
}

function formatEntry({ tag, perm, id }: AclEntry): string {
  const word = WORDS.find(({ plain, named }) => tag === plain || tag === named)
  const letter = word?.letter ?? `0x${tag.toString(16)}`
  const r = (perm & READ) !== 0 ? 'r' : '-'
  const w = (perm & WRITE) !== 0 ? 'w' : '-'
  const x = (perm & EXECUTE) !== 0 ? 'x' : '-'
  return `${letter}:${tag === USER || tag === GROUP ? id : ''}:${r}${w}${x}`
}

/**
 * Reads entries, divided by commas or lines; `#` makes the rest of a line a comment. Whether they
 * are a whole ACL is left to `invalidAcl`: `mergeAcl` takes some of them as changes.
 */
export function parseAcl(text: string): AclText {
  const access: AclEntry[] = []
  const defaults: AclEntry[] = []
  for (const line of text.split('\n')) {
    for (const part of line.replace(/#.*/, '').split(',')) {
      const trimmed = part.replace(/\s+/g, '')
      if (trimmed === '') continue
      const isDefault = /^(d|default):/.test(trimmed)
      const one = parseEntry(isDefault ? trimmed.slice(trimmed.indexOf(':') + 1) : trimmed, trimmed)
      const list = isDefault ? defaults : access
      if (list.some((other) => compareEntries(one, other) === 0)) {
        throw new HoldfastError('EINVAL', `ACL entry '${trimmed}': there is one of this already`)
      }
      list.push(one)
    }
  }
  return { access: access.sort(compareEntries), default: defaults.sort(compareEntries) }
}

function parseEntry(text: string, shown: string): AclEntry {
  const bad = (why: string) =>
    new HoldfastError('EINVAL', `ACL entry '${shown}': ${why}, as in u:1000:rw- or m::r--`)
  const parts = text.split(':')
  const word = WORDS.find((one) => one.letter === parts[0] || one.word === parts[0])
  if (word === undefined) throw bad('it begins with u, g, m or o')
  // setfacl(1) lets the empty place of an id away where there is none.
  if (parts.length === 2 && word.named === 0) parts.splice(1, 0, '')
  if (parts.length !== 3) throw bad('it has three parts')
  const [, who, allowed] = parts as [string, string, string]
  const perm = parsePerm(allowed)
  if (perm < 0) throw bad('it ends with some of r, w, x, - or with one digit up to 7')
  if (who === '') return { tag: word.plain, perm, id: UNDEFINED_ID }
  const id = /^\d{1,10}$/.test(who) ? Number(who) : UNDEFINED_ID
  if (id >= UNDEFINED_ID) throw bad('an id is a number below 4294967295')
  if (word.named === 0) throw bad(`${word.word} has no id`)
  return { tag: word.named, perm, id }
}

/** -1 when it is none. */
function parsePerm(text: string): number {
  if (/^[0-7]$/.test(text)) return Number(text)
  if (!/^[rwx-]{1,3}$/.test(text)) return -1
  let perm = 0
  for (const letter of text) {
    const bit = letter === 'r' ? READ : letter === 'w' ? WRITE : letter === 'x' ? EXECUTE : 0
    if ((perm & bit) !== 0) return -1
    perm |= bit
  }
  return perm
}

/** The order that an ACL has: by tag, ids ascending. Tags ascend in that order as they are. */
function compareEntries(a: AclEntry, b: AclEntry): number {
  return a.tag - b.tag || a.id - b.id
}

/** `acl` with the entries of `changes` in place of its own (setfacl -m). The mask stays. */
export function mergeAcl(acl: Acl, changes: Acl): Acl {
  return [...withoutEntries(acl, changes), ...changes].sort(compareEntries)
}

/** `acl` without the entries that `gone` names, whatever they allow (setfacl -x). */
export function withoutEntries(acl: Acl, gone: Acl): Acl {
  return acl.filter((one) => gone.every((other) => compareEntries(one, other) !== 0))
}

/**
 * `acl` with the mask that lets everything through which its entries allow; without one where
 * nobody is named. What setfacl(1) does unless it is given a mask.
 */
export function withMask(acl: Acl): Acl {
  const rest = acl.filter(({ tag }) => tag !== MASK)
  if (rest.every(({ tag }) => tag !== USER && tag !== GROUP)) return rest
  let perm = 0
  for (const one of rest) if (one.tag !== USER_OBJ && one.tag !== OTHER) perm |= one.perm
  return mergeAcl(rest, [{ tag: MASK, perm, id: UNDEFINED_ID }])
}
