/**
 * What follows from all the rest: headers and lists of slabs, the inode map, the bitmap, the state.
 */
import { popcount } from '../base/bytes.js'
import {
  BITMAP_MAGIC,
  BitmapChunk,
  CHUNK_BLOCKS,
  CHUNK_WORDS,
  CHUNKS_PER_BLOCK,
  invalidBitmapChunk,
} from '../media/bitmap.js'
import { Inode, INODES_PER_SLAB } from '../media/inode.js'
import {
  INODE_MAP_MAGIC,
  InodeMapPage,
  invalidInodeMapPage,
  MAP_ENTRIES,
} from '../media/inode_map.js'
import { SlabKind } from '../media/slab.js'
import { invalidState, State, STATE_MAGIC } from '../media/state.js'
import type { Ground } from './ground.js'
import type { NameSlabs } from './name_slabs.js'
import { writeSlabs, type Slab } from './slab_lists.js'
import { Use } from './space.js'

/** Fields of the state that other parts know. */
export interface FinalRoots {
  readonly reverseMapRoot: number
  readonly orphanRoot: number
  readonly badBlockRoot: number
  readonly shareRoot: number
}

export function finish(ground: Ground, names: NameSlabs, roots: FinalRoots): void {
  const { draft } = ground
  const state = draft.view(2).u32
  const heads = {
    inodes: ground.stateLost ? 0 : state[State.word.inodeSlabs]!,
    names: ground.stateLost ? 0 : state[State.word.nameSlabs]!,
  }
  const floors = new Map<number, number>()
  const inodeSlabs = listInodeSlabs(ground, floors)
  const nameSlabs = listNameSlabs(ground, names)
  const inodeHead = writeSlabs(ground, SlabKind.inodes, heads.inodes, inodeSlabs)
  const nameHead = writeSlabs(ground, SlabKind.names, heads.names, nameSlabs)
  const high = writeMap(ground, floors)
  const freeBlocks = writeBitmap(ground)
  writeState(ground, {
    blocks: ground.header.blockCount,
    freeBlocks,
    inodes: countInodes(ground),
    nameSlabs: nameHead,
    inodeSlabs: inodeHead,
    reverseMapRoot: roots.reverseMapRoot,
    orphanRoot: roots.orphanRoot,
    badBlockRoot: roots.badBlockRoot,
    shareRoot: roots.shareRoot,
    inodeMapHigh: high,
  })
}

const countInodes = ({ inodes }: Ground): number => {
  let count = 0
  for (let index = 0; index < inodes.length; index++) if (inodes.type.data[index] !== 0) count++
  return count
}

/** The slabs with an inode; those without go away, and leave the generations that they had. */
function listInodeSlabs(ground: Ground, floors: Map<number, number>): Slab[] {
  const { inodes, draft, fixes } = ground
  const slabs: Slab[] = []
  for (let ordinal = 0; ordinal < inodes.block.length; ordinal++) {
    const block = inodes.block.data[ordinal]!
    let low = 1
    let generation = 0
    for (let slot = 1; slot < INODES_PER_SLAB; slot++) {
      if (inodes.type.data[ordinal * INODES_PER_SLAB + slot] !== 0) low |= 1 << slot
      const w = slot * (Inode.size / 4)
      generation = Math.max(generation, draft.view(block).u32[w + Inode.word.generation]!)
    }
    const tag = inodes.entry.data[ordinal]!
    if (low === 1) {
      floors.set(tag, generation)
      inodes.removeSlab(ordinal)
      fixes.add('slab-empty', `the slab in block ${block} has no inode: it is freed`)
    } else slabs.push({ block, low, high: 0, tag })
  }
  return slabs
}

function listNameSlabs(ground: Ground, names: NameSlabs): Slab[] {
  const slabs: Slab[] = []
  for (let ordinal = 0; ordinal < names.block.length; ordinal++) {
    const block = names.block.data[ordinal]!
    const [low, high] = [names.low.data[ordinal]!, names.high.data[ordinal]!]
    if (low === 1 && high === 0) {
      ground.space.release(block)
      ground.draft.discard(block)
      ground.fixes.add('slab-empty', `the slab in block ${block} has no name: it is freed`)
    } else slabs.push({ block, low, high, tag: 0 })
  }
  return slabs
}

