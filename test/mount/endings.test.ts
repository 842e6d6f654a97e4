/**
 * Mounts that end in order: by signals, by umount(8) and fusermount3(1), with programs in them and
 * without. Each ends in bounded time, takes away what is its own, and leaves nothing.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { noCompiler } from '../processes/compile.js'
import { until, type Program } from '../processes/program.js'
import { Caller } from './caller.js'
import { run } from './holder.js'
import { inScene, processesOf, within } from './left.js'
import { cannotMount, isMounted, type MountScene } from './scene.js'
import { Writers } from './writers.js'

const skip = cannotMount() ?? noCompiler()
/** More than writers write while they may still leave. */
const BYTES = 1 << 30
const ORDERLY = { status: 0, signal: null }

/** A mount has ended in order, and nothing is left of it. */
async function assertEnded(scene: MountScene, program: Program = scene.program): Promise<void> {
  assert.deepEqual(await within(program.ended()), ORDERLY, program.said())
  assert.equal(isMounted(scene.directory), false)
  await until(() => processesOf(`\0${scene.directory}\0`).length === 0, 'no process is left')
}

// ---- with programs in it ----------------------------------------------------------------------

/** Each lasts as long as programs have to leave: they wait side by side. */
describe('signals', { concurrency: 8 }, () => {
  for (const way of ['embedded', 'within'] as const) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      test(`${signal} ends a mount that is ${way}, with programs in it`, { skip }, () =>
        inScene(way, '', async (scene) => {
          const [inside, open, empty] = Array.from({ length: 3 }, () =>
            Caller.start(scene.programs),
          )
          await inside!.done('mkdir', scene.path('d'))
          await inside!.done('cd', scene.path('d'))
          await open!.open(1, scene.path('f'))
          await open!.done('fill', 1, 0, 4096, 1)
          void scene.program.kill(signal)
          await assertEnded(scene)
          assert.match(await open!.call('read', 1, 0, 10), /^E(NOTCONN|CONNABORTED)$/)
          assert.match(await inside!.call('list', '.'), /^E(NOTCONN|CONNABORTED)$/)
          // What was there before the mount is there again.
          assert.equal(await empty!.done('list', scene.directory), '')
          for (const one of [inside, open, empty]) await one!.end()
        }),
      )
    }

    test(
      `SIGTERM ends a mount that is ${way}, with a program that waits for a lock`,
      { skip },
      () =>
        inScene(way, '', async (scene) => {
          const [owner, waiter] = [Caller.start(scene.programs), Caller.start(scene.programs)]
          for (const one of [owner, waiter]) await one.open(1, scene.path('f'))
          await owner.done('lock', 1, 'posix', 'write', 0, 0)
          const waiting = waiter.call('lock', 1, 'posix', 'write', 0, 0, 'wait')
          await waiter.waits()
          void scene.program.kill('SIGTERM')
          await assertEnded(scene)
          assert.match(await waiting, /^E(INTR|NOTCONN|CONNABORTED)$/)
          for (const one of [owner, waiter]) await one.end()
        }),
    )
  }
})

for (const words of ['', 'exclusive']) {
  test(
    `SIGTERM ends a mount that is written to, and what was synced is there ${words}`,
    { skip },
    () =>
      inScene(
        'embedded',
        words,
        async (scene) => {
          const writers = new Writers(scene.programs, 3, (name) => scene.path(name))
          await writers.get(20)
          void scene.program.kill('SIGTERM')
          for (const end of await writers.failed()) assert.match(end, /E(NOTCONN|CONNABORTED)$/)
          await assertEnded(scene)
          scene.holdfast('fsck', scene.region)
          await scene.mount('embedded', words)
          const reader = Caller.start(scene.programs)
          await writers.check(reader)
          await reader.end()
        },
        BYTES,
      ),
  )
}

// ---- from outside -----------------------------------------------------------------------------

for (const command of [['umount'], ['umount', '-l'], ['fusermount3', '-u']]) {
  const [program, ...words] = command as [string, ...string[]]
  const missing = spawnSync(program, ['--version']).status === 0 ? false : `no ${program}`
  test(`${command.join(' ')} ends a mount, and its command with 0`, { skip: skip || missing }, () =>
    inScene('embedded', '', async (scene) => {
      assert.equal(await run(program, ...words, scene.directory), 'done')
      await assertEnded(scene)
    }),
  )
}

