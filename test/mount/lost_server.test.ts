/**
 * A server that is lost, or silent: programs in the mount wait for it as long as was said, and are
 * told EIO then; signals end their waits, and nothing keeps the mount from being taken away.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { noCompiler } from '../processes/compile.js'
import { Caller, comes } from './caller.js'
import { run } from './holder.js'
import { inScene, processesOf, timed, within } from './left.js'
import { cannotMount, isMounted, type MountScene } from './scene.js'

const skip = cannotMount() ?? noCompiler()
const WAIT = 2
/** Three keepalives, in which a server that is silent may still be there. */
const SILENCE = 15
/** Seconds that a busy machine may take. */
const SLACK = 10

const isOver = (text: string) => assert.match(text, /^E(IO|NOTCONN|CONNABORTED)$/)

/** A file of some bytes that a program has open. */
async function reading(scene: MountScene): Promise<Caller> {
  const caller = Caller.start(scene.programs)
  await caller.open(1, scene.path('f'))
  await caller.done('fill', 1, 0, 8192, 7)
  return caller
}

/** The scene without its server, which was killed. */
async function killServer(scene: MountScene): Promise<void> {
  await scene.daemon!.program.kill('SIGKILL')
}

async function unmountedBy(scene: MountScene, signal: NodeJS.Signals): Promise<void> {
  assert.notEqual(await within(scene.program.kill(signal)), 'nothing', scene.program.said())
  assert.equal(isMounted(scene.directory), false)
  await comes(async () => processesOf(`\0${scene.directory}\0`).length, 0)
}

/** What has ended is started anew, so that the scene ends as others do. */
async function mountAgain(scene: MountScene, way: 'served' | 'remote'): Promise<void> {
  if (scene.daemon!.program.running) await scene.daemon!.stop()
  await scene.mount(way)
}

test(`a remote server that is gone is EIO after ${WAIT} seconds, and then at once`, { skip }, () =>
  inScene('remote', `wait=${WAIT}`, async (scene) => {
    const caller = await reading(scene)
    await killServer(scene)
    let answer = ''
    const took = await timed(async () => (answer = await caller.call('read', 1, 0, 10)))
    assert.equal(answer, 'EIO')
    assert.ok(took < (WAIT + SLACK) * 1000, `it took ${took.toFixed(0)} ms`)
    const calls = [
      ['read', 1, 0, 10],
      ['write', 1, 0, 'x'],
      ['stat', scene.path('other')],
      ['list', scene.directory],
      ['mkdir', scene.path('d')],
      ['free', scene.directory],
    ] as const
    const later = await timed(async () => {
      for (const call of calls) assert.equal(await caller.call(...call), 'EIO', call[0])
    })
    assert.ok(later < 1000 * WAIT, `${later.toFixed(0)} ms for ${calls.length} calls`)
    await caller.end()
    assert.equal(await run('umount', scene.directory), 'done')
    assert.notEqual(await within(scene.program.ended()), 'nothing')
    await mountAgain(scene, 'remote')
  }),
)

test('a remote server that is silent is EIO, too', { skip }, () =>
  inScene('remote', `wait=${WAIT}`, async (scene) => {
    const caller = await reading(scene)
    await scene.daemon!.program.stop()
    let answer = ''
    const took = await timed(async () => (answer = await caller.call('list', scene.directory)))
    assert.equal(answer, 'EIO')
    assert.ok(took < (SILENCE + WAIT + SLACK) * 1000, `it took ${took.toFixed(0)} ms`)
    scene.daemon!.program.continue()
    await caller.end()
    await unmountedBy(scene, 'SIGTERM')
    await mountAgain(scene, 'remote')
  }),
)

/** They wait, and that side by side. */
describe('a server that is lost, or silent', { concurrency: 4 }, () => {
  for (const way of ['served', 'remote'] as const) {
    test(
      `a mount that is ${way} and waits for its server for ever goes on when it is back`,
      { skip },
      () =>
        inScene(way, 'hard', async (scene) => {
          const caller = await reading(scene)
          const other = Caller.start(scene.programs)
          await killServer(scene)
          const read = caller.call('check', 1, 0, 8192, 7)
          const list = other.call('list', scene.directory)
          for (const one of [caller, other]) await one.waits()
          await scene.serveAgain()
          assert.equal(await read, 'same')
          assert.equal(await list, 'f')
          await caller.done('fill', 1, 0, 8192, 8)
          await caller.call('fsync', 1)
          for (const one of [caller, other]) await one.end()
        }),
    )

    test(`a program that waits for a lost server may be killed, ${way}`, { skip }, () =>
      inScene(way, 'hard', async (scene) => {
        const caller = await reading(scene)
        const others = Array.from({ length: 4 }, () => Caller.start(scene.programs))
        await others[3]!.open(1, scene.path('f'), 0)
        await killServer(scene)
        const calls = [
          ['stat', scene.path('missing')],
          ['mkdir', scene.path('d')],
          ['list', scene.directory],
          ['read', 1, 0, 10],
        ] as const
        for (const [i, one] of others.entries()) {
          const asked = one.call(...calls[i]!).catch(() => 'killed')
          await one.waits()
          void one.program.kill('SIGKILL')
          assert.equal(await within(asked), 'killed', calls[i]![0])
        }
        await scene.serveAgain()
        assert.equal(await caller.call('check', 1, 0, 8192, 7), 'same')
        await caller.end()
      }),
    )

    test(
      `a mount that is ${way} ends by SIGTERM while programs wait for its server`,
      { skip },
      () =>
        inScene(way, 'hard', async (scene) => {
          const caller = await reading(scene)
          const other = Caller.start(scene.programs)
          await killServer(scene)
          const calls = [caller.call('read', 1, 0, 10), other.call('list', scene.directory)]
          for (const one of [caller, other]) await one.waits()
          await unmountedBy(scene, 'SIGTERM')
          for (const call of calls) isOver(await call)
          for (const one of [caller, other]) await one.end()
          await mountAgain(scene, way)
        }),
    )

    for (const words of [[], ['-f']]) {
      const command = ['umount', ...words].join(' ')
      test(`a mount that is ${way} ends by ${command} though its server is gone`, { skip }, () =>
        inScene(way, 'hard', async (scene) => {
          const caller = await reading(scene)
          await killServer(scene)
          await within(caller.program.kill('SIGKILL'))
          const unmounts = scene.programs.start(command, ['umount', ...words, scene.directory])
          assert.deepEqual(await within(unmounts.ended()), { status: 0, signal: null })
          assert.equal(isMounted(scene.directory), false)
          assert.notEqual(await within(scene.program.ended()), 'nothing')
          await mountAgain(scene, way)
        }),
      )
    }

    test(`a mount that is ${way} ends by SIGTERM though its server is silent`, { skip }, () =>
      inScene(way, 'hard', async (scene) => {
        const caller = await reading(scene)
        await scene.daemon!.program.stop()
        const asked = caller.call('list', scene.directory)
        await caller.waits()
        await unmountedBy(scene, 'SIGTERM')
        isOver(await asked)
        scene.daemon!.program.continue()
        await caller.end()
        await mountAgain(scene, way)
      }),
    )
  }
})
