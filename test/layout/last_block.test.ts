/**
 * Bytes past the end of a file in blocks that it has: a holder's as long as they are held, zeros
 * for everybody else, and never what was there before.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { memfdRegion } from '../../src/region/file_region.js'
import { assertBytes, blocksOf, type Hold } from './ground.js'
import { BLOCKS, Scene, stateOf } from './scene.js'
import { outcomeOf } from './timers.js'

/** Where the files end: in the middle of their third block. */
const SIZE = 2 * B + 100

/** What a device writes to all blocks that it has the addresses of. */
function writeAll(s: Scene, places: readonly number[]): void {
  for (const place of places) s.storeAt(place * B, new Uint8Array(B).fill(0xdd))
}

function placesOf(hold: Hold): number[] {
  return hold
    .runs()
    .flatMap(({ regionOffset, length }) =>
      Array.from({ length: length / B }, (_, i) => regionOffset / B + i),
    )
}

/** `head` bytes of the device, zeros up to `size`. */
function withTail(head: number, size: number, fill = 0xdd): Uint8Array {
  return new Uint8Array(size).fill(fill, 0, head)
}

const STORES = {
  'a pin': (file: LayoutFile, length: number) => file.pin({ length }),
  'a lease for writing': (file: LayoutFile, length: number) => file.lease({ iomode: 'rw', length }),
} as const

for (const [name, take] of Object.entries(STORES)) {
  test(`what was cut off does not come back through ${name}, of the last block or past it`, () => {
    for (const length of [3 * B, BLOCKS * B]) {
      using s = new Scene()
      s.volume.truncate('/f', SIZE)
      const expected = new Uint8Array(3 * B)
      expected.set(blocksOf('/f', 0, 3).subarray(0, SIZE))
      for (const grow of ['commit', 'truncate'] as const) {
        s.volume.reflink('/f', `/${grow}`)
        s.as(null, `/${grow}`, (file) => {
          const hold = take(file, length)
          if (grow === 'commit') hold.commit(3 * B)
          else file.truncate(3 * B)
          assertBytes(s.volume.readFile(`/${grow}`), expected, `${grow} under ${name}`)
          hold.release()
        })
      }
    }
  })

  test(`the end of ${name} leaves zeros behind the end of the file, however it ends`, () => {
    const ends: Record<string, (s: Scene, hold: Hold) => void> = {
      release: (_s, hold) => hold.release(),
      'a part given back': (_s, hold) => hold.returnRange(2 * B, 6 * B),
      'the end of its session': (s) => s.other.end(),
    }
    for (const [how, end] of Object.entries(ends)) {
      using s = new Scene()
      s.volume.truncate('/f', SIZE)
      const hold = s.as(s.other, '/f', (file) => take(file, BLOCKS * B))
      const [places, last] = [placesOf(hold), s.place('/f', 2)!]
      writeAll(s, places)
      end(s, hold)
      assertBytes(s.bytesAt(last), withTail(100, B), `the last block after ${how}`)
      assert.equal(s.volume.stat('/f').blocks / 8, BLOCKS, 'blocks past the end stay')
      s.volume.truncate('/f', BLOCKS * B)
      assertBytes(s.volume.readFile('/f'), withTail(SIZE, BLOCKS * B), `grown after ${how}`)
    }
  })
}

test('the last one who may store there leaves the zeros, and who only reads does not count', () => {
  using s = new Scene()
  s.volume.truncate('/f', SIZE)
  const pin = s.pin('/f', [0, 3])
  const lease = s.lease('/f', [2, 3], { iomode: 'rw' })
  const reader = s.lease('/f', [0, 3])
  const last = s.place('/f', 2)!
  writeAll(s, placesOf(pin))
  pin.release()
  assertBytes(s.bytesAt(last), new Uint8Array(B).fill(0xdd), 'as long as one is there')
  lease.release()
  assertBytes(s.bytesAt(last), withTail(100, B), 'after the last')
  reader.release()
})

test('who holds other blocks of the file than the last keeps nothing from being zeroed', () => {
  using s = new Scene()
  s.volume.truncate('/f', SIZE)
  const beside = [s.pin('/f', [0, 2]), s.pin('/f', [3, 5])]
  const pin = s.pin('/f', [2, 3])
  const [before, last, after] = s.places('/f', [1, 4]) as [number, number, number]
  writeAll(s, [before, last, after])
  pin.release()
  assertBytes(s.bytesAt(last), withTail(100, B), 'the last block')
  for (const place of [before, after]) {
    assertBytes(s.bytesAt(place), new Uint8Array(B).fill(0xdd), 'those that are held still')
  }
  s.volume.truncate('/f', 5 * B)
  const expected = blocksOf('/f', 0, 5)
    .fill(0xdd, B, SIZE)
    .fill(0, SIZE, 3 * B)
  expected.fill(0xdd, 3 * B, 4 * B).fill(0, 4 * B)
  assertBytes(s.volume.readFile('/f'), expected, 'what is held is shown, the rest are zeros')
  for (const hold of beside) hold.release()
})

