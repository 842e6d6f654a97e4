/** The server dies, clients die, sockets end; mappings do not know of it. */
import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { Client } from '../../src/client/index.js'
import { openVolume } from '../../src/layout/embedded.js'
import type { Keeper } from '../processes/keeper.js'
import { processTest, until, type Programs } from '../processes/program.js'
import { blockBytes, BLOCKS_MAX } from './content.js'
import { Holder, mapGranted, type Held, type Kept } from './holder.js'
import type { Report } from './report.js'
import { Scene } from './scene.js'

async function sceneOf(programs: Programs, t: TestContext): Promise<Scene> {
  const scene = Scene.make(programs, t, { bytes: 8 << 20 })
  await scene.serve()
  return scene
}

/** A file with a content of its own in each block. */
async function fill(client: Client, path: string, id: number, blocks: number): Promise<void> {
  const file = await client.open(path, 'w+')
  for (let i = 0; i < blocks; i++) await file.write(blockBytes(id, i, 1), i * B)
  await file.close()
}

async function assertBlocks(
  client: Client,
  path: string,
  id: number,
  blocks: number,
  sequence = 1,
): Promise<void> {
  const file = await client.open(path, 'r')
  const bytes = new Uint8Array(blocks * B)
  assert.equal(await file.read(bytes, 0), blocks * B)
  for (let i = 0; i < blocks; i++) {
    const equal = Buffer.from(blockBytes(id, i, sequence)).equals(
      bytes.subarray(i * B, (i + 1) * B),
    )
    assert.ok(equal, `block ${i} of ${path} is not what it was`)
  }
  await file.close()
}

/** Every block through the mapping of a keeper. */
async function assertKept(keeper: Keeper, id: number, blocks: number, sequence = 1): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    const equal = Buffer.from(blockBytes(id, i, sequence)).equals(await keeper.read(i * B, B))
    assert.ok(equal, `block ${i} of ${id} under the mapping is not what it was`)
  }
}

async function write(keeper: Keeper, id: number, blocks: number, sequence: number): Promise<void> {
  for (let i = 0; i < blocks; i++) await keeper.write(i * B, blockBytes(id, i, sequence))
}

/** Takes all that is free, with bytes of its own, until nothing is. */
async function fillUp(client: Client, path: string, id: number): Promise<number> {
  const file = await client.open(path, 'w+')
  const many = new Uint8Array(64 * B)
  let block = 0
  try {
    for (; ; block += 64) {
      for (let i = 0; i < 64; i++) many.set(blockBytes(id, (block + i) % BLOCKS_MAX, 1), i * B)
      await file.write(many, block * B)
    }
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  } finally {
    await file.close()
  }
  return block
}

/** Nothing is allocated, freed, moved or shared. */
async function assertGrace(client: Client): Promise<void> {
  const brief = { timeout: 30 }
  const grace = (error: NodeJS.ErrnoException) =>
    error.code === 'EBUSY' && error.message.includes('grace period')
  await assert.rejects(client.open('/c', 'wx', 0o666, undefined, brief), grace)
  await assert.rejects(client.truncate('/a', 0, undefined, brief), grace)
  await assert.rejects(client.unlink('/a', undefined, brief), grace)
  await assert.rejects(client.reflink('/a', '/d', brief), grace)
  await assert.rejects(client.defragment('/a', brief), grace)
}

interface HeldAndKept extends Kept {
  readonly holder: Holder
  readonly held: Held
}

/**
 * A mapping of a file of so many blocks, under a seal, in a process in C. `shows`: its descriptor
 * stays here, to be shown to another server.
 */
async function keep(
  scene: Scene,
  path: string,
  blocks: number,
  shows = false,
): Promise<HeldAndKept> {
  const holder = await Holder.connect(scene.socket)
  const { keeper, slot, fd } = await holder.keeper(scene.programs)
  if (!shows) closeSync(fd)
  const opened = await holder.open(path, 'r+')
  const held = await holder.seal(opened)
  await mapGranted(keeper, held)
  await assertKept(keeper, 1, blocks)
  return { holder, keeper, slot, fd, held }
}

processTest(
  'a mapping that forks and dies keeps its seal for as long as its child has the mapping',
  {},
  async (programs, t) => {
    const scene = await sceneOf(programs, t)
    const client = await scene.client()
    await fill(client, '/a', 1, 8)
    const { holder, keeper } = await keep(scene, '/a', 8)
    await keeper.closeDescriptor()
    await keeper.fork()
    holder.disconnect()
    await scene.reported(({ sessions }) => sessions.some(({ state }) => state === 'gone'), 'gone')
    await assert.rejects(client.truncate('/a', 0), { code: 'ETXTBSY' })
    await write(keeper, 1, 8, 2)
    await fillUp(client, '/b', 2)
    await assertKept(keeper, 1, 8, 2)
    await assertBlocks(client, '/a', 1, 8, 2)
    assert.equal((await scene.report()).holds.length, 1)
    await keeper.kill()
    await scene.reported(({ holds }) => holds.length === 0, 'the end of the hold')
    await client.truncate('/a', 0)
    await client.close()
    await scene.quiet()
    await scene.end()
  },
)

