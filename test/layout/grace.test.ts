/** The grace period: what is refused, what waits, what goes on, and what is reclaimed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { Mode } from '../../src/base/mode.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { OrphanKind } from '../../src/media/tree_node.js'
import { assertBytes, blocksOf } from './ground.js'
import { codeOf, errorOf, stateOf } from './scene.js'
import { known, Survivors } from './survivors.js'
import { idle, outcomeOf } from './timers.js'

/**
 * /f of 8 blocks, /holed with holes in 2 and 3, /shared with /clone, /d, /link and /acl; /f was
 * held.
 */
function crashed(run: (scene: Survivors) => void): void {
  using scene = new Survivors()
  files(scene)
  scene.crash()
  run(scene)
}

function files(scene: Survivors): void {
  const { volume } = scene
  for (const name of ['/f', '/holed', '/shared', '/short']) scene.make(name, 8)
  using holed = volume.open('/holed', 'r+')
  holed.punch(2 * B, 2 * B)
  volume.truncate('/short', 7 * B + 100)
  volume.reflink('/shared', '/clone')
  volume.mkdir('/d')
  volume.link('/f', '/link')
  volume.setXattr('/f', 'user.a', new Uint8Array([1]))
  scene.hold('/f', 0, 1)
}

const one = new Uint8Array(B).fill(1)

function on(path: string, run: (file: ReturnType<LayoutVolume['open']>) => unknown) {
  return (volume: LayoutVolume) => {
    using file = volume.open(path, 'r+')
    run(file)
  }
}

/** Whatever would allocate, free, move or share. */
const REFUSED: Record<string, (volume: LayoutVolume) => unknown> = {
  'a new file': (v) => v.writeFile('/new', one),
  'a file without a name': (v) => v.open('/d', 0o20200002).close(),
  'emptying a file': (v) => v.writeFile('/f', one),
  mkdir: (v) => v.mkdir('/d/e'),
  mknod: (v) => v.mknod('/fifo', 0o010644),
  symlink: (v) => v.symlink('/f', '/sym'),
  link: (v) => v.link('/f', '/d/f'),
  unlink: (v) => v.unlink('/link'),
  'the last unlink': (v) => v.unlink('/short'),
  rmdir: (v) => v.rmdir('/d'),
  rename: (v) => v.rename('/f', '/d/f'),
  'an append into another block': on('/f', (f) => f.write(one, 8 * B)),
  'a write into a hole': on('/holed', (f) => f.write(one, 2 * B)),
  'a write into a hole and what is before': on('/holed', (f) => f.write(new Uint8Array(3 * B), B)),
  'a write to a shared block': on('/shared', (f) => f.write(one, B)),
  'growing over bytes that may be held': on('/short', (f) => f.truncate(8 * B)),
  'a write that leaves a gap before it': on('/short', (f) =>
    f.write(one.subarray(0, 9), 8 * B - 9),
  ),
  'truncate down': on('/f', (f) => f.truncate(4 * B)),
  punch: on('/f', (f) => f.punch(B, B)),
  zero: on('/f', (f) => f.zeroRange(B, B)),
  allocate: on('/holed', (f) => f.allocate(0, 8 * B)),
  collapse: on('/f', (f) => f.collapse(B, B)),
  insert: on('/f', (f) => f.insert(B, B)),
  'a copy of a range': on('/f', (f) => f.copyRange(0, f, 4 * B, B)),
  'a reflink of a range': on('/f', (f) => f.reflinkRange(0, f, 4 * B, B)),
  reflink: (v) => v.reflink('/f', '/new'),
  'reflink over a file': (v) => v.reflink('/f', '/short'),
  snapshot: (v) => v.snapshot('/d', '/snap'),
  setxattr: (v) => v.setXattr('/f', 'user.b', one),
  removexattr: (v) => v.removeXattr('/f', 'user.a'),
  'a pin that populates': on('/holed', (f) => f.pin()),
  'a pin that unshares': on('/shared', (f) => f.pin()),
  'owning a hole': on('/holed', (f) => f.own(2 * B, B)),
  'unsharing all': on('/shared', (f) => f.unshare()),
  fix: (v) => v.fix('/f'),
  defragmenting: (v) => [...v.defragment('/holed')],
  evacuating: (v) => [...v.evacuate(v.core.geometry.dataStart * B, 1 << 20)],
  shrinking: (v) => [...v.shrink(1 << 20)],
  'keeping a block out of use': (v) => v.markBad(v.core.geometry.blockCount - 1),
}

