/**
 * mkfs: an empty volume in a region.
 *
 * The old superblocks go first and the new ones come last: a format that is cut short leaves a
 * region without a volume, never half of one.
 */
import { checksumOf, type Bytes, type Sealed } from '../base/bytes.js'
import { systemEntropy, SystemClock, type Clock, type Entropy } from '../base/clock.js'
import { HoldfastError } from '../base/errors.js'
import type { LayoutPolicy } from '../base/layout.js'
import { BLOCK_BYTES, BLOCK_COUNT_MAX, REGION_BYTES_MIN } from '../base/limits.js'
import { BITMAP_MAGIC, BitmapChunk, CHUNK_BLOCKS, CHUNKS_PER_BLOCK } from '../media/bitmap.js'
import { Inode, INODE_MAGIC, ROOT_INODE } from '../media/inode.js'
import { Mode } from '../base/mode.js'
import { INODE_MAP_MAGIC, InodeMapPage } from '../media/inode_map.js'
import { SLAB_MAGIC, SlabHeader, SlabKind } from '../media/slab.js'
import { State, STATE_MAGIC } from '../media/state.js'
import {
  Incompat,
  LAYOUT_POLICIES,
  LayoutOption,
  Superblock,
  SUPERBLOCK_BLOCKS,
  SUPERBLOCK_MAGIC,
} from '../media/superblock.js'
import { native } from '../native/native.js'
import type { Region } from '../region/region.js'
import { planGeometry, type Geometry } from './geometry.js'
import { storeTail } from './log.js'
import { checkLabel } from './relabel.js'
import { SuperblockPair } from './superblock.js'
import type { SyncMode } from './transaction.js'

export interface FormatOptions {
  readonly label?: string
  /** Default sync mode of later mounts; by region kind when not given. */
  readonly sync?: SyncMode
  /** Bytes that the volume may grow to; eight times what it has when not given. */
  readonly maxBytes?: number
  /** No sharing, moving, punching or shifting; only what is not held is cut off. */
  readonly static?: boolean
  /** What a shrink or punch does to pinned blocks, unless file or call say otherwise: 'busy'. */
  readonly policy?: LayoutPolicy
  /** The last name of a pinned or sealed file: 'defer' (it goes at once), or 'busy' (it stays). */
  readonly unlink?: 'busy' | 'defer'
  /** Owner of the root directory. */
  readonly uid?: number
  readonly gid?: number
  readonly clock?: Clock
  readonly entropy?: Entropy
  readonly onProgress?: (done: number, total: number) => void
}

/** What a volume may grow to, unless told: 0.4 % of it goes for maps that large. */
const GROWTH = 8

/** One block at a time is put together here. */
class BlockImage implements Bytes {
  readonly u8 = new Uint8Array(BLOCK_BYTES)
  readonly u32 = new Uint32Array(this.u8.buffer)

  crc32c(offset: number, length: number, seed: number): number {
    return native.crc32cOf(this.u8, offset, length, seed)
  }

  seal(struct: Sealed, base = 0): void {
    this.u32[(base >>> 2) + struct.word.checksum] = checksumOf(this, base, struct)
  }

  store(region: Region, block: number): void {
    region.stream(block * BLOCK_BYTES, this.u8, 0, BLOCK_BYTES)
    this.u8.fill(0)
  }
}

