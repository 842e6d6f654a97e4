/** What the mailing lists of Linux have told of for twenty years, each as a test. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { systemTimers } from '../../src/base/timers.js'
import type { Hold } from '../../src/layout/hold.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { collect } from '../native/garbage.js'
import {
  assertBytes,
  assertRefused,
  blocksOf,
  Ground,
  placesOf,
  type GroundOptions,
} from './ground.js'
import { outcomeOf } from './timers.js'

const BLOCKS = 8

/** A device that has taken addresses, and knows of nothing else. */
class Device {
  readonly #ground: Ground
  readonly #at: number[]

  constructor(ground: Ground, hold: Hold) {
    this.#ground = ground
    this.#at = hold
      .runs()
      .flatMap(({ regionOffset, length }) =>
        Array.from({ length: length / B }, (_, i) => regionOffset + i * B),
      )
  }

  write(block: number, tag: string): void {
    this.#ground.storeAt(this.#at[block]!, blocksOf(tag, block, block + 1))
  }

  assertReads(block: number, tag: string, of = block): void {
    const bytes = this.#ground.bytesAt(this.#at[block]! / B)
    assertBytes(bytes, blocksOf(tag, of, of + 1), `block ${block} as the device reads it`)
  }
}

class Story extends Ground {
  fill(path: string, blocks = BLOCKS): void {
    const file = this.volume.open(path, 'wx+')
    file.write(blocksOf(path, 0, blocks), 0)
    file.close()
  }

  /** A registration by somebody else. */
  register(path: string, from = 0, to = BLOCKS): { hold: Hold; device: Device } {
    const file = this.volume.openAs(this.other, path, 'r+')
    const hold = file.pin({ offset: from * B, length: (to - from) * B, reason: 'an MR' })
    file.close()
    return { hold, device: new Device(this, hold) }
  }

  block(path: string, block: number): Uint8Array {
    return this.volume.readFile(path).subarray(block * B, (block + 1) * B)
  }

  assertFile(path: string, tag: string): void {
    assertBytes(this.volume.readFile(path), blocksOf(tag, 0, BLOCKS), path)
  }
}

function story(name: string, run: (story: Story) => void | Promise<void>, options?: GroundOptions) {
  test(name, async () => {
    using ground = new Story(options)
    ground.fill('/f')
    await run(ground)
  })
}

function refusal(run: () => unknown): HoldfastError {
  try {
    run()
  } catch (error) {
    return error as HoldfastError
  }
  assert.fail('it was not refused')
}

/** Makes a volume with pins and lets go of both: the pins are collected, the volume is next. */
function dropVolume(closed: boolean): void {
  const region = heapRegion(1 << 20)
  formatVolume(region)
  const volume = LayoutVolume.mount(region)
  const file = volume.open('/f', 'wx+')
  file.write(blocksOf('f', 0, BLOCKS), 0)
  for (let i = 0; i < BLOCKS; i++) file.pin({ offset: i * B, length: B })
  collect()
  if (closed) volume.close()
}

