/** Blocks with several owners: who moves away from whom, who may ask for it, what stays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { InodeFlag } from '../../src/media/inode.js'
import { assertBytes, blocksOf } from './ground.js'
import { BLOCKS, codeOf, Scene } from './scene.js'

const USER = { uid: 1000, gid: 1000 }

/** /f and /clone, which shares all of it. */
function cloned(run: (scene: Scene) => void): void {
  using scene = new Scene()
  scene.volume.reflink('/f', '/clone')
  run(scene)
}

/** What makes the other owners of the blocks of /f move. */
const FORMS = {
  'a pin': (scene: Scene, as = scene.other) =>
    scene.as(as, '/f', (file) => file.pin({ unshare: 'others' }).release()),
  'unshare()': (scene: Scene, as = scene.other) =>
    scene.as(as, '/f', (file) => file.unshare('others')),
}

for (const [form, ask] of Object.entries(FORMS)) {
  test(`${form} makes others move for the owner of all of them, and for nobody else`, () =>
    cloned((s) => {
      const user = s.volume.session({ name: 'user', as: USER })
      s.volume.chown('/f', USER.uid, USER.gid)
      s.volume.chown('/clone', 1001, 1001)
      s.volume.chmod('/clone', 0o666)
      const places = s.places('/f')
      s.refused('EPERM', [], () => ask(s, user))
      s.volume.chown('/clone', USER.uid, USER.gid)
      ask(s, user)
      assert.deepEqual(s.places('/f'), places, 'it stays')
      for (const place of s.places('/clone')) assert.equal(places.includes(place), false)
      s.assertFile('/f')
      s.assertFile('/clone', '/f')
    }))

  test(`${form} asks all the others before one of them moves`, () =>
    cloned((s) => {
      // Block 6 is another run, the last that is looked at.
      s.as(null, '/f', (file) => file.write(blocksOf('own', 5, 6), 5 * B))
      const lease = s.lease('/clone', [6, 7])
      const own = s.lease('/clone', [0, 1], {}, s.volume.self)
      s.refused('EBUSY', [lease], () => ask(s, s.volume.self))
      assert.equal(own.released, false)
      lease.release()
      ask(s, s.volume.self)
      assert.equal(own.released, true, 'it counts as given back once the call goes on')
    }))

  test(`${form} of a clone of a fixed file asks for its own holds before others move`, () => {
    using s = new Scene()
    s.make('/fixed')
    s.volume.fix('/fixed')
    s.volume.sealWrites('/fixed')
    s.as(null, '/f', (file) => {
      using fixed = s.volume.open('/fixed', 'r')
      fixed.reflinkRange(4 * B, file, 4 * B, 4 * B)
    })
    s.volume.reflink('/f', '/clone') // the first half is shared with this alone
    const lease = s.lease('/f', [6, 7])
    s.refused('EBUSY', [lease], () => ask(s, s.volume.self))
    lease.release()
    const kept = s.places('/fixed', [4, 8])
    const front = s.places('/f', [0, 4])
    ask(s, s.volume.self)
    assert.deepEqual(s.places('/fixed', [4, 8]), kept, 'who is fixed stays')
    assert.deepEqual(s.places('/f', [0, 4]), front, 'where nobody is, the others move')
    for (const place of s.places('/f', [4, 8])) assert.equal(kept.includes(place), false)
    assertBytes(s.block('/f', 5), blocksOf('/fixed', 5, 6), 'its content')
  })

  test(`${form} of a block that two fixed files have is EPERM: neither can move`, () =>
    cloned((s) => {
      // No call makes two fixed owners; a medium may have them.
      const flags = InodeFlag.fixed | InodeFlag.writeSealed
      const set = (path: string, value: number) => {
        s.volume.core.pages.tick()
        s.volume.attributes.setLayoutFlags(s.volume.stat(path).ino, flags, value)
      }
      set('/f', flags)
      set('/clone', flags)
      const error = s.refused('EPERM', [], () => ask(s, s.volume.self))
      assert.match(error.message, /inode \d+ shares them and is fixed as well/)
      set('/clone', 0)
      const places = s.places('/f')
      ask(s, s.volume.self)
      assert.deepEqual(s.places('/f'), places)
    }))
}

test('others move from a hold at the end of a file, and keep what is not asked for', () =>
  cloned((s) => {
    const places = s.places('/f')
    // What reads the other blocks of the clone is not in the way.
    const { self } = s.volume
    const leases = [s.lease('/clone', [0, 5], {}, self), s.lease('/clone', [7, 8], {}, self)]
    const pin = s.pin('/f', [5, 7], { unshare: 'others' })
    assert.deepEqual(s.places('/f'), places)
    assert.deepEqual(s.places('/clone', [0, 5]), places.slice(0, 5), 'still shared')
    assert.equal(s.place('/clone', 7), places[7], 'still shared')
    for (const block of [5, 6]) assert.notEqual(s.place('/clone', block), places[block])
    for (const hold of [pin, ...leases]) hold.release()
  }))

