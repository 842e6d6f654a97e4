/**
 * Headers of slabs, made from what is in the slabs: used slots, tags, and the lists of those with a
 * free slot. What of a list is right stays in its order, so that few headers change.
 */
import { Inode } from '../media/inode.js'
import { invalidSlab, SLAB_MAGIC, SlabHeader, SlabKind, slotsOf } from '../media/slab.js'
import type { Ground } from './ground.js'

const at = SlabHeader.word

/** A slab as it ought to be. */
export interface Slab {
  readonly block: number
  readonly low: number
  readonly high: number
  readonly tag: number
}

/** Writes the headers of all slabs of a kind, where they are wrong; returns the list's head. */
export function writeSlabs(ground: Ground, kind: SlabKind, head: number, slabs: Slab[]): number {
  const bits = slotsOf(kind)
  const isFull = (slab: Slab) =>
    bits <= 32 ? slab.low >>> 0 === 2 ** bits - 1 : (slab.low & slab.high) >>> 0 === 0xffff_ffff
  const free = new Map<number, Slab>()
  for (const slab of slabs) if (!isFull(slab)) free.set(slab.block, slab)
  const order = followList(ground, kind, head, free)
  const listed = new Set(order)
  for (const block of free.keys()) if (!listed.has(block)) order.push(block)
  const place = new Map(order.map((block, i) => [block, i]))
  let changed = 0
  for (const slab of slabs) {
    const i = place.get(slab.block)
    const links =
      i === undefined
        ? { listed: 0, previous: 0, next: 0 }
        : { listed: 1, previous: order[i - 1] ?? 0, next: order[i + 1] ?? 0 }
    if (writeHeader(ground, kind, slab, links)) changed++
  }
  if (changed > 0) {
    const name = kind === SlabKind.inodes ? 'inodes' : 'names'
    ground.fixes.add('slab-list-broken', `headers of ${changed} slabs of ${name} are set right`)
  }
  return order[0] ?? 0
}

/** The blocks of a list, as far as it leads from one slab with a free slot to the next. */
function followList(
  ground: Ground,
  kind: SlabKind,
  head: number,
  free: ReadonlyMap<number, Slab>,
): number[] {
  const order: number[] = []
  const seen = new Set<number>()
  for (let block = head; free.has(block) && !seen.has(block);) {
    order.push(block)
    seen.add(block)
    const page = ground.draft.view(block)
    if (invalidSlab(page, 0, block, kind) !== null) break
    block = page.u32[at.next]!
  }
  return order
}

function writeHeader(
  ground: Ground,
  kind: SlabKind,
  slab: Slab,
  links: { listed: number; previous: number; next: number },
): boolean {
  const view = ground.draft.view(slab.block)
  const wanted: ReadonlyArray<readonly [word: number, value: number]> = [
    [at.magic, SLAB_MAGIC],
    [at.block, slab.block],
    [at.kind, kind],
    [at.usedLow, slab.low >>> 0],
    [at.usedHigh, slab.high >>> 0],
    [at.previous, links.previous],
    [at.next, links.next],
    [at.tag, slab.tag],
    [at.listed, links.listed],
  ]
  // Of a slab of inodes the rest of slot 0 is zero too.
  const headerBytes = kind === SlabKind.inodes ? Inode.size : SlabHeader.size
  const reserved = view.u8.subarray(SlabHeader.at.reserved, headerBytes)
  const right =
    invalidSlab(view, 0, slab.block, kind) === null &&
    wanted.every(([word, value]) => view.u32[word] === value) &&
    reserved.every((byte) => byte === 0)
  if (right) return false
  const page = ground.draft.page(slab.block)
  page.u8.fill(0, 0, headerBytes)
  for (const [word, value] of wanted) page.u32[word] = value
  page.seal(SlabHeader)
  return true
}