for (const [name, run] of Object.entries(REFUSED)) {
  test(`in the grace period ${name} is EBUSY, changes nothing, and waits in the promise form`, async () => {
    using scene = new Survivors()
    files(scene)
    scene.crash()
    const { volume } = scene
    const before = scene.image()
    const error = errorOf(() => run(volume))
    assert.equal(error.code, 'EBUSY', error.message)
    assert.match(error.message, /the volume is in its grace period: processes of its last owner/)
    assert.equal(error.holds, undefined)
    assert.equal(Buffer.compare(scene.image(), before), 0, 'nothing has changed')

    const waiting = outcomeOf(volume.promises.settle(() => run(volume), { timeout: 600_000 }))
    const gives = new AbortController()
    const given = outcomeOf(volume.promises.settle(() => run(volume), { signal: gives.signal }))
    const short = outcomeOf(volume.promises.settle(() => run(volume), { timeout: 1000 }))
    await idle()
    assert.equal(stateOf(waiting), 'waits')
    gives.abort()
    await scene.timers.pass(1000)
    assert.equal(stateOf(given), 'EINTR')
    assert.equal(stateOf(short), 'EBUSY')
    assert.equal(Buffer.compare(scene.image(), before), 0, 'nothing has changed yet')
    volume.endGrace()
    await idle()
    assert.equal(stateOf(waiting), 'done')
    assert.notEqual(Buffer.compare(scene.image(), before), 0, 'now it has')
  })
}

/** What changes no block. */
const ALLOWED: Record<string, (volume: LayoutVolume) => unknown> = {
  'reading a file': (v) => assertBytes(v.readFile('/f'), blocksOf('/f', 0, 8), '/f'),
  'listing a directory': (v) => assert.equal(v.readdir('/').length, 7),
  'looking for a hole': on('/holed', (f) => assert.equal(f.seek(0, 'hole'), 2 * B)),
  'writing in place': on('/f', (f) => f.write(one, 3 * B)),
  'writing to the end of a block': on('/short', (f) => f.write(one.subarray(100), 7 * B + 100)),
  'growing by a hole': on('/f', (f) => f.truncate(20 * B)),
  chmod: (v) => v.chmod('/f', 0o600),
  chown: (v) => v.chown('/f', 5, 5),
  utimes: (v) => v.utimes('/f', 1, 2),
  'an inode flag': (v) => v.setInodeFlags('/f', { append: true }),
  'a policy': (v) => v.setPolicy('/f', 'defer'),
  'a pin of what is there': on('/f', (f) => f.pin().release()),
  'a lease for reading': on('/holed', (f) => f.lease({ iomode: 'read' }).release()),
  'a mapping': on('/f', (f) => f.map({ write: true }).unmap()),
  'a transfer': on('/f', (f) => f.transfer(0, B).end()),
  'owning what it owns': on('/f', (f) => f.own(0, 8 * B)),
  fsync: on('/f', (f) => f.sync()),
  sync: (v) => v.sync(),
  statfs: (v) => v.statfs(),
  'byte-range locks': on('/f', (f) => f.tryLock({ type: 'write' })),
}

for (const [name, run] of Object.entries(ALLOWED)) {
  test(`in the grace period ${name} goes on`, () =>
    crashed((scene) => {
      const { freeBlocks } = scene.volume.core.state
      run(scene.volume)
      assert.equal(scene.volume.core.state.freeBlocks, freeBlocks)
      scene.crash() // and it is as good as ever
      assert.equal(scene.volume.core.state.freeBlocks, freeBlocks)
      scene.volume.endGrace()
    }))
}

