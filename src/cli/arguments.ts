/**
 * What stands on the command line: bytes, VOLUME:PATH, hf://HOST:PORT/PATH, sizes.
 *
 * Arguments are bytes, and Node hands out strings: those of a name that is no UTF-8 are lost. So
 * they are taken from /proc/self/cmdline, and carried through the option parser as strings in which
 * a byte that is no UTF-8 is the lone surrogate U+DC00 + byte (Python's surrogateescape).
 */
import { readFileSync } from 'node:fs'
import { InvalidArgumentError } from 'commander'
import { demandUrl, isRemote, splitUrl } from './volume_name.js'

/** The arguments after the script's name, escaped. */
export function processArguments(): string[] {
  const strings = process.argv.slice(2)
  let raw: Buffer
  try {
    raw = readFileSync('/proc/self/cmdline')
  } catch {
    return strings
  }
  const all: Uint8Array[] = []
  for (let start = 0; start < raw.length;) {
    const end = raw.indexOf(0, start)
    all.push(raw.subarray(start, end < 0 ? raw.length : end))
    start = end < 0 ? raw.length : end + 1
  }
  const bytes = all.slice(all.length - strings.length)
  // Believed only where it says what Node says: process.title may have been written over it.
  const same =
    bytes.length === strings.length &&
    strings.every((text, i) => Buffer.from(bytes[i]!).toString('utf8') === text)
  return same ? bytes.map(escapeBytes) : strings
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes as a string that `unescapeBytes` turns back into the same bytes. */
export function escapeBytes(bytes: Uint8Array): string {
  const whole = decode(bytes)
  if (whole !== null) return whole
  let text = ''
  for (let i = 0; i < bytes.length;) {
    const first = bytes[i]!
    const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    const char = length === 0 ? null : decode(bytes.subarray(i, i + length))
    if (char === null) text += String.fromCharCode(0xdc00 + first)
    else text += char
    i += char === null ? 1 : length
  }
  return text
}

function decode(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes)
  } catch {
    return null
  }
}

export function unescapeBytes(text: string): Buffer {
  const parts: Buffer[] = []
  let from = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0xd800 && code < 0xdc00) i++
    else if (code >= 0xdc80 && code < 0xdd00) {
      parts.push(Buffer.from(text.slice(from, i), 'utf8'), Buffer.of(code - 0xdc00))
      from = i + 1
    }
  }
  parts.push(Buffer.from(text.slice(from), 'utf8'))
  return Buffer.concat(parts)
}

/** A place on the command line: in a volume when there is a `:/`, else on the host. */
export interface Target {
  /** The volume: path of its region, or hf://HOST:PORT; null: the host's file system. */
  readonly region: string | null
  readonly path: Buffer
}

/** A URL is split after its host, VOLUME:PATH at the first `:/`. */
export function parseTarget(text: string): Target {
  const url = splitUrl(text)
  if (url !== null) return { region: parseRegion(url.volume, true), path: unescapeBytes(url.path) }
  const colon = text.indexOf(':/')
  if (colon < 0) return { region: null, path: unescapeBytes(text) }
  return { region: parseRegion(text.slice(0, colon)), path: unescapeBytes(text.slice(colon + 1)) }
}

/** A place that must be in a volume. */
export interface VolumeTarget extends Target {
  readonly region: string
}

export function parseVolumeTarget(text: string): VolumeTarget {
  const { region, path } = parseTarget(text)
  if (region === null) {
    throw new InvalidArgumentError(`VOLUME:PATH is wanted, as in ${text}:/, or hf://HOST:PORT/PATH`)
  }
  return { region, path }
}

export const parseVolumeTargets = (text: string, before: VolumeTarget[] | undefined) => [
  ...(before ?? []),
  parseVolumeTarget(text),
]

export const parseTargets = (text: string, before: Target[] | undefined) => [
  ...(before ?? []),
  parseTarget(text),
]

/** A region of this host; `remote`: or the server of one. */
export function parseRegion(text: string, remote: unknown = false): string {
  if (text === '') throw new InvalidArgumentError('the path of the region is empty')
  if (/[\udc80-\udcff]/.test(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ''))) {
    throw new InvalidArgumentError('the path of a region is UTF-8')
  }
  if (isRemote(text) && remote !== true) {
    throw new InvalidArgumentError(
      'this is done on the host that has the region, with the path of the region',
    )
  }
  return text
}

/** A volume as a whole: the path of its region, or hf://HOST:PORT. */
export function parseVolume(text: string): string {
  if (!isRemote(text)) return parseRegion(text)
  const volume = text.replace(/\/$/, '')
  demandUrl(volume)
  return parseRegion(volume, true)
}

export const parseVolumes = (text: string, before: string[] | undefined) => [
  ...(before ?? []),
  parseVolume(text),
]

const PARSERS: readonly unknown[] = [
  parseTarget,
  parseTargets,
  parseVolumeTarget,
  parseVolumeTargets,
  parseVolume,
  parseVolumes,
]

/** Whether what a parser takes may be a volume of a server. */
export const reachesServers = (parser: unknown): boolean => PARSERS.includes(parser)

const UNITS = ['', 'K', 'M', 'G', 'T'] as const

/** '4K', '2M', '1G', '1.5G' or plain bytes. */
export function parseSize(text: string): number {
  const parts = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text)
  const bytes =
    parts === null
      ? NaN
      : Number(parts[1]) * 1024 ** UNITS.indexOf(parts[2]!.toUpperCase() as (typeof UNITS)[number])
  if (!Number.isSafeInteger(bytes)) {
    throw new InvalidArgumentError('a size is a number of bytes, or like 4K, 2M, 1G')
  }
  return bytes
}

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }

/** '500ms', '5s', '2m', or seconds: milliseconds. */
export function parseDuration(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? []
  const milliseconds = Math.round(Number(number) * MILLISECONDS[unit]!)
  if (number === undefined || milliseconds > 0xffff_ffff) {
    throw new InvalidArgumentError('a time is seconds, or like 500ms, 5s, 2m')
  }
  return milliseconds
}

/** A range of bytes. */
export interface Range {
  readonly offset: number
  readonly length: number
}

/** 'OFFSET:LENGTH', each a size, or in hexadecimal with 0x before it. */
export function parseRange(text: string): Range {
  const parts = text.split(':')
  if (parts.length !== 2) throw new InvalidArgumentError('a range is OFFSET:LENGTH, as 1G:2M')
  const [offset = NaN, length = NaN] = parts.map((part) =>
    /^0x[0-9a-f]{1,13}$/i.test(part) ? Number(part) : parseSize(part),
  )
  if (length === 0) throw new InvalidArgumentError('the range is empty')
  return { offset, length }
}

export function parseSeed(text: string): number {
  const seed = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(seed < 2 ** 32)) throw new InvalidArgumentError('a seed is a number from 0 to 4294967295')
  return seed
}

/** Bytes for people: '4.0 KiB'. */
export function formatSize(bytes: number): string {
  let unit = 0
  let value = bytes
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${UNITS[unit]!}iB`
}
