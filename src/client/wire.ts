/** Values of the FileSystem interface as the protocol has them, and back. */
import { HoldfastError } from '../base/errors.js'
import type { ChangeOptions, MoveOptions, ShareOptions } from '../base/layout.js'
import type { Time } from '../base/filesystem.js'
import { isTimestamp } from '../base/stats.js'
import { isPath, isPathAt, type Path } from '../base/path.js'
import type { ChangeWish, Target, WirePath } from '../control/types.js'

const encoder = new TextEncoder()
const UNCHANGED = 0xffff_ffff

const encoded = (path: string | Uint8Array): Uint8Array =>
  typeof path === 'string' ? encoder.encode(path) : path

export function bytesOf(path: Path): WirePath {
  if (!isPath(path)) throw new HoldfastError('EINVAL', 'a path is a string or bytes')
  return isPathAt(path) ? { ...path, path: encoded(path.path) } : encoded(path)
}

/** What a symlink leads to. */
export function contentOf(target: Path): Uint8Array {
  if (isPathAt(target)) throw new HoldfastError('EINVAL', 'a symlink leads to a path')
  return encoded(target)
}

export const byPath = (path: Path, follow = true): Target => ({
  path: { path: bytesOf(path), follow },
})

type Wish = ChangeOptions & ShareOptions & MoveOptions

export function wishOf(options: Wish = {}): ChangeWish {
  const { policy, share, timeout, deadline, force = false } = options
  return { policy, share, timeout, deadline, force }
}

/** EINVAL for what is no number of 32 bits; -1 leaves an owner as it is. */
export function ownerOf(id: number): number {
  if (id === -1) return UNCHANGED
  return u32Of(id, 'owner')
}

export function u32Of(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value
  throw new HoldfastError('EINVAL', `${what} ${value}: an integer in [0, 2^32) is wanted`)
}

export function sizeOf(value: number, what: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new HoldfastError('EINVAL', `${what} ${value}: an integer in [0, 2^53) is wanted`)
}

/** As `sizeOf`, below zero as well: the server says what that means. */
export function longOf(value: number, what: string): number {
  if (Number.isSafeInteger(value)) return value
  throw new HoldfastError('EINVAL', `${what} ${value}: an integer is wanted`)
}

/** A time as it is sent. EINVAL for one that is none. */
export function timeOf(time: Time) {
  if (time === 'now' || time === 'omit') return { word: time } as const
  if (isTimestamp(time)) return { at: time } as const
  const milliseconds = time instanceof Date ? time.getTime() : time * 1000
  const seconds = Math.floor(milliseconds / 1000)
  const nanoseconds = Math.min(999_999_999, Math.round((milliseconds - seconds * 1000) * 1e6))
  if (!Number.isSafeInteger(seconds))
    throw new HoldfastError('EINVAL', `${String(time)} is no time`)
  return { at: { seconds, nanoseconds } } as const
}