processTest(
  'a client that closes its socket and keeps its mapping keeps its blocks, unlinked or not',
  {},
  async (programs, t) => {
    const scene = await sceneOf(programs, t)
    const client = await scene.client()
    await fill(client, '/a', 1, 8)
    const { holder, keeper } = await keep(scene, '/a', 8)
    await keeper.closeDescriptor()
    holder.caller.close()
    await scene.reported(({ sessions }) => sessions.some(({ state }) => state === 'gone'), 'gone')
    await client.unlink('/a')
    await fillUp(client, '/b', 2)
    await write(keeper, 1, 8, 3)
    await assertKept(keeper, 1, 8, 3)
    await client.unlink('/b')
    const { free } = await scene.report()
    await keeper.exit()
    const free8 = (report: Report) => report.holds.length === 0 && report.free >= free + 8
    await scene.reported(free8, `the end of the hold, and more than ${free} blocks free`)
    await client.close()
    await scene.quiet()
    await scene.end()
  },
)

processTest(
  'a mapper writes while its server is killed, and its holds and bytes are those of the next one',
  {},
  async (programs, t) => {
    const scene = await sceneOf(programs, t)
    const client = await scene.client()
    await fill(client, '/a', 1, 8)
    const { keeper, slot, held, fd } = await keep(scene, '/a', 8, true)
    await keeper.closeDescriptor()
    await client.close()
    await scene.kill()
    await write(keeper, 1, 8, 2)
    assert.throws(
      () => openVolume(scene.region),
      ({ code, message }: NodeJS.ErrnoException) =>
        code === 'EBUSY' && message.includes(`process ${keeper.pid} (keeper`),
    )
    await scene.serve()
    const other = await scene.client()
    assert.equal(other.hello.grace, true)
    await assertBlocks(other, '/a', 1, 8, 2)
    await assertGrace(other)
    await write(keeper, 1, 8, 3)
    const again = await Holder.connect(scene.socket)
    assert.equal(again.hello.grace, true)
    assert.equal(await again.show({ fd }), slot)
    closeSync(fd)
    await again.reclaim(held)
    await again.reclaimDone([slot])
    await scene.reported(({ grace }) => !grace, 'the end of grace')
    await until(() => again.told('graceOver'), 'the notice that it is over')
    await assert.rejects(other.truncate('/a', 0), { code: 'ETXTBSY' })
    await fillUp(other, '/b', 2)
    await assertKept(keeper, 1, 8, 3)
    // Its session is the mapping's from now on.
    again.disconnect()
    await assert.rejects(other.truncate('/a', 0), { code: 'ETXTBSY' })
    await keeper.kill()
    await scene.reported(({ holds }) => holds.length === 0, 'the end of the hold')
    await other.truncate('/a', 0)
    await other.close()
    await scene.quiet()
    await scene.end()
  },
)

processTest(
  'a survivor that reclaims nothing keeps the volume in grace until it has died, stopped or not',
  {},
  async (programs, t) => {
    const scene = await sceneOf(programs, t)
    const client = await scene.client()
    await fill(client, '/a', 1, 8)
    await fill(client, '/b', 1, 8)
    await client.close()
    const one = await keep(scene, '/a', 8)
    const other = await keep(scene, '/b', 8, true)
    await one.keeper.closeDescriptor()
    await other.keeper.closeDescriptor()
    // Two crashes in a row, the second one in grace.
    await scene.kill()
    await scene.serve()
    await scene.kill()
    await one.keeper.program.stop()
    await scene.serve()
    const holder = await Holder.connect(scene.socket)
    await holder.show(other)
    await holder.reclaim(other.held)
    await holder.reclaimDone([other.slot])
    const test = await scene.client()
    await assertGrace(test)
    assert.equal((await scene.report()).grace, true)
    one.keeper.program.continue()
    await write(one.keeper, 1, 8, 2)
    await assertBlocks(test, '/a', 1, 8, 2)
    await assertGrace(test)
    // A third one, while one has reclaimed and the other has not.
    await scene.kill()
    await write(other.keeper, 1, 8, 2)
    await scene.serve()
    const last = await Holder.connect(scene.socket)
    await last.show(other)
    closeSync(other.fd)
    await last.reclaim(other.held)
    await last.reclaimDone([other.slot])
    assert.equal((await scene.report()).grace, true)
    await one.keeper.kill()
    await scene.reported(({ grace }) => !grace, 'the end of grace')
    await until(() => last.told('graceOver'), 'the notice that it is over')
    await test.close()
    const now = await scene.client()
    await fillUp(now, '/c', 3)
    await assertKept(other.keeper, 1, 8, 2)
    await assert.rejects(now.truncate('/b', 0), { code: 'ETXTBSY' })
    await other.keeper.exit()
    last.disconnect()
    await scene.reported(({ holds }) => holds.length === 0, 'the end of the hold')
    await now.close()
    await scene.quiet()
    await scene.end()
  },
)