test('below all calls the allocator neither hands out nor takes back a block', () =>
  crashed(({ volume }) => {
    const { allocator, geometry } = volume.core
    assert.throws(() => allocator.allocateOne(), /in the grace period no block/)
    assert.throws(() => allocator.release(geometry.dataStart, 1, false), /in the grace period/)
  }))

test('a volume that nobody survives has no grace period, and frees what was in limbo', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  const pin = scene.hold('/f', 0, 8)
  scene.volume.truncate('/f', 0, undefined, { policy: 'defer' })
  assert.equal(scene.limbo, 8)
  const free = scene.volume.core.state.freeBlocks
  scene.crash(false)
  assert.equal(scene.volume.inGrace, false)
  scene.settleDown()
  assert.ok(scene.volume.core.state.freeBlocks >= free + 8)
  using file = scene.volume.openHandle(scene.session, pin.handle, 'r+')
  assert.equal(
    codeOf(() => scene.volume.reclaim(scene.session, file, pin)),
    'ESTALE',
  )
})

test('what was deferred is reclaimed in limbo, and goes when its holder lets go', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  const [kept, lost] = [scene.hold('/f', 0, 4), scene.hold('/f', 4, 8)]
  scene.stakes.store(scene.region, kept, 'kept')
  scene.stakes.store(scene.region, lost, 'lost')
  scene.volume.truncate('/f', 2 * B, undefined, { policy: 'defer' })
  assert.equal(scene.limbo, 6)
  scene.crash()
  assert.equal(scene.limbo, 6)
  const free = scene.volume.core.state.freeBlocks
  const hold = scene.reclaim(kept)
  assert.equal(hold.info().state, 'held', 'two blocks of it are in the file')
  assert.deepEqual(hold.info().ranges, [{ offset: 0, length: 2 * B }])
  assert.equal(hold.info().bytes, 4 * B)
  scene.settleDown()
  assert.equal(scene.volume.core.state.freeBlocks, free, 'nothing goes before the end of it')

  scene.stakes.forget(lost) // its process is gone
  scene.volume.endGrace()
  scene.settleDown()
  assert.equal(scene.limbo, 2)
  const { error } = outcome(() => scene.volume.truncate('/f', 0))
  assert.deepEqual(
    error?.holds?.map(({ id }) => id),
    [hold.id],
  )
  scene.volume.truncate('/f', 0, undefined, { policy: 'defer' })
  assert.equal(hold.info().state, 'deferred')
  assert.equal(scene.limbo, 4)
  fillUp(scene)
  scene.stakes.assertKept(scene.region, 'on a full volume')
  scene.stakes.forget(kept)
  hold.release()
  assert.equal(scene.limbo, 0)
})

test('a hold all of which is in limbo is listed as deferred', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  const pin = scene.hold('/f', 4, 8)
  scene.volume.truncate('/f', 0, undefined, { policy: 'defer' })
  scene.crash()
  const hold = scene.reclaim({
    ...pin,
    extents: pin.extents.map((extent) => ({ ...extent, fileBlock: null })),
  })
  assert.equal(hold.info().state, 'deferred')
  assert.deepEqual(
    known(scene.volume, hold).extents.map(({ regionBlock }) => regionBlock),
    [pin.extents[0]!.regionBlock],
  )
  scene.volume.endGrace()
  scene.settleDown()
  assert.equal(scene.limbo, 4)
})

test('a reclaimed hold is a hold: its table applies from the end of the grace period on', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  const pin = scene.hold('/f', 0, 4)
  const lease = scene.hold('/f', 4, 8, 'rw')
  scene.crash()
  const hold = scene.reclaim(pin)
  const lent = scene.reclaim(lease)
  assert.equal(hold.kind, 'pin')
  assert.equal(lent.iomode, 'rw')
  scene.volume.endGrace()
  using file = scene.volume.open('/f', 'r+')
  assert.equal(
    codeOf(() => file.punch(0, B)),
    'EBUSY',
  )
  assert.equal(
    codeOf(() => file.punch(5 * B, B)),
    'EBUSY',
  )
  lent.release()
  file.punch(5 * B, B)
  hold.commit(4 * B)
  hold.release()
  file.punch(0, B)
})

