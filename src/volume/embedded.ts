/**
 * A volume by the path of its region, in this process: open, make, look at.
 *
 * The process that has a region open owns it; who comes second gets EBUSY, and is told by whom.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { Superblock } from '../media/superblock.js'
import { createRegion, openRegion } from '../region/file_region.js'
import { heapRegion } from '../region/memory_region.js'
import { describeProcess, isAlive, ownProcess, type ProcessIdentity } from '../region/owner.js'
import type { Region } from '../region/region.js'
import { formatVolume, type FormatOptions } from './format.js'
import { mountVolume, type MountOptions } from './mount.js'
import { SuperblockPair, uuidText } from './superblock.js'
import { Volume } from './volume.js'

export type OpenVolumeOptions = Omit<MountOptions, 'owner' | 'memory'>

export interface CreateVolumeOptions extends FormatOptions {
  /** Overwrites a volume, or a file with something else in it. */
  readonly force?: boolean
  /** `refuseContent` was asked before the region was filled: only volumes are refused now. */
  readonly filled?: boolean
}

/** A volume that owns its region: closing it closes both. */
export class EmbeddedVolume extends Volume {
  /** Opens the volume in the region at `path`. EBUSY, with the owner, when it is open already. */
  static open(path: string, options: OpenVolumeOptions = {}): EmbeddedVolume {
    const region = openRegion(path, { describeOwner })
    return EmbeddedVolume.#mount(region, options)
  }

  /** Makes a volume: in memory of this process (`where` is bytes), or in a region at a path. */
  static create(where: number, options?: CreateVolumeOptions): EmbeddedVolume
  static create(where: string, size: number, options?: CreateVolumeOptions): EmbeddedVolume
  static create(
    where: number | string,
    second?: number | CreateVolumeOptions,
    third?: CreateVolumeOptions,
  ): EmbeddedVolume {
    if (typeof where === 'string') {
      createVolume(where, typeof second === 'number' ? second : 0, third)
      return EmbeddedVolume.open(where)
    }
    const region = heapRegion(where)
    try {
      formatVolume(region, typeof second === 'object' ? second : {})
    } catch (error) {
      region.close()
      throw error
    }
    return EmbeddedVolume.#mount(region, {})
  }

  static #mount(region: Region, options: OpenVolumeOptions): EmbeddedVolume {
    try {
      return new EmbeddedVolume(mountVolume(region, { ...options, owner: ownProcess() }), true)
    } catch (error) {
      region.close()
      throw error
    }
  }

  override close(): void {
    try {
      super.close()
    } finally {
      this.region.close()
    }
  }
}

/** Opens the volume in the region at `path`. */
export function openVolume(path: string, options: OpenVolumeOptions = {}): EmbeddedVolume {
  return EmbeddedVolume.open(path, options)
}

/**
 * mkfs: a region of `size` bytes at `path` (0: as large as it is) with an empty volume in it.
 * Refuses with EEXIST what has a volume or other content, unless forced.
 */
export function createVolume(path: string, size: number, options: CreateVolumeOptions = {}): void {
  if (options.force !== true && options.filled !== true) refuseContent(path)
  const region = createRegion(path, size, { describeOwner })
  try {
    // Looked at again under the lock: two that make a volume at once do not overwrite each other's.
    if (options.force !== true && findVolume(region) !== null) throw volumeExists(path, region)
    formatVolume(region, options)
  } finally {
    region.close()
  }
}

/** What the superblock says of a volume. */
export interface VolumeSummary {
  readonly uuid: string
  readonly label: string
  readonly regionKind: string
  readonly persistence: string
  readonly regionBytes: number
  readonly blockSize: number
  readonly blocks: number
  readonly logBytes: number
  /** Milliseconds since 1970. */
  readonly createdMs: number
  /** Raised at each mount. */
  readonly epoch: number
  /** Sync mode of a mount that does not ask for one. */
  readonly sync: 'always' | 'group'
  /** Who had it open last and did not close it. */
  readonly owner: (ProcessIdentity & { readonly alive: boolean }) | null
}

