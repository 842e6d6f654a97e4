/**
 * Not tests, but what the tests of repair share: small volumes made by the code that writes them,
 * and damage to them from a seed.
 */
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import type { Sealed } from '../../src/base/bytes.js'
import { checksumOf } from '../../src/base/bytes.js'
import { BITMAP_MAGIC, BitmapChunk } from '../../src/media/bitmap.js'
import { Inode, InodeFlag, INODE_MAGIC } from '../../src/media/inode.js'
import { INODE_MAP_MAGIC, InodeMapPage } from '../../src/media/inode_map.js'
import { NAME_MAGIC, NameHeader } from '../../src/media/name.js'
import { JOURNAL_MAGIC, JournalBlock } from '../../src/media/repair_journal.js'
import { SLAB_MAGIC, SlabHeader, SlabKind } from '../../src/media/slab.js'
import { State, STATE_MAGIC } from '../../src/media/state.js'
import { Superblock, SUPERBLOCK_MAGIC } from '../../src/media/superblock.js'
import { NODE_MAGIC, NODE_RECORDS, sealedBytes, TreeNode } from '../../src/media/tree_node.js'
import { VALUE_BLOCK_BYTES, VALUE_MAGIC, ValueBlock } from '../../src/media/value.js'
import { native } from '../../src/native/native.js'
import { heapRegion, type MemoryRegion } from '../../src/region/memory_region.js'
import type { Region } from '../../src/region/region.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { workMemory, type WorkMemory } from '../../src/volume/mount.js'
import { Volume } from '../../src/volume/volume.js'

export const BYTES = 640 * 1024
const BLOCK = 4096
const WORDS = BLOCK / 4

/** A region whose bytes can be looked at and set. */
export class Ground {
  readonly region: MemoryRegion
  readonly u8: Uint8Array<ArrayBuffer>
  readonly u32: Uint32Array

  constructor(bytes = BYTES) {
    this.region = heapRegion(bytes)
    const buffer = native.view(this.region.memory, 0, bytes)
    this.u8 = new Uint8Array(buffer)
    this.u32 = new Uint32Array(buffer)
  }

  crc32c(offset: number, length: number, seed: number): number {
    return native.crc32cOf(this.u8, offset, length, seed)
  }

  seal(struct: Sealed, base: number, length = struct.size): void {
    this.u32[(base >>> 2) + struct.word.checksum] = checksumOf(this, base, struct, length)
  }
}

/** One set of memory for all volumes of a test, one after the other. */
let memory: WorkMemory | undefined
export function mount(ground: { readonly region: Region }, seed = 1): Volume {
  memory ??= workMemory(256, 256 * 1024)
  return Volume.mount(ground.region, {
    sync: 'always',
    clock: new SteppedClock(),
    entropy: seededEntropy(seed),
    memory,
  })
}

export function format(ground: Ground, seed = 1): void {
  ground.u8.fill(0)
  formatVolume(ground.region, { clock: new SteppedClock(), entropy: seededEntropy(seed) })
}

/** Bytes that tell whose they are. */
export function contentOf(name: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let seed = 1
  for (const c of name) seed = (Math.imul(seed, 31) + c.charCodeAt(0)) >>> 0
  new Prng(seed).fill(bytes)
  return bytes
}

/** A tree of files of several shapes: in one piece, in many, sparse, linked twice, and so on. */
export function fill(volume: Volume, files: number): void {
  volume.mkdir('/d')
  volume.mkdir('/d/e')
  volume.mkdir('/many')
  for (let i = 0; i < files; i++)
    volume.writeFile(`/many/file-${i}`, contentOf(`${i}`, i % 8 === 0 ? 5 : 0))
  volume.writeFile('/a', contentOf('a', 9000))
  volume.link('/a', '/d/again')
  volume.writeFile(`/d/${'n'.repeat(200)}`, contentOf('n', 100))
  volume.symlink('../a', '/d/short')
  volume.symlink('l'.repeat(300), '/d/long')
  volume.mknod('/d/fifo', 0o010644)
  volume.setXattr('/a', 'user.small', contentOf('small', 40))
  volume.setXattr('/a', 'user.long', contentOf('long', 700))
  volume.setXattr('/d/e', 'user.empty', new Uint8Array(0))
  using pieces = volume.open('/d/e/pieces', 'w+')
  using holes = volume.open('/d/e/holes', 'w+')
  for (let i = 0; i < 11; i++) {
    pieces.write(contentOf(`p${i}`, BLOCK), i * BLOCK)
    holes.write(contentOf(`h${i}`, 100), i * 2 * BLOCK)
  }
}