test('all others move from runs that different files share', () => {
  using s = new Scene()
  s.make('/a', 0)
  s.make('/b', 0)
  s.as(null, '/f', (file) => {
    s.as(null, '/a', (a) => file.reflinkRange(0, a, 0, 4 * B))
    s.as(null, '/b', (b) => file.reflinkRange(2 * B, b, 2 * B, 6 * B))
  })
  const places = s.places('/f')
  const pin = s.pin('/f', [1, 7], { unshare: 'others' })
  assert.deepEqual(s.places('/f'), places)
  const moved = (path: string) => s.places(path).map((place, i) => place !== places[i])
  const [yes, no] = [true, false]
  assert.deepEqual(moved('/a').slice(0, 4), [no, yes, yes, yes])
  assert.deepEqual(moved('/b').slice(2), [yes, yes, yes, yes, yes, no])
  s.assertFile('/a', '/f', 4)
  assertBytes(s.volume.readFile('/b').subarray(2 * B), blocksOf('/f', 2, 8), '/b')
  pin.release()
})

test('of a block that is in one file twice, the other place moves', () => {
  using s = new Scene()
  s.as(null, '/f', (file) => file.reflinkRange(0, file, BLOCKS * B, 2 * B))
  const place = s.place('/f', 0)
  assert.equal(s.place('/f', BLOCKS), place)
  const pin = s.pin('/f', [0, 1], { unshare: 'others' })
  assert.equal(s.place('/f', 0), place)
  assert.notEqual(s.place('/f', BLOCKS), place)
  assert.equal(s.place('/f', BLOCKS + 1), s.place('/f', 1), 'what is not held is shared as before')
  pin.release()
  assertBytes(s.block('/f', BLOCKS), blocksOf('/f', 0, 1), 'its content')
})

// ---- the last name -----------------------------------------------------------------------------

const UNLINK_BUSY = 2

for (const how of ['unlink', 'rename'] as const) {
  test(`with unlink=busy the last name of what is pinned or sealed stays: ${how}`, () => {
    using s = new Scene({ options: UNLINK_BUSY })
    s.make('/g')
    const drop = () => (how === 'unlink' ? s.volume.unlink('/f') : s.volume.rename('/g', '/f'))
    const pin = s.pin('/f', [2, 3])
    const seal = s.as(null, '/f', (file) =>
      file.map({ direct: true, write: true, sync: true, offset: 5 * B, length: B }),
    )
    // A lease is asked back when the blocks go, and the name is in nobody's way.
    const lease = s.lease('/f', [0, 1])
    const sealed = s.volume.holds().find(({ kind }) => kind === 'seal')!
    s.refused('EBUSY', [pin, sealed], drop)
    pin.release()
    s.refused('EBUSY', [sealed], drop)
    seal.unmap()
    drop()
    const left = s.volume.readdir('/').map(({ name }) => Buffer.from(name).toString())
    assert.deepEqual(left, [how === 'unlink' ? 'g' : 'f'])
    assert.equal(lease.info().state, 'held', 'it keeps its file')
    lease.release()
  })
}

test('with unlink=busy a name that is not the last goes, however it is held', () => {
  using s = new Scene({ options: UNLINK_BUSY })
  s.make('/g')
  s.volume.link('/f', '/second')
  s.volume.link('/f', '/third')
  const pin = s.pin('/f')
  s.volume.unlink('/second')
  s.volume.rename('/g', '/third')
  assert.equal(
    codeOf(() => s.volume.unlink('/f')),
    'EBUSY',
  )
  s.volume.rename('/f', '/elsewhere')
  pin.release()
})

// ---- a file without a name ---------------------------------------------------------------------

/** A file in as many extents as it has blocks. */
function scatter(s: Scene, path: string, blocks: number): void {
  s.make(path, 0)
  s.make(`${path}.between`, 0)
  s.as(null, path, (file) =>
    s.as(null, `${path}.between`, (between) => {
      for (let i = 0; i < blocks; i++) {
        file.write(blocksOf(path, i, i + 1), i * B)
        between.write(blocksOf('between', i, i + 1), i * B)
      }
    }),
  )
}

test('an open file that loses its last name while it is defragmented is moved to the end', () => {
  using s = new Scene()
  scatter(s, '/gone', 5)
  using file = s.volume.open('/gone', 'r')
  const steps = s.volume.defragment('/gone')
  assert.equal(steps.next().done, false)
  s.volume.unlink('/gone')
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  assert.deepEqual(step.value, { before: 5, after: 1 })
  const bytes = new Uint8Array(5 * B)
  file.read(bytes, 0)
  assertBytes(bytes, blocksOf('/gone', 0, 5), 'the open file')
})

for (const end of ['its last step', 'being given up'] as const) {
  test(`a file without a name stays while it is defragmented, and goes with ${end}`, () => {
    using s = new Scene()
    const { free } = s
    scatter(s, '/gone', 5)
    const { ino } = s.volume.stat('/gone')
    const steps = s.volume.defragment('/gone')
    steps.next()
    s.volume.unlink('/gone')
    scatter(s, '/new', 5) // takes its number, and its blocks, if they had gone
    assert.notEqual(s.volume.stat('/new').ino, ino)
    if (end === 'its last step') while (steps.next().done !== true);
    else steps.return({ before: 0, after: 0 })
    s.assertFile('/new', '/new', 5)
    s.make('/after', 0)
    assert.equal(s.volume.stat('/after').ino, ino, 'its number is free')
    for (const path of ['/gone.between', '/new', '/new.between', '/after']) s.volume.unlink(path)
    assert.equal(s.free, free, 'and so are its blocks')
  })
}
