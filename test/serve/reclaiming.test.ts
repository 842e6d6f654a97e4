/** A server that others still map its region of: who may say what they held. */
import assert from 'node:assert/strict'
import { chmodSync, closeSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { HoldfastError } from '../../src/base/errors.js'
import { RECLAIM_EXTENTS_MAX, SLOTS_MAX } from '../../src/control/limits.js'
import { VERBS } from '../../src/control/verbs/index.js'
import { native } from '../../src/native/native.js'
import { openRegion } from '../../src/region/file_region.js'
import { grantDescriptor, heldSlots, SURVIVOR_LOCKS } from '../../src/region/survivor_locks.js'
import type { ClientSession } from '../../src/serve/client_session.js'
import { Mapping } from '../../src/serve/mapping.js'
import { Holder, type Held } from '../clients/holder.js'
import { until } from '../processes/program.js'
import { Served } from './service.js'

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    ({ code }: HoldfastError) => code,
  )

/** A server that has begun to serve a region, with descriptors that the last owner had passed. */
class Survived {
  readonly served = new Served({})
  readonly fds: number[] = []
  readonly socket = join(this.served.directory, 'socket')

  static async test(
    slots: readonly number[],
    files: Readonly<Record<string, number>>,
    run: (scene: Survived, holds: Record<string, Held>) => Promise<void>,
  ): Promise<void> {
    const scene = new Survived()
    const { served } = scene
    try {
      await served.start()
      const holds = scene.#make(files)
      await served.service.stop()
      const region = openRegion(served.region)
      for (const slot of slots) scene.fds.push(grantDescriptor(region, slot))
      region.close()
      await served.start()
      assert.equal(served.volume.inGrace, slots.length > 0)
      await run(scene, holds)
    } finally {
      scene.leave()
      await served.end()
    }
  }

  /** Files, every second block of which is a hole, as their holders know them. */
  #make(files: Readonly<Record<string, number>>): Record<string, Held> {
    const { volume } = this.served
    const holds: Record<string, Held> = {}
    for (const [path, blocks] of Object.entries(files)) {
      using file = volume.open(path, 'wx+')
      for (let i = 0; i < blocks; i++) file.write(new Uint8Array(1), 2 * i * B)
      const { extents } = file.extents()
      const layout = { epoch: 1, generation: 1 }
      const granted = { id: 0, layout, offset: 0, length: 2 * blocks * B, extents, more: false }
      const opened = { ...file.handle } as unknown as Held['opened']
      holds[path] = { opened, granted, kind: 'pin', iomode: undefined }
    }
    return holds
  }

  holder(name?: string): Promise<Holder> {
    return Holder.connect(this.socket, name)
  }

  /** Its state in the list of sessions. */
  stateOf(name: string): string | undefined {
    return this.served.service.server.list().find((session) => session.name === name)?.state
  }

  leave(): void {
    for (const fd of this.fds.splice(0)) closeSync(fd)
  }
}