/** Files that have blocks together, whole and in part. */
export function clone(volume: Volume): void {
  volume.reflink('/a', '/d/clone')
  volume.reflink('/a', '/d/e/again')
  volume.reflink('/d/e/pieces', '/many/pieces')
  using again = volume.open('/d/e/again', 'r+')
  again.write(contentOf('again', 100), BLOCK)
  using pieces = volume.open('/d/e/pieces', 'r+')
  pieces.reflinkRange(2 * BLOCK, pieces, 20 * BLOCK, 3 * BLOCK)
  pieces.punch(3 * BLOCK, BLOCK)
}

/** Sets flags of an inode that is at home, as the calls would that fix a file. */
function setFlags(ground: Ground, number: number, flags: number): void {
  for (let w = 0; w < ground.u32.length; w += Inode.size / 4) {
    const { magic, number: at, flags: word } = Inode.word
    if (ground.u32[w + magic] !== INODE_MAGIC || ground.u32[w + at] !== number) continue
    ground.u32[w + word]! |= flags
    ground.seal(Inode, w * 4)
  }
}

/** With clones, and fixed files, one of them shared. */
function withClones(ground: Ground): Uint8Array {
  format(ground, 4)
  const volume = mount(ground, 4)
  fill(volume, 8)
  clone(volume)
  volume.writeFile('/fixed', contentOf('fixed', 3 * BLOCK))
  volume.reflink('/d/e/pieces', '/sealed')
  volume.truncate('/sealed', 3 * BLOCK)
  const [fixed, sealed] = [volume.lstat('/fixed').ino, volume.lstat('/sealed').ino]
  volume.close()
  setFlags(ground, fixed, InodeFlag.fixed | InodeFlag.policyLow)
  setFlags(ground, sealed, InodeFlag.fixed | InodeFlag.writeSealed)
  return ground.u8.slice()
}

/** Cut off while a clone is being made: what it had goes and what it gets comes, in pieces. */
function cutInClone(): Uint8Array {
  const region = new TracedRegion(BYTES)
  formatVolume(region, { clock: new SteppedClock(), entropy: seededEntropy(5) })
  const volume = mount({ region }, 5)
  fill(volume, 8)
  clone(volume)
  const left: Uint8Array[] = []
  const nothing = () => {}
  const rest = { beforeStore: nothing, stored: nothing, flushed: nothing, synced: nothing }
  region.listener = { ...rest, fenced: () => void left.push(region.u8.slice()) }
  volume.reflink('/d/e/holes', '/many/pieces')
  region.listener = null
  volume.close()
  region.close()
  // Gathered first, then received, then the inode without a name goes.
  return left[Math.floor((left.length * 3) / 4)]!
}

/** Volumes to damage: closed, cut off with records in the log, nearly full, with clones. */
export function samples(): Uint8Array[] {
  const images: Uint8Array[] = []
  const ground = new Ground()
  const take = () => void images.push(ground.u8.slice())
  format(ground)
  const volume = mount(ground)
  fill(volume, 24)
  volume.close()
  take()
  const again = mount(ground, 2)
  again.writeFile('/late', contentOf('late', 5000))
  const gone = again.open('/gone', 'w+')
  gone.write(contentOf('gone', 6000), 0)
  again.unlink('/gone')
  again.rename('/a', '/many/a')
  take()
  format(ground, 3)
  const full = mount(ground, 3)
  fill(full, 60)
  try {
    for (let i = 0; ; i++) full.writeFile(`/d/full-${i}`, contentOf(`f${i}`, 2 * BLOCK))
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'ENOSPC') throw error
  }
  full.close()
  take()
  images.push(withClones(ground), cutInClone())
  ground.region.close()
  return images
}

// ---- damage ------------------------------------------------------------------------------------

/** Seals whatever stands in a block, by its magic: else every change is only a bad checksum. */
export function sealBlock(ground: Ground, block: number): void {
  const base = block * BLOCK
  const w = block * WORDS
  switch (ground.u32[w]) {
    case SUPERBLOCK_MAGIC:
      return ground.seal(Superblock, base)
    case STATE_MAGIC:
      return ground.seal(State, base)
    case BITMAP_MAGIC:
      for (let i = 0; i < 8; i++) ground.seal(BitmapChunk, base + i * BitmapChunk.size)
      return
    case INODE_MAP_MAGIC:
      return ground.seal(InodeMapPage, base)
    case JOURNAL_MAGIC:
      return ground.seal(JournalBlock, base)
    case NODE_MAGIC: {
      const count = Math.min(NODE_RECORDS, ground.u32[w + TreeNode.word.count]!)
      return ground.seal(TreeNode, base, sealedBytes(count))
    }
    case VALUE_MAGIC: {
      const length = Math.min(VALUE_BLOCK_BYTES, ground.u32[w + ValueBlock.word.length]!)
      return ground.seal(ValueBlock, base, ValueBlock.at.bytes + length)
    }
    case SLAB_MAGIC:
      return sealSlab(ground, base)
    default:
  }
}

