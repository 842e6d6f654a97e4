/**
 * A volume that is full, through a mount: whoever asks for room is told ENOSPC, what was written is
 * there, what needs no room goes on, and everything can be removed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noCompiler } from '../processes/compile.js'
import { until } from '../processes/program.js'
import { Caller } from './caller.js'
import { run } from './holder.js'
import { inScene } from './left.js'
import { cannotMount, type MountScene, type Way } from './scene.js'

const skip = cannotMount() ?? noCompiler()
const BYTES = 6 << 20
const CHUNK = 256 << 10
/** Blocks that may be said to be there, and are too few for a change. */
const LEFT = 4
const B = 4096
/** Names that a directory gets before it has taken the last block. */
const NAMES_MAX = 20_000
/** FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE. */
const PUNCH = 3

/** Writes and syncs until there is no room; how many chunks are there. */
async function fill(caller: Caller, path: string): Promise<number> {
  await caller.open(1, path)
  for (let i = 0; i < BYTES / CHUNK; i++) {
    const answer = await caller.call('fill', 1, i * CHUNK, CHUNK, i + 1)
    const synced = answer === String(CHUNK) ? await caller.call('fsync', 1) : answer
    if (synced === '') continue
    // What fits of the last one may be there (write(2)), or nothing.
    assert.match(synced, /^(ENOSPC|\d+)$/)
    return i
  }
  assert.fail('it never was full')
}

/** Asks for names until there is no room for one, or for their inodes; how many there are. */
async function fillNames(ask: (i: number) => Promise<string>): Promise<number> {
  for (let i = 0; i < NAMES_MAX; i++) {
    const answer = await ask(i)
    if (answer === '') continue
    assert.equal(answer, 'ENOSPC')
    return i
  }
  assert.fail('there always was room for a name')
}

const WAYS: readonly (readonly [Way, string])[] = [
  ['embedded', ''],
  ['embedded', 'exclusive'],
  ['within', 'cache'],
  ['remote', ''],
]

for (const [way, words] of WAYS) {
  test(
    `a full volume that is ${way}${words && `, ${words},`} says ENOSPC, and can be emptied`,
    { skip },
    () => inScene(way, words, fullAndEmpty, BYTES),
  )
}

async function fullAndEmpty(scene: MountScene): Promise<void> {
  const caller = Caller.start(scene.programs)
  const free = async () => Number(await caller.done('free', scene.directory))
  const empty = await free()
  await caller.done('mkdir', scene.path('d'))
  await caller.open(2, scene.path('d/empty'))
  const chunks = await fill(caller, scene.path('d/large'))
  assert.ok(chunks >= 4, `${chunks} chunks fit`)
  await fillNames((i) => caller.call('mkdir', scene.path(`d/x${i}`)))
  await fillNames((i) => caller.call('link', scene.path('d/empty'), scene.path(`d/l${i}`)))
  const left = Number(await caller.done('available', scene.directory))
  assert.ok(left <= LEFT, `${left} blocks are left, and there is no room`)
  await refuses(scene, caller)
  await goesOn(scene, caller)
  // What was acknowledged is there.
  assert.equal(await caller.done('check', 1, 0, B, 77), 'same')
  assert.equal(await caller.done('check', 1, B, B, 0), 'same')
  for (let i = 1; i < chunks; i++) {
    assert.equal(await caller.done('check', 1, i * CHUNK, CHUNK, i + 1), 'same', `chunk ${i}`)
  }
  await caller.done('close', 1)
  await caller.done('close', 2)
  // Everything goes.
  const paths = ['d', 'copy', 'z'].map((name) => scene.path(name))
  assert.equal(await run('rm', '-rf', ...paths), 'done')
  assert.equal(await caller.done('list', scene.directory), '')
  await until(async () => (await free()) >= empty - 2, `${empty} blocks are free again`)
  // And there is room again.
  assert.ok((await fill(caller, scene.path('again'))) >= chunks - 1)
  await caller.end()
}

/** Who asks for room is told, each in its way. */
async function refuses(scene: MountScene, caller: Caller): Promise<void> {
  assert.equal(await caller.call('fallocate', 2, 0, 0, CHUNK), 'ENOSPC')
  assert.equal(await caller.call('setxattr', scene.path('d/empty'), 'user.x', B), 'ENOSPC')
  // Where writes wait in pages, it is fsync(2) or close(2) that says it.
  for (const end of ['fsync', 'close']) {
    const written = await caller.call('fill', 2, 0, CHUNK, 1)
    const said = written === String(CHUNK) ? await caller.call(end, 2) : written
    assert.equal(said, 'ENOSPC', end)
    await caller.open(2, scene.path('d/empty'))
  }
  assert.match(await run('cp', scene.path('d/large'), scene.path('copy')), /^(done|ENOSPC)$/)
  // As much as the volume has.
  const dd = ['if=/dev/zero', `of=${scene.path('z')}`, `bs=${CHUNK}`, `count=${BYTES / CHUNK}`]
  assert.equal(await run('dd', ...dd, 'conv=fsync'), 'ENOSPC')
}

/** What needs no room is done. */
async function goesOn(scene: MountScene, caller: Caller): Promise<void> {
  await caller.done('fill', 1, 0, CHUNK, 77)
  await caller.done('fsync', 1)
  await caller.done('rename', scene.path('d/x0'), scene.path('d/x1'))
  await caller.done('unlink', scene.path('d/l0'))
  await caller.done('fallocate', 1, PUNCH, B, B)
  await caller.done('truncate', scene.path('d/empty'), 1 << 30)
}

test('a page that is stored to over a hole, where there is no room, is ENOSPC', { skip }, () =>
  inScene(
    'embedded',
    'cache',
    async (scene) => {
      const caller = Caller.start(scene.programs)
      await caller.open(2, scene.path('sparse'))
      await caller.done('ftruncate', 2, 1 << 20)
      await caller.done('map', 1, 2, 0, 1 << 20, 'w')
      await fill(caller, scene.path('large'))
      await fillNames((i) => caller.call('mkdir', scene.path(`x${i}`)))
      await caller.done('storefill', 1, 0, 1 << 20, 5)
      assert.equal(await caller.call('msync', 1), 'ENOSPC')
      await caller.done('unlink', scene.path('large'))
      await caller.done('close', 1)
      // Once there is room it can be written: again, as the page was given up.
      await caller.done('storefill', 1, 0, 1 << 20, 6)
      await caller.done('msync', 1)
      assert.equal(await caller.done('check', 2, 0, 1 << 20, 6), 'same')
      await caller.end()
    },
    BYTES,
  ),
)
