/** What calls leave behind that were refused, stopped half way, or came while a fence drained. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { LeaseOptions } from '../../src/layout/grants.js'
import type { Hold } from '../../src/layout/hold.js'
import type { Session } from '../../src/layout/session.js'
import { assertBytes, assertRefused, blocksOf, Ground } from './ground.js'
import { idle, outcomeOf } from './timers.js'

const BLOCKS = 8

class Scene extends Ground {
  make(path: string): void {
    const file = this.volume.open(path, 'wx+')
    file.write(blocksOf(path, 0, BLOCKS), 0)
    file.close()
  }

  as(session: Session, path: string, run: (file: LayoutFile) => void): void {
    using file = this.volume.openAs(session, path, 'r+')
    run(file)
  }

  lease(session: Session, path: string, options: Partial<LeaseOptions> = {}): Hold {
    using file = this.volume.openAs(session, path, 'r+')
    return file.lease({ iomode: 'read', ...options })
  }

  /** The call is refused, names these holds, and has changed nothing of files or holds. */
  refused(holds: readonly Hold[], run: () => void): void {
    const before = this.image()
    const listed = JSON.stringify(this.volume.holds())
    let error: unknown = null
    try {
      run()
    } catch (caught) {
      error = caught
    }
    assertRefused(error, 'EBUSY', holds, 'the call')
    this.assertSameImage(before, 'the call')
    assert.equal(JSON.stringify(this.volume.holds()), listed, 'the holds are as they were')
  }
}

/** /f, and /clone which shares all of it. */
function cloned(run: (scene: Scene, mine: Session) => void): void {
  using scene = new Scene()
  scene.make('/f')
  scene.volume.reflink('/f', '/clone')
  run(scene, scene.volume.session({ name: 'mine' }))
}

test('a pin refused by the lease of another leaves the own lease in its way', () => {
  // The first run of blocks was asked for, its own lease given back, and then the second refused.
  cloned((s, mine) => {
    s.as(mine, '/f', (file) => file.write(blocksOf('/f', 3, 4), 3 * B)) // two shared runs
    const own = s.lease(mine, '/clone', { length: 3 * B })
    const others = s.lease(s.other, '/clone', { offset: 4 * B })
    s.refused([others], () => {
      s.as(mine, '/f', (file) => void file.pin({ unshare: 'others' }))
    })
    others.release()
    s.as(mine, '/f', (file) => file.pin({ unshare: 'others' }).release())
    assert.equal(own.released, true, 'it counts as given back once the pin is granted')
  })
})

test('a punch refused at its far edge has not zeroed the near one', () => {
  cloned((s, mine) => {
    const own = s.lease(mine, '/f', { offset: 1 * B, length: 2 * B })
    const others = s.lease(s.other, '/f', { offset: 4 * B, length: B })
    s.refused([others], () => {
      s.as(mine, '/f', (file) => file.punch(100, 4 * B)) // ends within block 4, which is shared
    })
    assert.equal(own.info().ranges.length, 1)
    others.release()
    s.as(mine, '/f', (file) => file.punch(100, 4 * B))
    assert.equal(own.released, true)
    assertBytes(s.volume.readFile('/clone'), blocksOf('/f', 0, BLOCKS), 'the clone')
  })
})

test('a write far past the end is refused for the last block before it adds any', () => {
  using s = new Scene()
  s.make('/f')
  s.volume.truncate('/f', BLOCKS * B - 100)
  s.volume.reflink('/f', '/clone')
  const mine = s.volume.session({ name: 'mine' })
  const others = s.lease(s.other, '/f', { offset: (BLOCKS - 1) * B, length: B })
  const own = s.lease(mine, '/f', { offset: (BLOCKS + 2) * B, length: 4 * B })
  const write = () => s.as(mine, '/f', (file) => void file.write(new Uint8Array(B), 10 * B))
  s.refused([others], write)
  others.release()
  write()
  assert.deepEqual(
    own.info().ranges,
    [{ offset: 11 * B, length: 3 * B }],
    'what it wrote to counts as given back, and no more',
  )
})

test('a copy says how far it came before a fixed file stopped it', () => {
  using s = new Scene()
  const file = s.volume.open('/from', 'wx+')
  file.write(blocksOf('/from', 0, 2), 0)
  file.write(blocksOf('/from', 3, 6), 3 * B) // and a hole between them
  file.close()
  s.volume.writeFile('/to', new Uint8Array(3 * B).fill(9))
  s.volume.fix('/to')
  using from = s.volume.open('/from', 'r')
  using to = s.volume.open('/to', 'r+')
  assert.equal(from.copyRange(0, to, 0, 6 * B), 3 * B, 'as far as the file goes')
  const copied = new Uint8Array(3 * B)
  copied.set(blocksOf('/from', 0, 2))
  assertBytes(s.volume.readFile('/to'), copied, 'what was copied')
  const error = codeOf(() => from.copyRange(3 * B, to, 3 * B, 3 * B))
  assert.equal(error, 'EPERM', 'the next call says why')
})

test('a copy of a hole onto a pinned block writes zeros there', () => {
  using s = new Scene()
  const file = s.volume.open('/from', 'wx+')
  file.write(blocksOf('/from', 0, 2), 0)
  file.truncate(4 * B) // two blocks, and a hole of two
  file.close()
  s.volume.writeFile('/to', new Uint8Array(6 * B).fill(9))
  const pin = s.volume.openAs(s.other, '/to', 'r+').pin({ offset: 2 * B, length: B })
  using from = s.volume.open('/from', 'r')
  using to = s.volume.open('/to', 'r+')
  assert.equal(from.copyRange(0, to, 0, 4 * B), 4 * B, 'zeros are written where blocks stay')
  assertBytes(s.volume.readFile('/to').subarray(2 * B, 4 * B), new Uint8Array(2 * B), 'the hole')
  assert.notEqual(s.place('/to', 2), null)
  pin.release()
})

