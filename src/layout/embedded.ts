/**
 * A volume by the path of its region, in this process: open, make, look at.
 *
 * The process that has a region open owns it; who comes second gets EBUSY, and is told by whom.
 * Several may have it open at a time when all of them only read.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import type { MoveOptions, Shrunk } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import {
  createRegion,
  cutRegion,
  openRegion,
  type OpenRegionOptions,
} from '../region/file_region.js'
import { heapRegion, MemoryRegion } from '../region/memory_region.js'
import { ownProcess } from '../region/owner.js'
import type { Region } from '../region/region.js'
import { heldSlots } from '../region/survivor_locks.js'
import { formatVolume, type FormatOptions } from '../volume/format.js'
import { describeOwner, summarize } from '../volume/inspect.js'
import { mountVolume } from '../volume/mount.js'
import { relabel } from '../volume/relabel.js'
import { checkGrowth, growSuperblock } from '../volume/resize.js'
import { SuperblockPair } from '../volume/superblock.js'
import { LayoutVolume, type LayoutOptions } from './volume.js'

export { inspectVolume, type VolumeSummary } from '../volume/inspect.js'

export type OpenVolumeOptions = Omit<LayoutOptions, 'owner' | 'memory' | 'survivors'> &
  /** `survivors`: the volume begins in its grace period, where processes still map the region. */
  Pick<OpenRegionOptions, 'coherent' | 'survivors'>

/** How `shrinkVolume` tells of its work, and is stopped. */
export type ShrinkOptions = Pick<MoveOptions, 'signal' | 'onProgress'>

export interface CreateVolumeOptions extends FormatOptions {
  /** Overwrites a volume, or a file with something else in it. */
  readonly force?: boolean
  /** `refuseContent` was asked before the region was filled: only volumes are refused now. */
  readonly filled?: boolean
}

/** A volume that owns its region: closing it closes both. */
export class EmbeddedVolume extends LayoutVolume {
  /** Opens the volume in the region at `path`. EBUSY, with the owner, when it is open already. */
  static open(path: string, options: OpenVolumeOptions = {}): EmbeddedVolume {
    const readOnly = options.readOnly === true
    const shared = readOnly
    const { coherent, survivors } = options
    const region = openRegion(
      path,
      readOnly
        ? { describeOwner, readOnly, shared, coherent }
        : { describeOwner, coherent, survivors },
    )
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
      const survivors = options.readOnly !== true && isMapped(region)
      const mount = { ...options, survivors, owner: ownProcess() }
      return new EmbeddedVolume(mountVolume(region, mount), mount)
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

/** Whether processes map it that its last owner had passed a descriptor to. */
const isMapped = (region: Region) =>
  region instanceof MemoryRegion && region.fd >= 0 && heldSlots(region).length > 0

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

/** Another label for the volume in the region at `path`, which nobody may have open. */
export function relabelVolume(path: string, text: string): void {
  const region = openRegion(path, { describeOwner })
  try {
    relabel(region, text)
  } finally {
    region.close()
  }
}

/**
 * Lets the volume in the region at `path` have `size` bytes (0: all that the region has; a device
 * has what it has). Returns its bytes before and after. EFBIG when it was not made to grow so far.
 */
export function growVolume(path: string, size = 0): { before: number; after: number } {
  const looked = openRegion(path, { describeOwner })
  try {
    new SuperblockPair(looked).read() // nothing is made larger that is no volume
    checkGrowth(looked, size)
  } finally {
    looked.close()
  }
  const region = size === 0 ? openRegion(path, { describeOwner }) : createRegion(path, size)
  try {
    const { before, after } = growSuperblock(region)
    LayoutVolume.mount(region, { owner: ownProcess() }).close()
    return { before: before * BLOCK_BYTES, after: after * BLOCK_BYTES }
  } finally {
    region.close()
  }
}

/**
 * Makes the volume in the region at `path`, which nobody may have open, and its file `size` bytes
 * long. What is beyond moves: ENOSPC when there is no room, EPERM when a file there is fixed. A
 * device is as long as it is: EOPNOTSUPP. Stopped or cut short it leaves a volume as large as
 * before, or one that ends where it is to end in a file that does not yet; doing it again finishes
 * it.
 */
export async function shrinkVolume(
  path: string,
  size: number,
  options: ShrinkOptions = {},
): Promise<Shrunk> {
  const region = openRegion(path, { describeOwner })
  try {
    if (region.kind === 'devdax' || region.kind === 'memfd') {
      const what = region.kind === 'memfd' ? 'sealed against it' : 'a device'
      throw new HoldfastError(
        'EOPNOTSUPP',
        `${path} does not become shorter, it is ${what}: only volumes in files are made smaller`,
      )
    }
    const volume = LayoutVolume.mount(region, { owner: ownProcess() })
    let shrunk
    try {
      shrunk = await volume.promises.shrink(size, options)
    } finally {
      volume.close()
    }
    cutRegion(region, size)
    return shrunk
  } finally {
    region.close()
  }
}

export function findVolume(region: Region): SuperblockPair | null {
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
