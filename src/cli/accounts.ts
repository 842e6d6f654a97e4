/**
 * Names of users and groups, as the host's /etc/passwd and /etc/group have them. A volume knows
 * numbers only; names are translated on the way in.
 */
import { readFileSync } from 'node:fs'
import { InvalidArgumentError } from 'commander'

const ID_MAX = 0xffff_fffe

/** Fields of the first line that has `name` in field `at`, null when there is none. */
function lookUp(file: string, name: string, at = 0): string[] | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return null
  }
  for (const line of text.split('\n')) {
    const fields = line.split(':')
    if (fields[at] === name) return fields
  }
  return null
}

function parseId(text: string): number | null {
  if (!/^\+?\d+$/.test(text)) return null
  const id = Number(text)
  if (id > ID_MAX) throw new InvalidArgumentError(`an id is a number from 0 to ${ID_MAX}`)
  return id
}

/** The number of a user; a name goes before a number, but for `+1000`, as chown(1) has it. */
export function userId(text: string): number {
  const id = Number(lookUp('/etc/passwd', text)?.[2] ?? parseId(text) ?? NaN)
  if (Number.isInteger(id)) return id
  throw new InvalidArgumentError(`no user '${text}' on this host; a number does always`)
}

export function groupId(text: string): number {
  const id = Number(lookUp('/etc/group', text)?.[2] ?? parseId(text) ?? NaN)
  if (Number.isInteger(id)) return id
  throw new InvalidArgumentError(`no group '${text}' on this host; a number does always`)
}

/** The group that a user logs in with, null when this host does not know the user. */
export function loginGroup(uid: number): number | null {
  const gid = Number(lookUp('/etc/passwd', String(uid), 2)?.[3] ?? NaN)
  return Number.isInteger(gid) ? gid : null
}

export interface Ownership {
  /** -1: stays. */
  readonly uid: number
  readonly gid: number
}

/** USER, USER:GROUP, :GROUP, and USER: for the user with their login group (chown(1)). */
export function parseOwnership(text: string): Ownership {
  const colon = text.indexOf(':')
  if (colon < 0) return { uid: userId(text), gid: -1 }
  const user = text.slice(0, colon)
  const group = text.slice(colon + 1)
  if (user === '' && group === '') throw new InvalidArgumentError('USER:GROUP is wanted')
  const uid = user === '' ? -1 : userId(user)
  if (group !== '') return { uid, gid: groupId(group) }
  const login = Number(lookUp('/etc/passwd', user)?.[3] ?? NaN)
  if (Number.isInteger(login)) return { uid, gid: login }
  throw new InvalidArgumentError(`'${user}' has no login group on this host; name the group`)
}

/** The text of an ACL with numbers in the place of names (setfacl(1) takes both). */
export function numberedAcl(text: string): string {
  return text
    .split(/([,\n])/)
    .map((part) => {
      const found = /^(\s*(?:d(?:efault)?:)?)(u|user|g|group):([^:]+)(:.*)?$/.exec(part)
      if (found === null) return part
      const [, prefix = '', tag = '', who = '', rest = ''] = found
      return `${prefix}${tag}:${tag.startsWith('u') ? userId(who) : groupId(who)}${rest}`
    })
    .join('')
}
