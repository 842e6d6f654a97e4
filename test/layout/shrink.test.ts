/** A mounted volume becomes smaller, and what is held behind its new end is asked for first. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { Transfer } from '../../src/layout/transfers.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { KINDS, type Kind } from './cells.js'
import { contractSays, type Column } from './contract_table.js'
import {
  assertBytes,
  assertRefused,
  blocksOf,
  Ground,
  infoOf,
  placesOf,
  type AnyHold,
  type GroundOptions,
} from './ground.js'
import { idle, outcomeOf, type Outcome } from './timers.js'

const BLOCKS = 8
const FILLER = 120
/** Of /f, this block is the first that is behind the new end. */
const CUT = 4

/** /f lies across the end that the volume is to have, /g behind it, and there is room below. */
class Scene extends Ground {
  readonly size: number
  readonly before: number

  constructor(options: GroundOptions = {}) {
    super(options)
    const { volume } = this
    volume.writeFile('/filler', new Uint8Array(FILLER * B))
    for (const path of ['/f', '/g']) volume.writeFile(path, blocksOf(path, 0, BLOCKS))
    volume.unlink('/filler')
    this.before = this.geometry.blockCount * B
    this.size = this.place('/f', CUT)! * B
    assert.equal(this.place('/f', 0)! + CUT, this.size / B, '/f is in one run')
  }

  shrink(): void {
    for (const _ of this.volume.shrink(this.size)) void _
  }

  codeOf(run: () => unknown): string {
    try {
      run()
    } catch (error) {
      return (error as HoldfastError).code
    }
    return 'ok'
  }

  /** Of that many blocks, and /f and /g as they were. */
  assertSize(size: number, what: string): void {
    const { volume, geometry } = this
    assert.equal(volume.statfs().blocks, size / B - geometry.dataStart, `${what}: size`)
    for (const path of ['/f', '/g']) {
      assertBytes(volume.readFile(path), blocksOf(path, 0, BLOCKS), `${what}: ${path}`)
      const { extents } = volume.extents(path)
      const end = Math.max(...extents.map((e) => e.regionBlock + e.count))
      assert.ok(end <= size / B, `${what}: ${path} reaches to ${end}`)
    }
    this.assertClean(what)
  }

  /** The call was refused, and nothing has changed; it can be tried again. */
  assertAsBefore(image: Uint8Array, what: string): void {
    this.assertSameImage(image, what)
    this.assertSize(this.before, what)
    assert.equal(this.volume.core.allocator.limited, false, what)
    assert.equal(this.volume.core.allocator.available, this.free, `${what}: blocks to hand out`)
  }
}

function hold(s: Scene, file: LayoutFile, kind: Kind, blocks: readonly [number, number]): AnyHold {
  const [from, to] = blocks
  const range = { offset: from * B, length: (to - from) * B, reason: kind }
  if (kind === 'pin') return file.pin(range)
  if (kind === 'seal') {
    const mapping = file.map({ ...range, direct: true, write: true })
    return { id: s.volume.holds().at(-1)!.id, release: () => mapping.unmap() }
  }
  return file.lease({ ...range, iomode: kind === 'read lease' ? 'read' : 'rw' })
}

const CONTRACT = { share: 'strict', writeSealed: false } as const

const columnOf = (kind: Kind): Column =>
  kind === 'none' ? 'mediated' : kind === 'fixed, write-sealed' ? 'fixed' : kind

async function tryKind(kind: Kind, where: 'behind' | 'below', own: boolean, waits: boolean) {
  const what = `${own ? 'own' : "another's"} ${kind} ${where} the end, ${waits ? 'promise' : 'sync'}`
  using s = new Scene()
  const { volume } = s
  const file = own ? volume.open('/f', 'r+') : volume.openAs(s.other, '/f', 'r+')
  const fixed = kind.startsWith('fixed')
  if (fixed) volume.fix('/f')
  if (kind === 'fixed, write-sealed') volume.sealWrites('/f')
  const held =
    fixed || kind === 'none'
      ? null
      : hold(s, file, kind, where === 'behind' ? [CUT + 1, CUT + 3] : [0, CUT])
  const says = where === 'below' ? 'ok' : contractSays('move', columnOf(kind), CONTRACT)
  const places = held === null ? [] : placesOf(s, held.id)
  const image = s.image()
  let outcome: Outcome<unknown>
  if (waits) outcome = outcomeOf(volume.promises.shrink(s.size))
  else outcome = outcomeOf((async () => s.shrink())())
  await idle()
  if (says === 'recall' && waits && !own) {
    assert.equal(outcome.settled, false, `${what}: it waits`)
    assert.equal(infoOf(s, held!.id)?.state, 'recalled', what)
    s.assertSameImage(image, `${what}, while it waits`)
    held!.release()
  }
  for (let i = 0; i < 40 && !outcome.settled; i++) await idle()
  assert.equal(outcome.settled, true, what)
  const refused = says === 'recall' ? !own && !waits : says !== 'ok'
  if (refused) {
    const code = says === 'recall' ? 'EBUSY' : says
    assertRefused(outcome.error, code, held === null ? [] : [held], what)
    s.assertAsBefore(image, what)
  } else {
    if (outcome.error !== undefined) throw outcome.error as Error
    s.assertSize(s.size, what)
    if (where === 'below' && held !== null) assert.deepEqual(placesOf(s, held.id), places, what)
  }
  if (held !== null && infoOf(s, held.id) !== undefined) held.release()
  if (fixed) {
    if (kind !== 'fixed') volume.sealWrites('/f', { off: true })
    volume.unfix('/f')
  }
  // Whatever was in the way is gone.
  if (refused) {
    s.shrink()
    s.assertSize(s.size, `${what}, when it was gone`)
  }
  file.close()
}

