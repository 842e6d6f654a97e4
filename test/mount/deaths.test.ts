/**
 * Who serves a mount is killed while programs write: what fsync(2) had acknowledged is there
 * afterwards, and what is left of the mount is taken away.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createVolume } from '../../src/layout/embedded.js'
import { noCompiler } from '../processes/compile.js'
import { until } from '../processes/program.js'
import { Caller } from './caller.js'
import { inScene, processesOf, watchdogOf } from './left.js'
import { cannotMount, isMounted, type MountScene, type Way } from './scene.js'
import { Writers } from './writers.js'

const skip = cannotMount() ?? noCompiler()
const WRITERS = 3
/** Blocks that each writes before something dies. */
const BLOCKS = 30
/** Of a file that is not read ahead as a whole. */
const LARGE = 8 << 20

async function assertWritten(scene: MountScene, writers: Writers): Promise<void> {
  const reader = Caller.start(scene.programs)
  await writers.check(reader)
  await reader.end()
}

function assertMounted({ directory }: MountScene, times: number): void {
  const points = readFileSync('/proc/self/mountinfo', 'utf8').split(` ${directory} `)
  assert.equal(points.length - 1, times)
}

// ---- the mount itself ----------------------------------------------------------------------

const KILLED: readonly (readonly [Way, string])[] = [
  ['embedded', ''],
  ['embedded', 'exclusive'],
  ['within', ''],
  ['within', 'cache'],
]

for (const [way, words] of KILLED) {
  test(
    `a mount that is ${way}${words && `, ${words},`} and killed is taken away, and has lost nothing`,
    { skip },
    () =>
      inScene(way, words, async (scene) => {
        const writers = new Writers(scene.programs, WRITERS, (name) => scene.path(name))
        await writers.get(BLOCKS)
        await scene.program.kill('SIGKILL')
        for (const end of await writers.failed()) assert.match(end, /E(NOTCONN|CONNABORTED)$/)
        await until(() => !isMounted(scene.directory), 'the watchdog takes it away')
        await until(() => processesOf(scene.directory).length === 0, 'no process is left')
        scene.holdfast('fsck', scene.region)
        if (way === 'within') await scene.serveAgain()
        else await scene.mount(way, words)
        await assertWritten(scene, writers)
      }),
  )
}

test('a mount that is killed with its watchdog is taken away by the next one', { skip }, () =>
  inScene('embedded', '', async (scene) => {
    const writers = new Writers(scene.programs, WRITERS, (name) => scene.path(name))
    await writers.get(BLOCKS)
    process.kill(watchdogOf(scene), 'SIGKILL')
    await scene.program.kill('SIGKILL')
    await writers.failed()
    const caller = Caller.start(scene.programs)
    // Not stat(2), which is told what the kernel has kept.
    assert.equal(await caller.call('available', scene.directory), 'ENOTCONN')
    assert.equal(isMounted(scene.directory), true)
    await scene.mount('embedded')
    assertMounted(scene, 1)
    await assertWritten(scene, writers)
    await caller.end()
  }),
)

test('a dead mount is known though the kernel still tells of its directory', { skip }, () =>
  inScene('embedded', '', async (scene) => {
    const caller = Caller.start(scene.programs)
    await caller.done('stat', scene.directory)
    process.kill(watchdogOf(scene), 'SIGKILL')
    await scene.program.kill('SIGKILL')
    await caller.done('stat', scene.directory)
    await scene.mount('embedded')
    assertMounted(scene, 1)
    await caller.end()
  }),
)

test('a mount that hangs is not taken for a dead one, nor asked for ever', { skip }, () =>
  inScene('embedded', '', async (scene) => {
    const other = join(scene.folder, 'other.hf')
    createVolume(other, 16 << 20)
    process.kill(scene.program.pid, 'SIGSTOP')
    try {
      const over = scene.start('mount', other, scene.directory)
      assert.match(await over.line(), /^mounted /)
      assertMounted(scene, 2)
      await over.kill('SIGTERM')
    } finally {
      process.kill(scene.program.pid, 'SIGCONT')
    }
    assertMounted(scene, 1)
  }),
)

test('who has a file of a dead mount mapped is not left hanging', { skip }, () =>
  inScene('embedded', 'cache', async (scene) => {
    const caller = Caller.start(scene.programs)
    await caller.open(1, scene.path('f'))
    await caller.done('ftruncate', 1, LARGE)
    await caller.done('map', 1, 1, 0, LARGE, 'w')
    await caller.done('storefill', 1, 0, 32 * 4096, 1)
    const other = Caller.start(scene.programs)
    await other.open(1, scene.path('f'))
    await other.done('map', 1, 1, 0, LARGE)
    await scene.program.kill('SIGKILL')
    assert.match(await caller.call('msync', 1), /^E(IO|NOTCONN|CONNABORTED)$/)
    // A page that is not there cannot be had any more: SIGBUS, as for a disk that is gone.
    other.program.expectEnd()
    const lost = other.call('load', 1, LARGE - 4096, 1).catch(() => 'ended')
    assert.equal(await lost, 'ended')
    assert.equal((await other.program.ended()).signal, 'SIGBUS')
    await caller.end()
    await until(() => !isMounted(scene.directory), 'the watchdog takes it away')
    await scene.mount('embedded')
  }),
)

// ---- its server ----------------------------------------------------------------------------

for (const [way, words] of [
  ['served', 'cache'],
  ['remote', 'hard'],
] as const) {
  test(
    `a server that is killed and started again is found by a mount, ${way} ${words}`.trim(),
    { skip },
    () =>
      inScene(way, words, async (scene) => {
        const at = (name: string) => scene.path(name)
        const writers = new Writers(scene.programs, WRITERS, at, true)
        for (let round = 0; round < 2; round++) {
          await writers.get(BLOCKS)
          await scene.daemon!.program.kill('SIGKILL')
          await scene.serveAgain()
          await writers.get(BLOCKS)
        }
        await writers.stop()
        // What was under way may have failed; what was asked later has waited.
        for (const again of writers.again)
          assert.ok(again <= 4, `${again} calls had to be repeated`)
        await assertWritten(scene, writers)
        // Also when nobody has it in memory any more.
        await scene.unmount()
        await scene.mount(way, words)
        await assertWritten(scene, writers)
      }),
  )
}
