/**
 * What becomes of programs that cut off or punch what is pinned: they are refused, wait, or leave
 * the blocks to the holder, as the file's policy or the volume's says.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { O } from '../../src/base/open_flags.js'
import { noCompiler } from '../processes/compile.js'
import { until } from '../processes/program.js'
import { Caller } from './caller.js'
import { HolderScene, run, type Held } from './holder.js'
import { cannotMount } from './scene.js'

const BLOCKS = 8
const WHOLE = { offset: 0, length: BLOCKS * B }
const skip = cannotMount() ?? noCompiler()
/** Of fallocate(2): keeps the size, and punches. */
const PUNCH = 3

/** What a program may ask, that cuts off or punches a file that slot 1 has open. */
const CUTS = [
  { name: 'truncate', call: (path: string) => ['truncate', path, 0] },
  { name: 'ftruncate', call: () => ['ftruncate', 1, 0] },
  { name: 'a punch', call: () => ['fallocate', 1, PUNCH, 0, BLOCKS * B] },
  { name: 'O_TRUNC', call: (path: string) => ['open', 2, path, O.WRONLY | O.TRUNC, 0] },
] as const

describe('a program that cuts off what is pinned', { skip }, () => {
  let scene: HolderScene
  before(async () => (scene = await HolderScene.start({ policy: 'wait' })))
  after(() => scene.end())

  /** A file with a pin on all of it, that the caller has open. */
  async function pinned(): Promise<{ name: string; path: string; pin: Held }> {
    const name = await scene.make(BLOCKS)
    const pin = await scene.hold('pin', name, WHOLE)
    await scene.caller.open(1, scene.at(name))
    return { name, path: scene.at(name), pin }
  }

  for (const { name: what, call } of CUTS) {
    test(`by ${what}, waits until the pin ends, and others do not`, async () => {
      const { name, path, pin } = await pinned()
      const { caller } = scene
      const was = await scene.read(name)
      assert.equal(await run('cp', path, scene.at('copied')), 'done')
      const asked = caller.call(...call(path))
      await caller.waits()
      assert.equal(await run('cmp', path, scene.at('copied')), 'done')
      assert.deepEqual(await scene.read(name), was)
      await pin.release()
      assert.doesNotMatch(await asked, /^E/)
      assert.deepEqual((await scene.read(name)).filter(Boolean), Buffer.alloc(0))
      await caller.done('close', 1)
      // What O_TRUNC has opened: else the next one waits in close(2) before it waits in open(2).
      await caller.call('close', 2)
    })

    test(`by ${what}, that is interrupted while it waits has changed nothing`, async () => {
      const { name, path, pin } = await pinned()
      const { caller } = scene
      const was = await scene.read(name)
      const asked = caller.call(...call(path))
      await caller.waits()
      process.kill(caller.pid, 'SIGUSR1')
      assert.equal(await asked, 'EINTR')
      assert.deepEqual(await scene.read(name), was)
      await pin.release()
      assert.deepEqual(await scene.read(name), was)
      await caller.done('close', 1)
    })
  }

  test('that is killed while it waits is gone at once, and has changed nothing', async () => {
    const { name, path, pin } = await pinned()
    const was = await scene.read(name)
    const killed = Caller.start(scene.scene.programs)
    const asked = killed.call('truncate', path, 0).catch(() => 'killed')
    await killed.waits()
    assert.deepEqual(await killed.program.kill('SIGKILL'), { status: null, signal: 'SIGKILL' })
    assert.equal(await asked, 'killed')
    await pin.release()
    assert.deepEqual(await scene.read(name), was)
    await scene.caller.done('close', 1)
  })

  test('waits for ten seconds, and is refused then', async () => {
    const { name, path, pin } = await pinned()
    const was = await scene.read(name)
    const begin = performance.now()
    assert.equal(await run('truncate', '-s', '0', path), 'EBUSY')
    const took = performance.now() - begin
    assert.ok(took > 9_000 && took < 60_000, `it took ${took.toFixed(0)} ms`)
    assert.deepEqual(await scene.read(name), was)
    await pin.release()
    await scene.caller.done('close', 1)
  })

  test('is refused at once where the file says busy', async () => {
    const { name, path, pin } = await pinned()
    await scene.client.setPolicy(`/${name}`, 'busy')
    for (const { call } of CUTS) assert.equal(await scene.caller.call(...call(path)), 'EBUSY')
    await pin.release()
    await scene.caller.done('close', 1)
  })

  test('is done at once where the file says defer, and the holder keeps the blocks', async () => {
    const { name, path, pin } = await pinned()
    const { caller } = scene
    const free = async () => Number(await caller.done('free', scene.scene.directory))
    const was = await scene.read(name)
    const blocks = await scene.blocks(name)
    const before = await free()
    await scene.client.setPolicy(`/${name}`, 'defer')
    assert.equal(await run('truncate', '-s', '0', path), 'done')
    assert.equal((await scene.read(name)).length, 0)
    const listed = scene.scene.holdfast('holds', scene.scene.socket)
    assert.match(listed, /^ *\d+ {2}pin .* deferred {2}pin$/m)
    // They are neither free nor anybody else's.
    assert.equal(await free(), before)
    assert.equal(await run('cp', scene.at('copied'), scene.at(`${name}.new`)), 'done')
    const others = await scene.blocks(`${name}.new`)
    assert.deepEqual(
      others.filter((block) => blocks.includes(block)),
      [],
    )
    assert.deepEqual(scene.regionBytes(blocks), was)
    assert.equal(await run('rm', scene.at(`${name}.new`)), 'done')
    await pin.release()
    await until(async () => (await free()) === before + BLOCKS, 'the blocks are free')
    await caller.done('close', 1)
  })
})

