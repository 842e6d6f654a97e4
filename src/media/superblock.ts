/**
 * The superblock: what a volume is, and who owns it. Two copies, in block 0 and block 1.
 *
 * - The copy with the higher sequence among the valid ones is the superblock.
 * - An update writes first the copy that is not it, makes that durable, and then the other: at no
 *   time is there no valid copy, and a torn copy is always the older or the not yet acknowledged
 *   one.
 * - Nothing in it changes but at mkfs, mount, unmount and administration.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import type { LayoutPolicy } from '../base/layout.js'
import { BLOCK_BYTES, BLOCK_COUNT_MAX, LABEL_BYTES_MAX, LINES_PER_BLOCK } from '../base/limits.js'
import { defineStruct, hex, magic } from '../base/struct.js'
import { CHUNK_BLOCKS, CHUNKS_PER_BLOCK } from './bitmap.js'

export const SUPERBLOCK_MAGIC = magic('HFS1')
export const SUPERBLOCK_BLOCKS = [0, 1] as const

export const Superblock = defineStruct('superblock', 512, 'what the volume is; blocks 0 and 1', {
  magic: [0, 4, "'HFS1'"],
  checksum: [4, 4, 'CRC32C of the 512 bytes, this field as zero'],
  sequence: [8, 8, 'raised by one at each update; the highest valid copy wins'],
  uuid: [16, 16, 'of the volume, random at mkfs'],
  label: [32, LABEL_BYTES_MAX, 'UTF-8, padded with zeros'],
  featuresCompat: [64, 4, 'may be ignored by who does not know them'],
  featuresRoCompat: [68, 4, 'unknown ones: open for reading only'],
  featuresIncompat: [72, 4, 'unknown ones: do not open'],
  blockBytes: [76, 4, 'bytes of a block: 4096'],
  blockCount: [80, 4, 'blocks of the volume, block 0 included'],
  stateBlock: [84, 4, 'block of the volume state'],
  tailBlock: [88, 4, 'block of the log tail'],
  logStart: [92, 4, 'first block of the log ring'],
  logBlocks: [96, 4, 'blocks of the log ring'],
  bitmapStart: [100, 4, 'first block of the block bitmap'],
  bitmapBlocks: [104, 4, 'blocks of the block bitmap'],
  inodeMapStart: [108, 4, 'first block of the inode map'],
  inodeMapBlocks: [112, 4, 'blocks of the inode map'],
  dataStart: [116, 4, 'first block that files and trees may use'],
  hashKey: [120, 8, 'key of the directory hash, random at mkfs'],
  createdSeconds: [128, 8, 'time of mkfs, seconds since 1970'],
  mountEpoch: [136, 8, 'raised by one, durably, at each mount that may write'],
  logSalt: [144, 8, 'random at each mount; seeds the checksums of log records with the uuid'],
  ownerPid: [
    152,
    4,
    'process that has the volume open, 0 when none; believed while its lock is held',
  ],
  ownerReserved: [156, 4, 'zero'],
  ownerStart: [
    160,
    8,
    'start time of that process in clock ticks since boot (proc(5), stat field 22)',
  ],
  ownerBoot: [168, 16, 'boot id of the machine it runs on (/proc/sys/kernel/random/boot_id)'],
  ownerHost: [184, 64, 'host name of that machine, UTF-8, padded with zeros'],
  defaultSync: [248, 4, '0 by region kind, 1 always, 2 group'],
  repairJournal: [
    252,
    4,
    'first block of a repair journal to be copied home before anything else, 0 none',
  ],
  policy: [256, 4, 'what a shrink or punch does to pinned blocks: 0 busy, 1 wait, 2 defer'],
  layoutOptions: [260, 4, 'see the table of layout options'],
  reserved: [264, 248, 'zero'],
})

const BLOCKS_PER_BITMAP_BLOCK = CHUNK_BLOCKS * CHUNKS_PER_BLOCK

/**
 * Features that one must know to open a volume, and what they mean. A volume gets one with the
 * first structure that needs it, durably before that.
 */
export const Incompat = {
  /** Blocks may have more than one owner: there are shares, and inode flags fixed and sealed. */
  layout: 1,
} as const
export const KNOWN_INCOMPAT = 1

/** What the numbers in `policy` mean. */
export const LAYOUT_POLICIES = ['busy', 'wait', 'defer'] as const satisfies LayoutPolicy[]

/** Bits of `layoutOptions`, and what they mean. */
export const LayoutOption = {
  /** No sharing, moving, punching, shifting; an open file behaves as a fixed one. */
  static: 1,
  /** The last name of a pinned or sealed file is not removed: EBUSY. */
  unlinkBusy: 2,
} as const
export const KNOWN_RO_COMPAT = 0

/**
 * Why the superblock at byte `base` is not one, or null. `regionBlocks`: blocks that the region
 * has.
 */
export function invalidSuperblock(bytes: Bytes, base: number, regionBlocks: number): string | null {
  const w = base >>> 2
  const at = Superblock.word
  const get = (index: number) => bytes.u32[w + index]!
  if (get(at.magic) !== SUPERBLOCK_MAGIC) return `magic ${hex(get(at.magic))}, not a superblock`
  const sum = checksumOf(bytes, base, Superblock)
  if (get(at.checksum) !== sum) return `checksum ${hex(get(at.checksum))}, computed ${hex(sum)}`
  if (get(at.blockBytes) !== BLOCK_BYTES) return `block size ${get(at.blockBytes)}, expected 4096`
  const blocks = get(at.blockCount)
  if (blocks > regionBlocks || blocks >= BLOCK_COUNT_MAX) {
    return `volume of ${blocks} blocks in a region of ${regionBlocks}`
  }
  return invalidGeometry(get)
}

/** The areas follow each other in this order, none is empty, and something is left for data. */
function invalidGeometry(get: (index: number) => number): string | null {
  const at = Superblock.word
  if (get(at.stateBlock) !== 2) return `state in block ${get(at.stateBlock)}, expected 2`
  if (get(at.tailBlock) !== 3) return `log tail in block ${get(at.tailBlock)}, expected 3`
  if (get(at.logStart) !== 4) return `log at block ${get(at.logStart)}, expected 4`
  const areas = [
    ['log', get(at.logStart), get(at.logBlocks), get(at.bitmapStart)],
    ['bitmap', get(at.bitmapStart), get(at.bitmapBlocks), get(at.inodeMapStart)],
    ['inode map', get(at.inodeMapStart), get(at.inodeMapBlocks), get(at.dataStart)],
  ] as const
  for (const [name, start, count, end] of areas) {
    if (count < 1 || start + count !== end) {
      return `${name} of ${count} blocks at ${start} does not end at ${end}`
    }
  }
  if (get(at.dataStart) >= get(at.blockCount)) return `no block for data`
  if (get(at.bitmapBlocks) * BLOCKS_PER_BITMAP_BLOCK < get(at.blockCount)) {
    return `bitmap of ${get(at.bitmapBlocks)} blocks for ${get(at.blockCount)} blocks`
  }
  if (get(at.logBlocks) * LINES_PER_BLOCK < 256) return `log of ${get(at.logBlocks)} blocks`
  return null
}
