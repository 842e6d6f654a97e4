/** Names, modes and times as people read them. */
import { displayPath } from '../base/errors.js'
import type { FileSystem, FileType, Stats, Timestamp } from '../base/filesystem.js'
import { typeOfBits } from '../base/stats.js'

/** A name for a terminal: control characters and what is no UTF-8 as \xNN. */
export function displayName(name: Uint8Array): string {
  return printable(displayPath(name))
}

/** Text on one line, that a terminal does not take for commands. */
export function printable(text: string): string {
  return text.replace(
    /[\x00-\x1f\x7f-\x9f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** Bytes for JSON under `key`; what is no UTF-8 has its bytes beside it, under KEYBase64. */
export function jsonText(key: string, bytes: Uint8Array): Record<string, string> {
  const text = Buffer.from(bytes).toString('utf8')
  if (Buffer.from(text, 'utf8').equals(bytes)) return { [key]: text }
  return { [key]: displayPath(bytes), [`${key}Base64`]: Buffer.from(bytes).toString('base64') }
}

export const jsonName = (name: Uint8Array): Record<string, string> => jsonText('name', name)
export const jsonPath = (path: Uint8Array): Record<string, string> => jsonText('path', path)

/** ' -> target' of a symbolic link, nothing of others. */
export async function arrow(volume: FileSystem, path: Buffer, stats: Stats): Promise<string> {
  if (stats.type !== 'symlink') return ''
  return ` -> ${displayName(await volume.readlink(path))}`
}

const TYPE_LETTERS: Readonly<Record<FileType, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  character: 'c',
  block: 'b',
}

const SPECIAL = [
  [0o4000, 2, 's', 'S'],
  [0o2000, 5, 's', 'S'],
  [0o1000, 8, 't', 'T'],
] as const

/** 'drwxr-xr-x'. */
export function modeText(mode: number): string {
  const bits = [...'rwxrwxrwx'].map((letter, i) => ((mode >>> (8 - i)) & 1 ? letter : '-'))
  for (const [flag, place, both, alone] of SPECIAL) {
    if ((mode & flag) !== 0) bits[place] = bits[place] === 'x' ? both : alone
  }
  return `${TYPE_LETTERS[typeOfBits(mode >>> 12)]}${bits.join('')}`
}

/** '2026-01-02 03:04', local time. */
export function timeText(ms: number): string {
  const date = new Date(ms)
  const two = (n: number) => String(n).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

/** '2026-01-02T03:04:05.678901234Z'. */
export function isoTime({ seconds, nanoseconds }: Timestamp): string {
  const whole = new Date(seconds * 1000).toISOString().slice(0, -5)
  return `${whole}.${String(nanoseconds).padStart(9, '0')}Z`
}

/** The four times of a file. */
export function timesOf(
  stats: Stats,
): Record<'atime' | 'mtime' | 'ctime' | 'birthtime', Timestamp> {
  return {
    atime: { seconds: stats.atimeSeconds, nanoseconds: stats.atimeNanoseconds },
    mtime: { seconds: stats.mtimeSeconds, nanoseconds: stats.mtimeNanoseconds },
    ctime: { seconds: stats.ctimeSeconds, nanoseconds: stats.ctimeNanoseconds },
    birthtime: { seconds: stats.birthtimeSeconds, nanoseconds: stats.birthtimeNanoseconds },
  }
}

const MINOR_BITS = 20

/** Major and minor number of a device. */
export function deviceOf(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: rdev >>> MINOR_BITS, minor: rdev & (2 ** MINOR_BITS - 1) }
}

export function deviceNumber(major: number, minor: number): number {
  return major * 2 ** MINOR_BITS + minor
}

export const isDevice = ({ type }: Stats): boolean => type === 'character' || type === 'block'

export function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8).padStart(3, '0')}`
}

export function jsonStats(stats: Stats): Record<string, unknown> {
  const { atime, mtime, ctime, birthtime } = timesOf(stats)
  return {
    ino: stats.ino,
    generation: stats.generation,
    type: stats.type,
    mode: octal(stats.mode),
    nlink: stats.nlink,
    uid: stats.uid,
    gid: stats.gid,
    ...(isDevice(stats) ? { device: deviceOf(stats.rdev) } : {}),
    size: stats.size,
    blocks: stats.blocks,
    blksize: stats.blksize,
    atime: isoTime(atime),
    mtime: isoTime(mtime),
    ctime: isoTime(ctime),
    birthtime: isoTime(birthtime),
  }
}