function sealSlab(ground: Ground, base: number): void {
  ground.seal(SlabHeader, base)
  const kind = ground.u32[(base >>> 2) + SlabHeader.word.kind]
  if (kind === SlabKind.inodes) sealInodes(ground, base)
  else sealNames(ground, base)
}

function sealInodes(ground: Ground, base: number): void {
  for (let slot = 1; slot < 16; slot++) {
    const inode = base + slot * Inode.size
    if (ground.u32[inode >>> 2] === INODE_MAGIC) ground.seal(Inode, inode)
  }
}

function sealNames(ground: Ground, base: number): void {
  for (let at = base + 64; at < base + BLOCK; at += 64) {
    const bytes = (ground.u32[(at >>> 2) + NameHeader.word.length]! >>> 16) * 64
    const whole = bytes > 0 && at + bytes <= base + BLOCK
    if (whole && ground.u32[at >>> 2] === NAME_MAGIC) ground.seal(NameHeader, at, bytes)
  }
}

/** Blocks of an image that begin with a magic: what there is to damage. */
export function metadataOf(image: Uint8Array): number[] {
  const words = new Uint32Array(image.buffer, image.byteOffset, image.length / 4)
  const known = new Set([
    SUPERBLOCK_MAGIC,
    STATE_MAGIC,
    BITMAP_MAGIC,
    INODE_MAP_MAGIC,
    NODE_MAGIC,
    SLAB_MAGIC,
    VALUE_MAGIC,
  ])
  const blocks = []
  for (let block = 0; block < image.length / BLOCK; block++) {
    if (known.has(words[block * WORDS]!) || block === 3) blocks.push(block)
  }
  return blocks
}

/** Damages the image in the ground; mostly in metadata, mostly with checksums that fit. */
export function damage(ground: Ground, metadata: readonly number[], prng: Prng): void {
  const blocks = ground.u8.length / BLOCK
  // Superblocks are two of some twenty: hit rarely, or nothing else would be seen.
  const pick = () => {
    const block = prng.pick(metadata)
    return block > 1 || prng.chance(1, 8) ? block : prng.pick(metadata)
  }
  const changes = 1 + prng.below(prng.chance(1, 10) ? 40 : 6)
  for (let i = 0; i < changes; i++) {
    const block = pick()
    const word = block * WORDS + prng.below(prng.pick([32, 128, 1024]))
    const kind = prng.below(9)
    if (kind === 0) ground.u32[word]! ^= 1 << prng.below(32)
    else if (kind === 1) ground.u32[word] = prng.next()
    else if (kind === 2) ground.u32[word] = prng.below(blocks)
    else if (kind === 3) ground.u32[word] = pick()
    else if (kind === 4) ground.u32[word] = prng.pick([0, 1, 0xffff_ffff, 0x7fff_ffff, blocks])
    else if (kind === 5) swap(ground, block, pick())
    else if (kind === 6) ground.u8.copyWithin(block * BLOCK, pick() * BLOCK, (pick() + 1) * BLOCK)
    else if (kind === 7) tear(ground, block, prng)
    else ground.u8.copyWithin(word * 4, prng.below(ground.u32.length - 64) * 4, word * 4 + 64)
    if (prng.chance(7, 8)) sealBlock(ground, block)
  }
}

function swap(ground: Ground, a: number, b: number): void {
  const kept = ground.u8.slice(a * BLOCK, (a + 1) * BLOCK)
  ground.u8.copyWithin(a * BLOCK, b * BLOCK, (b + 1) * BLOCK)
  ground.u8.set(kept, b * BLOCK)
}

/** The end of a block is lost: zeros, or bytes of anything. */
function tear(ground: Ground, block: number, prng: Prng): void {
  const from = block * BLOCK + prng.below(64) * 64
  const tail = ground.u8.subarray(from, (block + 1) * BLOCK)
  if (prng.chance(1, 2)) tail.fill(0)
  else prng.fill(tail)
}
