/**
 * Fills a region file in steps, for who wants to show how far it is, or to stop in the middle.
 * `createRegion` finds every block there afterwards.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { native } from '../native/native.js'
import { requireSpace } from './space.js'

const STEP_BYTES = 64 * 1024 * 1024

/** Yields the bytes that are there after each step. A device is full as it is. */
export function* fillRegion(path: string, byteLength: number): Generator<number> {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile() || byteLength === 0) return
    // Its owner says who it is when the region is opened; here it is enough not to touch it.
    if (!native.lock(fd, 0, 1, true)) throw new HoldfastError('EBUSY', `${path} is open elsewhere`)
    requireSpace(fd, path, byteLength)
    if (stat.size !== byteLength) ftruncateSync(fd, byteLength)
    for (let offset = 0; offset < byteLength;) {
      const length = Math.min(STEP_BYTES, byteLength - offset)
      native.fallocate(fd, offset, length)
      offset += length
      yield offset
    }
  } finally {
    closeSync(fd)
  }
}