describe('a volume that keeps the names of what is pinned', { skip }, () => {
  let scene: HolderScene
  before(async () => (scene = await HolderScene.start({ unlink: 'busy' })))
  after(() => scene.end())

  for (const kind of ['pin', 'seal'] as const) {
    test(`refuses rm and mv over the last name of a file under a ${kind}`, async () => {
      const [name, other] = [await scene.make(BLOCKS), await scene.make(1)]
      const was = await scene.read(name)
      const held = await scene.hold(kind, name, WHOLE)
      assert.equal(await run('rm', scene.at(name)), 'EBUSY')
      assert.equal(await run('mv', scene.at(other), scene.at(name)), 'EBUSY')
      assert.deepEqual(await scene.read(name), was)
      // One name of two, or another name for it, is nothing to wait for.
      assert.equal(await run('ln', scene.at(name), scene.at('second')), 'done')
      assert.equal(await run('rm', scene.at(name)), 'done')
      assert.equal(await run('mv', scene.at('second'), scene.at('third')), 'done')
      assert.equal(await run('rm', scene.at('third')), 'EBUSY')
      await held.release()
      assert.equal(await run('rm', scene.at('third')), 'done')
    })
  }

  test('lets a file go that is only leased', async () => {
    const name = await scene.make(BLOCKS)
    const lease = await scene.hold('read lease', name, WHOLE)
    assert.equal(await run('rm', scene.at(name)), 'done')
    await lease.release()
  })
})

describe('who holds by the command line', { skip }, () => {
  let scene: HolderScene
  before(async () => (scene = await HolderScene.start()))
  after(() => scene.end())

  test('is listed, with the file also when its name is gone', async () => {
    const name = await scene.make(BLOCKS)
    const { scene: mounted } = scene
    const holder = mounted.start('pin', `${mounted.socket}:/${name}`, '--reason', 'NIC 7')
    assert.match(await holder.line(), /^pin \d+ holds bytes 0 to 32767 /)
    assert.equal(await run('truncate', '-s', '0', scene.at(name)), 'EBUSY')
    const list = () => mounted.holdfast('holds', '--paths', mounted.socket)
    assert.match(list(), new RegExp(`^ *\\d+ {2}pin {3}/${name} .* held {3}NIC 7$`, 'm'))
    assert.equal(await run('rm', scene.at(name)), 'done')
    const gone = list()
    const end = await holder.kill('SIGTERM')
    assert.deepEqual(end, { status: 0, signal: null })
    assert.match(gone, /^ *\d+ {2}pin .*\(deleted\) .* held {3}NIC 7$/m)
    assert.doesNotMatch(list(), /NIC 7/)
  })

  test('by seal and by lease is in the way, and is asked, as others are', async () => {
    const name = await scene.make(BLOCKS)
    const { scene: mounted } = scene
    const seal = mounted.start('seal', `${mounted.socket}:/${name}`)
    await seal.line()
    assert.equal(await run('truncate', '-s', '0', scene.at(name)), 'ETXTBSY')
    await seal.kill('SIGTERM')
    const lease = mounted.start('lease', `${mounted.socket}:/${name}`)
    await lease.line()
    assert.equal(await run('truncate', '-s', '0', scene.at(name)), 'done')
    await lease.ended()
    await scene.noHolds()
  })
})