/** Writes pages of the map that are wrong; returns the entry after the last in use. */
function writeMap(ground: Ground, floors: ReadonlyMap<number, number>): number {
  const { header, draft, inodes, fixes } = ground
  const at = InodeMapPage.word
  let high = 0
  for (let page = 0; page < header.inodeMapBlocks; page++) {
    const block = header.inodeMapStart + page
    const view = draft.view(block)
    const lost = invalidInodeMapPage(view, 0, page) !== null
    const words = new Uint32Array(1024)
    words[at.magic] = INODE_MAP_MAGIC
    words[at.index] = page
    for (let i = 0; i < MAP_ENTRIES; i++) {
      const entry = page * MAP_ENTRIES + i
      const ordinal = inodes.ordinalOf(entry)
      const slab = ordinal < 0 ? 0 : inodes.block.data[ordinal]!
      // Numbers that were used before must not come again with a generation that they had.
      const unknown = slab === 0 ? inodes.highestGeneration : 0
      const floor = lost ? unknown : Math.min(view.u32[at.entries + 2 * i + 1]!, 0xffff_fffe)
      words[at.entries + 2 * i] = slab
      words[at.entries + 2 * i + 1] = Math.max(floor, floors.get(entry) ?? 0)
      if (slab === 0) continue
      words[at.used]!++
      high = entry + 1
    }
    words[at.checksum] = view.u32[at.checksum]!
    if (!lost && Buffer.compare(Buffer.from(words.buffer), view.u8) === 0) continue
    const own = draft.fresh(block)
    own.u32.set(words)
    own.seal(InodeMapPage)
    fixes.add('inode-map-damaged', `page ${page} of the inode map is written anew`)
  }
  return high
}

/** Writes chunks of the bitmap that are wrong; returns the blocks that are free. */
function writeBitmap(ground: Ground): number {
  const { header, draft, space, fixes } = ground
  const at = BitmapChunk.word
  const total = header.bitmapBlocks * CHUNKS_PER_BLOCK
  const bits = new Uint32Array(CHUNK_WORDS)
  let allFree = 0
  let changed = 0
  for (let chunk = 0; chunk < total; chunk++) {
    const first = chunk * CHUNK_BLOCKS
    if (first >= header.blockCount) break
    let free = 0
    for (let w = 0; w < CHUNK_WORDS; w++) {
      let word = 0
      for (let i = 0; i < 32; i++) {
        const block = first + w * 32 + i
        if (block >= header.blockCount || space.kind[block] !== Use.none) word |= 1 << i
      }
      bits[w] = word
      free += 32 - popcount(word)
    }
    allFree += free
    const block = header.bitmapStart + Math.floor(chunk / CHUNKS_PER_BLOCK)
    const base = (chunk % CHUNKS_PER_BLOCK) * BitmapChunk.size
    const w = base >>> 2
    const view = draft.view(block)
    const same =
      invalidBitmapChunk(view, base, chunk) === null &&
      view.u32[w + at.free] === free &&
      view.u8.subarray(base + 16, base + 32).every((byte) => byte === 0) &&
      bits.every((word, i) => view.u32[w + at.bits + i] === word)
    if (same) continue
    const page = draft.page(block)
    page.u32.fill(0, w, w + at.bits)
    page.u32[w + at.magic] = BITMAP_MAGIC
    page.u32[w + at.index] = chunk
    page.u32[w + at.free] = free
    page.u32.set(bits, w + at.bits)
    page.seal(BitmapChunk, base)
    changed++
  }
  if (changed > 0) fixes.add('block-leaked', `${changed} chunks of the bitmap are set right`)
  return allFree
}

function writeState(ground: Ground, fields: Record<string, number>): void {
  const { header, draft, fixes } = ground
  const at = State.word as Readonly<Record<string, number>>
  const view = draft.view(2)
  const wrong = Object.keys(fields).filter((name) => view.u32[at[name]!] !== fields[name])
  const lost = invalidState(view, 0, header.volume) !== null
  const reserved = view.u8.subarray(State.at.reserved, State.size).some((byte) => byte !== 0)
  if (!lost && !reserved && wrong.length === 0) return
  const page = draft.fresh(2)
  page.u32[State.word.magic] = STATE_MAGIC
  page.u32[State.word.volume] = header.volume
  for (const [name, value] of Object.entries(fields)) page.u32[at[name]!] = value
  page.seal(State)
  const what = lost ? 'written anew' : `set right: ${wrong.join(', ') || 'reserved bytes'}`
  fixes.add(lost ? 'state-damaged' : 'free-blocks-wrong', `the volume state is ${what}`)
}