// A file on DAX is registered with a NIC (get_user_pages), then truncated: the filesystem frees the
// blocks, the NIC still has their addresses ("fs/dax: deadlock/corruption with RDMA", 2017-2019).
story('truncate under a registered region', (s) => {
  const { hold, device } = s.register('/f')
  assertRefused(
    refusal(() => s.volume.truncate('/f', 0)),
    'EBUSY',
    [hold],
    'truncate',
  )
  assert.match(refusal(() => s.volume.truncate('/f', 0)).message, /pin 1 of session 2 \(nic0/)
  for (let block = 0; block < BLOCKS; block++) device.assertReads(block, '/f')
  device.write(3, 'dma')
  assertBytes(s.block('/f', 3), blocksOf('dma', 3, 4), 'what the device wrote')
  hold.release()
  s.volume.truncate('/f', 0)
})

// The same by fallocate(FALLOC_FL_PUNCH_HOLE), which changes no size and was forgotten first.
story('hole punch under a registered region', (s) => {
  const { hold, device } = s.register('/f', 2, 6)
  const file = s.volume.open('/f', 'r+')
  assertRefused(
    refusal(() => file.punch(5 * B, 2 * B)),
    'EBUSY',
    [hold],
    'punch',
  )
  // Parts of blocks are zeroed where they are, and none leaves the file.
  file.punch(5 * B + 8, 100)
  file.punch(6 * B, 2 * B)
  device.assertReads(0, '/f', 2)
  hold.release()
  file.close()
})

// The freed pages become another file's, and the DMA that is still under way lands in that.
story("DMA into a page that is now another file's", (s) => {
  const { hold, device } = s.register('/f')
  s.volume.truncate('/f', 0, undefined, { policy: 'defer' })
  s.volume.unlink('/f')
  // Everything that is free is taken.
  const other = s.volume.open('/other', 'wx+')
  let size = 0
  const error = refusal(() => {
    for (;;) size += other.write(blocksOf('other', size / B, size / B + 1), size)
  })
  assert.equal(error.code, 'ENOSPC')
  assert.match(error.detail, /; 8 more when the holds on them end/)
  assert.deepEqual(
    error.holds?.map(({ id }) => id),
    [hold.id],
  )
  for (let block = 0; block < BLOCKS; block++) {
    device.assertReads(block, '/f')
    device.write(block, 'dma')
  }
  assertBytes(s.volume.readFile('/other'), blocksOf('other', 0, size / B), '/other')
  hold.release()
  assert.equal(s.limbo, 0)
  other.write(blocksOf('other', 0, 1), size)
  other.close()
})

// A registration for READ alone did not break copy-on-write: the owner wrote, got a new page, and
// the device went on sending the old one (CVE-2020-29374, "gup: break COW even for reads").
story('a READ registration of a reflinked file whose owner then writes', (s) => {
  s.volume.reflink('/f', '/clone')
  const { hold, device } = s.register('/f')
  const writer = s.volume.open('/f', 'r+')
  writer.write(blocksOf('new', 0, 2), 0)
  device.assertReads(0, 'new')
  device.assertReads(1, 'new')
  device.assertReads(2, '/f')
  const clone = s.volume.open('/clone', 'r+')
  clone.write(blocksOf('clone', 2, 3), 2 * B)
  device.assertReads(2, '/f')
  assertBytes(s.block('/clone', 0), blocksOf('/f', 0, 1), 'the clone')
  hold.release()
  writer.close()
  clone.close()
})

// fork() and KSM made pages shared that DMA wrote to; reflink does the same to blocks.
story('reflink while pinned', (s) => {
  const { hold, device } = s.register('/f', 2, 4)
  assertRefused(
    refusal(() => s.volume.reflink('/f', '/clone')),
    'EBUSY',
    [hold],
    'reflink',
  )
  assert.equal(s.volume.readdir('/').length, 1, 'no name is left behind')
  s.volume.reflink('/f', '/clone', { share: 'copy' })
  device.write(0, 'dma')
  s.assertFile('/clone', '/f')
  assertBytes(s.block('/f', 2), blocksOf('dma', 0, 1), '/f has it')
  assert.equal(s.place('/f', 0), s.place('/clone', 0), 'the rest is shared')
  assert.notEqual(s.place('/f', 2), s.place('/clone', 2))
  hold.release()
})

// FICLONERANGE looked at the source alone: the destination's pages went while they were pinned.
story('reflink onto a pinned destination', (s) => {
  s.fill('/g')
  const { hold, device } = s.register('/f', 2, 4)
  const [f, g] = [s.volume.open('/f', 'r+'), s.volume.open('/g', 'r+')]
  const onto = (policy?: 'defer') =>
    g.reflinkRange(0, f, B, 2 * B, policy === undefined ? {} : { policy })
  assertRefused(refusal(onto), 'EBUSY', [hold], 'reflink')
  s.assertFile('/f', '/f')
  const whole = refusal(() => s.volume.reflink('/g', '/f', { share: 'copy' }))
  assertRefused(whole, 'EBUSY', [hold], 'copy is about the source')
  onto('defer')
  device.write(0, 'dma')
  device.write(1, 'dma')
  assertBytes(s.block('/f', 2), blocksOf('/g', 1, 2), 'block 2 has left the hold')
  assertBytes(s.block('/f', 3), blocksOf('dma', 1, 2), 'block 3 has not')
  s.assertFile('/g', '/g')
  hold.release()
  f.close()
  g.close()
})

// A shorter source, and a pin behind its end: half of it was done before it was refused.
story('reflink onto a longer destination that is pinned', (s) => {
  s.fill('/short', 3)
  for (const from of [1, 5]) {
    const { hold } = s.register('/f', from, from + 1)
    const image = s.image()
    assertRefused(
      refusal(() => s.volume.reflink('/short', '/f')),
      'EBUSY',
      [hold],
      'reflink',
    )
    s.assertSameImage(image, `reflink onto a file pinned in block ${from}`)
    hold.release()
  }
})

// copy_file_range and cp had worked before there was sharing, and must not fail for a hold.
story('a copy never fails because of a pin, on either side', (s) => {
  const sparse = s.volume.open('/sparse', 'wx+')
  sparse.write(blocksOf('/sparse', 0, 1), 0)
  sparse.truncate(BLOCKS * B)
  const from = s.register('/sparse', 0, 1)
  const { hold, device } = s.register('/f')
  const f = s.volume.open('/f', 'r+')
  assert.equal(sparse.copyRange(0, f, 0, BLOCKS * B), BLOCKS * B)
  assertBytes(s.volume.readFile('/f'), s.volume.readFile('/sparse'), '/f')
  device.assertReads(0, '/sparse')
  device.write(5, 'dma')
  assertBytes(s.block('/f', 5), blocksOf('dma', 5, 6), 'the pinned blocks are still the file')
  hold.release()
  from.hold.release()
  f.close()
  sparse.close()
})

// S_IOMAP_IMMUTABLE (2017): a file whose map does not change; a clone would give it shared blocks.
story('a clone of a fixed file', (s) => {
  s.volume.fix('/f')
  const image = s.image()
  assertRefused(
    refusal(() => s.volume.reflink('/f', '/clone')),
    'EPERM',
    [],
    'reflink',
  )
  s.assertSameImage(image, 'a clone of a fixed file')
  const generation = s.generation('/f')
  s.volume.reflink('/f', '/copy', { share: 'copy' })
  const file = s.volume.open('/f', 'r+')
  file.write(blocksOf('new', 0, 1), 0)
  s.assertFile('/copy', '/f')
  s.volume.sealWrites('/f')
  s.volume.reflink('/f', '/clone')
  assert.equal(s.place('/f', 0), s.place('/clone', 0))
  assert.equal(refusal(() => file.write(blocksOf('x', 0, 1), 0)).code, 'EPERM')
  const off = refusal(() => s.volume.sealWrites('/f', { off: true }))
  assert.equal(off.code, 'EBUSY', 'its blocks have other owners')
  assert.equal(generation, s.generation('/f') - 1, 'the layout changed by the share alone')
  s.volume.unlink('/clone')
  s.volume.sealWrites('/f', { off: true })
  s.volume.unfix('/f')
  file.close()
})

// Three clones of one fixed file: whoever has to move it is not that one.
story('a fixed file as the one immovable owner of a shared block', (s) => {
  s.volume.fix('/f')
  s.volume.sealWrites('/f')
  const clones = ['/a', '/b', '/c']
  for (const path of clones) s.volume.reflink('/f', path)
  const places = Array.from({ length: BLOCKS }, (_, i) => s.place('/f', i))
  const file = s.volume.open('/f', 'r')
  assert.equal(refusal(() => file.unshare('self')).code, 'EPERM', 'it does not move')
  const self = refusal(() => file.pin())
  assert.equal(self.code, 'EPERM', 'nor for a pin')
  const { hold, device } = s.register('/a', 0, 2)
  assert.notEqual(s.place('/a', 0), places[0], 'the clone that is pinned moved')
  const others = s.volume.open('/b', 'r+').pin({ length: 2 * B, unshare: 'others' })
  assert.notEqual(s.place('/b', 0), places[0], 'it moved although others were to')
  const kept = file.pin({ unshare: 'others' })
  assert.deepEqual(
    Array.from({ length: BLOCKS }, (_, i) => s.place('/f', i)),
    places,
  )
  for (const path of clones) {
    s.assertFile(path, '/f')
    for (let i = 0; i < BLOCKS; i++) assert.notEqual(s.place(path, i), places[i], path)
  }
  device.assertReads(1, '/f')
  for (const end of [hold, others, kept]) end.release()
})

// The name goes, the inode stays: as an open file, which a registration never was to the kernel.
story('unlink of the last name while pinned', (s) => {
  const { hold, device } = s.register('/f')
  const places = placesOf(s, hold.id)
  s.volume.unlink('/f')
  assert.equal(refusal(() => s.volume.stat('/f')).code, 'ENOENT')
  device.assertReads(7, '/f')
  device.write(7, 'dma')
  device.assertReads(7, 'dma')
  const { allocator } = s.volume.core
  for (const block of places) assert.equal(allocator.freeIn(block, block + 1), 0)
  s.fill('/f')
  s.fill('/g')
  s.volume.rename('/g', '/f')
  s.assertFile('/f', '/g')
  device.assertReads(0, '/f')
  hold.release()
  s.volume.sync()
  for (const block of places) assert.equal(allocator.freeIn(block, block + 1), 1, 'freed')
})

// FALLOC_FL_COLLAPSE_RANGE moves all that is behind it: far below a pin is not beside it.
story('collapse-range far below a pin', (s) => {
  const { hold, device } = s.register('/f', 7, 8)
  const file = s.volume.open('/f', 'r+')
  for (const shift of [() => file.collapse(0, B), () => file.insert(0, B)]) {
    const image = s.image()
    assertRefused(refusal(shift), 'EBUSY', [hold], 'shift')
    s.assertSameImage(image, 'a shift')
  }
  device.assertReads(0, '/f', 7)
  hold.release()
  const front = s.register('/f', 0, 1)
  file.collapse(4 * B, B)
  file.insert(B, B)
  front.device.assertReads(0, '/f')
  front.hold.release()
  file.close()
})

// Long-term pins of a process that nobody knows any more: the error says whose they are.
story('a process that forgets to let go', (s) => {
  const { hold, device } = s.register('/f')
  const error = refusal(() => s.volume.truncate('/f', 0))
  assert.equal(error.holds?.[0]?.owner.name, 'nic0')
  assert.equal(error.holds[0].reason, 'an MR')
  device.write(0, 'dma')
  s.other.end()
  assert.equal(hold.released, true)
  assert.equal(refusal(() => s.volume.openAs(s.other, '/f')).code, 'ESTALE')
  s.volume.truncate('/f', 0)
})

// F_SETLEASE with a break that nobody answers: in Linux the filesystem waits, or kills (SIGBUS).
story('a holder that does not answer', async (s) => {
  const file = s.volume.openAs(s.other, '/f', 'r+')
  const hold = file.lease({ iomode: 'rw' })
  const device = new Device(s, hold)
  const cut = outcomeOf(s.volume.promises.truncate('/f', 0))
  await s.timers.pass(4_999)
  assert.equal(cut.settled, false)
  await s.timers.pass(1)
  assert.equal(cut.settled, true)
  assert.equal(cut.error, undefined)
  assert.equal(s.limbo, BLOCKS)
  s.fill('/g')
  for (let block = 0; block < BLOCKS; block++) {
    device.assertReads(block, '/f')
    device.write(block, 'dma')
  }
  s.assertFile('/g', '/g')
  file.close()
  s.other.end()
  assert.equal(s.limbo, 0)
})

// A leak of free space that df shows and nobody finds: who finds none is told who has it.
story('a full volume, some of whose blocks are in use by no file', async (s) => {
  for (const path of ['/a', '/b', '/c']) s.fill(path)
  const pins = ['/a', '/b'].map((path) => s.register(path, 0, 4).hold)
  const file = s.volume.openAs(s.other, '/c', 'r+')
  const lease = file.lease({ iomode: 'rw' })
  s.volume.truncate('/a', 0, undefined, { policy: 'defer' })
  const cut = outcomeOf(s.volume.promises.truncate('/c', 0))
  await s.timers.pass(5_000)
  assert.equal(cut.settled, true)
  const full = refusal(() => s.fill('/full', 4096))
  assert.equal(full.code, 'ENOSPC')
  assert.match(full.detail, /; 12 more when the holds on them end/)
  const ids = (error: HoldfastError) => error.holds?.map(({ id }) => id)
  assert.deepEqual(ids(full), [pins[0]!.id, lease.id], "whose blocks are a file's is not named")
  lease.release()
  assert.deepEqual(ids(refusal(() => s.fill('/fuller', 4096))), [pins[0]!.id])
  pins[0]!.release()
  const last = refusal(() => s.fill('/fullest', 4096))
  assert.doesNotMatch(last.detail, /holds/)
  assert.equal(last.holds, undefined)
  file.close()
})

// "Let the truncate succeed and orphan the pages": they stay the device's, and no new file's.
story(
  'a NIC that writes after truncate deferred',
  (s) => {
    const { hold, device } = s.register('/f')
    const file = s.volume.open('/f', 'r+')
    file.truncate(4 * B, { policy: 'defer' })
    assert.equal(hold.info().state, 'held', 'a part is still the file')
    file.truncate(0)
    assert.equal(hold.info().state, 'deferred')
    file.write(blocksOf('new', 0, BLOCKS), 0)
    for (let block = 0; block < BLOCKS; block++) device.write(block, 'dma')
    s.assertFile('/f', 'new')
    assert.equal(refusal(() => hold.commit(BLOCKS * B)).code, 'ESTALE')
    // A hold is of its blocks then, and no longer of the range: that is anybody's.
    const again = s.register('/f')
    again.device.assertReads(0, 'new')
    again.hold.release()
    file.truncate(0)
    device.assertReads(0, 'dma')
    hold.release()
    assert.equal(s.limbo, 0)
    file.close()
  },
  { policy: 'defer' },
)

// The object goes, the addresses do not: a finaliser that unpins is a use after free.
story('a hold that is garbage collected is reported, and not released', async (s) => {
  // Volumes that go before it was told what went of theirs keep no other from telling.
  for (const closed of [true, false]) {
    dropVolume(closed)
    collect()
    await systemTimers.turn()
  }
  const lost: number[] = []
  s.volume.watchHolds(({ kind, holds }) => {
    if (kind === 'lost') lost.push(holds[0]!.id)
  })
  const file = s.volume.openAs(s.other, '/f', 'r+')
  // Ids of a place in the table that was used often have more than 32 bits.
  for (let i = 0; i < 5000; i++) file.pin().release()
  const id = (() => file.pin().id)()
  assert.ok(id > 2 ** 32)
  for (let i = 0; i < 200 && lost.length === 0; i++) {
    collect()
    await systemTimers.turn()
  }
  assert.deepEqual(lost, [id])
  assert.equal(s.volume.holds().length, 1, 'it is still there')
  assert.equal(refusal(() => s.volume.truncate('/f', 0)).code, 'EBUSY')
  file.close()
  s.other.end()
  s.volume.truncate('/f', 0)
})