processTest(
  'what was never held, or is another one by now, is not reclaimed',
  {},
  async (programs, t) => {
    const scene = await sceneOf(programs, t)
    const client = await scene.client()
    await fill(client, '/a', 1, 8)
    await fill(client, '/b', 1, 8)
    const { keeper, held, slot, fd } = await keep(scene, '/a', 8, true)
    const [place] = (await client.extents('/b')).extents
    await client.close()
    await scene.kill()
    await scene.serve()
    const holder = await Holder.connect(scene.socket)
    const claim = (granted: Partial<Held['granted']>) =>
      holder.reclaim({ ...held, granted: { ...held.granted, ...granted } })
    await assert.rejects(claim({}), { code: 'EPERM', message: /shows a mapping first/ })
    await assert.rejects(holder.reclaimDone([slot]), { code: 'EPERM' })
    await holder.show({ fd })
    closeSync(fd)
    // Blocks of another file, blocks behind the end, and another generation of the inode.
    await assert.rejects(claim({ extents: [{ ...place!, fileBlock: 0, count: 8 }] }), {
      code: 'ESTALE',
    })
    const [first] = held.granted.extents
    const beyond = { ...first!, fileBlock: 100 }
    await assert.rejects(claim({ extents: [beyond] }), { code: 'ESTALE' })
    const { generation } = held.opened
    const stale = { ...held, opened: { ...held.opened, generation: generation + 1 } }
    await assert.rejects(holder.reclaim(stale), { code: 'ESTALE' })
    assert.deepEqual((await scene.report()).holds, [])
    await claim({})
    await holder.reclaimDone([slot])
    await scene.reported(({ grace }) => !grace, 'the end of grace')
    await assert.rejects(claim({}), { code: 'ESTALE' })
    await keeper.kill()
    holder.disconnect()
    await scene.quiet()
    await scene.end()
  },
)

processTest(
  'blocks that were deferred before a crash stay with their holder after it',
  {},
  async (programs, t) => {
    const scene = await sceneOf(programs, t)
    const client = await scene.client()
    await fill(client, '/a', 1, 8)
    const holder = await Holder.connect(scene.socket)
    const { keeper, slot, fd } = await holder.keeper(programs)
    const held = await holder.lease(await holder.open('/a', 'r+'), 'rw')
    await mapGranted(keeper, held)
    await keeper.closeDescriptor()
    // Nobody answers: the file is cut, and its blocks are the mapping's.
    await client.truncate('/a', 2 * B, undefined, { deadline: 50 })
    assert.equal((await scene.report()).limbo, 6)
    await client.close()
    await scene.kill()
    await write(keeper, 1, 8, 2)
    await scene.serve()
    const again = await Holder.connect(scene.socket)
    assert.equal((await scene.report()).limbo, 6)
    await again.show({ fd })
    closeSync(fd)
    await again.reclaim(held)
    await again.reclaimDone([slot])
    await scene.reported(({ grace }) => !grace, 'the end of grace')
    const other = await scene.client()
    await fillUp(other, '/b', 2)
    await assertKept(keeper, 1, 8, 2)
    await assertBlocks(other, '/a', 1, 2, 2)
    assert.equal((await other.stat('/a')).size, 2 * B)
    assert.equal((await scene.report()).limbo, 6)
    await keeper.exit()
    again.disconnect()
    await scene.reported(({ limbo }) => limbo === 0, 'that the blocks are free')
    await other.close()
    await scene.quiet()
    await scene.end()
  },
)

processTest(
  'who is cut off in grace, and reclaims in another session, has each hold once',
  {},
  async (programs, t) => {
    const scene = await sceneOf(programs, t)
    const client = await scene.client()
    await fill(client, '/a', 1, 8)
    await fill(client, '/b', 1, 8)
    await client.close()
    const one = await keep(scene, '/a', 8, true)
    const other = await keep(scene, '/b', 8)
    await one.keeper.closeDescriptor()
    await other.keeper.closeDescriptor()
    await scene.kill()
    await scene.serve()
    const first = await Holder.connect(scene.socket)
    await first.show(one)
    await first.reclaim(one.held)
    await first.reclaimDone([one.slot])
    first.disconnect()
    await scene.reported(({ sessions }) => sessions.some(({ state }) => state === 'gone'), 'gone')
    const second = await Holder.connect(scene.socket)
    await second.show(one)
    closeSync(one.fd)
    await second.reclaim(one.held)
    await second.reclaimDone([one.slot])
    const { holds } = await scene.reported(({ sessions }) => sessions.length === 1, 'one session')
    assert.equal(holds.length, 1)
    await other.keeper.kill()
    await scene.reported(({ grace }) => !grace, 'the end of grace')
    second.disconnect()
    const now = await scene.client()
    await assert.rejects(now.truncate('/a', 0), { code: 'ETXTBSY' })
    await one.keeper.kill()
    await scene.reported(({ holds: left }) => left.length === 0, 'the end of the hold')
    await now.close()
    await scene.quiet()
    await scene.end()
  },
)
