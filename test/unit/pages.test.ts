import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { heapRegion, type MemoryRegion } from '../../src/region/memory_region.js'
import { Arena, PageKind, Pages } from '../../src/volume/pages.js'
import { LONG, seeded } from './support.js'

const SLOTS = 256
const BLOCKS = 2048

interface Setup {
  readonly region: MemoryRegion
  readonly pages: Pages
}

/** A region whose block b has b in its first word. */
function setUp(t: TestContext): Setup {
  const region = heapRegion(BLOCKS * BLOCK_BYTES)
  const arena = new Arena(SLOTS)
  t.after(() => {
    arena.release()
    region.close()
  })
  const bytes = new Uint8Array(4)
  for (let block = 0; block < BLOCKS; block++) {
    new DataView(bytes.buffer).setUint32(0, block, true)
    region.stream(block * BLOCK_BYTES, bytes, 0, 4)
  }
  return { region, pages: new Pages(region, arena) }
}

/** Finds or loads a page and says that it is a node. */
function get(pages: Pages, block: number): number {
  const found = pages.find(block, PageKind.node)
  if (found >= 0) return found
  const base = pages.load(block)
  assert.ok(base >= 0)
  pages.verified(base, PageKind.node)
  return base
}

test('pages are found while they are cached and loaded when they are not', (t) => {
  const { pages } = setUp(t)
  const prng = seeded(t)
  for (let i = 0; i < 20_000 * LONG; i++) {
    pages.tick()
    // Half of them share one place in the hash table.
    const block = prng.chance(1, 2) ? prng.below(4) * 512 : prng.below(BLOCKS)
    const base = get(pages, block)
    assert.equal(pages.u32[base >>> 2], block)
    assert.equal(pages.find(block, PageKind.node), base)
  }
  assert.ok(pages.loads > SLOTS, 'pages were evicted')
  assert.ok(pages.loads < 20_000 * LONG, 'pages were found')
})

/** What the checkpoint does: dirty lines, and no others, to their place. */
function writeHome({ region, pages }: Setup): number {
  let lines = 0
  for (let slot = 0; slot < pages.slotsUsed; slot++) {
    for (let line = 0; line < 64; line++) {
      const mask = line < 32 ? pages.dirtyLow[slot]! : pages.dirtyHigh[slot]!
      if (((mask >>> (line & 31)) & 1) === 0) continue
      const from = slot * BLOCK_BYTES + line * 64
      region.stream(pages.blockOf[slot]! * BLOCK_BYTES + line * 64, pages.u8, from, 64)
      lines++
    }
  }
  pages.cleaned()
  return lines
}

test('a change is seen from then on, however many pages come and go', (t) => {
  const setup = setUp(t)
  const { pages } = setup
  const prng = seeded(t)
  /** Content of each block where it is not the first one. */
  const wanted = new Map<number, Uint8Array>()
  const dirty = new Set<number>()
  let lines = 0
  for (let i = 0; i < 5000 * LONG; i++) {
    pages.tick()
    const block = prng.below(BLOCKS)
    const base = get(pages, block)
    const content = pages.u8.subarray(base, base + BLOCK_BYTES)
    const expected = wanted.get(block)
    if (expected === undefined) assert.equal(pages.u32[base >>> 2], block)
    else assert.deepEqual(content, expected)
    if (prng.chance(1, 3)) {
      const from = prng.below(BLOCK_BYTES)
      const length = 1 + prng.below(Math.min(200, BLOCK_BYTES - from))
      prng.fill(content.subarray(from, from + length))
      pages.touch(base, from, length)
      pages.settle()
      wanted.set(block, content.slice())
      dirty.add(block)
    }
    assert.equal(pages.dirtyPages, dirty.size)
    if (dirty.size === SLOTS / 2) {
      lines += writeHome(setup)
      dirty.clear()
    }
  }
  writeHome(setup)
  const home = new Uint8Array(BLOCK_BYTES)
  for (const [block, content] of wanted) {
    setup.region.read(block * BLOCK_BYTES, home, 0, BLOCK_BYTES)
    assert.deepEqual(home, content, `block ${block}`)
  }
  assert.ok(lines < wanted.size * 64, 'only lines that changed went home')
})

