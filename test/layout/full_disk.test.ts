/** No room, or no more allowed: freeing works all the same, what is refused changes nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { assertBytes, blocksOf, type Hold } from './ground.js'
import { BLOCKS, codeOf, errorOf, Scene, stateOf } from './scene.js'
import { idle, outcomeOf } from './timers.js'

const MiB = 1 << 20

/** Takes every block that is left but `spare`. */
function fill(s: Scene, spare = 0): void {
  let size = 0
  using file = s.volume.open('/filler', 'w+')
  const bytes = new Uint8Array(16 * B)
  for (let blocks = 16; blocks >= 1;) {
    if (codeOf(() => (size += file.write(bytes.subarray(0, blocks * B), size))) !== 'done') {
      blocks >>= 1
    }
  }
  file.truncate(Math.max(0, size - spare * B))
}

// ---- freeing always works ----------------------------------------------------------------------

/** Extents of a file: so many that the trees which know of them split in many places. */
const EXTENTS = 4_200

interface Held {
  end(): void
}

/** A full volume with /large, each block of which is an extent, and something held. */
function crowded(hold: (file: LayoutFile) => Held): { s: Scene; held: Held } {
  const s = new Scene({ bytes: 32 * MiB, policy: 'defer' })
  for (const path of ['/clone', '/large']) s.make(path, 0)
  using file = s.volume.open('/large', 'r+')
  const bytes = new Uint8Array(B).fill(1)
  for (let block = EXTENTS; block-- > 0;) file.write(bytes, block * B)
  const held = hold(file)
  fill(s)
  // A write asks for more than it takes: attributes, and then names, take what is left.
  const last = [
    (i: number) => s.volume.setXattr('/clone', `user.${i}`, new Uint8Array(B - 100)),
    (i: number) => s.make(`/${i}`, 0),
  ]
  for (const take of last) {
    const error = errorOf(() => {
      for (let i = 0; ; i++) take(i)
    })
    assert.equal(error.code, 'ENOSPC')
  }
  return { s, held }
}

const asPin = (length?: number) => (file: LayoutFile) => {
  const pin = file.pin({ length })
  return { end: () => pin.release() }
}
const asTransfer = (length: number) => (file: LayoutFile) => file.transfer(0, length)

type Cut = readonly [what: string, hold: (file: LayoutFile) => Held, cut: (s: Scene) => void]
const truncate = (s: Scene) => s.volume.truncate('/large', 0)
const punch = (s: Scene) => s.as(null, '/large', (file) => file.punch(0, EXTENTS * B))
const unlink = (s: Scene) => s.volume.unlink('/large')
const rename = (s: Scene) => s.volume.rename('/clone', '/large')

const CUTS: readonly Cut[] = [
  ['a truncate under a pin of all of it', asPin(), truncate],
  ['a truncate under a pin of one block', asPin(B), truncate],
  ['a punch under a pin of one block', asPin(B), punch],
  ['an unlink under a transfer of all of it', asTransfer(EXTENTS * B), unlink],
  ['a rename over it under a transfer of one block', asTransfer(B), rename],
]

for (const [what, hold, cut] of CUTS) {
  test(`on a full volume there is room for ${what}`, () => {
    const { s, held } = crowded(hold)
    using ground = s
    const blocks = s.volume.core.frames.distinct
    cut(s)
    assert.equal(s.limbo, blocks)
    s.assertClean(what)
    held.end()
    assert.equal(s.limbo, 0)
    assert.equal(s.volume.core.transaction.heldReserve, 0, 'nothing is kept back any more')
    ground.make('/again', EXTENTS - 100)
  })
}

test('the last release of a file without a name frees it on a full volume', () => {
  const { s, held } = crowded(asPin())
  using ground = s
  s.volume.unlink('/large')
  held.end()
  ground.make('/again', EXTENTS - 100)
})

test('a hold for which no room can be kept back is ENOSPC, and those before it stay', () => {
  using s = new Scene({ bytes: 32 * MiB })
  s.make('/large', 5_000)
  using file = s.volume.open('/large', 'r+')
  fill(s, 40)
  const held: Hold[] = []
  const error = errorOf(() => {
    for (let i = 0; i < 2_500; i++) held.push(file.pin({ offset: 2 * i * B, length: B }))
  })
  assert.equal(error.code, 'ENOSPC')
  assert.ok(held.length > 100, `${held.length} were granted`)
  const block = 2 * held.length
  s.refused('ENOSPC', [], () => file.pin({ offset: block * B, length: B }))
  s.refused('ENOSPC', [], () => file.lease({ iomode: 'read', offset: block * B, length: B }))
  assert.equal(
    codeOf(() => file.transfer(block * B, B)),
    'ENOSPC',
  )
  assert.equal(s.volume.holds().length, held.length)
  assert.equal(s.volume.core.frames.distinct, held.length)
  file.truncate(0, { policy: 'defer' })
  assert.equal(s.limbo, held.length)
  for (const hold of held) hold.release()
})

// ---- what is refused for want of room ----------------------------------------------------------

/** Each is refused, and everything is as it was: files, holds, the asker's own leases. */
function refusedAlike(
  code: 'ENOSPC' | 'ENOMEM',
  s: Scene,
  calls: readonly (() => unknown)[],
): void {
  for (const call of calls) s.refused(code, [], call)
}

