/** Names, modes and times as people read them. */
import { displayPath } from '../base/errors.js'
import type { Stats } from '../base/filesystem.js'

/** A name for a terminal: control characters and what is no UTF-8 as \xNN. */
export function displayName(name: Uint8Array): string {
  return displayPath(name).replace(
    /[\x00-\x1f\x7f-\x9f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** A name for JSON; one that is no UTF-8 has its bytes beside it. */
export function jsonName(name: Uint8Array): { name: string; nameBase64?: string } {
  const text = Buffer.from(name).toString('utf8')
  if (Buffer.from(text, 'utf8').equals(name)) return { name: text }
  return { name: displayPath(name), nameBase64: Buffer.from(name).toString('base64') }
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
  return `${(mode & 0o170000) === 0o040000 ? 'd' : '-'}${bits.join('')}`
}

/** '2026-01-02 03:04', local time. */
export function timeText(ms: number): string {
  const date = new Date(ms)
  const two = (n: number) => String(n).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

export function jsonStats(stats: Stats): Record<string, string | number> {
  const iso = (ms: number) => new Date(ms).toISOString()
  return {
    ino: stats.ino,
    generation: stats.generation,
    type: stats.type,
    mode: `0${(stats.mode & 0o7777).toString(8).padStart(3, '0')}`,
    nlink: stats.nlink,
    uid: stats.uid,
    gid: stats.gid,
    size: stats.size,
    blocks: stats.blocks,
    blksize: stats.blksize,
    atime: iso(stats.atimeMs),
    mtime: iso(stats.mtimeMs),
    ctime: iso(stats.ctimeMs),
    birthtime: iso(stats.birthtimeMs),
  }
}