export function formatVolume(region: Region, options: FormatOptions = {}): void {
  const clock = options.clock ?? new SystemClock()
  const entropy = options.entropy ?? systemEntropy
  if (region.byteLength < REGION_BYTES_MIN) {
    throw new HoldfastError(
      'EINVAL',
      `${region.path} has ${region.byteLength} bytes, a volume needs at least ${REGION_BYTES_MIN}`,
    )
  }
  checkLabel(options.label ?? '')
  const blockCount = Math.min(BLOCK_COUNT_MAX - 1, Math.floor(region.byteLength / BLOCK_BYTES))
  const geometry = planGeometry(blockCount, blocksToGrowTo(blockCount, options.maxBytes))
  const barrier = () =>
    region.persistence === 'sync' ? region.sync(0, region.byteLength) : region.fence()

  for (const block of SUPERBLOCK_BLOCKS) region.streamZero(block * BLOCK_BYTES, BLOCK_BYTES)
  barrier() // the old volume is gone before anything of it is overwritten

  const superblock = new SuperblockPair(region)
  fillSuperblock(superblock, geometry, options, clock, entropy)
  const image = new BlockImage()
  const total = geometry.bitmapBlocks + geometry.inodeMapBlocks
  const progress = (done: number) => options.onProgress?.(done, total)
  writeBitmap(region, geometry, image, progress)
  writeInodeMap(region, geometry, image, (done) => progress(geometry.bitmapBlocks + done))
  writeRoot(region, geometry, image, options, clock)
  writeState(region, geometry, image, superblock.volumeTag)
  region.streamZero(geometry.tailBlock * BLOCK_BYTES, BLOCK_BYTES)
  storeTail(region, geometry.tailBlock, 0, superblock.uuidCrc)
  barrier() // everything that the superblock leads to, before the superblock
  superblock.write()
  region.check()
}

/** Blocks that the bitmap and the inode map are to have room for. */
function blocksToGrowTo(blockCount: number, maxBytes: number | undefined): number {
  if (maxBytes === undefined) return Math.min(BLOCK_COUNT_MAX - 1, blockCount * GROWTH)
  const most = Math.floor(maxBytes / BLOCK_BYTES)
  if (Number.isSafeInteger(maxBytes) && most >= blockCount && most < BLOCK_COUNT_MAX) return most
  throw new HoldfastError(
    'EINVAL',
    `${maxBytes} bytes to grow to: at least the ${blockCount * BLOCK_BYTES} that there are, ` +
      `less than ${BLOCK_COUNT_MAX * BLOCK_BYTES}`,
  )
}

function fillSuperblock(
  pair: SuperblockPair,
  geometry: Geometry,
  options: FormatOptions,
  clock: Clock,
  entropy: Entropy,
): void {
  const at = Superblock.word
  const { u32, u8 } = pair
  u32[at.magic] = SUPERBLOCK_MAGIC
  entropy.fill(u8.subarray(Superblock.at.uuid, Superblock.at.uuid + 16))
  // Version 4, variant 1, as RFC 9562 marks a random uuid.
  u8[Superblock.at.uuid + 6] = (u8[Superblock.at.uuid + 6]! & 0x0f) | 0x40
  u8[Superblock.at.uuid + 8] = (u8[Superblock.at.uuid + 8]! & 0x3f) | 0x80
  entropy.fill(u8.subarray(Superblock.at.hashKey, Superblock.at.hashKey + 8))
  entropy.fill(u8.subarray(Superblock.at.logSalt, Superblock.at.logSalt + 8))
  pair.setText('label', options.label ?? '')
  u32[at.blockBytes] = BLOCK_BYTES
  u32[at.blockCount] = geometry.blockCount
  u32[at.stateBlock] = geometry.stateBlock
  u32[at.tailBlock] = geometry.tailBlock
  u32[at.logStart] = geometry.logStart
  u32[at.logBlocks] = geometry.logBlocks
  u32[at.bitmapStart] = geometry.bitmapStart
  u32[at.bitmapBlocks] = geometry.bitmapBlocks
  u32[at.inodeMapStart] = geometry.inodeMapStart
  u32[at.inodeMapBlocks] = geometry.inodeMapBlocks
  u32[at.dataStart] = geometry.dataStart
  u32[at.defaultSync] = options.sync === undefined ? 0 : options.sync === 'always' ? 1 : 2
  fillLayoutRules(u32, options)
  clock.read()
  u32[at.createdSeconds] = clock.seconds
  u32[at.createdSeconds + 1] = clock.seconds / 0x1_0000_0000
}

/** A volume with rules of its own is not for those who do not know them. */
function fillLayoutRules(u32: Uint32Array, options: FormatOptions): void {
  const at = Superblock.word
  const { static: isStatic = false, policy = 'busy', unlink = 'defer' } = options
  u32[at.policy] = LAYOUT_POLICIES.indexOf(policy)
  u32[at.layoutOptions] =
    (isStatic ? LayoutOption.static : 0) | (unlink === 'busy' ? LayoutOption.unlinkBusy : 0)
  if ((u32[at.policy]! | u32[at.layoutOptions]!) !== 0) {
    u32[at.featuresIncompat] = u32[at.featuresIncompat]! | Incompat.layout
  }
}

