/**
 * Mount: from a region to an open volume.
 *
 *     superblock -> replay the log -> home durable, tail at its end -> epoch + 1, new salt, owner
 *
 * Replay applies whole lines and is idempotent: a crash in the middle of it, once or many times,
 * replays the same records again. Only afterwards is any checksum of a page believed. What it costs
 * depends on the length of the log, not on the number of files.
 */
import { HoldfastError } from '../base/errors.js'
import { systemEntropy, SystemClock, type Clock, type Entropy } from '../base/clock.js'
import { BLOCK_BYTES, CACHE_PAGES_DEFAULT } from '../base/limits.js'
import { hex } from '../base/struct.js'
import { Superblock } from '../media/superblock.js'
import { OverlayRegion } from '../region/overlay_region.js'
import type { Region } from '../region/region.js'
import { Core } from './core.js'
import { readGeometry, type Geometry } from './geometry.js'
import { Log, readTail, Staging } from './log.js'
import { Arena, Pages } from './pages.js'
import { Replay } from './replay.js'
import { VolumeState } from './state.js'
import { SuperblockPair } from './superblock.js'
import type { AtimeMode } from './times.js'
import { Transaction, type SyncMode } from './transaction.js'

/** Memory that a volume works in; tests hand the same to one volume after another. */
export interface WorkMemory {
  readonly arena: Arena
  readonly stagings: [Staging, Staging]
  readonly commands: Staging
}

export interface Owner {
  readonly pid: number
  /** Clock ticks since boot. */
  readonly startTime: number
  readonly bootId: Uint8Array
  readonly host: string
}

export interface MountOptions {
  /** Nothing on the medium changes; what would is EROFS. */
  readonly readOnly?: boolean
  /** When reads move atime; 'relatime' by default. */
  readonly atime?: AtimeMode
  readonly sync?: SyncMode
  /** Metadata pages kept in memory. */
  readonly cachePages?: number
  readonly clock?: Clock
  readonly entropy?: Entropy
  readonly owner?: Owner
  readonly memory?: WorkMemory
  /**
   * Processes of the last owner still map the region: the volume begins in its grace period, until
   * `endGrace`. Mounted for reading only, nothing is different.
   */
  readonly survivors?: boolean
}

export interface Mounted {
  /** As it was handed in. */
  readonly region: Region
  readonly core: Core
  readonly readOnly: boolean
  /** What EROFS says. */
  readonly readOnlyBecause: string
  readonly superblock: SuperblockPair
  readonly epoch: number
  /** Records that were replayed. */
  readonly replayed: number
  readonly memory: WorkMemory
}

export function workMemory(cachePages: number, stagingBytes: number): WorkMemory {
  return {
    arena: new Arena(cachePages),
    stagings: [new Staging(stagingBytes), new Staging(stagingBytes)],
    commands: new Staging(64 * 1024),
  }
}

/** Staging memory holds a record of a quarter of the ring, and a group of several such. */
export function stagingBytes(logBytes: number): number {
  return Math.max(256 * 1024, Math.min(4 * 1024 * 1024, logBytes * 2))
}

export function releaseMemory(memory: WorkMemory): void {
  memory.arena.release()
  for (const staging of memory.stagings) staging.release()
  memory.commands.release()
}

export function mountVolume(region: Region, options: MountOptions = {}): Mounted {
  const superblock = new SuperblockPair(region)
  superblock.read()
  const unknown = superblock.unknownRoCompat
  if (options.readOnly === true || unknown !== 0) {
    const because =
      unknown === 0
        ? 'the volume was opened for reading only'
        : `the volume has features (${hex(unknown)}) that only a newer holdfast may write`
    return mountOver(new OverlayRegion(region), options, superblock, because)
  }
  return mountOver(region, options, superblock, null)
}

