/** Calls of many steps or files: all of it or nothing, also with holds and leases in between. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { assertBytes, blocksOf } from './ground.js'
import { BLOCKS, codeOf, errorOf, Scene, stateOf } from './scene.js'
import { idle, outcomeOf } from './timers.js'

function all<T>(steps: Generator<number, T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** /d with eight files. */
function tree(s: Scene): string[] {
  s.volume.mkdir('/d')
  const paths = [...'abcdefgh'].map((name) => `/d/${name}`)
  for (const path of paths) s.make(path, 2)
  return paths
}

const names = (s: Scene, path: string) =>
  s.volume.readdir(path).map(({ name }) => Buffer.from(name).toString())

test('a snapshot that one file of many is in the way of leaves nothing behind', () => {
  using s = new Scene()
  const paths = tree(s)
  const order = names(s, '/d').map((name) => `/d/${name}`)
  for (const at of [0, 4, 7]) {
    const pin = s.pin(order[at]!, [0, 1])
    const own = order
      .filter((_, i) => i !== at)
      .map((path) => s.lease(path, [0, 1], { iomode: 'rw' }, s.volume.self))
    const generations = paths.map((path) => s.generation(path))
    const { free } = s
    const error = errorOf(() => s.volume.snapshot('/d', '/copy'))
    assert.equal(error.code, 'EBUSY')
    assert.deepEqual(
      error.holds?.map(({ id }) => id),
      [pin.id],
    )
    assert.deepEqual(names(s, '/').sort(), ['d', 'f'])
    assert.deepEqual(
      paths.map((path) => s.generation(path)),
      generations,
    )
    for (const lease of own) assert.equal(lease.released, false, 'it is not given back')
    assert.equal(s.free, free)
    for (const hold of [pin, ...own]) hold.release()
  }
  s.volume.snapshot('/d', '/copy')
  for (const path of paths) s.assertFile(path.replace('/d', '/copy'), path, 2)
})

test('a snapshot recalls what is lent of any of its files, and is of one point in time', async () => {
  using s = new Scene()
  const paths = tree(s)
  const leases = paths.map((path) =>
    s.lease(path, [0, 2], { iomode: 'rw', onRecall: () => queueMicrotask(() => give(path)) }),
  )
  const give = (path: string) => {
    const lease = leases[paths.indexOf(path)]!
    s.storeAt(lease.runs()[0]!.regionOffset, blocksOf('late', 0, 1))
    lease.release()
  }
  const copy = outcomeOf(s.volume.promises.snapshot('/d', '/copy'))
  for (let i = 0; i < 20 && !copy.settled; i++) await idle()
  assert.equal(stateOf(copy), 'done')
  for (const path of paths) {
    const copied = s.volume.readFile(path.replace('/d', '/copy'))
    assertBytes(copied, s.volume.readFile(path), path)
    assertBytes(copied.subarray(0, B), blocksOf('late', 0, 1), 'what was stored before the answer')
  }
})

test('a file that only a lease keeps goes with it, and what would move it goes on', () => {
  using s = new Scene()
  s.make('/gone')
  const at = s.place('/gone', 0)! * B
  const lease = s.lease('/gone', [0, BLOCKS], {}, s.volume.self)
  s.volume.unlink('/gone')
  assert.deepEqual(all(s.volume.evacuate(at, at + BLOCKS * B)), {
    ...{ moved: 0, left: 0, unreadable: 0, unreadableOf: [] },
  })
  assert.equal(lease.released, true)
  s.assertClean('after it')
  s.assertFile('/f')
})

test('an evacuation moves what is open without a name, and what is shared, for all owners', () => {
  using s = new Scene()
  s.make('/gone')
  s.volume.reflink('/f', '/clone')
  const gone = s.volume.open('/gone', 'r')
  s.volume.unlink('/gone')
  const { extents } = gone.extents()
  const ends = extents.map(({ regionBlock, count }) => regionBlock + count)
  const [from, to] = [s.place('/f', 0)!, Math.max(...ends)]
  const { moved, left } = all(s.volume.evacuate(from * B, to * B))
  assert.equal(moved, 2 * BLOCKS)
  assert.equal(left, to - from - s.volume.core.allocator.freeIn(from, to))
  for (const path of ['/f', '/clone']) {
    s.assertFile(path, '/f')
    for (const place of s.places(path)) assert.ok(place! < from || place! >= to)
  }
  assert.deepEqual(s.places('/f'), s.places('/clone'), 'they share it still')
  const bytes = new Uint8Array(BLOCKS * B)
  gone.read(bytes, 0)
  assertBytes(bytes, blocksOf('/gone', 0, BLOCKS), 'the open file')
  gone.close()
})

for (const force of [false, true]) {
  test(`a write to a shared block under a lease that is not answered: force ${force}`, async () => {
    using s = new Scene()
    s.volume.reflink('/f', '/clone')
    const lease = s.lease('/f')
    const place = s.place('/f', 0)!
    using file = s.volume.open('/f', 'r+')
    const write = outcomeOf(
      s.volume.promises.settle(() => file.write(blocksOf('new', 0, 1), 0), { force }),
    )
    await s.timers.pass(5_000)
    assert.equal(stateOf(write), force ? 'done' : 'EBUSY')
    assertBytes(s.bytesAt(place), blocksOf('/f', 0, 1), 'what the lease reads')
    assert.equal(lease.info().state, force ? 'fenced' : 'held')
    assertBytes(s.block('/f', 0), blocksOf(force ? 'new' : '/f', 0, 1), '/f')
    s.assertFile('/clone', '/f')
    lease.release()
  })
}

// ---- mappings beside leases that cannot be cut off ----------------------------------------------

test('a mapping for writing does not lead to blocks that a fenced lease of a clone reads', async () => {
  using s = new Scene()
  using file = s.volume.open('/f', 'r+')
  const mapping = file.map({ write: true })
  s.volume.reflink('/f', '/clone')
  const place = s.place('/f', 0)!
  const lease = s.lease('/clone')
  using clone = s.volume.open('/clone', 'r+')
  const punch = outcomeOf(s.volume.promises.punch(clone, 0, BLOCKS * B))
  await s.timers.pass(5_000)
  assert.equal(stateOf(punch), 'done')
  assert.equal(s.place('/f', 0), place, '/f has the blocks alone, and the lease reads them')
  assert.equal(
    codeOf(() => mapping.window(0, 8)),
    'ESTALE',
  )
  file.truncate(BLOCKS * B - 8) // places the mapping anew
  assert.equal(
    codeOf(() => mapping.window((BLOCKS - 1) * B, 8)),
    'ESTALE',
  )
  using again = file.map({ write: true })
  new Uint8Array(again.buffer).fill(7)
  assert.notEqual(s.place('/f', 0), place, 'a new one has blocks of its own')
  assertBytes(s.bytesAt(place), blocksOf('/f', 0, 1), 'what the lease reads')
  mapping.unmap()
  lease.release()
})

test('a mapping for writing leads to nothing while its blocks are shared, and back afterwards', () => {
  using s = new Scene()
  using file = s.volume.open('/f', 'r+')
  const mapping = file.map({ write: true })
  s.volume.reflink('/f', '/clone')
  assert.equal(
    codeOf(() => mapping.window(0, 8)),
    'ESTALE',
  )
  s.volume.unlink('/clone')
  new Uint8Array(mapping.window(0, 8)).fill(0x21)
  mapping.persist(0, 8)
  assertBytes(s.volume.readFile('/f').subarray(0, 8), new Uint8Array(8).fill(0x21), '/f')
  mapping.unmap()
})