/** In use from the start: the fixed areas and the slab of the root inode. */
function usedAtFirst(geometry: Geometry): number {
  return geometry.dataStart + 1
}

function writeBitmap(
  region: Region,
  geometry: Geometry,
  image: BlockImage,
  progress: (done: number) => void,
): void {
  const used = usedAtFirst(geometry)
  const at = BitmapChunk.word
  for (let block = 0; block < geometry.bitmapBlocks; block++) {
    for (let i = 0; i < CHUNKS_PER_BLOCK; i++) {
      const index = block * CHUNKS_PER_BLOCK + i
      const base = i * BitmapChunk.size
      const w = base >>> 2
      const first = index * CHUNK_BLOCKS
      let free = 0
      for (let bit = 0; bit < CHUNK_BLOCKS; bit++) {
        const taken = first + bit < used || first + bit >= geometry.blockCount
        if (taken) image.u32[w + at.bits + (bit >>> 5)]! |= 1 << (bit & 31)
        else free++
      }
      image.u32[w + at.magic] = BITMAP_MAGIC
      image.u32[w + at.index] = index
      image.u32[w + at.free] = free
      image.seal(BitmapChunk, base)
    }
    image.store(region, geometry.bitmapStart + block)
    if ((block & 1023) === 0) progress(block)
  }
}

function writeInodeMap(
  region: Region,
  geometry: Geometry,
  image: BlockImage,
  progress: (done: number) => void,
): void {
  const at = InodeMapPage.word
  for (let page = 0; page < geometry.inodeMapBlocks; page++) {
    image.u32[at.magic] = INODE_MAP_MAGIC
    image.u32[at.index] = page
    if (page === 0) {
      image.u32[at.used] = 1
      image.u32[at.entries] = geometry.dataStart
    }
    image.seal(InodeMapPage)
    image.store(region, geometry.inodeMapStart + page)
    if ((page & 1023) === 0) progress(page)
  }
}

/** The slab of the first inodes, with the root directory in it. */
function writeRoot(
  region: Region,
  geometry: Geometry,
  image: BlockImage,
  options: FormatOptions,
  clock: Clock,
): void {
  const slab = SlabHeader.word
  image.u32[slab.magic] = SLAB_MAGIC
  image.u32[slab.block] = geometry.dataStart
  image.u32[slab.kind] = SlabKind.inodes
  image.u32[slab.usedLow] = 1 | (1 << ROOT_INODE)
  image.u32[slab.listed] = 1
  image.seal(SlabHeader)
  const base = ROOT_INODE * Inode.size
  const w = base >>> 2
  const at = Inode.word
  image.u32[w + at.magic] = INODE_MAGIC
  image.u32[w + at.number] = ROOT_INODE
  image.u32[w + at.generation] = 1
  image.u32[w + at.mode] = Mode.directory | 0o755
  image.u32[w + at.links] = 2
  image.u32[w + at.uid] = options.uid ?? 0
  image.u32[w + at.gid] = options.gid ?? 0
  image.u32[w + at.parent] = ROOT_INODE
  for (const field of [at.modified, at.changed, at.accessed, at.born]) {
    image.u32[w + field] = clock.seconds
    image.u32[w + field + 1] = Math.floor(clock.seconds / 0x1_0000_0000) | (clock.nanoseconds << 2)
  }
  image.seal(Inode, base)
  image.store(region, geometry.dataStart)
}

function writeState(region: Region, geometry: Geometry, image: BlockImage, volume: number): void {
  const at = State.word
  image.u32[at.magic] = STATE_MAGIC
  image.u32[at.volume] = volume
  image.u32[at.freeBlocks] = geometry.blockCount - usedAtFirst(geometry)
  image.u32[at.inodes] = 1
  image.u32[at.blocks] = geometry.blockCount
  image.u32[at.inodeSlabs] = geometry.dataStart
  image.u32[at.inodeMapHigh] = 1
  image.seal(State)
  image.store(region, geometry.stateBlock)
}
