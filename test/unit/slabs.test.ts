import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { SlabHeader, SlabKind, SLOT_BYTES, slotsOf } from '../../src/media/slab.js'
import type { Core } from '../../src/volume/core.js'
import { Slabs } from '../../src/volume/slabs.js'
import { LONG, newCore, seeded } from './support.js'

const at = SlabHeader.word

interface Taken {
  readonly block: number
  readonly slot: number
  readonly count: number
}

/** Slabs, and the slots in use as a plain set. */
class Compared {
  readonly core: Core
  readonly slabs: Slabs
  readonly kind: SlabKind
  readonly taken: Taken[] = []
  /** Slots in use by block. */
  readonly used = new Map<number, Set<number>>()

  constructor(t: TestContext, kind: SlabKind) {
    this.core = newCore(t)
    this.kind = kind
    const { pages, allocator, state } = this.core
    if (kind === SlabKind.inodes) {
      // The root's slab is none of this test's.
      this.core.transaction.run(0, false, () => (state.inodeSlabs = 0))
    }
    this.slabs = new Slabs(pages, allocator, state, kind, () => null)
  }

  take(count: number): void {
    const { slabs, core } = this
    core.pages.tick()
    core.transaction.run(1, false, () => slabs.take(count))
    const { block, slot } = slabs
    const slots = this.used.get(block) ?? new Set()
    assert.equal(slabs.isNew, slots.size === 0, 'a slab is new when nothing is in it')
    assert.ok(slot >= 1 && slot + count <= slotsOf(this.kind))
    for (let i = slot; i < slot + count; i++) {
      assert.ok(!slots.has(i), `slot ${i} of block ${block} is taken twice`)
      slots.add(i)
    }
    this.used.set(block, slots)
    this.taken.push({ block, slot, count })
  }

  give(index: number): void {
    const { block, slot, count } = this.taken[index]!
    this.taken.splice(index, 1)
    const slots = this.used.get(block)!
    const { slabs, core } = this
    core.pages.tick()
    const alone = slots.size === 1
    assert.equal(slabs.isOnly(block, slot), alone && slots.has(slot))
    let gone = false
    core.transaction.run(0, true, () => (gone = slabs.give(block, slot, count)))
    for (let i = slot; i < slot + count; i++) slots.delete(i)
    assert.equal(gone, slots.size === 0, 'a slab goes with its last slot')
    if (gone) this.used.delete(block)
  }

  #header(block: number): Uint32Array {
    const base = this.slabs.at(block)
    return this.core.pages.u32.subarray(base >>> 2, (base + BLOCK_BYTES) >>> 2)
  }

  check(): void {
    const { state } = this.core
    const slots = slotsOf(this.kind)
    this.core.pages.tick()
    const open: number[] = []
    for (const [block, used] of this.used) {
      const header = this.#header(block)
      for (let slot = 1; slot < slots; slot++) {
        const bit = (header[slot < 32 ? at.usedLow : at.usedHigh]! >>> (slot & 31)) & 1
        assert.equal(bit, used.has(slot) ? 1 : 0, `slot ${slot} of block ${block}`)
        assert.equal(this.slabs.used(this.slabs.at(block), slot), used.has(slot))
      }
      if (used.size < slots - 1) open.push(block)
      else assert.equal(header[at.listed], 0, 'a full slab is in no list')
    }
    const listed: number[] = []
    let previous = 0
    let block = this.kind === SlabKind.inodes ? state.inodeSlabs : state.nameSlabs
    while (block !== 0) {
      const header = this.#header(block)
      assert.deepEqual([header[at.previous], header[at.listed]], [previous, 1])
      listed.push(block)
      previous = block
      block = header[at.next]!
    }
    assert.deepEqual(listed.sort(), open.sort(), 'the list has the slabs with a free slot')
  }
}

describe('slabs do as a set of slots does', () => {
  for (const [name, kind, most] of [
    ['names', SlabKind.names, 5],
    ['inodes', SlabKind.inodes, 1],
  ] as const) {
    test(name, (t) => {
      const prng = seeded(t)
      const compared = new Compared(t, kind)
      const free = compared.core.state.freeBlocks
      for (let i = 0; i < 3000 * LONG; i++) {
        // It grows for a while and shrinks for a while.
        const grows = Math.floor(i / 500) % 2 === 0 ? 3 : 1
        if (compared.taken.length === 0 || prng.chance(grows, 4)) {
          compared.take(1 + prng.below(most))
        } else compared.give(prng.below(compared.taken.length))
        if (i % 25 === 0) compared.check()
      }
      compared.check()
      while (compared.taken.length > 0) compared.give(prng.below(compared.taken.length))
      compared.check()
      assert.equal(compared.core.state.freeBlocks, free, 'every slab was given back')
    })
  }
})

test('slots of a slab cover its block', () => {
  for (const kind of [SlabKind.inodes, SlabKind.names]) {
    assert.equal(slotsOf(kind) * SLOT_BYTES[kind], BLOCK_BYTES)
  }
})

test('a slot that is given back twice stops the volume', (t) => {
  const compared = new Compared(t, SlabKind.names)
  compared.take(2)
  compared.take(1)
  const { block, slot } = compared.taken[0]!
  const { transaction } = compared.core
  transaction.run(0, true, () => void compared.slabs.give(block, slot, 2))
  assert.throws(
    () => transaction.run(0, true, () => void compared.slabs.give(block, slot, 2)),
    /a slot has one owner/,
  )
})
