/**
 * What a descriptor is as a region: kind, how stores become durable, in what unit it is mapped.
 *
 * The kernel is asked, not the name: a file is fsdax when a mapping with MAP_SYNC succeeds, a
 * character device is device-DAX when sysfs knows its size.
 */
import { existsSync, fstatSync, readFileSync, readlinkSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { MapFlag, native } from '../native/native.js'
import type { Persistence } from './region.js'

/** statfs(2), f_type. */
export const TMPFS_MAGIC = 0x0102_1994
export const HUGETLBFS_MAGIC = 0x9584_58f6

export interface Kind {
  readonly kind: string
  readonly persistence: Persistence
  readonly grain: number
  readonly byteLength: number
  readonly mapFlags: number
}

/** What a descriptor is, from what the kernel says of it, measured where it does not say. */
export function probe(fd: number, path: string): Kind {
  const stat = fstatSync(fd)
  if (stat.isCharacterDevice()) return probeDevDax(stat.rdev, path)
  if (stat.isBlockDevice()) {
    throw new HoldfastError(
      'ENODEV',
      `${path} is a block device; make a filesystem on it and a file there, ` +
        `or of persistent memory a device-DAX node: ndctl create-namespace --mode devdax`,
    )
  }
  if (!stat.isFile()) {
    throw new HoldfastError('ENODEV', `${path} is neither a file nor a device-DAX node`)
  }
  const { type, blockSize } = native.statfs(fd)
  if (type === TMPFS_MAGIC) {
    const kind = isMemfd(fd) ? 'memfd' : 'tmpfs'
    return fileKind(kind, 'fence', BLOCK_BYTES, stat.size, path, 0)
  }
  if (type === HUGETLBFS_MAGIC) {
    const kind = isMemfd(fd) ? 'memfd' : 'hugetlbfs'
    return fileKind(kind, 'fence', blockSize, stat.size, path, 0)
  }
  if (stat.size > 0 && native.canMapSync(fd)) {
    return fileKind('fsdax', 'flush', BLOCK_BYTES, stat.size, path, MapFlag.sync)
  }
  return fileKind('file', 'sync', BLOCK_BYTES, stat.size, path, 0)
}

function fileKind(
  kind: string,
  persistence: Persistence,
  grain: number,
  size: number,
  path: string,
  mapFlags: number,
): Kind {
  const byteLength = Math.floor(size / grain) * grain
  if (byteLength === 0) {
    throw new HoldfastError('ENODEV', `${path} has ${size} bytes, less than one page of ${grain}`)
  }
  return { kind, persistence, grain, byteLength, mapFlags }
}

/** The two halves of a dev_t, as makedev(3) of the C library puts them together. */
export function deviceNumbers(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  }
}

/** /sys/dev/char/MAJOR:MINOR of a device-DAX node has its size and alignment. */
function probeDevDax(rdev: number, path: string): Kind {
  const { major, minor } = deviceNumbers(BigInt(rdev))
  const directory = `/sys/dev/char/${major}:${minor}`
  const sizeFile = `${directory}/size`
  if (!existsSync(sizeFile)) {
    throw new HoldfastError('ENODEV', `${path} is a character device but no device-DAX node`)
  }
  const alignFile = `${directory}/align`
  const grain = existsSync(alignFile) ? Number(readFileSync(alignFile, 'utf8')) : 2 * 1024 * 1024
  const size = Number(readFileSync(sizeFile, 'utf8'))
  return {
    kind: 'devdax',
    persistence: 'flush',
    grain,
    byteLength: Math.floor(size / grain) * grain,
    mapFlags: 0,
  }
}

function isMemfd(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/memfd:')
}
