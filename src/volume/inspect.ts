/** A volume looked at without opening it: nothing is locked, replayed or changed. */
import type { LayoutPolicy } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { invalidState, State } from '../media/state.js'
import { LAYOUT_POLICIES, LayoutOption, Superblock } from '../media/superblock.js'
import { native } from '../native/native.js'
import { openRegion } from '../region/file_region.js'
import { describeProcess, isAlive, type ProcessIdentity } from '../region/owner.js'
import type { Region } from '../region/region.js'
import { uuidText } from '../base/uuid.js'
import { SuperblockPair } from './superblock.js'

/** What the superblock says of a volume. */
export interface VolumeSummary {
  readonly uuid: string
  readonly label: string
  readonly regionKind: string
  readonly persistence: string
  readonly regionBytes: number
  readonly blockSize: number
  readonly blocks: number
  /** Those that files and trees may use: without superblocks, log and maps. */
  readonly dataBlocks: number
  readonly logBytes: number
  /** Milliseconds since 1970. */
  readonly createdMs: number
  /** Raised at each mount. */
  readonly epoch: number
  /** Sync mode of a mount that does not ask for one. */
  readonly sync: 'always' | 'group'
  /** No sharing, moving, punching or shifting. */
  readonly static: boolean
  /** What a shrink or punch does to pinned blocks. */
  readonly policy: LayoutPolicy
  /** What removing the last name of a pinned or sealed file does. */
  readonly unlink: 'busy' | 'defer'
  /** Who had it open last and did not close it. */
  readonly owner: (ProcessIdentity & { readonly alive: boolean }) | null
  /** How full it was at the last checkpoint; null when its state cannot be read. */
  readonly space: { readonly blocksFree: number; readonly inodes: number } | null
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

/** The same of a region that is open, once its superblock was read. */
export function summarize(region: Region, pair: SuperblockPair): VolumeSummary {
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
    dataBlocks: u32[at.blockCount]! - u32[at.dataStart]!,
    logBytes: u32[at.logBlocks]! * BLOCK_BYTES,
    createdMs: (u32[at.createdSeconds]! + u32[at.createdSeconds + 1]! * 0x1_0000_0000) * 1000,
    epoch: pair.epoch,
    sync: stored === 0 ? byKind : stored === 1 ? 'always' : 'group',
    static: (u32[at.layoutOptions]! & LayoutOption.static) !== 0,
    policy: LAYOUT_POLICIES[u32[at.policy]!] ?? 'busy',
    unlink: (u32[at.layoutOptions]! & LayoutOption.unlinkBusy) !== 0 ? 'busy' : 'defer',
    owner: readOwner(pair),
    space: readSpace(region, pair),
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

function readSpace(region: Region, pair: SuperblockPair): VolumeSummary['space'] {
  const u8 = new Uint8Array(State.size)
  const state = {
    u8,
    u32: new Uint32Array(u8.buffer),
    crc32c: (offset: number, length: number, seed: number) =>
      native.crc32cOf(u8, offset, length, seed),
  }
  region.read(pair.u32[Superblock.word.stateBlock]! * BLOCK_BYTES, u8, 0, State.size)
  if (invalidState(state, 0, pair.volumeTag) !== null) return null
  const at = State.word
  return { blocksFree: state.u32[at.freeBlocks]!, inodes: state.u32[at.inodes]! }
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
