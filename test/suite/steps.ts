/**
 * Calls as lines of text, so that the same ones can be made to a volume and to Linux:
 *
 *     USER CALL ARGUMENTS... = OUTCOME
 *
 * The outcome is the errno's name, or the value as text; without one the call must succeed.
 * `/{x*255}` is a path with 255 times x, `\s` a space, `\xff` a byte; modes are octal, times
 * `seconds.nanoseconds`. Calls that a program alone can make are lines, too: see system_calls.ts.
 */
import { parseAcl } from '../../src/base/acl_text.js'
import type { Credentials } from '../../src/base/filesystem.js'
import { encodeAcl } from '../../src/base/posix_acl.js'
import { O } from '../../src/base/open_flags.js'
import { systemCall } from './system_calls.js'

/** Who the cases know. `named` is named in ACLs and nowhere else. */
export const USERS = {
  root: { uid: 0, gid: 0 },
  owner: { uid: 1001, gid: 1001 },
  member: { uid: 1002, gid: 1002, groups: [1001] },
  other: { uid: 1003, gid: 1003 },
  named: { uid: 1004, gid: 1004 },
  masked: { uid: 1001, gid: 1001, umask: 0o027 },
} as const satisfies Record<string, Credentials>

export type UserName = keyof typeof USERS

/** A call, its arguments as both sides take them: paths and texts are bytes. */
export interface Call {
  readonly name: string
  readonly args: readonly (number | Buffer)[]
}

export interface Step {
  readonly line: string
  readonly user: UserName
  readonly call: Call
  /** Undefined: the call succeeds, with whatever value. */
  readonly expected: string | undefined
  /** Of a stat the fields that are shown. */
  readonly fields: readonly string[]
}

/** What can be done: one volume, or a directory of the kernel. */
export interface Subject {
  /** The value as text, or the name of the errno. */
  run(as: Credentials, call: Call): Promise<string>
  /** Waits until what changes now gets another time than what changed before. */
  tick(): Promise<void>
  /** The same, mounted for reading only; everything open is closed. */
  readOnly(): Promise<void>
}

/** p path, t text, s slot, n number, m octal mode, o position or `-`, T time, F open flags. */
const SIGNATURES: Record<string, string> = {
  open: 'spFm',
  close: 's',
  read: 'sno',
  write: 'sto',
  ftruncate: 'sn',
  truncate: 'pn',
  mkdir: 'pm',
  rmdir: 'p',
  unlink: 'p',
  rename: 'ppR',
  link: 'ppL',
  linkfd: 'sp',
  symlink: 'pp',
  readlink: 'p',
  mknod: 'pmn',
  chmod: 'pm',
  fchmod: 'sm',
  chown: 'pnn',
  lchown: 'pnn',
  fchown: 'snn',
  utimes: 'pTT',
  lutimes: 'pTT',
  futimes: 'sTT',
  stat: 'p',
  lstat: 'p',
  fstat: 's',
  access: 'pn',
  getxattr: 'pt',
  lgetxattr: 'pt',
  listxattr: 'p',
  setxattr: 'pttX',
  lsetxattr: 'pttX',
  removexattr: 'pt',
  lremovexattr: 'pt',
  readdir: 'p',
  fallocate: 'sAnn',
  seek: 'snW',
  copy: 'snsnn',
  clone: 'snsnn',
  reflink: 'pp',
  chattr: 'pC',
  program: 'p',
  execute: 'p',
}

const OPEN_FLAGS: Record<string, number> = {
  r: 0,
  w: O.WRONLY,
  rw: O.RDWR,
  creat: O.CREAT,
  excl: O.EXCL,
  trunc: O.TRUNC,
  append: O.APPEND,
  directory: O.DIRECTORY,
  nofollow: O.NOFOLLOW,
  noatime: O.NOATIME,
  tmpfile: O.TMPFILE,
}
/** FALLOC_FL_*: keep size 1, punch 2, collapse 8, zero 16, insert 32. */
const ALLOCATE: Record<string, number> = {
  grow: 0,
  keep: 1,
  punch: 3,
  collapse: 8,
  zero: 16,
  zerokeep: 17,
  insert: 32,
}
export const UTIME_NOW = 0x3fffffff
export const UTIME_OMIT = 0x3ffffffe
/** FS_APPEND_FL and FS_IMMUTABLE_FL. */
export const FLAG_BITS: Record<string, number> = { a: 0x20, i: 0x10 }

export function bytesOf(text: string): Buffer {
  const full = text
    .replace(/\{(.+?)\*(\d+)\}/g, (_, part: string, n: string) => part.repeat(Number(n)))
    .replace(/\\s/g, ' ')
    .replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return Buffer.from(full === "''" ? '' : full, 'latin1')
}