/** Looks at a volume without opening it: whoever owns it is not disturbed. */
export function inspectVolume(path: string): VolumeSummary {
  const region = openRegion(path, { readOnly: true })
  try {
    const pair = new SuperblockPair(region)
    pair.read()
    return summarize(region, pair)
  } finally {
    region.close()
  }
}

function summarize(region: Region, pair: SuperblockPair): VolumeSummary {
  const at = Superblock.word
  const { u32 } = pair
  const stored = u32[at.defaultSync]!
  const byKind = region.persistence === 'sync' ? 'group' : 'always'
  return {
    uuid: uuidText(pair.uuid),
    label: pair.text('label'),
    regionKind: region.kind,
    persistence: region.persistence,
    regionBytes: region.byteLength,
    blockSize: BLOCK_BYTES,
    blocks: u32[at.blockCount]!,
    logBytes: u32[at.logBlocks]! * BLOCK_BYTES,
    createdMs: (u32[at.createdSeconds]! + u32[at.createdSeconds + 1]! * 0x1_0000_0000) * 1000,
    epoch: pair.epoch,
    sync: stored === 0 ? byKind : stored === 1 ? 'always' : 'group',
    owner: readOwner(pair),
  }
}

function readOwner(pair: SuperblockPair): VolumeSummary['owner'] {
  const at = Superblock.word
  const { u32, u8 } = pair
  const pid = u32[at.ownerPid]!
  if (pid === 0) return null
  const owner = {
    pid,
    startTime: u32[at.ownerStart]! + u32[at.ownerStart + 1]! * 0x1_0000_0000,
    bootId: u8.slice(Superblock.at.ownerBoot, Superblock.at.ownerBoot + 16),
    host: pair.text('ownerHost'),
  }
  return { ...owner, alive: isAlive(owner) }
}

/** Who has the locked region at `path` open, as far as its superblock tells. */
export function describeOwner(path: string): string {
  try {
    const { owner } = inspectVolume(path)
    if (owner !== null) return describeProcess(owner)
  } catch {
    // No volume in it yet, or its superblock is being written: the lock is what counts.
  }
  return 'another process'
}

function findVolume(region: Region): SuperblockPair | null {
  const pair = new SuperblockPair(region)
  try {
    pair.read()
    return pair
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'ENODEV') return null
    throw error
  }
}

function volumeExists(path: string, region: Region): HoldfastError {
  const { label, uuid } = summarize(region, findVolume(region)!)
  return new HoldfastError(
    'EEXIST',
    `${path} has a volume already (${label === '' ? uuid : `'${label}'`}); --force overwrites it`,
  )
}

/** EEXIST when there is anything in the file or device at `path` that somebody may miss. */
export function refuseContent(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined || (stat.size === 0 && stat.isFile())) return
  if (!stat.isFile()) return refuseDeviceContent(path)
  const region = stat.size < BLOCK_BYTES ? null : openRegion(path, { describeOwner })
  try {
    if (region !== null && findVolume(region) !== null) throw volumeExists(path, region)
  } finally {
    region?.close()
  }
  if (!holdsOnlyZeros(path)) throw foreignContent(path)
}

/** A device cannot be read(2): what stands where file systems have their first structures. */
function refuseDeviceContent(path: string): void {
  const region = openRegion(path, { describeOwner })
  try {
    if (findVolume(region) !== null) throw volumeExists(path, region)
    const first = new Uint8Array(Math.min(region.byteLength, 1 << 20))
    region.read(0, first, 0, first.length)
    region.check()
    if (first.some((byte) => byte !== 0)) throw foreignContent(path)
  } finally {
    region.close()
  }
}

function foreignContent(path: string): HoldfastError {
  return new HoldfastError(
    'EEXIST',
    `${path} is not empty and no holdfast volume; --force overwrites it`,
  )
}

function holdsOnlyZeros(path: string): boolean {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(1 << 20)
    const zeros = Buffer.alloc(1 << 20)
    for (;;) {
      const n = readSync(fd, bytes, 0, bytes.length, null)
      if (n === 0) return true
      if (bytes.compare(zeros, 0, n, 0, n) !== 0) return false
    }
  } finally {
    closeSync(fd)
  }
}