test('a page used in this operation stays, and so does one that is not at home', (t) => {
  const { pages } = setUp(t)
  pages.tick()
  const kept = get(pages, 7)
  pages.touch(kept, 100, 1)
  pages.settle()
  pages.tick()
  const used: number[] = []
  for (let block = 100; block < 100 + SLOTS - 1; block++) used.push(get(pages, block))
  for (let i = 0; i < used.length; i++) assert.equal(pages.u32[used[i]! >>> 2], 100 + i)
  assert.equal(pages.find(7, PageKind.node), kept)
  assert.throws(() => get(pages, 1000), /room for one operation/)
  pages.tick()
  assert.equal(pages.u32[get(pages, 1000) >>> 2], 1000)
  assert.equal(pages.find(7, PageKind.node), kept)
})

test('the lines that a transaction changes are those of the bytes that it touched', (t) => {
  const { pages } = setUp(t)
  const prng = seeded(t)
  for (let i = 0; i < 500; i++) {
    pages.tick()
    const base = get(pages, prng.below(BLOCKS))
    const from = prng.below(BLOCK_BYTES)
    const length = 1 + prng.below(BLOCK_BYTES - from)
    pages.touch(base, from, length)
    assert.equal(pages.txCount, 1)
    const slot = pages.txSlots[0]!
    for (let line = 0; line < 64; line++) {
      const mask = line < 32 ? pages.txLow[slot]! : pages.txHigh[slot]!
      const wanted = line >= from >>> 6 && line <= (from + length - 1) >>> 6
      assert.equal((mask >>> (line & 31)) & 1, wanted ? 1 : 0, `line ${line}`)
    }
    pages.settle()
    assert.equal(pages.txCount, 0)
    pages.cleaned()
  }
})

test('who expects another kind of page gets nothing', (t) => {
  const { pages } = setUp(t)
  pages.tick()
  const base = get(pages, 9)
  assert.equal(pages.find(9, PageKind.bitmap), -1)
  assert.equal(pages.load(9), -1)
  assert.equal(pages.find(9, PageKind.node), base)
})

test('a fresh page is zeros, whatever stood there, and all of it becomes dirty', (t) => {
  const { pages } = setUp(t)
  pages.tick()
  const base = pages.fresh(5, PageKind.names)
  assert.ok(pages.u8.subarray(base, base + BLOCK_BYTES).every((byte) => byte === 0))
  const slot = base / BLOCK_BYTES
  pages.settle()
  assert.equal(pages.dirtyLow[slot], 0xffff_ffff)
  assert.equal(pages.dirtyHigh[slot], 0xffff_ffff)
})

test('a dropped page is gone from the table, the transaction and the dirty ones', (t) => {
  const { pages } = setUp(t)
  const prng = seeded(t)
  const cached = new Set<number>()
  // All in one chain of the hash table, so that each removal closes a gap in it.
  const blocks = [0, 512, 1024, 1536, 1, 513, 1025, 1537, 2, 514]
  for (let i = 0; i < 5000; i++) {
    pages.tick()
    const block = prng.pick(blocks)
    if (cached.has(block) && prng.chance(1, 2)) {
      pages.drop(block)
      cached.delete(block)
    } else {
      const base = get(pages, block)
      cached.add(block)
      if (prng.chance(1, 2)) pages.touch(base, 0, 64)
      if (prng.chance(1, 2)) pages.settle()
    }
    for (const one of blocks) {
      const base = pages.find(one, PageKind.node)
      assert.equal(base >= 0, cached.has(one), `block ${one}`)
      if (base >= 0) assert.equal(pages.u32[base >>> 2], one)
    }
    const changed = new Set(Array.from(pages.txSlots.subarray(0, pages.txCount)))
    assert.equal(changed.size, pages.txCount)
    for (const slot of changed) assert.ok(cached.has(pages.blockOf[slot]!))
  }
})

test('a part is seen until its page is loaded again, or it is no more', (t) => {
  const { pages } = setUp(t)
  pages.tick()
  const base = get(pages, 3)
  for (const part of [0, 31, 32, 63]) {
    assert.equal(pages.seen(base, part), false)
    pages.see(base, part)
    assert.equal(pages.seen(base, part), true)
  }
  assert.equal(pages.seen(base, 33), false)
  pages.unsee(base, 32)
  assert.equal(pages.seen(base, 32), false)
  assert.equal(pages.seen(base, 63), true)
  pages.drop(3)
  assert.equal(pages.seen(get(pages, 3), 63), false)
})
