/** What -m, -x, -b, -k and --set make of the ACLs of a file (setfacl(1)). */
import { mergeAcl, parseAcl, withMask, withoutEntries, type AclText } from '../base/acl_text.js'
import { HoldfastError } from '../base/errors.js'
import { invalidAcl, MASK, UNDEFINED_ID, type Acl } from '../base/posix_acl.js'
import type { Stats } from '../base/filesystem.js'

export interface Acls {
  /** What the mode says where there is none. */
  readonly access: Acl
  /** Of a directory. */
  readonly default: Acl | null
}

/** Texts are those of the command line, with numbers for names; null: not asked for. */
export interface AclWish {
  readonly modify: string | null
  readonly remove: string | null
  readonly set: string | null
  readonly removeAll: boolean
  readonly removeDefault: boolean
  readonly keepMask: boolean
}

/** An ACL that stays is the same object. */
export function changedAcls(before: Acls, wish: AclWish, stats: Stats): Acls {
  let { access } = before
  let defaults = before.default
  if (wish.removeAll) access = withoutNamed(access)
  if (wish.removeAll || wish.removeDefault) defaults = null
  if (wish.set !== null) {
    const set = parse(wish.set, stats)
    if (set.access.length > 0) access = masked(set.access, set.access, wish)
    if (set.default.length > 0) defaults = masked(withBase(set.default, access), set.default, wish)
  }
  if (wish.remove !== null) {
    const gone = parseGone(wish.remove)
    if (gone.access.length > 0) {
      access = masked(withoutEntries(access, gone.access), gone.access, wish)
    }
    if (gone.default.length > 0 && defaults !== null) {
      defaults = masked(withoutEntries(defaults, gone.default), gone.default, wish)
    }
  }
  if (wish.modify !== null) {
    const changes = parse(wish.modify, stats)
    if (changes.access.length > 0) {
      access = masked(mergeAcl(access, changes.access), changes.access, wish)
    }
    if (changes.default.length > 0) {
      const base = mergeAcl(defaults ?? withoutNamed(access), changes.default)
      defaults = masked(base, changes.default, wish)
    }
  }
  return { access, default: defaults }
}

const PERMISSIONS = /[rwxX-]+(?=\s*(?:,|\n|$))/g

/** X is x for directories and for what somebody may execute already. */
function parse(text: string, stats: Stats): AclText {
  const runs = stats.isDirectory() || (stats.mode & 0o111) !== 0
  const letter = runs ? 'x' : ''
  return parseAcl(text.replace(PERMISSIONS, (perm) => perm.replace('X', letter) || '-'))
}

/** Entries to remove need no permissions. */
function parseGone(text: string): AclText {
  const parts = text.split(/[,\n]/).map((part) => {
    const words = part.trim().replace(/^d(efault)?:/, '')
    const prefix = /^\s*d(efault)?:/.test(part) ? 'd:' : ''
    const fields = words.split(':')
    if (words === '') return ''
    return `${prefix}${fields[0]!}:${fields[1] ?? ''}:-`
  })
  return parseAcl(parts.join(','))
}

/** The entries for owner, group and others, which a default ACL needs, from another. */
function withBase(acl: Acl, other: Acl): Acl {
  return mergeAcl(withoutNamed(other), acl)
}

/** Only owner, group and others. */
function withoutNamed(acl: Acl): Acl {
  const gone = acl.filter(({ tag, id }) => tag === MASK || id !== UNDEFINED_ID)
  return withoutEntries(acl, gone)
}

/** `changes`: when the mask is among them it is what was asked for. */
function masked(acl: Acl, changes: Acl, wish: AclWish): Acl {
  const asked = wish.keepMask || (wish.remove === null && changes.some(({ tag }) => tag === MASK))
  const whole = asked ? acl : withMask(acl)
  const why = invalidAcl(whole)
  if (why === null) return whole
  throw new HoldfastError('EINVAL', `what is left is no ACL: ${why}`)
}