test('a slot is claimed by who shows its descriptor, and by nobody else', async () => {
  await Survived.test([3, 8], { '/a': 1 }, async (scene, { '/a': held }) => {
    const { served, fds } = scene
    const stranger = await scene.holder('a stranger')
    assert.equal(await codeOf(stranger.reclaimDone([3, 8])), 'EPERM')
    assert.equal(await codeOf(stranger.reclaim(held!)), 'EPERM')
    assert.equal(await codeOf(stranger.caller.call(VERBS.showMapping, {})), 'EINVAL')
    assert.equal(scene.stateOf('a stranger'), 'alive')
    // Who has one of their own places locks beside those of others.
    const { fd } = await passed(stranger)
    assert.equal(await codeOf(stranger.reclaim(held!)), 'EPERM', 'that is of this server')
    const plain = openSync(served.region, 'r')
    assert.equal(await codeOf(stranger.show({ fd: plain })), 'EPERM')
    native.lock(plain, SURVIVOR_LOCKS.offset + 3, 1, false)
    assert.equal(await codeOf(stranger.show({ fd: plain })), 'EPERM')
    closeSync(plain)
    // A lock that was placed after the last owner has gone.
    const late = openSync(served.region, 'r')
    native.lock(late, SURVIVOR_LOCKS.offset + 99, 1, false)
    assert.equal(await codeOf(stranger.show({ fd: late })), 'EPERM')
    closeSync(late)
    assert.equal(served.volume.inGrace, true)
    closeSync(fd)

    const one = await scene.holder('one')
    assert.equal(await one.show({ fd: fds[0]! }), 3)
    assert.equal(scene.stateOf('one'), 'reclaiming')
    await one.reclaim(held!)
    assert.equal(await codeOf(one.reclaimDone([3, 8])), 'EPERM', 'the other is not its own')
    await one.reclaimDone([3])
    assert.equal(scene.stateOf('one'), 'alive')
    assert.equal(await codeOf(one.reclaim(held!)), 'EPERM', 'it has said that it is done')
    assert.equal(served.volume.inGrace, true)
    assert.ok(served.log.some((line) => /mapping is claimed.*slot=3.*peer=/.test(line)))

    // Another one shows, and is cut off before it has said that it is done: it is waited for.
    const cut = await scene.holder('cut')
    await cut.show({ fd: fds[1]! })
    cut.disconnect()
    await until(() => scene.stateOf('cut') === 'gone', 'its end')
    assert.equal(served.volume.inGrace, true)
    const other = await scene.holder('other')
    assert.equal(await other.show({ fd: fds[1]! }), 8)
    await other.reclaimDone([])
    assert.equal(scene.stateOf('other'), 'alive')
    assert.equal(served.volume.inGrace, true, 'it has lost what it had mapped')
    closeSync(fds.pop()!)
    await until(() => !served.volume.inGrace, 'the end of grace')
    assert.equal(await codeOf(other.show({ fd: fds[0]! })), 'ESTALE')
    assert.equal(await codeOf(other.reclaim(held!)), 'ESTALE')
    await other.reclaimDone([])
    assert.equal(scene.stateOf('other'), 'alive')
  })
})

test('who has lost its connection after all was reclaimed reclaims again, and is waited for', async () => {
  await Survived.test([3, 8], { '/a': 1 }, async (scene, { '/a': held }) => {
    const { served, fds } = scene
    const first = await scene.holder('first')
    await first.show({ fd: fds[0]! })
    await first.reclaim(held!)
    await first.reclaimDone([3])
    first.disconnect()
    await until(() => scene.stateOf('first') === 'gone', 'its end')
    assert.equal(served.volume.holds().length, 1, 'it still maps')
    const second = await scene.holder('second')
    await second.show({ fd: fds[0]! })
    // The first has nothing that maps any more. Nothing was freed, and nothing is before the end.
    await until(() => scene.stateOf('first') === undefined, 'the end of the first')
    closeSync(fds.pop()!)
    await served.service.server.timers.turn()
    assert.equal(served.service.server.mapping.unclaimed, 1)
    assert.equal(served.volume.inGrace, true)
    await second.reclaim(held!)
    await second.reclaimDone([3])
    await until(() => !served.volume.inGrace, 'the end of grace')
    assert.equal(served.volume.holds().length, 1)
  })
})

test('a session that shows what it maps maps, before it has reclaimed all', async () => {
  await Survived.test([5], {}, async (scene) => {
    const [fd] = scene.fds
    const holder = await scene.holder('mapping')
    const { sessions } = scene.served.service.server
    const [session] = [...sessions.values()].filter(({ name }) => name === 'mapping')
    assert.equal(session!.maps, false)
    await holder.show({ fd: fd! })
    assert.equal(session!.maps, true)
    scene.leave()
    await until(() => !scene.served.volume.inGrace, 'the end of grace')
    assert.equal(scene.stateOf('mapping'), 'alive')
  })
})

