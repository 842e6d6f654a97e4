/**
 * Keys of remote clients as text, a line each:
 *
 *     # id   secret                             whose rights it has
 *     laptop M0lnZ…43 characters of base64url…  uid=1000 gid=1000 groups=27,100 rw # Ada
 *
 * The secret has 16 to 64 random bytes in base64url (RFC 4648, section 5), without padding. A
 * server wants uid, gid and ro or rw of each key; a client needs id and secret alone. What begins
 * with # is a comment; the one on a key's line is kept with it.
 *
 * Messages name the line and what to write there, and never a part of what may be a secret.
 */
import { HoldfastError } from '../base/errors.js'
import { ID_BYTES_MAX } from './handshake_messages.js'

/** 128 bits are the least (docs/OPERATIONS.md); made are 256. */
export const SECRET_BYTES_MIN = 16
export const SECRET_BYTES_MAX = 64
export const SECRET_BYTES = 32
export const KEYS_MAX = 65_536
export const KEY_FILE_BYTES_MAX = 8 * 1024 * 1024
export const KEY_GROUPS_MAX = 1024
/** Secrets of fewer different bytes were never drawn by chance. */
const DIFFERENT_BYTES_MIN = 8
const USER_ID_MAX = 0xffff_fffe

/** Whose rights a session with this key has. */
export interface KeyIdentity {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  readonly readOnly: boolean
}

export interface KeyLine {
  readonly id: string
  readonly secret: Uint8Array
  /** null: the line says id and secret alone, as a client's does. */
  readonly identity: KeyIdentity | null
  readonly comment: string
  /** From 1. */
  readonly line: number
}

/** A key that a server takes. */
export interface Key extends KeyLine {
  readonly identity: KeyIdentity
}

const ID = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,${ID_BYTES_MAX - 1}}$`)

/** What is wrong with an id, null: nothing. */
export function invalidKeyId(id: string): string | null {
  if (ID.test(id)) return null
  return `an id has 1 to ${ID_BYTES_MAX} letters, digits and . _ @ -, and begins with a letter or digit`
}

/** All keys of a text, by id. `path` is for messages. */
export function parseKeys(text: string, path: string): Map<string, KeyLine> {
  const keys = new Map<string, KeyLine>()
  text.split('\n').forEach((content, i) => {
    const key = parseLine(content, i + 1, path)
    if (key === null) return
    const first = keys.get(key.id)
    if (first !== undefined) {
      const where = `line ${first.line} has it too; give one of them another id, or remove it`
      throw bad(path, i + 1, `the id '${key.id}' is there twice: ${where}`)
    }
    if (keys.size === KEYS_MAX) throw bad(path, i + 1, `at most ${KEYS_MAX} keys`)
    keys.set(key.id, key)
  })
  return keys
}

/** All keys of a server's text: each says whose rights it has. */
export function parseServerKeys(text: string, path: string): Map<string, Key> {
  const keys = parseKeys(text, path)
  for (const { identity, line } of keys.values()) {
    if (identity !== null) continue
    throw bad(path, line, 'it does not say whose rights it has; add uid=N gid=N and ro or rw')
  }
  return keys as Map<string, Key>
}

/** A line of the file, without its newline. */
export function formatKey(key: Omit<Key, 'line'>): string {
  const { id, secret, identity, comment } = key
  const { uid, gid, groups, readOnly } = identity
  const listed = groups.length === 0 ? '' : ` groups=${groups.join(',')}`
  const rights = `uid=${uid} gid=${gid}${listed} ${readOnly ? 'ro' : 'rw'}`
  return `${formatSecret({ id, secret })} ${rights}${comment === '' ? '' : ` # ${comment}`}`
}

/** What a client needs of a key. */
export const formatSecret = ({ id, secret }: { id: string; secret: Uint8Array }) =>
  `${id} ${Buffer.from(secret).toString('base64url')}`

function parseLine(content: string, line: number, path: string): KeyLine | null {
  const hash = content.indexOf('#')
  const said = hash < 0 ? content : content.slice(0, hash)
  if (hash > 0 && !/\s/.test(content[hash - 1]!)) {
    throw bad(path, line, 'a comment has a space before its #')
  }
  const fields = said.split(/\s+/).filter((field) => field !== '')
  const [id, encoded, ...rights] = fields
  if (id === undefined) return null
  const wrong = invalidKeyId(id)
  if (wrong !== null) throw bad(path, line, wrong)
  const secret = parseSecret(encoded, line, path)
  const identity = rights.length === 0 ? null : parseIdentity(rights, line, path)
  return { id, secret, identity, comment: hash < 0 ? '' : content.slice(hash + 1).trim(), line }
}

function parseSecret(encoded: string | undefined, line: number, path: string): Uint8Array {
  const made = '`holdfast keys make` makes one'
  if (encoded === undefined) throw bad(path, line, `the secret after the id is missing; ${made}`)
  const secret = Buffer.from(encoded, 'base64url')
  if (!/^[\w-]+$/.test(encoded) || secret.toString('base64url') !== encoded) {
    throw bad(path, line, `the secret, the second field, is not base64url without padding; ${made}`)
  }
  const { length } = secret
  if (length < SECRET_BYTES_MIN || length > SECRET_BYTES_MAX) {
    const bounds = `${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} random bytes`
    throw bad(path, line, `the secret has ${length} bytes; ${bounds} are wanted: ${made}`)
  }
  if (new Set(secret).size < DIFFERENT_BYTES_MIN) {
    throw bad(path, line, `the secret is not random; ${made}`)
  }
  return new Uint8Array(secret)
}

function parseIdentity(rights: readonly string[], line: number, path: string): KeyIdentity {
  const values = new Map<string, string>()
  rights.forEach((field, i) => {
    const found = /^(uid|gid|groups)=(.*)$/.exec(field)
    const name = found?.[1] ?? (field === 'ro' || field === 'rw' ? 'access' : null)
    if (name === null) {
      const wanted = 'none of uid=N, gid=N, groups=N,N, ro and rw'
      throw bad(path, line, `field ${i + 3} is ${wanted}; a comment begins with #`)
    }
    const what = name === 'access' ? 'ro or rw' : `${name}=`
    if (values.has(name)) throw bad(path, line, `${what} is there twice; keep one`)
    values.set(name, found?.[2] ?? field)
  })
  const number = (name: string, text: string) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN
    if (value <= USER_ID_MAX) return value
    throw bad(path, line, `${name}= takes numbers from 0 to ${USER_ID_MAX}`)
  }
  const needed = (name: string, example: string) => {
    const value = values.get(name)
    if (value === undefined) throw bad(path, line, `it lacks ${example}`)
    return value
  }
  const uid = number('uid', needed('uid', 'uid=N, the user whose rights it has'))
  const gid = number('gid', needed('gid', 'gid=N, the group of files that it makes'))
  const access = needed('access', 'ro (may only read) or rw')
  const listed = values.get('groups') ?? ''
  const groups = listed === '' ? [] : listed.split(',').map((text) => number('groups', text))
  if (groups.length > KEY_GROUPS_MAX) throw bad(path, line, `at most ${KEY_GROUPS_MAX} groups`)
  return { uid, gid, groups, readOnly: access === 'ro' }
}

const bad = (path: string, line: number, what: string) =>
  new HoldfastError('EINVAL', `line ${line} of the key file: ${what}`, { path })
