/** Open flags: the strings of node:fs and the numbers of open(2), taken apart. */
import { HoldfastError } from './errors.js'
import type { OpenFlags } from './filesystem.js'

export interface OpenWish {
  readonly read: boolean
  readonly write: boolean
  readonly append: boolean
  readonly create: boolean
  readonly exclusive: boolean
  readonly truncate: boolean
  /** Every write is durable when it returns. */
  readonly sync: boolean
  readonly directory: boolean
  readonly noFollow: boolean
  readonly noAtime: boolean
  /** O_TMPFILE. */
  readonly unnamed: boolean
}

/** Linux (asm-generic/fcntl.h). */
export const O = {
  WRONLY: 0o1,
  RDWR: 0o2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DSYNC: 0o10000,
  LARGEFILE: 0o100000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  SYNC: 0o4010000,
  TMPFILE: 0o20200000,
} as const

/** Flags that change nothing here: there is no terminal, no waiting, no exec, no 32-bit offset. */
const IGNORED = O.NOCTTY | O.NONBLOCK | O.LARGEFILE | O.CLOEXEC
const KNOWN = Object.values(O).reduce<number>((all, flag) => all | flag, 0) & ~IGNORED

const FLAGS = /^(r|w|a)(?:(x)|(s))?(\+?)$/
const parsed = new Map<OpenFlags | number, OpenWish>()

export function parseFlags(flags: OpenFlags | number): OpenWish {
  let wish = parsed.get(flags)
  if (wish === undefined) {
    wish = parseNumber(flagNumber(flags))
    if (parsed.size < 1024) parsed.set(flags, wish)
  }
  return wish
}

/** The number of open(2) that stands for `flags`. EINVAL when there is none. */
export function flagNumber(flags: OpenFlags | number): number {
  if (typeof flags === 'number') return flags
  const parts = FLAGS.exec(flags)
  const bad =
    parts === null ||
    (parts[1] === 'r' && (parts[2] === 'x' || (parts[3] === 's' && parts[4] !== '+'))) ||
    (parts[1] === 'w' && parts[3] === 's')
  if (bad) {
    throw new HoldfastError(
      'EINVAL',
      `flags '${flags}': one of r r+ rs+ w w+ wx wx+ a a+ ax ax+ as as+, or a number of open(2)`,
    )
  }
  const base = { r: 0, w: O.CREAT | O.TRUNC, a: O.CREAT | O.APPEND }[parts[1] as 'r' | 'w' | 'a']
  const access = parts[4] === '+' ? O.RDWR : parts[1] === 'r' ? 0 : O.WRONLY
  return base | access | (parts[2] === 'x' ? O.EXCL : 0) | (parts[3] === 's' ? O.SYNC : 0)
}

function parseNumber(flags: number): OpenWish {
  const known = Number.isInteger(flags) && flags >= 0 && flags <= 0x7fff_ffff
  if (!known || (flags & ~(KNOWN | IGNORED)) !== 0) {
    throw new HoldfastError('EINVAL', `open flags 0${flags.toString(8)}: some are not known`)
  }
  const mode = flags & 3
  const has = (flag: number) => (flags & flag) === flag
  const unnamed = has(O.TMPFILE)
  const create = has(O.CREAT) && !unnamed
  if ((flags & O.TMPFILE) !== 0 && !unnamed && (flags & 0o20000000) !== 0) {
    throw new HoldfastError('EINVAL', 'O_TMPFILE includes O_DIRECTORY')
  }
  if (unnamed && (mode === 0 || has(O.CREAT))) {
    throw new HoldfastError('EINVAL', 'O_TMPFILE is for writing, and without O_CREAT')
  }
  if (has(O.CREAT) && has(O.DIRECTORY) && !unnamed) {
    throw new HoldfastError('EINVAL', 'O_CREAT does not make directories: mkdir does')
  }
  return {
    read: mode !== 1,
    write: mode === 1 || mode === 2,
    append: has(O.APPEND),
    create,
    exclusive: has(O.EXCL) && (create || unnamed),
    truncate: has(O.TRUNC),
    sync: (flags & O.DSYNC) !== 0,
    directory: has(O.DIRECTORY) && !unnamed,
    noFollow: has(O.NOFOLLOW),
    noAtime: has(O.NOATIME),
    unnamed,
  }
}