test('what has no holes for a lease for reading has none when it is reclaimed', () => {
  using scene = new Survivors()
  files(scene)
  const lease = scene.hold('/holed', 0, 8, 'read')
  scene.crash()
  const all = [...lease.extents, { fileBlock: 2, regionBlock: null, count: 2 }]
  const hold = scene.reclaim({ ...lease, extents: all })
  assert.deepEqual(hold.info().ranges, [{ offset: 0, length: 8 * B }])
  scene.volume.endGrace()
  using file = scene.volume.open('/holed', 'r+')
  const { error } = outcome(() => file.write(one, 2 * B))
  assert.deepEqual(
    error?.holds?.map(({ id }) => id),
    [hold.id],
  )
})

const STALE: Record<string, (scene: Survivors) => unknown> = {
  'a block that is another now': (scene) => {
    const pin = scene.hold('/f', 0, 8)
    scene.crash()
    const extents = pin.extents.map((one) => ({ ...one, regionBlock: one.regionBlock! + 1 }))
    return scene.reclaim({ ...pin, extents })
  },
  'blocks, one of which is free': (scene) => {
    const pin = scene.hold('/f', 0, 8)
    scene.crash()
    const free = scene.volume.core.geometry.blockCount - 1
    const more = { fileBlock: 8, regionBlock: free, count: 1 }
    return scene.reclaim({ ...pin, extents: [...pin.extents, more] })
  },
  'a pin of what is shared': (scene) => {
    const read = scene.hold('/shared', 0, 8, 'read')
    scene.crash()
    return scene.reclaim({ ...read, kind: 'pin', iomode: null })
  },
  'a hole under a pin': (scene) => {
    const pin = scene.hold('/f', 0, 8)
    scene.crash()
    return scene.reclaim({ ...pin, extents: [{ fileBlock: 8, regionBlock: null, count: 1 }] })
  },
  'anything after the grace period': (scene) => {
    const pin = scene.hold('/f', 0, 8)
    scene.crash()
    scene.volume.endGrace()
    return scene.reclaim(pin)
  },
  'a file that is another one now': (scene) => {
    const pin = scene.hold('/f', 0, 8)
    scene.crash()
    const { ino, generation } = pin.handle
    return scene.reclaim({ ...pin, handle: { ino, generation: generation + 1 } })
  },
}

for (const [name, run] of Object.entries(STALE)) {
  test(`reclaiming ${name} is ESTALE, and nothing is held`, () => {
    using scene = new Survivors()
    files(scene)
    const error = errorOf(() => run(scene))
    assert.equal(error.code, 'ESTALE', error.message)
    assert.deepEqual(scene.volume.holds(), [])
    assert.equal(scene.volume.core.frames.distinct, 0)
    scene.volume.endGrace()
  })
}

test('what nobody could have held is no hold', () =>
  crashed((scene) => {
    const { volume, session } = scene
    using file = volume.open('/f', 'r+')
    const [extent] = file.extents().extents
    const take = (extents: readonly object[], kind = 'pin', iomode: string | null = null) =>
      codeOf(() => volume.reclaim(session, file, { kind, iomode, extents } as never))
    assert.equal(take([]), 'EINVAL')
    assert.equal(take([extent!, extent!]), 'EINVAL', 'the same blocks twice')
    assert.equal(take([{ ...extent, count: 0 }]), 'EINVAL')
    assert.equal(take([{ ...extent, fileBlock: -1 }]), 'EINVAL')
    assert.equal(take([{ ...extent, regionBlock: 0.5 }]), 'EINVAL')
    assert.equal(take([{ fileBlock: null, regionBlock: null, count: 1 }]), 'EINVAL')
    assert.equal(take([extent!], 'lease'), 'EINVAL')
    assert.equal(take([extent!], 'pin', 'rw'), 'EINVAL')
    assert.equal(take([extent!]), 'done')
  }))

