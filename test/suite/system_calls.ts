/**
 * Calls that a program alone can make: a system call with any arguments, by
 * `linux/program_calls.c`. Volumes are not asked such lines.
 *
 *     USER sys NAME ARGUMENTS...            as in openat(2), `sys openat cwd /f O_RDONLY|O_PATH`
 *     USER sys SLOT=NAME ARGUMENTS...       what is opened is kept in a slot
 *     USER interrupted NAME ARGUMENTS...    while a signal comes again and again
 *     USER program PATH                     writes a program that waits for ever
 *     USER execute PATH                     runs it, until the case has ended
 *
 * Arguments are those of program_calls.c, with names for numbers, and `cwd` for AT_FDCWD.
 */
import { bytesOf, type Call } from './steps.js'

/** From the headers of Linux, where they are the same on every machine that is supported. */
const NUMBERS: Readonly<Record<string, number>> = {
  cwd: -100,
  AT_EACCESS: 0x200,
  AT_EMPTY_PATH: 0x1000,
  AT_REMOVEDIR: 0x200,
  AT_SYMLINK_FOLLOW: 0x400,
  AT_SYMLINK_NOFOLLOW: 0x100,
  F_GETLK: 5,
  F_NOTIFY: 1026,
  F_OFD_GETLK: 36,
  F_OFD_SETLK: 37,
  F_OFD_SETLKW: 38,
  F_SETFL: 4,
  F_SETLEASE: 1024,
  F_SETLK: 6,
  F_SETLKW: 7,
  FALLOC_FL_COLLAPSE_RANGE: 8,
  FALLOC_FL_INSERT_RANGE: 32,
  FALLOC_FL_KEEP_SIZE: 1,
  FALLOC_FL_PUNCH_HOLE: 2,
  FALLOC_FL_ZERO_RANGE: 16,
  FS_IOC_GETFLAGS: 0x80086601,
  LOCK_EX: 2,
  LOCK_NB: 4,
  LOCK_SH: 1,
  LOCK_UN: 8,
  MAP_DENYWRITE: 0x800,
  MAP_FIXED_NOREPLACE: 0x100000,
  MAP_PRIVATE: 2,
  MAP_SHARED: 1,
  MAP_SHARED_VALIDATE: 3,
  MAP_SYNC: 0x80000,
  MS_BIND: 4096,
  MS_NOEXEC: 8,
  MS_REMOUNT: 32,
  O_APPEND: 0o2000,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NONBLOCK: 0o4000,
  O_PATH: 0o10000000,
  O_RDONLY: 0,
  O_RDWR: 2,
  O_TRUNC: 0o1000,
  O_WRONLY: 1,
  PROT_EXEC: 4,
  PROT_READ: 1,
  PROT_WRITE: 2,
  RENAME_EXCHANGE: 2,
  RENAME_NOREPLACE: 1,
  RENAME_WHITEOUT: 4,
  RLIMIT_FSIZE: 1,
  RLIMIT_NOFILE: 7,
  RWF_APPEND: 0x10,
  SEEK_CUR: 1,
  SEEK_DATA: 3,
  SEEK_END: 2,
  SEEK_HOLE: 4,
  SEEK_SET: 0,
  S_IFDIR: 0o40000,
  S_IFIFO: 0o10000,
  S_IFLNK: 0o120000,
  S_IFREG: 0o100000,
  STATX_BASIC_STATS: 0x7ff,
  STATX__RESERVED: 0x80000000,
  UTIME_NOW: 0x3fffffff,
  UTIME_OMIT: 0x3ffffffe,
  XATTR_CREATE: 1,
  XATTR_REPLACE: 2,
  null: 0,
}

/** Of flags, which are not the same on every machine: x64 and arm64. */
const OF_MACHINE: Readonly<Record<string, readonly [number, number]>> = {
  O_DIRECT: [0o40000, 0o200000],
  O_DIRECTORY: [0o200000, 0o40000],
  O_NOFOLLOW: [0o400000, 0o100000],
  O_TMPFILE: [0o20200000, 0o20040000],
}

function numberOf(name: string): bigint {
  const known = OF_MACHINE[name]?.[process.arch === 'arm64' ? 1 : 0] ?? NUMBERS[name]
  if (known !== undefined) return BigInt(known)
  return BigInt(name.replace(/^0(?=\d)/, '0o'))
}

/** Numbers by names, and several of them in one. */
function number(word: string): string {
  return String(word.split('|').reduce((all, name) => all | numberOf(name), 0n))
}

function argument(word: string): Buffer {
  if (word.startsWith("'")) return Buffer.concat([Buffer.from("'"), bytesOf(word.slice(1, -1))])
  if (/^[/@&{]|^bad$/.test(word)) return bytesOf(word)
  if (!word.startsWith('u64(')) return Buffer.from(number(word))
  const items = word.slice('u64('.length, -1).split(',')
  return Buffer.from(`u64(${items.map((item) => (item === '&' ? item : number(item))).join(',')})`)
}

export function systemCall(name: string, words: readonly string[]): Call {
  const [, slot = '-1', called = ''] = /^(?:(\d+)=)?(\w+)$/.exec(words[0] ?? '') ?? []
  return { name, args: [Number(slot), Buffer.from(called), ...words.slice(1).map(argument)] }
}