// ---- while a fence drains
// ------------------------------------------------------------------------

test('a change of the same session waits for the drain of its own lease as any other', async () => {
  using s = new Scene()
  s.make('/f')
  let drained = () => {}
  const revoke = () => new Promise<void>((resolve) => (drained = resolve))
  const lease = s.lease(s.other, '/f', { iomode: 'rw', revoke })
  const first = outcomeOf(s.volume.promises.truncate('/f', 6 * B))
  await s.timers.pass(5_000)
  assert.equal(first.settled, false, 'its transfers are under way')
  s.refused([lease], () => s.as(s.other, '/f', (file) => file.truncate(4 * B)))
  const file = s.volume.openAs(s.other, '/f', 'r+')
  const second = outcomeOf(s.volume.promises.resize(file, 4 * B))
  await idle()
  assert.equal(second.settled, false)
  assert.notEqual(s.place('/f', 5), null)
  drained()
  await idle()
  assert.equal(first.settled && second.settled, true)
  assert.equal(lease.released, true)
  assert.equal(s.volume.stat('/f').size, 4 * B)
  file.close()
})

test('who comes while a fence drains gets on as well when it fails', async () => {
  using s = new Scene()
  s.make('/f')
  let fail = () => {}
  const revoke = () =>
    new Promise<void>((_resolve, reject) => (fail = () => reject(new Error('gone'))))
  const lease = s.lease(s.other, '/f', { iomode: 'rw', revoke })
  const cut = outcomeOf(s.volume.promises.truncate('/f', 6 * B))
  await s.timers.pass(5_000)
  const file = s.volume.open('/f', 'r+')
  const punch = outcomeOf(s.volume.promises.punch(file, B, B))
  await idle()
  assert.equal(punch.settled, false)
  fail()
  await idle()
  assert.equal(cut.settled, true)
  assert.equal(punch.settled, true, 'nobody would have told it')
  assert.equal(punch.error, undefined)
  assert.equal(s.limbo, 3)
  assert.equal(lease.info().state, 'fenced')
  file.close()
  lease.release()
  assert.equal(s.limbo, 0)
})

test('what a fenced lease gives back leaves limbo, and the rest stays for it', async () => {
  using s = new Scene()
  s.make('/f')
  const lease = s.lease(s.other, '/f', { iomode: 'rw' })
  const cut = outcomeOf(s.volume.promises.truncate('/f', 2 * B))
  await s.timers.pass(5_000)
  assert.equal(cut.settled, true)
  assert.equal(s.limbo, 6)
  lease.returnRange(5 * B, 2 * B)
  assert.equal(s.limbo, 4)
  assert.equal(lease.info().bytes, 6 * B, 'two in the file, four in limbo')
  lease.returnRange(2 * B, 3 * B)
  lease.returnRange(7 * B, B)
  assert.equal(s.limbo, 0)
  assert.equal(lease.info().bytes, 2 * B)
  lease.returnRange(0, 2 * B)
  assert.equal(lease.released, true, 'nothing of it is left')
})

/**
 * What a lease that nobody can cut off reads at its addresses stays, whoever else owns the block.
 */
async function readerStays(target: 'another file' | 'the same file'): Promise<void> {
  using s = new Scene()
  s.make('/f')
  const clone = target === 'another file' ? '/clone' : '/f'
  const at = target === 'another file' ? 0 : BLOCKS
  if (target === 'another file') s.volume.writeFile(clone, new Uint8Array(0))
  s.as(s.other, '/f', (file) => {
    using to = s.volume.open(clone, 'r+')
    file.reflinkRange(6 * B, to, at * B, 2 * B)
  })
  const lease = s.lease(s.other, '/f', { offset: 6 * B, length: 2 * B })
  const place = s.place('/f', 6)!
  const from = s.volume.open('/f', 'r+')
  const punch = outcomeOf(s.volume.promises.punch(from, 6 * B, 2 * B))
  await s.timers.pass(5_000)
  assert.equal(punch.settled && punch.error === undefined, true)
  assert.equal(s.place('/f', 6), null)
  assert.equal(s.place(clone, at), place, 'the other owner has the block alone')
  s.as(s.other, clone, (file) => void file.write(new Uint8Array(B).fill(7), at * B))
  assertBytes(s.bytesAt(place), blocksOf('/f', 6, 7), `what the lease reads, of ${target}`)
  from.close()
  lease.release()
}

test('a lease that cannot be cut off keeps its bytes when the other owner writes', () =>
  readerStays('another file'))

test('a lease that cannot be cut off keeps its bytes when its file writes to a clone of them', () =>
  readerStays('the same file'))

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof HoldfastError) return error.code
    throw error
  }
  return 'done'
}

test('a directory is not held, by nobody and in no way, and stays what it is', () => {
  using scene = new Scene()
  const { volume } = scene
  volume.mkdir('/directory', 0o755)
  using directory = volume.open('/directory', 'r')
  const range = { offset: 0, length: 2 * B }
  for (const take of [
    () => directory.pin(range),
    () => directory.lease({ ...range, iomode: 'rw' }),
    () => directory.lease({ ...range, iomode: 'read' }),
  ]) {
    const before = scene.image()
    assert.throws(take, { code: 'EISDIR' })
    scene.assertSameImage(before, 'the call')
    assert.deepEqual(volume.holds(), [])
  }
})