test('umount of a mount with programs in it is EBUSY, and they go on', { skip }, () =>
  inScene('embedded', '', async (scene) => {
    const caller = Caller.start(scene.programs)
    await caller.open(1, scene.path('f'))
    assert.equal(spawnSync('umount', [scene.directory]).status, 32)
    assert.equal(await caller.done('write', 1, 0, 'text'), '4')
    // From the tree it goes at once, and ends with the last program in it.
    assert.equal(await run('umount', '-l', scene.directory), 'done')
    assert.equal(isMounted(scene.directory), false)
    assert.equal(await caller.done('write', 1, 4, 'more'), '4')
    assert.equal(scene.program.running, true)
    await caller.end()
    await assertEnded(scene)
    assert.equal(scene.holdfast('cat', `${scene.region}:/f`), 'textmore')
  }),
)

test('a server goes on when the mount that it has made is taken away', { skip }, () =>
  inScene('within', '', async (scene) => {
    assert.equal(await run('umount', scene.directory), 'done')
    assert.match(scene.holdfast('info', scene.socket), /mount/)
    assert.equal(scene.program.running, true)
    await scene.program.kill('SIGTERM')
    await assertEnded(scene)
  }),
)

// ---- one above the other ----------------------------------------------------------------------

test('the end of a mount takes nothing away that was there before it', { skip }, () =>
  inScene('embedded', '', async (scene) => {
    await scene.unmount()
    execFileSync('mount', ['-t', 'tmpfs', 'below', scene.directory])
    try {
      writeFileSync(scene.path('below'), 'below')
      for (const end of ['umount', 'SIGTERM', 'SIGKILL'] as const) {
        await scene.mount('embedded')
        if (end === 'umount') assert.equal(await run('umount', scene.directory), 'done')
        else void scene.program.kill(end)
        await within(scene.program.ended())
        const points = () =>
          readFileSync('/proc/self/mountinfo', 'utf8').split(` ${scene.directory} `).length - 1
        await until(() => points() <= 1, 'ours is gone')
        await until(() => processesOf(`\0${scene.directory}\0`).length === 0, 'no process is left')
        assert.equal(readFileSync(scene.path('below'), 'utf8'), 'below', end)
      }
    } finally {
      execFileSync('umount', [scene.directory])
    }
    // The last one was killed.
    await scene.mount('embedded')
  }),
)

test('SIGTERM ends a mount that another one is above, and leaves that', { skip }, () =>
  inScene('embedded', '', async (scene) => {
    execFileSync('mount', ['-t', 'tmpfs', 'above', scene.directory])
    try {
      writeFileSync(scene.path('above'), 'above')
      void scene.program.kill('SIGTERM')
      assert.deepEqual(await within(scene.program.ended()), ORDERLY)
      assert.equal(readFileSync(scene.path('above'), 'utf8'), 'above')
    } finally {
      execFileSync('umount', [scene.directory])
    }
    await until(() => {
      spawnSync('umount', [scene.directory])
      return !isMounted(scene.directory)
    }, 'what is left of ours goes')
  }),
)

// ---- programs that end ------------------------------------------------------------------------

test('programs that are killed give back what they had open', { skip }, () =>
  inScene('embedded', '', async (scene) => {
    const watcher = Caller.start(scene.programs)
    const free = () => watcher.done('free', scene.directory)
    const before = await free()
    const killed = Caller.start(scene.programs)
    for (let i = 1; i < 40; i++) {
      await killed.open(i, scene.path(`f${i}`))
      await killed.done('fill', i, 0, 10 * 4096, i)
      await killed.done('unlink', scene.path(`f${i}`))
    }
    assert.ok(Number(await free()) <= Number(before) - 390)
    await killed.program.kill('SIGKILL')
    await until(async () => Number(await free()) >= Number(before) - 8, 'the blocks are free again')
    await watcher.end()
  }),
)
