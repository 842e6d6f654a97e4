/**
 * What is long is done part by part, whatever it is and however full the volume: between two parts
 * the server looks after others.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers, type Timers } from '../../src/base/timers.js'
import { connect } from '../../src/client/index.js'
import type { LocalFile } from '../../src/client/local_file.js'
import { Log } from '../../src/serve/log.js'
import { Service } from '../../src/serve/service.js'
import { placeOfVolume } from './daemon.js'

const MiB = 1 << 20

/** A server that counts how often it lets others go on, and a client. */
async function served(t: TestContext, bytes: number) {
  const { region, socket } = placeOfVolume((clean) => t.after(clean), bytes)
  let turns = 0
  const timers: Timers = {
    now: () => systemTimers.now(),
    wall: () => systemTimers.wall(),
    after: (milliseconds, run) => systemTimers.after(milliseconds, run),
    turn: () => (turns++, systemTimers.turn()),
  }
  const log = new Log({ timers, write: () => {} })
  const service = await Service.start({ region, socket, timers, log, crypto: systemCrypto })
  const client = await connect(socket)
  t.after(async () => {
    await client.close()
    assert.equal(await service.stop(), true)
  })
  const turnsOf = async (run: () => Promise<unknown>) => {
    const before = turns
    await run()
    return turns - before
  }
  return { client, service, turnsOf }
}

test('ranges that have their blocks are zeroed and allocated in parts in a full volume', async (t) => {
  const { client, turnsOf } = await served(t, 96 * MiB)
  const file = (await client.open('/f', 'w+')) as LocalFile
  await file.allocate(0, 64 * MiB)
  await file.write(Buffer.alloc(MiB, 1), 32 * MiB)
  assert.ok((await turnsOf(() => file.zeroRange(0, 64 * MiB))) >= 7)
  assert.ok((await turnsOf(() => file.allocate(0, 64 * MiB))) >= 7)
  const read = Buffer.alloc(MiB, 1)
  await file.read(read, 32 * MiB)
  assert.deepEqual(read, Buffer.alloc(MiB), 'zeroed')

  await file.write(Buffer.alloc(MiB, 1), 0)
  const { size, blocks } = await file.stat()
  await assert.rejects(file.zeroRange(0, 128 * MiB), { code: 'ENOSPC' })
  await assert.rejects(file.allocate(0, 128 * MiB), { code: 'ENOSPC' })
  const after = await file.stat()
  assert.deepEqual([after.size, after.blocks], [size, blocks])
  await file.read(read, 0)
  assert.deepEqual(read, Buffer.alloc(MiB, 1), 'what is refused changes nothing')
  await file.close()
})

test('one run of blocks is zeroed in parts before the file has it', async (t) => {
  const { client, service, turnsOf } = await served(t, 96 * MiB)
  const file = (await client.open('/f', 'w+')) as LocalFile
  const one = { contiguous: true }
  assert.ok((await turnsOf(() => file.allocate(0, 64 * MiB, one))) >= 8)
  assert.equal((await file.extents()).extents.length, 1)
  const { size, blocks } = await file.stat()
  assert.deepEqual([size, blocks], [64 * MiB, (64 * MiB) / 512])
  await file.allocate(0, 64 * MiB, one)

  const other = (await client.open('/g', 'w+')) as LocalFile
  const { blocksFree } = await client.statfs()
  await assert.rejects(other.allocate(0, 64 * MiB, one), { code: 'ENOSPC' })
  const refused = assert.rejects(other.allocate(0, 24 * MiB, one), { code: 'ENOSPC' })
  while ((await client.statfs()).blocksFree === blocksFree);
  await other.write(Buffer.alloc(4096, 1), MiB)
  await refused
  assert.ok(blocksFree - (await client.statfs()).blocksFree < 8, 'the run is free again')
  assert.equal(service.server.sessions.size, 1)
  await file.close()
  await other.close()
})