for (const kind of KINDS) {
  test(`${kind} behind the new end is as the contract has it of a move, below it is in no way`, async () => {
    for (const where of ['behind', 'below'] as const) {
      if (where === 'below' && (kind.startsWith('fixed') || kind === 'none')) continue
      for (const own of [true, false]) {
        for (const waits of [true, false]) await tryKind(kind, where, own, waits)
      }
    }
  })
}

test('blocks behind the new end that left their file and are pinned are EBUSY, with the pin', () => {
  using s = new Scene({ policy: 'defer' })
  const file = s.volume.openAs(s.other, '/g', 'r+')
  const pin = file.pin({ offset: 2 * B, length: B })
  s.volume.truncate('/g', B)
  assert.equal(s.limbo, 1)
  const image = s.image()
  let error: unknown
  try {
    s.shrink()
  } catch (caught) {
    error = caught
  }
  assertRefused(error, 'EBUSY', [pin], 'shrink')
  s.assertSameImage(image, 'shrink')
  assert.equal(s.volume.core.allocator.available, s.free)
  s.volume.writeFile('/g', blocksOf('/g', 0, BLOCKS))
  pin.release()
  s.shrink()
  s.assertSize(s.size, 'without the pin')
  file.close()
})

test('blocks that a lease was fenced from, and that may still be in use, are EBUSY with it', async () => {
  using s = new Scene()
  const file = s.volume.openAs(s.other, '/g', 'r+')
  const lease = file.lease({ iomode: 'rw', offset: 0, length: 2 * B })
  const cut = outcomeOf(s.volume.promises.truncate('/g', 0))
  await s.timers.pass(5_000)
  assert.equal(cut.settled, true)
  assert.equal(lease.info().state, 'fenced')
  const image = s.image()
  const shrink = outcomeOf(s.volume.promises.shrink(s.size))
  await idle()
  assertRefused(shrink.error, 'EBUSY', [lease], 'shrink')
  s.assertSameImage(image, 'shrink')
  s.volume.writeFile('/g', blocksOf('/g', 0, BLOCKS))
  lease.release()
  s.shrink()
  s.assertSize(s.size, 'without the lease')
  file.close()
})

test('a lease that is not given back is in the way for good, and the volume as large as it was', async () => {
  using s = new Scene()
  const file = s.volume.openAs(s.other, '/g', 'r+')
  const lease = file.lease({ iomode: 'rw', offset: 0, length: 2 * B })
  const image = s.image()
  const given = outcomeOf(s.volume.promises.shrink(s.size))
  await s.timers.pass(5_000)
  assertRefused(given.error, 'EBUSY', [lease], 'shrink')
  s.assertAsBefore(image, 'shrink')
  // Fenced, it may still use its blocks: that the file could move away is no help.
  const forced = outcomeOf(s.volume.promises.shrink(s.size, { force: true }))
  await s.timers.pass(5_000)
  for (let i = 0; i < 40 && !forced.settled; i++) await idle()
  assertRefused(forced.error, 'EBUSY', [lease], 'shrink with force')
  assert.equal(lease.info().state, 'fenced')
  s.assertAsBefore(image, 'shrink with force')
  lease.release()
  s.shrink()
  s.assertSize(s.size, 'without the lease')
  file.close()
})

test('what the kernel still reads behind the new end is EBUSY, until it is read', () => {
  using s = new Scene()
  const file = s.volume.open('/g', 'r')
  const transfer = s.volume.call('read', '/g', undefined, () => {
    return new Transfer(s.volume, file.inode, 0, 2 * B)
  })
  assert.equal(
    s.codeOf(() => s.shrink()),
    'EBUSY',
  )
  assert.equal(s.limbo, 2, 'the file moved')
  s.assertSize(s.before, 'while it is read')
  transfer.end()
  s.shrink()
  s.assertSize(s.size, 'when it was read')
  file.close()
})