test('a hold of holes, or of shared blocks, for which there is no room changes nothing', () => {
  using s = new Scene()
  s.make('/large', 40)
  for (const path of ['/clone', '/third']) s.volume.reflink('/large', path)
  s.volume.truncate('/f', 40 * B)
  using file = s.volume.open('/f', 'r+')
  using clone = s.volume.open('/clone', 'r+')
  for (const open of [file, clone]) open.lease({ iomode: 'read', length: BLOCKS * B })
  fill(s, 8)
  refusedAlike('ENOSPC', s, [
    () => file.pin(),
    () => file.pin({ offset: BLOCKS * B }), // holes alone
    () => clone.pin(), // shared blocks alone
    () => clone.pin({ unshare: 'others' }),
    () => clone.pin({ length: 100 * B }), // past the end
    () => file.lease({ iomode: 'rw' }),
    () => file.map({ direct: true, sync: true, write: true }),
    () => file.map({ write: true }),
    () => clone.map({ direct: true, sync: true, write: true }),
    () => clone.unshare(),
    () => clone.unshare('others'),
    () => s.volume.fix('/third'),
  ])
  file.lease({ iomode: 'read' }).release() // takes no room
  clone.pin({ length: B }).release() // as much as there is
})

test('without room to keep back, the first hold of holes fills none, and takes no own lease', () => {
  // From what fills the holes alone to what is enough for all.
  for (let spare = 8; spare < 80; spare += 4) {
    using s = new Scene()
    using file = s.volume.open('/holes', 'w+')
    file.truncate(4 * B)
    const own = file.lease({ iomode: 'read' })
    fill(s, spare)
    const before = s.image()
    const code = codeOf(() => file.pin().release())
    assert.equal(own.released, code === 'done', `${spare} blocks are left`)
    if (code === 'done') continue
    assert.equal(code, 'ENOSPC')
    s.assertSameImage(before, `${spare} blocks are left`)
  }
})

test('an evacuation for which there is no room moves nothing, and takes no lease', () => {
  using s = new Scene()
  using file = s.volume.open('/f', 'r+')
  const own = file.lease({ iomode: 'read' })
  fill(s)
  const at = s.place('/f', 0)! * B
  refusedAlike('ENOSPC', s, [
    () => {
      const steps = s.volume.evacuate(at, at + BLOCKS * B)
      while (steps.next().done !== true);
    },
  ])
  assert.equal(own.released, false)
  s.assertFile('/f')
})

test('a share that would copy more than there is room for leaves its destination alone', () => {
  using s = new Scene()
  s.make('/large', 60)
  s.volume.openAs(s.other, '/large', 'r+').pin({ length: 50 * B })
  using large = s.volume.open('/large', 'r')
  using file = s.volume.open('/f', 'r+')
  const own = file.lease({ iomode: 'rw' })
  fill(s, 8)
  refusedAlike('ENOSPC', s, [
    () => large.reflinkRange(0, file, 0, 60 * B, { share: 'copy' }),
    () => s.volume.reflink('/large', '/f', { share: 'copy' }),
  ])
  const { free } = s
  assert.equal(
    codeOf(() => s.volume.reflink('/large', '/new', { share: 'copy' })),
    'ENOSPC',
  )
  assert.equal(
    codeOf(() => s.volume.stat('/new')),
    'ENOENT',
    'and it has no name',
  )
  assert.equal(s.free, free)
  assert.equal(own.released, false)
  // What is not pinned takes no blocks, but records of its own.
  fill(s)
  refusedAlike('ENOSPC', s, [() => large.reflinkRange(50 * B, file, 0, 8 * B)])
  s.volume.truncate('/filler', 0)
  large.reflinkRange(50 * B, file, 0, 8 * B)
  assert.equal(own.released, true)
  assertBytes(s.volume.readFile('/f'), blocksOf('/large', 50, 58), '/f')
  s.other.end()
})

test('without room nothing is recalled', async () => {
  using s = new Scene()
  s.volume.truncate('/f', 40 * B)
  const recalled: number[] = []
  const lease = s.lease('/f', [BLOCKS, 40], { onRecall: (id) => recalled.push(id) })
  fill(s, 6)
  using file = s.volume.open('/f', 'r+')
  const pin = outcomeOf(s.volume.promises.pin(file))
  await idle()
  assert.equal(stateOf(pin), 'ENOSPC')
  assert.deepEqual(recalled, [])
  lease.release()
})

// ---- what is refused for the limit -------------------------------------------------------------

test('a hold past the limit fills no hole, unshares nothing, and takes no own lease', async () => {
  using s = new Scene({ limits: { root: BLOCKS - 1 } })
  s.volume.reflink('/f', '/clone')
  s.volume.truncate('/f', 40 * B)
  using file = s.volume.open('/f', 'r+')
  using clone = s.volume.open('/clone', 'r+')
  for (const open of [file, clone]) open.lease({ iomode: 'read' })
  refusedAlike('ENOMEM', s, [
    () => file.pin(),
    () => file.pin({ offset: BLOCKS * B }),
    () => clone.pin(),
    () => clone.pin({ unshare: 'others' }),
    () => file.map({ direct: true, sync: true, write: true }),
    () => file.map({ direct: true, sync: true }),
    () => clone.map({ direct: true, sync: true }),
  ])
  const recalled: number[] = []
  const lease = s.lease('/f', [BLOCKS, 40], { onRecall: (id) => recalled.push(id) })
  const pin = outcomeOf(s.volume.promises.pin(file))
  await idle()
  assert.equal(stateOf(pin), 'ENOMEM')
  assert.deepEqual(recalled, [], 'nothing is recalled for it either')
  lease.release()
  const most = clone.pin({ length: (BLOCKS - 1) * B })
  refusedAlike('ENOMEM', s, [() => clone.pin({ offset: (BLOCKS - 1) * B })])
  most.release()
})
