/** Where blocks are, page by page: a page costs what it tells, not what the file has. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { Extent } from '../../src/base/filesystem.js'
import { Ground } from './ground.js'

const EXTENTS = 200
const PAGE = 16

/** Every other block of a file. */
function inPieces(ground: Ground) {
  const file = ground.volume.open('/f', 'wx+')
  for (let i = 0; i < EXTENTS; i++) file.write(new Uint8Array(B).fill(i), 2 * i * B)
  return file
}

/** All pages, and how many extents were looked up at most for one of them. */
function paged(ground: Ground, page: (from: number) => readonly Extent[]) {
  const { extents } = ground.volume.core
  const all: Extent[] = []
  const find = extents.find.bind(extents)
  let most = 0
  try {
    for (;;) {
      let looked = 0
      extents.find = (w, block) => (looked++, find(w, block))
      const some = page(all.length === 0 ? 0 : all.at(-1)!.fileBlock + all.at(-1)!.count)
      most = Math.max(most, looked)
      all.push(...some)
      if (some.length < PAGE) return { all, most }
    }
  } finally {
    extents.find = find
  }
}

test('of a file: those from a block on, so many', () => {
  using ground = new Ground({ bytes: 4 << 20 })
  const file = inPieces(ground)
  const { extents } = file.extents()
  assert.equal(extents.length, EXTENTS)
  const byHandle = paged(ground, (from) => file.extents(from, PAGE).extents)
  assert.deepEqual(byHandle.all, extents)
  assert.ok(byHandle.most <= PAGE + 1, `${byHandle.most} extents were looked up for a page`)
  const byPath = paged(ground, (from) => ground.volume.extents('/f', undefined, from, PAGE).extents)
  assert.deepEqual(byPath.all, extents)
  assert.ok(byPath.most <= PAGE + 1, `${byPath.most} extents were looked up for a page`)
})

test('of a hold: what it covers of the file, also of one that was given back in parts', () => {
  using ground = new Ground({ bytes: 4 << 20 })
  const file = inPieces(ground)
  const { extents } = file.extents()
  const lease = file.lease({ iomode: 'read' })
  const whole = paged(ground, (from) => lease.extents(from, PAGE))
  assert.deepEqual(whole.all, extents)
  assert.ok(whole.most <= PAGE + 1, `${whole.most} extents were looked up for a page`)
  for (let i = 0; i < EXTENTS; i += 3) lease.returnRange(2 * i * B, B)
  const left = extents.filter((_, i) => i % 3 !== 0)
  assert.deepEqual(paged(ground, (from) => lease.extents(from, PAGE)).all, left)
})

test('of a hold: what left the file is no place in it', () => {
  using ground = new Ground({ bytes: 4 << 20 })
  const file = inPieces(ground)
  const { extents } = file.extents()
  const pin = file.pin({ length: B })
  file.truncate(0, { policy: 'defer' })
  assert.deepEqual(pin.extents(0, PAGE), [])
  assert.equal(pin.runs()[0]!.regionOffset, extents[0]!.regionBlock * B)
})