test('no permission refuses what was granted before', () =>
  crashed(({ volume }) => {
    using file = volume.open('/f', 'r+')
    volume.chown('/f', 1, 1)
    volume.chmod('/f', 0o400)
    const other = volume.session({ as: { uid: 2, gid: 2 } })
    const { extents } = file.extents()
    for (const [kind, iomode] of [['pin', null] as const, ['lease', 'rw'] as const]) {
      const hold = volume.reclaim(other, file, { kind, iomode, extents })
      assert.equal(hold.info().owner.session, other.id)
      assert.deepEqual(hold.info().ranges, [{ offset: 0, length: 8 * B }])
    }
  }))

test('what has many extents is reclaimed in parts, each of which is held as it comes', () => {
  using scene = new Survivors({ limits: { root: 8 } })
  scene.make('/f', 8)
  const pin = scene.hold('/f', 0, 8)
  scene.volume.truncate('/f', 4 * B, undefined, { policy: 'defer' })
  scene.crash()
  const { volume, session } = scene
  using file = volume.openHandle(session, pin.handle, 'r+')
  const { regionBlock } = pin.extents.find((extent) => extent.fileBlock === 0)!
  const part = (fileBlock: number, count: number) => ({
    kind: 'pin' as const,
    iomode: null,
    extents: [{ fileBlock, regionBlock: regionBlock! + fileBlock, count }],
  })
  const into = volume.reclaim(session, file, part(6, 2))
  assert.equal(into.info().state, 'deferred', 'these have left the file')
  assert.equal(volume.reclaim(session, file, { ...part(4, 2), into }), into)
  assert.equal(into.info().state, 'deferred')
  volume.reclaim(session, file, { ...part(0, 3), into })
  assert.equal(into.info().state, 'held')

  const again = (options: object) =>
    codeOf(() => volume.reclaim(session, file, { ...part(3, 1), into, ...options } as never))
  assert.equal(again(part(2, 2)), 'EINVAL', 'the same block twice, in the file')
  assert.equal(again(part(7, 1)), 'EINVAL', 'the same block twice, in limbo')
  assert.equal(again({ kind: 'seal' }), 'EINVAL')
  const other = volume.session({ name: 'another' })
  assert.equal(
    codeOf(() => volume.reclaim(other, file, { ...part(3, 1), into })),
    'EINVAL',
  )
  assert.equal(volume.holds().length, 1)
  assert.equal(again({}), 'done')
  assert.equal(into.info().bytes, 8 * B)
  assert.equal(volume.core.frames.distinct, 8)
  using shared = volume.open('/f', 'r+')
  volume.endGrace()
  scene.settleDown()
  assert.equal(scene.limbo, 4)
  scene.make('/g', 1)
  using g = volume.open('/g', 'r+')
  assert.equal(
    codeOf(() => g.pin()),
    'ENOMEM',
    'all parts count',
  )
  assert.equal(
    codeOf(() => shared.punch(3 * B, B)),
    'EBUSY',
  )
  into.release()
  assert.equal(scene.limbo, 0)
  assert.equal(volume.core.frames.distinct, 0)
  assert.equal(again({}), 'ESTALE')
})

test('no limit refuses what was granted before, and all of it counts', () => {
  using scene = new Survivors({ limits: { root: 8 } })
  scene.make('/f', 8)
  scene.make('/g', 8)
  const pin = scene.hold('/f', 0, 8)
  scene.crash()
  using g = scene.volume.open('/g', 'r+')
  const early = g.pin({ length: 2 * B })
  const hold = scene.reclaim(pin)
  assert.equal(
    codeOf(() => g.pin()),
    'ENOMEM',
  )
  early.release()
  scene.volume.endGrace()
  assert.equal(
    codeOf(() => g.pin({ length: B })),
    'ENOMEM',
  )
  hold.release()
  g.pin().release()
})

