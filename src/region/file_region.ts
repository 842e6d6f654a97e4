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
  fsyncSync,
  ftruncateSync,
  openSync,
  realpathSync,
  unlinkSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { HoldfastError } from '../base/errors.js'
import { MapFlag, native, type MemoryId } from '../native/native.js'
import { probe, type Kind } from './kind.js'
import { MemoryRegion } from './memory_region.js'
import type { Persistence } from './region.js'
import { requireMemory, requireSpace } from './space.js'
import { heldSlots, whoMaps } from './survivor_locks.js'
import { systemCall } from '../base/system_call.js'

const F_SEAL_SHRINK = 2

export interface OpenRegionOptions {
  /** Durability other than the kind's own: to measure persistent memory on DRAM. */
  readonly persistence?: Persistence
  /** Mapped for reading only; no lock, for looking at a region, unless `shared`. */
  readonly readOnly?: boolean
  /** With `readOnly`: a lock that other readers share and that keeps writers away. */
  readonly shared?: boolean
  /**
   * False: the memory behind it does not see what this side has in its caches, nor this side what
   * devices write there, until lines are written back and dropped (NVMe persistent memory behind
   * PCIe, shared CXL memory without back-invalidation, a file whose disk is written elsewhere).
   * True unless given.
   */
  readonly coherent?: boolean | undefined
  /** Of a file the last part of a grain, too: for bytes that are no volume. */
  readonly whole?: boolean
  /**
   * Processes may still map it for its last owner, and hold what is in it: who asks for this sees
   * to that. Unless it is asked for, opening it to write is EBUSY then.
   */
  readonly survivors?: 'grace' | undefined
  /** What to say of the owner when the region is locked. */
  readonly describeOwner?: (path: string) => string
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
  requireSpace(fd, path, wanted)
  if (wanted !== size) systemCall('ftruncate', path, () => ftruncateSync(fd, wanted))
  systemCall('fallocate', path, () => native.fallocate(fd, 0, wanted))
  syncDirectory(path)
}

/**
 * The file of a region ends after so many bytes; nobody may touch what is beyond through it any
 * more.
 */
export function cutRegion({ fd, path }: MemoryRegion, byteLength: number): void {
  systemCall('ftruncate', path, () => ftruncateSync(fd, byteLength))
  systemCall('fsync', path, () => fsyncSync(fd))
}

/** A file that was made is there after a power cut only when its name is, too. */
function syncDirectory(path: string): void {
  const directory = dirname(realpathSync(path))
  let fd: number
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    // One may have the right to make files in a directory and not to open it.
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return
    throw error
  }
  try {
    systemCall('fsync', directory, () => fsyncSync(fd))
  } finally {
    closeSync(fd)
  }
}

/**
 * A memfd region: shared by descriptor, gone with the last of its users; sealed against shrinking.
 */
export function memfdRegion(
  byteLength: number,
  options: OpenRegionOptions & { readonly hugeTlb?: boolean } = {},
): MemoryRegion {
  if (options.hugeTlb !== true) requireMemory('memfd', byteLength)
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
    const persistence = options.persistence ?? found.persistence
    const kind = { ...found, byteLength: bytesOf(fd, path, found, options, wanted) }
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
      persistence,
      coherent: options.coherent,
      readOnly: options.readOnly === true,
      fd,
      onClose,
    })
  } catch (error) {
    if (memory !== undefined) native.unmap(memory)
    onClose()
    throw error
  }
}

/** Bytes of a region that is to have `wanted`, 0: as many as there are. */
function bytesOf(
  fd: number,
  path: string,
  { byteLength, grain }: Kind,
  { whole }: OpenRegionOptions,
  wanted: number,
): number {
  if (wanted === 0) return whole === true ? Math.max(byteLength, fstatSync(fd).size) : byteLength
  if (wanted > byteLength + grain - 1) {
    throw new HoldfastError('EINVAL', `${path} has ${byteLength} bytes, not ${wanted}`)
  }
  return Math.floor(wanted / grain) * grain
}

function lockOwner(fd: number, path: string, options: OpenRegionOptions): void {
  const exclusive = options.readOnly !== true
  if (native.lock(fd, 0, 1, exclusive)) {
    if (exclusive && options.survivors !== 'grace') demandUnmapped(fd, path)
    return
  }
  if (exclusive && !native.locked(fd, 0, 1, false)) {
    throw new HoldfastError('EBUSY', `${path} is being read by another process; try again later`)
  }
  const owner = options.describeOwner?.(path) ?? 'another process'
  throw new HoldfastError(
    'EBUSY',
    `${path} is open in ${owner}; one process owns a region at a time`,
  )
}

/** EBUSY while processes map it that its last owner had passed a descriptor to. */
function demandUnmapped(fd: number, path: string): void {
  if (heldSlots({ fd }).length === 0) return
  const others = whoMaps(path).filter(({ pid }) => pid !== process.pid)
  const who = others.map(({ pid, name }) => `process ${pid} (${name})`).join(', ')
  const whose = who === '' ? 'processes of its last owner' : who
  throw new HoldfastError(
    'EBUSY',
    `${path} is still mapped by ${whose}, who hold blocks of it; end them, or start ` +
      'holdfast serve, to which they come back',
  )
}
