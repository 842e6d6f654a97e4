/** The parts of an open volume, put together once; the operations are written over them. */
import type { Clock } from '../base/clock.js'
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, LINE_BYTES } from '../base/limits.js'
import { InodeFlag } from '../media/inode.js'
import type { Region } from '../region/region.js'
import { Access } from './access.js'
import type { Allocator } from './allocator.js'
import { BadBlocks } from './bad_blocks.js'
import { Changes } from './changes.js'
import { Directories } from './directories.js'
import { Extents } from './extents.js'
import { Features } from './features.js'
import { Frames } from './frames.js'
import type { Geometry } from './geometry.js'
import type { Grace } from './grace.js'
import { UNGUARDED, type LayoutGuard } from './guard.js'
import { Inodes } from './inodes.js'
import { Limbo } from './limbo.js'
import type { Log } from './log.js'
import { Names } from './names.js'
import { OpenInodes } from './open_inodes.js'
import { Orphans } from './orphans.js'
import { Ownership } from './ownership.js'
import type { Pages } from './pages.js'
import { Paths } from './paths.js'
import { ReverseMap } from './reverse_map.js'
import { Shares } from './shares.js'
import type { VolumeState } from './state.js'
import type { SuperblockPair } from './superblock.js'
import { Symlinks } from './symlinks.js'
import type { Transaction } from './transaction.js'
import { Values } from './values.js'
import { Xattrs } from './xattrs.js'

export class Core {
  readonly region: Region
  readonly geometry: Geometry
  readonly pages: Pages
  readonly log: Log
  readonly state: VolumeState
  readonly transaction: Transaction
  readonly allocator: Allocator
  readonly clock: Clock
  readonly features: Features
  readonly superblock: SuperblockPair
  readonly inodes: Inodes
  readonly names: Names
  readonly directories: Directories
  readonly reverseMap: ReverseMap
  readonly shares: Shares
  readonly frames: Frames
  readonly ownership: Ownership
  readonly extents: Extents
  readonly limbo: Limbo
  readonly orphans: Orphans
  readonly badBlocks: BadBlocks
  readonly symlinks: Symlinks
  readonly xattrs: Xattrs
  readonly access: Access
  readonly paths: Paths
  readonly opens = new OpenInodes()
  readonly changes = new Changes()

  constructor(
    region: Region,
    geometry: Geometry,
    pages: Pages,
    log: Log,
    transaction: Transaction,
    clock: Clock,
    hashKey: readonly [number, number],
    superblock: SuperblockPair,
  ) {
    this.features = new Features(superblock)
    this.superblock = superblock
    this.region = region
    this.geometry = geometry
    this.pages = pages
    this.log = log
    this.transaction = transaction
    this.state = transaction.state
    this.allocator = transaction.allocator
    this.clock = clock
    const { allocator, state } = this
    this.inodes = new Inodes(pages, geometry, allocator, state, clock)
    this.names = new Names(pages, allocator, state)
    this.directories = new Directories(pages, this.inodes, allocator, this.names, hashKey)
    this.reverseMap = new ReverseMap(pages, allocator, state)
    this.shares = new Shares(pages, allocator, state)
    this.frames = new Frames(geometry.blockCount)
    this.ownership = new Ownership(allocator, this.shares, this.frames, UNGUARDED)
    this.extents = new Extents(pages, this.inodes, allocator, this.reverseMap, this.ownership)
    this.limbo = new Limbo(this)
    this.ownership.limbo = this.limbo
    allocator.frames = this.frames
    this.orphans = new Orphans(pages, allocator, state)
    this.badBlocks = new BadBlocks(pages, geometry, transaction)
    const values = new Values(pages, region, transaction)
    this.symlinks = new Symlinks(pages, this.inodes, values)
    this.xattrs = new Xattrs(pages, this.inodes, allocator, this.names, values, hashKey)
    this.access = new Access(pages, this.inodes, this.xattrs)
    this.paths = new Paths(pages, this.inodes, this.directories, this.symlinks, this.access)
  }

  /** Before held bytes of the region are read: what devices wrote there is what counts. */
  beforeRead(offset: number, length: number): void {
    const { region } = this
    if (!region.coherent && this.#held(offset, length))
      region.syncDevice('invalidate', offset, length)
  }

  /**
   * Before held bytes are stored: a line, or a page, of which only a part is stored goes back as a
   * whole, with what devices wrote to the rest of it.
   */
  beforeStore(offset: number, length: number): void {
    const { region } = this
    if (region.coherent || !this.#held(offset, length)) return
    const unit = region.persistence === 'sync' ? BLOCK_BYTES : LINE_BYTES
    const end = offset + length
    const first = offset - (offset % unit)
    const last = end - (end % unit)
    if (first < offset) region.syncDevice('invalidate', first, unit)
    if (last < end && (last > first || first === offset)) {
      region.syncDevice('invalidate', last, unit)
    }
  }

  /** After held bytes were stored: devices read what is there. */
  afterStore(offset: number, length: number): void {
    const { region } = this
    if (!region.coherent && this.#held(offset, length)) region.syncDevice('flush', offset, length)
  }

  /** EIO when the medium failed; where it has lost its content, that is listed. */
  checkRegion(): void {
    try {
      this.region.check()
    } catch (error) {
      this.listPoison()
      throw error
    }
    if (this.region.hasPoison) this.listPoison()
  }

  /**
   * After a store that nobody is told of: a fault is not to be blamed on who comes next, nor to
   * stop the volume at the next commit. Who reads there meets it.
   */
  forgiveFault(): void {
    try {
      this.checkRegion()
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
    }
  }

  /** EIO when blocks cannot be read: who copies them asks before the first change. */
  demandReadable(block: number, count: number): void {
    this.region.touch(block * BLOCK_BYTES, count * BLOCK_BYTES)
    this.checkRegion()
  }

  /** Lists blocks whose content the medium has lost, where anything may be written. */
  listPoison(): void {
    const { badBlocks, access, region, transaction } = this
    for (const { offset, length } of region.takePoison()) {
      const first = Math.floor(offset / BLOCK_BYTES)
      badBlocks.suspect(first, Math.ceil((offset + length) / BLOCK_BYTES) - first)
    }
    if (access.readOnlyBecause === null && transaction.usable) badBlocks.addSuspects()
  }

  /** Copies blocks of the region. */
  copyBlocks(to: number, from: number, count: number): void {
    this.beforeRead(from * BLOCK_BYTES, count * BLOCK_BYTES)
    this.region.streamWithin(to * BLOCK_BYTES, from * BLOCK_BYTES, count * BLOCK_BYTES)
  }

  #held(offset: number, length: number): boolean {
    const first = Math.floor(offset / BLOCK_BYTES)
    return this.frames.any(first, Math.ceil((offset + length) / BLOCK_BYTES) - first)
  }

  /** Whether the guard is to be asked before the layout of an inode changes. */
  watched(w: number): boolean {
    return this.inodes.has(w, InodeFlag.fixed) || this.guard.watches(this.inodes.numberAt(w))
  }

  /** Whether processes of the last owner still map the region. */
  get grace(): Grace {
    return this.transaction.grace
  }

  /** Who is asked before a layout changes. */
  get guard(): LayoutGuard {
    return this.ownership.guard
  }
}