/** `readOnlyBecause` null: for writing. */
function mountOver(
  region: Region,
  options: MountOptions,
  superblock: SuperblockPair,
  readOnlyBecause: string | null,
): Mounted {
  const geometry = readGeometry(superblock.u32, 0)
  const memory =
    options.memory ??
    workMemory(
      options.cachePages ?? CACHE_PAGES_DEFAULT,
      stagingBytes(geometry.logBlocks * BLOCK_BYTES),
    )
  try {
    superblock.use(region)
    const mounted = mountWith(region, options, superblock, geometry, memory)
    return {
      ...mounted,
      region: region instanceof OverlayRegion ? region.below : region,
      readOnly: readOnlyBecause !== null,
      readOnlyBecause: readOnlyBecause ?? '',
    }
  } catch (error) {
    if (options.memory === undefined) releaseMemory(memory)
    throw error
  }
}

function mountWith(
  region: Region,
  options: MountOptions,
  superblock: SuperblockPair,
  geometry: Geometry,
  memory: WorkMemory,
): Omit<Mounted, 'region' | 'readOnly' | 'readOnlyBecause'> {
  const pages = new Pages(region, memory.arena)
  const log = new Log(region, geometry, superblock.volumeTag, memory.stagings)
  const state = new VolumeState(pages, geometry.stateBlock, superblock.volumeTag)
  const sync = options.sync ?? defaultSync(superblock, region)
  const clock = options.clock ?? new SystemClock()
  const transaction = new Transaction(
    region,
    geometry,
    pages,
    log,
    state,
    memory.commands,
    sync,
    clock,
  )
  if (superblock.u32[Superblock.word.repairJournal] !== 0) {
    throw new HoldfastError(
      'EUCLEAN',
      `a repair of ${region.path} was cut short; holdfast fsck --repair finishes it`,
    )
  }
  const { uuidCrc, logSeed } = superblock
  const tail = readTail(region, geometry.tailBlock, uuidCrc)

  const replay = new Replay(region, geometry, memory.stagings, logSeed)
  replay.run(tail)
  log.start(replay.position, replay.sequence, uuidCrc, logSeed)
  // Home is durable: these records are not needed again.
  if (replay.records > 0) log.moveTail()

  beginEpoch(superblock, options)
  log.start(replay.position, replay.sequence, uuidCrc, superblock.logSeed)
  const hashKey = [
    superblock.u32[Superblock.word.hashKey]!,
    superblock.u32[Superblock.word.hashKey + 1]!,
  ] as const
  const core = new Core(region, geometry, pages, log, transaction, clock, hashKey, superblock)
  void state.freeBlocks // the state is read, and believed, now
  return { core, superblock, epoch: superblock.epoch, replayed: replay.records, memory }
}

function defaultSync(superblock: SuperblockPair, region: Region): SyncMode {
  const stored = superblock.u32[Superblock.word.defaultSync]!
  if (stored === 1) return 'always'
  if (stored === 2) return 'group'
  return region.persistence === 'sync' ? 'group' : 'always'
}

/**
 * The epoch rises, the salt changes, the owner is written: durable before anything else happens.
 */
function beginEpoch(superblock: SuperblockPair, options: MountOptions): void {
  const at = Superblock.word
  const { u32, u8 } = superblock
  const epoch = superblock.epoch + 1
  u32[at.mountEpoch] = epoch
  u32[at.mountEpoch + 1] = epoch / 0x1_0000_0000
  const entropy = options.entropy ?? systemEntropy
  entropy.fill(u8.subarray(Superblock.at.logSalt, Superblock.at.logSalt + 8))
  setOwner(superblock, options.owner)
  superblock.write()
}

function setOwner(superblock: SuperblockPair, owner: Owner | undefined): void {
  const at = Superblock.word
  const { u32, u8 } = superblock
  u32[at.ownerPid] = owner?.pid ?? 0
  u32[at.ownerStart] = owner?.startTime ?? 0
  u32[at.ownerStart + 1] = (owner?.startTime ?? 0) / 0x1_0000_0000
  u8.fill(0, Superblock.at.ownerBoot, Superblock.at.ownerBoot + 16)
  if (owner !== undefined) u8.set(owner.bootId, Superblock.at.ownerBoot)
  superblock.setText('ownerHost', owner?.host ?? '')
}

/** The owner leaves; everything is at home. */
export function unmountVolume(mounted: Mounted): void {
  mounted.core.transaction.checkpoint()
  setOwner(mounted.superblock, undefined)
  mounted.superblock.write()
}