test('a file without a name that was open at the crash is opened by its handle', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  scene.make('/gone', 8)
  const pin = scene.hold('/f', 0, 8)
  using open = scene.volume.open('/f', 'r')
  using forgotten = scene.volume.open('/gone', 'r')
  const gone = forgotten.handle
  assert.deepEqual(open.handle, pin.handle)
  scene.volume.unlink('/f')
  scene.volume.unlink('/gone')
  scene.crash()
  const free = scene.volume.core.state.freeBlocks
  const { volume } = scene
  using file = volume.openHandle(scene.session, pin.handle, 'r+')
  const hold = volume.reclaim(scene.session, file, pin)
  volume.openHandle(scene.session, gone, 'r').close()
  assert.equal(volume.core.state.freeBlocks, free, 'its close frees nothing yet')
  volume.endGrace()
  scene.settleDown()
  assert.equal(
    codeOf(() => volume.openHandle(scene.session, gone, 'r')),
    'ESTALE',
  )
  const bytes = new Uint8Array(8 * B)
  assert.equal(file.read(bytes, 0), 8 * B)
  assertBytes(bytes, blocksOf('/f', 0, 8), 'the file without a name')
  file.close()
  assert.deepEqual(
    volume.holds().map(({ id }) => id),
    [hold.id],
  )
  volume.openHandle(scene.session, pin.handle, 'r').close()
  const before = volume.core.state.freeBlocks
  hold.release()
  assert.ok(volume.core.state.freeBlocks >= before + 8)
  assert.equal(
    codeOf(() => volume.openHandle(scene.session, pin.handle, 'r')),
    'ESTALE',
  )
})

test('the hidden inode of limbo is no file to be opened', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  scene.hold('/f', 0, 8)
  scene.crash()
  const ino = scene.volume.core.limbo.number
  const { generation } = scene.volume.statInode(ino)
  assert.equal(
    codeOf(() => scene.volume.openHandle(scene.session, { ino, generation })),
    'ESTALE',
  )
})

test('what was begun before the crash is completed after the grace period, and not before', () => {
  using scene = new Survivors()
  files(scene)
  const { core } = scene.volume
  const begin = (path: string, kind: number, first: number, second: number) => {
    const { ino } = scene.volume.stat(path)
    core.transaction.run(12, false, () => {
      const w = core.inodes.get(ino)
      scene.volume.work.intend(w, kind, first, second)
      if (kind === OrphanKind.beyond) core.inodes.setSize(w, 3 * B)
    })
  }
  begin('/f', OrphanKind.punch, 2, 4)
  begin('/short', OrphanKind.beyond, 0, 0)
  scene.crash()
  const { volume } = scene
  assert.equal(
    codeOf(() => volume.readFile('/f')),
    'EBUSY',
    'half of it is seen by nobody',
  )
  assertBytes(volume.readFile('/short'), blocksOf('/short', 0, 3), 'what is left past the end')
  assert.equal(volume.extents('/short').extents[0]!.count, 8)
  volume.endGrace()
  scene.settleDown()
  assert.equal(volume.extents('/short').extents[0]!.count, 3)
  const expected = blocksOf('/f', 0, 8).fill(0, 2 * B, 4 * B)
  assertBytes(volume.readFile('/f'), expected, '/f')
})

test('an owner that is killed in the grace period leaves all of it to the next', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  const pin = scene.hold('/f', 0, 8)
  scene.stakes.store(scene.region, pin, 'pin')
  scene.volume.truncate('/f', 4 * B, undefined, { policy: 'defer' })
  for (let i = 0; i < 3; i++) {
    scene.crash()
    assert.equal(scene.limbo, 4)
    if (i === 1) scene.reclaim(pin)
  }
  scene.reclaim(pin)
  scene.volume.endGrace()
  scene.crash() // right after it
  scene.reclaim(pin)
  scene.volume.endGrace()
  scene.settleDown()
  fillUp(scene)
  assert.equal(scene.limbo, 4)
})

test('an owner that goes in the grace period leaves limbo to the next', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  const pin = scene.hold('/f', 0, 8)
  scene.stakes.store(scene.region, pin, 'pin')
  scene.volume.truncate('/f', 4 * B, undefined, { policy: 'defer' })
  scene.crash()
  scene.reclaim(pin)
  scene.volume.close()
  scene.assertClean('after it was closed in its grace period')
  scene.crash()
  assert.equal(scene.limbo, 4)
  scene.reclaim(pin)
  scene.volume.endGrace()
  fillUp(scene)
})