test('given up in any step it leaves the volume as large as it was, and all of it is handed out', async () => {
  let stops = 0
  for (let after = 0; ; after++) {
    using s = new Scene()
    const controller = new AbortController()
    let steps = 0
    const { signal } = controller
    const onProgress = () => {
      if (steps++ === after) controller.abort()
    }
    const shrink = outcomeOf(s.volume.promises.shrink(s.size, { signal, onProgress }))
    for (let i = 0; i < 40 && !shrink.settled; i++) await idle()
    assert.equal(shrink.settled, true)
    if (shrink.error === undefined) {
      s.assertSize(s.size, `not given up after ${after} steps`)
      break
    }
    stops++
    assert.equal((shrink.error as HoldfastError).code, 'EINTR')
    s.assertSize(s.before, `given up after ${after} steps`)
    assert.equal(s.volume.core.allocator.available, s.free)
    s.shrink()
    s.assertSize(s.size, `again after ${after} steps`)
  }
  assert.ok(stops > 1, `${stops} times given up`)
})

test('one at a time: a second shrink while one is under way is EBUSY, and takes nothing from it', () => {
  using s = new Scene()
  const steps = s.volume.shrink(s.size)
  steps.next()
  assert.equal(
    s.codeOf(() => s.shrink()),
    'EBUSY',
  )
  assert.equal(s.volume.core.allocator.limited, true)
  // What is written meanwhile is not behind the end.
  s.volume.writeFile('/more', blocksOf('/more', 0, BLOCKS))
  assert.ok(s.place('/more', BLOCKS - 1)! < s.size / B)
  for (const _ of steps) void _
  s.assertSize(s.size, 'the first')
  assertBytes(s.volume.readFile('/more'), blocksOf('/more', 0, BLOCKS), '/more')
})

test('a pin behind the new end that is taken meanwhile stops it, named', () => {
  using s = new Scene()
  const steps = s.volume.shrink(s.size)
  steps.next()
  const file = s.volume.openAs(s.other, '/g', 'r+')
  const pin = file.pin({ offset: 6 * B, length: 2 * B })
  assert.ok(placesOf(s, pin.id)[0]! >= s.size / B, 'it has not moved yet')
  let error: unknown
  try {
    for (const _ of steps) void _
  } catch (caught) {
    error = caught
  }
  assertRefused(error, 'EBUSY', [pin], 'shrink')
  s.assertSize(s.before, 'a pin taken meanwhile')
  pin.release()
  file.close()
})

test('a size that is larger, too small, or no whole blocks is EINVAL; no root is EPERM', () => {
  using s = new Scene()
  const image = s.image()
  for (const size of [0, B, 511 * 1024, s.before + B, s.size + 1, NaN, -B, Infinity]) {
    assert.throws(
      () => s.volume.shrink(size).next(),
      /EINVAL: .*a volume of 1048576 bytes, which may shrink to 524288 at least/,
      String(size),
    )
  }
  const user = { uid: 1000, gid: 1000, groups: [] }
  assert.throws(() => s.volume.shrink(s.size, user).next(), { code: 'EPERM' })
  assert.equal(s.volume.shrink(s.before).next().done, true)
  s.assertAsBefore(image, 'sizes that are none')
})

test('a static volume keeps its files where they are: EOPNOTSUPP while one is behind the end', () => {
  using s = new Scene({ options: 1 })
  const image = s.image()
  assert.equal(
    s.codeOf(() => s.shrink()),
    'EOPNOTSUPP',
  )
  s.assertAsBefore(image, 'static')
  const end = Math.max(s.place('/f', BLOCKS - 1)!, s.place('/g', BLOCKS - 1)!) + 1
  for (const _ of s.volume.shrink(end * B)) void _
  s.assertSize(end * B, 'static, behind all files')
})

test('a block behind the end that cannot be read may be metadata: EIO, until it can', () => {
  using s = new Scene()
  const { region, volume } = s
  const { read, check } = region
  let [lost, met] = [-1, false]
  region.read = (offset, target, start, length) => {
    if (offset <= lost * B && lost * B < offset + length) met = true
    read.call(region, offset, target, start, length)
  }
  region.check = () => {
    check.call(region)
    if (!met) return
    met = false
    throw new HoldfastError('EIO', 'SIGBUS (code 4)')
  }
  const unused = s.geometry.blockCount - 1
  volume.markBad(unused)
  volume.setXattr('/f', 'user.long', blocksOf('x', 0, 4))
  lost = unused
  assert.throws(() => s.shrink(), /EIO: block 255 cannot be read/)
  lost = -1
  s.assertSize(s.before, 'after a block could not be read')
  assert.equal(volume.core.allocator.available, s.free)
  s.shrink()
  s.assertSize(s.size, 'when it can be read again')
  assert.deepEqual(volume.badBlocks(), [unused])
  assertBytes(volume.getXattr('/f', 'user.long'), blocksOf('x', 0, 4), 'the attribute')
})