function pick(table: Record<string, number>, word: string): number {
  const value = table[word]
  if (value === undefined) throw new Error(`'${word}': one of ${Object.keys(table).join(' ')}`)
  return value
}

function time(word: string): [number, number] {
  if (word === 'now') return [0, UTIME_NOW]
  if (word === 'omit') return [0, UTIME_OMIT]
  const [seconds, nanoseconds = '0'] = word.split('.')
  return [Number(seconds), Number(nanoseconds.padEnd(9, '0'))]
}

/** One argument, by the letter of the signature. */
function argument(letter: string, word: string | undefined): (number | Buffer)[] {
  if (letter === 'o') return [word === undefined || word === '-' ? -1 : Number(word)]
  if (letter === 'R') return [pick({ '': 0, noreplace: 1, exchange: 2, both: 3 }, word ?? '')]
  if (letter === 'L') return [pick({ '': 0, follow: 1 }, word ?? '')]
  if (letter === 'X') return [pick({ '': 0, create: 1, replace: 2 }, word ?? '')]
  if (word === undefined) throw new Error('an argument is missing')
  if (letter === 'p' || letter === 't') return [bytesOf(word)]
  if (letter === 'm') return [parseInt(word, 8)]
  if (letter === 'F') return [word.split(',').reduce((all, one) => all | pick(OPEN_FLAGS, one), 0)]
  if (letter === 'A') return [pick(ALLOCATE, word)]
  if (letter === 'W') return [pick({ data: 0, hole: 1 }, word)]
  if (letter === 'T') return time(word)
  if (letter === 'C') {
    const bits = pick(FLAG_BITS, word.slice(1))
    return word.startsWith('+') ? [bits, 0] : [0, bits]
  }
  return [Number(word)]
}

/** ACLs are set as what they are, attributes; `rmacl` takes one away. */
function ofAcl(name: string, words: string[]): Call {
  const [path, kind, text] = words
  const attribute = Buffer.from(`system.posix_acl_${kind!}`)
  const args = [bytesOf(path!), attribute]
  if (name === 'getacl') return { name: 'getxattr', args }
  if (name === 'rmacl') return { name: 'removexattr', args }
  return { name: 'setxattr', args: [...args, Buffer.from(encodeAcl(parseAcl(text!).access)), 0] }
}

export function call(name: string, words: string[]): Call {
  if (name === 'sys' || name === 'interrupted') return systemCall(name, words)
  if (/acl$/.test(name)) return ofAcl(name, words)
  const signature = SIGNATURES[name]
  if (signature === undefined) throw new Error(`no call '${name}'`)
  return { name, args: [...signature].flatMap((letter, i) => argument(letter, words[i])) }
}

/** Steps that are no calls: see posix.ts. */
const NOT_CALLS = new Set(['mark', 'changed', 'readonly', 'until'])
const NO_CALL: Call = { name: '', args: [] }
const STATS = new Set(['stat', 'lstat', 'fstat'])

export function parseStep(line: string): Step {
  const [left, expected] = line.split(/ =(?: |$)/) as [string, string?]
  const [user, name, ...words] = left.trim().split(/\s+/)
  if (!(user! in USERS)) throw new Error(`'${line}': no user ${user!}`)
  try {
    const fields = STATS.has(name!) ? (words[1] ?? '').split(',').filter(Boolean) : []
    const made = NOT_CALLS.has(name!) ? NO_CALL : call(name!, words)
    const step = { line, user: user as UserName, call: made, fields }
    return { ...step, expected: expected === undefined ? undefined : valueOf(expected.trim()) }
  } catch (error) {
    throw new Error(`'${line}'`, { cause: error })
  }
}

function valueOf(expected: string): string {
  return bytesOf(expected).toString('latin1')
}

export function parseSteps(text: string): Step[] {
  const lines = text.split('\n').map((line) => line.replace(/(^|\s)#.*/, '').trim())
  return lines.filter((line) => line !== '').map(parseStep)
}

const FIELDS = ['mode', 'nlink', 'uid', 'gid', 'size', 'rdev', 'atime', 'mtime', 'ctime', 'ino']

/** Of what stat answers, the fields that a step asks for; the same text elsewhere. */
export function shown(step: Step, outcome: string): string {
  if (step.fields.length === 0 || /^E[A-Z0-9]+$/.test(outcome)) return outcome
  return fieldsOf(outcome, step.fields)
}

export function fieldsOf(stat: string, fields: readonly string[]): string {
  const values = stat.split(' ')
  return fields.map((field) => values[FIELDS.indexOf(field)] ?? `no ${field}`).join(' ')
}
