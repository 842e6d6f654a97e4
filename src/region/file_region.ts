/**
 * Regions with a path or a descriptor: tmpfs, memfd, hugetlbfs, device-DAX, fsdax, ordinary files.
 *
 * One process owns a region: it holds an OFD write lock on its first byte (fcntl(2)) for as long as
 * it has it open, and the kernel takes it back when the process dies. Who comes second gets EBUSY.
 * While nobody owns it, several may read: they share an OFD read lock on that byte.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  unlinkSync,
} from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { MapFlag, native, type MemoryId } from '../native/native.js'
import { MemoryRegion } from './memory_region.js'
import type { Persistence } from './region.js'
import { systemCall } from './system_call.js'

const TMPFS_MAGIC = 0x0102_1994
const HUGETLBFS_MAGIC = 0x9584_58f6
const F_SEAL_SHRINK = 2

export interface OpenRegionOptions {
  /** Durability other than the kind's own: to measure persistent memory on DRAM. */
  readonly persistence?: Persistence
  /** Mapped for reading only; no lock, for looking at a region, unless `shared`. */
  readonly readOnly?: boolean
  /** With `readOnly`: a lock that other readers share and that keeps writers away. */
  readonly shared?: boolean
  /** What to say of the owner when the region is locked. */
  readonly describeOwner?: (path: string) => string
}

interface Kind {
  readonly kind: string
  readonly persistence: Persistence
  readonly grain: number
  readonly byteLength: number
  readonly mapFlags: number
}

/** Opens a region that exists. Throws ENOENT, EBUSY with the owner, ENODEV. */
export function openRegion(path: string, options: OpenRegionOptions = {}): MemoryRegion {
  const flags = options.readOnly === true ? constants.O_RDONLY : constants.O_RDWR
  const fd = systemCall('open', path, () => openSync(path, flags))
  return adopt(fd, path, options, () => closeSync(fd))
}

/**
 * Makes a region of `byteLength` bytes (0: as many as there are). A file is made where there is
 * none, and filled, so that no store meets a missing block. Of a device it is the first so many
 * bytes.
 */
export function createRegion(
  path: string,
  byteLength: number,
  options: OpenRegionOptions = {},
): MemoryRegion {
  const existed = existsSync(path)
  const fd = systemCall('open', path, () =>
    openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600),
  )
  try {
    try {
      lockOwner(fd, path, options)
      if (fstatSync(fd).isFile()) fillFile(fd, path, byteLength)
    } catch (error) {
      closeSync(fd)
      throw error
    }
    // Which closes it when it fails.
    return adopt(fd, path, options, () => closeSync(fd), byteLength)
  } catch (error) {
    if (!existed) unlinkSync(path)
    throw error
  }
}

function fillFile(fd: number, path: string, byteLength: number): void {
  const size = fstatSync(fd).size
  const wanted = byteLength === 0 ? size : byteLength
  if (wanted === 0) {
    throw new HoldfastError('EINVAL', `${path} is empty and no size was given: --size 1G`)
  }
  if (wanted !== size) systemCall('ftruncate', path, () => ftruncateSync(fd, wanted))
  systemCall('fallocate', path, () => native.fallocate(fd, 0, wanted))
}

/**
 * A memfd region: shared by descriptor, gone with the last of its users; sealed against shrinking.
 */
export function memfdRegion(
  byteLength: number,
  options: OpenRegionOptions & { readonly hugeTlb?: boolean } = {},
): MemoryRegion {
  const fd = systemCall('memfd_create', 'memfd', () =>
    native.memfd('holdfast', byteLength, options.hugeTlb === true),
  )
  systemCall('fallocate', 'memfd', () => native.fallocate(fd, 0, byteLength))
  native.addSeals(fd, F_SEAL_SHRINK)
  return adopt(fd, `/proc/self/fd/${fd}`, options, () => closeSync(fd))
}

function adopt(
  fd: number,
  path: string,
  options: OpenRegionOptions,
  onClose: () => void,
  wanted = 0,
): MemoryRegion {
  let memory: MemoryId | undefined
  try {
    const found = probe(fd, path)
    const kind = wanted === 0 ? found : { ...found, byteLength: partOf(found, wanted, path) }
    if (options.readOnly !== true || options.shared === true) lockOwner(fd, path, options)
    memory = native.reserve(kind.byteLength)
    const write = options.readOnly === true ? 0 : MapFlag.write
    const flags = kind.mapFlags | MapFlag.read | write
    const reserved = memory
    systemCall('mmap', path, () => native.map(reserved, 0, fd, 0, kind.byteLength, flags))
    return new MemoryRegion({
      ...kind,
      path,
      memory,
      persistence: options.persistence ?? kind.persistence,
      fd,
      onClose,
    })
  } catch (error) {
    if (memory !== undefined) native.unmap(memory)
    onClose()
    throw error
  }
}

/** Bytes of a region that is to have `wanted`. */
function partOf({ byteLength, grain }: Kind, wanted: number, path: string): number {
  if (wanted > byteLength + grain - 1) {
    throw new HoldfastError('EINVAL', `${path} has ${byteLength} bytes, not ${wanted}`)
  }
  return Math.floor(wanted / grain) * grain
}

/** What a descriptor is, from what the kernel says of it, measured where it does not say. */
function probe(fd: number, path: string): Kind {
  const stat = fstatSync(fd)
  if (stat.isCharacterDevice()) return probeDevDax(stat.rdev, path)
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

/** /sys/dev/char/MAJOR:MINOR of a device-DAX node has its size and alignment. */
function probeDevDax(rdev: number, path: string): Kind {
  const major = (rdev >>> 8) & 0xfff
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)
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

function lockOwner(fd: number, path: string, options: OpenRegionOptions): void {
  const exclusive = options.readOnly !== true
  if (native.lock(fd, 0, 1, exclusive)) return
  if (exclusive && !native.locked(fd, 0, 1, false)) {
    throw new HoldfastError('EBUSY', `${path} is being read by another process; try again later`)
  }
  const owner = options.describeOwner?.(path) ?? 'another process'
  throw new HoldfastError(
    'EBUSY',
    `${path} is open in ${owner}; one process owns a region at a time`,
  )
}