test('what was granted is reclaimed whatever its permissions are now, in parts', async () => {
  const blocks = 2 * RECLAIM_EXTENTS_MAX + 10
  await Survived.test([5], { '/many': blocks }, async (scene, { '/many': held }) => {
    const { served, fds } = scene
    const { volume } = served
    volume.chown('/many', 1000, 1000)
    volume.chmod('/many', 0)
    const holder = await scene.holder()
    // As an ordinary user: the mapping says that it was trusted.
    const { sessions } = served.service.server
    const session = [...sessions.values()].at(-1)!
    const { layout } = session
    Object.assign(layout, { as: { uid: 1001, gid: 1001 } })
    await holder.show({ fd: fds[0]! })
    const { extents } = held!.granted
    assert.equal(extents.length, blocks)
    let id: number | undefined
    for (let at = 0; at < blocks; at += RECLAIM_EXTENTS_MAX) {
      const part = extents.slice(at, at + RECLAIM_EXTENTS_MAX)
      const claim = { ...held!, granted: { ...held!.granted, extents: part } }
      ;({
        granted: { id },
      } = await holder.reclaim(claim, id))
    }
    await holder.reclaimDone([5])
    await until(() => !volume.inGrace, 'the end of grace')
    const holds = volume.holds()
    assert.deepEqual(
      holds.map((hold) => [hold.id, hold.kind, hold.bytes]),
      [[id, 'pin', blocks * B]],
    )
    using file = volume.open('/many', 'r+')
    for (const block of [0, 2 * RECLAIM_EXTENTS_MAX, 2 * (blocks - 1)]) {
      assert.throws(() => file.punch(block * B, B), { code: 'EBUSY' })
    }
    assert.equal(session.holds.size, 1)
    scene.leave()
    holder.disconnect()
    await until(() => volume.holds().length === 0, 'the end of the hold')
    file.punch(0, B)
  })
})

test('a session has so many descriptors as it can show, those that are free left out', async () => {
  await Survived.test([], {}, async (scene) => {
    const holder = await scene.holder()
    const { region } = scene.served.volume as unknown as { region: { fd: number } }
    const fds: number[] = []
    for (let i = 0; i < SLOTS_MAX; i++) fds.push((await passed(holder)).fd)
    assert.equal(await codeOf(passed(holder)), 'EMFILE')
    assert.equal(heldSlots(region).length, SLOTS_MAX)
    closeSync(fds.pop()!)
    fds.push((await passed(holder)).fd)
    assert.equal(await codeOf(passed(holder)), 'EMFILE')
    const other = await scene.holder('another')
    const { fd } = await passed(other)
    for (const one of [...fds, fd]) closeSync(one)
    assert.equal(heldSlots(region).length, 0)
    for (let i = 0; i < SLOTS_MAX + 1; i++) closeSync((await passed(holder)).fd)
  })
})

test('a descriptor for reading is passed where its holder cannot open the region to write', async () => {
  await Survived.test([], {}, async ({ served }) => {
    const { server } = served.service
    const mapping = new Mapping(server, { gid: 50, readOnly: true })
    const session = (uid: number, gid: number) => {
      const principal = { uid, gid, groups: [], privileged: false, readOnly: false, peer: '' }
      return { remote: false, principal, slots: new Set() } as unknown as ClientSession
    }
    const refusal = (uid: number, gid = 50) => {
      try {
        mapping.demand(session(uid, gid))
        return null
      } catch (error) {
        return (error as HoldfastError).message
      }
    }
    const { region } = served
    chmodSync(region, 0o640)
    assert.equal(refusal(1000), null)
    assert.match(refusal(1000, 51)!, /EPERM: .*not trusted/)
    const { fd, readOnly } = mapping.give(session(1000, 50))
    assert.equal(readOnly, true)
    closeSync(fd)
    for (const mode of [0o602, 0o620, 0o666]) {
      chmodSync(region, mode)
      assert.match(refusal(1000)!, /EPERM: .*opened for writing by more than its owner/)
      assert.equal(mapping.mayMap(session(1000, 50)), false)
    }
    chmodSync(region, 0o600)
    assert.match(refusal(statSync(region).uid)!, /EPERM: .*belongs to uid/)
    const writing = new Mapping(server, { gid: 50, readOnly: false })
    chmodSync(region, 0o666)
    assert.equal(writing.mayMap(session(1000, 50)), true)
    await Promise.resolve()
  })
})

/** A descriptor of the server. */
async function passed({ caller }: Holder): Promise<{ fd: number; slot: number }> {
  const { slot } = await caller.call(VERBS.descriptor, {})
  const [received] = caller.channel.stream.takeDescriptors!()
  return { fd: received!.fd, slot }
}