test('of two limbos the later one is taken over', () => {
  using scene = new Survivors()
  scene.crash(false)
  scene.make('/f', 8)
  const pin = scene.hold('/f', 0, 8)
  scene.volume.truncate('/f', 0, undefined, { policy: 'defer' })
  // That of a mount before it, whose orphan this one had not come to.
  const { core, epoch } = scene.volume
  core.pages.tick()
  core.transaction.run(8, false, () => {
    const before = core.inodes.numberAt(core.inodes.create(Mode.file, 0, 0, 0))
    core.orphans.add(before, OrphanKind.unlinked, epoch - 1)
  })
  scene.crash()
  assert.equal(scene.limbo, 8)
  assert.equal(scene.reclaim(pin).info().state, 'deferred')
  scene.volume.endGrace()
})

test('a volume whose owner left it in order is reclaimed, too, and a hold of it may be deferred', () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  const pin = scene.hold('/f', 0, 8)
  scene.stakes.store(scene.region, pin, 'pin')
  scene.volume.close()
  scene.crash()
  assert.equal(scene.volume.core.limbo.number, 0)
  const hold = scene.reclaim(pin)
  scene.volume.endGrace()
  scene.volume.truncate('/f', 0, undefined, { policy: 'defer' })
  assert.equal(hold.info().state, 'deferred')
  fillUp(scene)
})

test('nothing is asked back before the grace period is over', async () => {
  using scene = new Survivors()
  scene.make('/f', 8)
  const lease = scene.hold('/f', 0, 8, 'rw')
  scene.crash()
  const { volume, session } = scene
  const asked: number[] = []
  const user = { onRecall: (id: number) => void asked.push(id) }
  const file = volume.openHandle(session, lease.handle, 'r+')
  const hold = volume.reclaim(session, file, { ...lease, user })
  const cut = outcomeOf(volume.promises.truncate('/f', 0, { timeout: 60_000 }))
  await idle()
  assert.deepEqual(asked, [])
  volume.endGrace()
  await idle()
  assert.deepEqual(asked, [hold.id])
  hold.release()
  await idle()
  assert.equal(stateOf(cut), 'done')
})

test('bytes past the end of the file stay while one may hold them that is not known yet', () => {
  using scene = new Survivors()
  scene.make('/f', 2)
  scene.volume.truncate('/f', B + 100)
  const [first, second] = [scene.hold('/f', 0, 2), scene.hold('/f', 1, 2)]
  scene.stakes.store(scene.region, second, 'second')
  scene.crash()
  scene.reclaim(first).release()
  using file = scene.volume.open('/f', 'r+')
  file.pin({ offset: B, length: 10 }).release()
  scene.stakes.assertKept(scene.region, 'two have let go, and the third is not there yet')
  const hold = scene.reclaim(second)
  hold.commit(2 * B)
  scene.volume.endGrace()
  scene.stakes.assertKept(scene.region, 'the file shows what its holder has there')
  assert.equal(file.stat().size, 2 * B)
})

test('opened for reading only, a volume has no grace period', () => {
  using scene = new Survivors()
  files(scene)
  scene.crash()
  scene.volume.close()
  const seen = LayoutVolume.mount(scene.region, { readOnly: true, survivors: true })
  assert.equal(seen.inGrace, false)
  assertBytes(seen.readFile('/f'), blocksOf('/f', 0, 8), '/f')
  seen.close()
})

/** Writes until there is no room. */
function fillUp({ volume }: Survivors): void {
  using file = volume.open('/fill', 'w')
  assert.throws(
    () => {
      for (let i = 0; ; i++) file.write(one, i * B)
    },
    (error) => error instanceof HoldfastError && error.code === 'ENOSPC',
  )
}

function outcome(run: () => unknown): { error?: HoldfastError } {
  try {
    run()
    return {}
  } catch (error) {
    assert.ok(error instanceof HoldfastError)
    return { error }
  }
}
