/** The deadline of a recall, and what the server does meanwhile. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, writeFileSync } from 'node:fs'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { VERBS } from '../../src/control/verbs/index.js'
import { connect } from '../../src/client/index.js'
import type { RemoteFile } from '../../src/client/remote_file.js'
import { processTest, until } from '../processes/program.js'
import { blockBytes } from './content.js'
import { Holder } from './holder.js'
import { Scene } from './scene.js'

const DEADLINE = 2000
/**
 * Messages before the return: more than a server takes from one client in a turn, and no more than
 * a socket takes while nobody reads. What waits in the client was not sent.
 */
const AHEAD = 200

processTest(
  'a lease that was returned in time is not fenced, however long the server has not looked',
  {},
  async (programs, t) => {
    const scene = Scene.make(programs, t, { bytes: 8 << 20 })
    await scene.serve()
    const client = await scene.client()
    const file = await client.open('/a', 'w+')
    await file.write(blockBytes(1, 0, 1), 0)
    const holder = await Holder.connect(scene.socket)
    const { keeper, fd } = await holder.keeper(programs)
    closeSync(fd)
    const { granted } = await holder.lease(await holder.open('/a', 'r+'), 'rw')
    const cut = client.truncate('/a', 0, undefined, { deadline: DEADLINE })
    await until(() => holder.told('recall'), 'the recall')
    const busy = scene.daemon.call('busy', { milliseconds: 2 * DEADLINE })
    await scene.daemon.event('busy')
    for (let i = 0; i < AHEAD; i++) void holder.caller.call(VERBS.ping, {})
    const returned = holder.caller.call(VERBS.layoutReturn, { id: granted.id })
    await Promise.all([busy, returned, cut])
    assert.equal(holder.told('fence'), false)
    assert.equal((await scene.report()).limbo, 0)
    // One that is not returned is fenced, also when it never stops talking.
    const again = await holder.open('/a', 'r+')
    await file.write(blockBytes(1, 0, 1), 0)
    await holder.lease(again, 'rw')
    let talking = true
    const talk = async () => {
      while (talking) await Promise.all([1, 2, 3].map(() => holder.caller.call(VERBS.ping, {})))
    }
    const talks = talk()
    await client.truncate('/a', 0, undefined, { deadline: DEADLINE })
    talking = false
    await talks
    assert.equal(holder.told('fence'), true)
    holder.disconnect()
    await keeper.kill()
    await file.close()
    await client.close()
    await scene.quiet()
    await scene.end()
  },
)

processTest(
  'the same is so of a remote one, whose messages come through the RNIC',
  {},
  async (programs, t) => {
    const scene = Scene.make(programs, t, { bytes: 8 << 20 })
    const keys = `${scene.region}.keys`
    const secret = randomBytes(32).toString('base64url')
    writeFileSync(keys, `nic0 ${secret} uid=0 gid=0 rw\n`)
    chmodSync(keys, 0o600)
    const port = await scene.serve(keys)
    const client = await scene.client()
    const file = await client.open('/a', 'w+')
    await file.write(blockBytes(1, 0, 1), 0)
    const remote = await connect(`hf://127.0.0.1:${port}`, { key: keys })
    const theirs = (await remote.open('/a', 'r+')) as RemoteFile
    let recalled = false
    let giveBack!: () => void
    const onRecall = () => {
      recalled = true
      return new Promise<void>((resolve) => (giveBack = resolve))
    }
    const layout = await theirs.layout({ offset: 0, length: B, iomode: 'rw', onRecall })
    const cut = client.truncate('/a', 0, undefined, { deadline: DEADLINE })
    await until(() => recalled, 'the recall')
    const busy = scene.daemon.call('busy', { milliseconds: 2 * DEADLINE })
    await scene.daemon.event('busy')
    const { caller } = remote.connection.alive!
    for (let i = 0; i < AHEAD; i++) void caller.call(VERBS.ping, {})
    giveBack()
    await Promise.all([busy, cut])
    assert.equal(layout.hold.end, 'released')
    await theirs.close()
    await remote.close()
    await file.close()
    await client.close()
    await scene.quiet()
    await scene.end()
  },
)
