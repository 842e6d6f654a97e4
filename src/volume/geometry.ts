/** Where the areas of a volume are: what the superblock says, as numbers at hand. */
import { BLOCK_BYTES, LINES_PER_BLOCK, LOG_BYTES_MAX, LOG_BYTES_MIN } from '../base/limits.js'
import { CHUNK_BLOCKS, CHUNKS_PER_BLOCK } from '../media/bitmap.js'
import { MAP_ENTRIES } from '../media/inode_map.js'
import { Superblock } from '../media/superblock.js'

export interface Geometry {
  /** Fewer when the volume becomes smaller while it is mounted. */
  blockCount: number
  readonly stateBlock: number
  readonly tailBlock: number
  readonly logStart: number
  readonly logBlocks: number
  readonly logLines: number
  readonly bitmapStart: number
  readonly bitmapBlocks: number
  readonly chunks: number
  readonly inodeMapStart: number
  readonly inodeMapBlocks: number
  readonly inodeMapEntries: number
  readonly dataStart: number
}

/** The areas of a new volume of `blockCount` blocks, which may grow to `most`. */
export function planGeometry(blockCount: number, most = blockCount): Geometry {
  // A 64th of the volume: enough for bursts, little enough to replay in milliseconds.
  const logBytes = Math.min(
    LOG_BYTES_MAX,
    Math.max(LOG_BYTES_MIN, Math.floor((blockCount * BLOCK_BYTES) / 64)),
  )
  const logStart = 4
  const logBlocks = Math.floor(logBytes / BLOCK_BYTES)
  const bitmapStart = logStart + logBlocks
  const bitmapBlocks = Math.ceil(most / (CHUNK_BLOCKS * CHUNKS_PER_BLOCK))
  const inodeMapStart = bitmapStart + bitmapBlocks
  // Four inodes a block: no mix of files needs more than the space for them gives out first.
  const inodeMapBlocks = Math.ceil(most / 4 / MAP_ENTRIES)
  return finish(
    blockCount,
    logStart,
    logBlocks,
    bitmapStart,
    bitmapBlocks,
    inodeMapStart,
    inodeMapBlocks,
  )
}

/** The areas that the (valid) superblock at word `w` names. */
export function readGeometry(words: Uint32Array, w: number): Geometry {
  const at = Superblock.word
  const get = (index: number) => words[w + index]!
  return finish(
    get(at.blockCount),
    get(at.logStart),
    get(at.logBlocks),
    get(at.bitmapStart),
    get(at.bitmapBlocks),
    get(at.inodeMapStart),
    get(at.inodeMapBlocks),
  )
}

function finish(
  blockCount: number,
  logStart: number,
  logBlocks: number,
  bitmapStart: number,
  bitmapBlocks: number,
  inodeMapStart: number,
  inodeMapBlocks: number,
): Geometry {
  return {
    blockCount,
    stateBlock: 2,
    tailBlock: 3,
    logStart,
    logBlocks,
    logLines: logBlocks * LINES_PER_BLOCK,
    bitmapStart,
    bitmapBlocks,
    chunks: Math.ceil(blockCount / CHUNK_BLOCKS),
    inodeMapStart,
    inodeMapBlocks,
    // Inode numbers are u32: 16 a slab, 2^28 slabs.
    inodeMapEntries: Math.min(inodeMapBlocks * MAP_ENTRIES, 0x0fff_ffff),
    dataStart: inodeMapStart + inodeMapBlocks,
  }
}