test('the zeros behind the end are of no other owner of the block', () => {
  using s = new Scene()
  s.volume.reflink('/f', '/clone')
  s.volume.truncate('/f', SIZE)
  assert.equal(s.place('/f', 2), s.place('/clone', 2))
  s.lease('/f', [0, 3]).release() // leaves them as they are
  s.assertFile('/clone', '/f')
  s.pin('/f', [0, 3]).release() // has blocks of its own
  s.assertFile('/clone', '/f')
  s.volume.truncate('/f', 3 * B)
  assertBytes(s.block('/f', 2).subarray(100), new Uint8Array(B - 100), 'grown')
  s.volume.reflink('/clone', '/third')
  s.volume.truncate('/third', SIZE)
  s.volume.truncate('/third', 3 * B) // grown with nothing held
  assertBytes(s.block('/third', 2).subarray(100), new Uint8Array(B - 100), 'grown')
  s.assertFile('/clone', '/f')
})

// ---- cut off under a hold ----------------------------------------------------------------------

test('what a device writes behind a truncate deferred is gone with its pin', () => {
  using s = new Scene()
  const pin = s.pin('/f')
  const places = placesOf(pin)
  s.volume.truncate('/f', SIZE, undefined, { policy: 'defer' })
  assert.equal(s.limbo, BLOCKS - 3)
  writeAll(s, places)
  pin.release()
  assert.equal(s.limbo, 0)
  assertBytes(s.bytesAt(places[2]!), withTail(100, B), 'the last block')
  s.volume.truncate('/f', BLOCKS * B)
  assertBytes(s.volume.readFile('/f'), withTail(SIZE, BLOCKS * B), 'grown')
})

for (const [how, revoke] of [
  ['cut off', () => {}],
  ['not cut off', undefined],
] as const) {
  test(`what a holder writes that was ${how} at its fence is not the file's at its end`, async () => {
    using s = new Scene()
    const lease = s.lease('/f', [0, BLOCKS], { iomode: 'rw', revoke })
    const places = placesOf(lease)
    const cut = outcomeOf(s.volume.promises.truncate('/f', SIZE))
    writeAll(s, places)
    await s.timers.pass(5_000)
    assert.equal(stateOf(cut), 'done')
    assert.equal(lease.released, revoke !== undefined)
    if (revoke === undefined) {
      writeAll(s, places) // it goes on
      lease.release()
      assertBytes(s.bytesAt(places[2]!), withTail(100, B), 'the last block')
    }
    assert.equal(s.limbo, 0)
    s.volume.truncate('/f', BLOCKS * B)
    assertBytes(s.volume.readFile('/f'), withTail(SIZE, BLOCKS * B), 'grown')
  })
}

test('what a holder had stored behind the end before a crash does not come back after it', () => {
  using s = new Scene()
  s.volume.truncate('/f', SIZE)
  const pin = s.pin('/f')
  writeAll(s, placesOf(pin))
  const region = memfdRegion(s.region.byteLength)
  const bytes = new Uint8Array(s.region.byteLength)
  s.region.read(0, bytes, 0, bytes.length)
  region.stream(0, bytes, 0, bytes.length)
  const volume = LayoutVolume.mount(region)
  try {
    volume.reflink('/f', '/grown')
    volume.truncate('/grown', 3 * B)
    assertBytes(volume.readFile('/grown'), withTail(SIZE, 3 * B), 'grown')
    const file = volume.open('/f', 'r+')
    file.pin({ length: 3 * B }).commit(3 * B)
    assertBytes(volume.readFile('/f'), withTail(SIZE, 3 * B), 'pinned and committed')
  } finally {
    volume.close()
    region.close()
  }
  pin.release()
})

// Shared, a hole took them away; copied, it did not look past the end (a rare difference between
// two runs of the same random calls).
test('a copy of a hole takes what was allocated past the end, whether it shares or not', () => {
  const BYTES = 150_000
  const mapped: number[][] = []
  for (const pinned of [false, true]) {
    using s = new Scene()
    s.make('/sparse', 50)
    using sparse = s.volume.open('/sparse', 'r+')
    sparse.punch(20 * B, 10 * B)
    using target = s.volume.open('/target', 'wx+')
    target.write(blocksOf('/target', 0, 1), 0)
    target.allocate(0, 60 * B, { keepSize: true })
    const hold = pinned ? s.pin('/target', [0, 1]) : null
    assert.equal(sparse.copyRange(0, target, 0, BYTES), BYTES)
    hold?.release()
    assert.equal(s.volume.stat('/target').size, BYTES)
    assertBytes(
      s.volume.readFile('/target'),
      s.volume.readFile('/sparse').subarray(0, BYTES),
      `pinned: ${pinned}`,
    )
    const runs = s.volume.extents('/target').extents
    mapped.push(
      runs.flatMap(({ fileBlock, count }) =>
        Array.from({ length: count }, (_, i) => fileBlock + i),
      ),
    )
  }
  const expected = Array.from({ length: 60 }, (_, i) => i).filter((i) => i < 20 || i >= 30)
  assert.deepEqual(mapped, [expected, expected])
})
