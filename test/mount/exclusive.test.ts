/**
 * A volume that is one mount's alone: what programs write waits in pages, is seen by all of them at
 * once, and is in the volume after fsync(2), sync(2) and the end of the mount. Nobody else has it
 * meanwhile.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { O } from '../../src/base/open_flags.js'
import { openVolume } from '../../src/layout/embedded.js'
import { noCompiler } from '../processes/compile.js'
import { Caller } from './caller.js'
import { run } from './holder.js'
import { cannotMount, isMounted, MountScene } from './scene.js'

const skip = cannotMount() ?? noCompiler()
const exec = promisify(execFile)
const hex = (text: string) => Buffer.from(text).toString('hex')

describe('a mount that has the volume alone', { skip }, () => {
  let scene: MountScene
  let caller: Caller
  let other: Caller
  before(async () => {
    scene = await MountScene.start('embedded', 'exclusive')
    caller = Caller.start(scene.programs)
    other = Caller.start(scene.programs)
  })
  after(async () => {
    await caller.end()
    await other.end()
    await scene.end()
  })

  test('shows what one program writes to the others at once', async () => {
    const path = scene.path('f')
    await caller.open(1, path)
    await caller.done('write', 1, 0, 'by_one')
    await other.open(1, path)
    assert.equal(await other.done('read', 1, 0, 100), hex('by_one'))
    await other.done('write', 1, 2 * B, 'by_another')
    assert.equal(await caller.done('read', 1, 2 * B, 100), hex('by_another'))
    assert.equal((await caller.done('stat', path)).split(' ')[1], String(2 * B + 10))
    await caller.done('ftruncate', 1, 3)
    assert.equal(await other.done('read', 1, 0, 100), hex('by_'))
  })

  // Its times are written after it has gone, which was ESTALE, and that of the filesystem from then
  // on (found by the stressor of stress-ng that syncs whatever is mounted).
  test('syncs without an error when files were removed, or others took their names', async () => {
    for (const name of ['gone', 'taken', 'taking']) {
      await caller.open(1, scene.path(name))
      await caller.done('write', 1, 0, name)
      await caller.done('close', 1)
    }
    assert.equal(await run('rm', scene.path('gone')), 'done')
    assert.equal(await run('sync', '-f', scene.directory), 'done')
    assert.equal(await run('mv', scene.path('taking'), scene.path('taken')), 'done')
    assert.equal(await run('sync', '-f', scene.directory), 'done')
    assert.equal(await run('rm', scene.path('taken')), 'done')
  })

  test('shows what is stored to memory, and maps what is written', async () => {
    const path = scene.path('mapped')
    await caller.open(1, path)
    await caller.done('ftruncate', 1, 4 * B)
    await caller.done('map', 1, 1, 0, 4 * B, 'w')
    await caller.done('store', 1, B, 'stored')
    await other.open(1, path)
    assert.equal(await other.done('read', 1, B, 6), hex('stored'))
    await other.done('write', 1, B + 6, '_and_written')
    assert.equal(await caller.done('load', 1, B, 18), hex('stored_and_written'))
    await caller.done('unmap', 1)
  })

  test('appends of two programs come one behind the other', async () => {
    const path = scene.path('log')
    const flags = O.WRONLY | O.CREAT | O.APPEND
    for (const one of [caller, other]) await one.open(2, path, flags)
    const wanted: string[] = []
    for (let i = 0; i < 50; i++) {
      await Promise.all([caller.done('append', 2, `${i}a;`), other.done('append', 2, `${i}b;`)])
      wanted.push(`${i}a`, `${i}b`)
    }
    const { stdout } = await exec('cat', [path])
    assert.deepEqual(stdout.split(';').slice(0, -1).sort(), wanted.sort())
    // What one wrote comes in the order in which it did.
    const ofOne = stdout.split(';').filter((word) => word.endsWith('a'))
    assert.deepEqual(
      ofOne,
      Array.from({ length: 50 }, (_, i) => `${i}a`),
    )
  })

  test('keeps a time that a program set, though pages are written later', async () => {
    const path = scene.path('dated')
    await caller.open(1, path)
    await caller.done('fill', 1, 0, 8 * B, 1)
    assert.equal(await run('touch', '-d', '@1234567', path), 'done')
    assert.equal(await run('sync', path), 'done')
    await caller.done('close', 1)
    assert.equal((await other.done('stat', path)).split(' ')[5], '1234567')
  })

  test('has what was synced in the region', async () => {
    const path = scene.path('synced')
    await caller.open(1, path)
    await caller.done('fill', 1, 0, 4 * B, 99)
    await caller.done('fsync', 1)
    const [list] = (await caller.done('extents', 1, 0)).split(' ').slice(2)
    const [, region] = list!.split(':').map(Number)
    const { stdout } = await exec(
      'dd',
      [`if=${scene.region}`, 'bs=4096', `skip=${region! / B}`, 'count=4', 'status=none'],
      { encoding: 'buffer' },
    )
    assert.deepEqual(stdout, Buffer.alloc(4 * B, 99))
  })

  test('lets nobody else have the region', () => {
    const { status, stderr } = spawnSync(...scene.command('ls', `${scene.region}:/`), {
      encoding: 'utf8',
    })
    assert.equal(status, 1)
    assert.match(stderr, /EBUSY: .* is open in process \d+/)
  })
})

test('what programs wrote is in the volume when it is unmounted', { skip }, async () => {
  const scene = await MountScene.start('embedded', 'exclusive')
  try {
    const caller = Caller.start(scene.programs)
    await caller.open(1, scene.path('written'))
    await caller.done('fill', 1, 0, 100 * B, 5)
    await caller.done('ftruncate', 1, 70 * B + 1)
    await caller.open(2, scene.path('stored'))
    await caller.done('ftruncate', 2, 4 * B)
    await caller.done('map', 1, 2, 0, 4 * B, 'w')
    await caller.done('storefill', 1, 0, 4 * B, 6)
    await caller.end()
    await scene.unmount()
    const volume = openVolume(scene.region)
    try {
      assert.deepEqual(Buffer.from(volume.readFile('/written')), Buffer.alloc(70 * B + 1, 5))
      assert.deepEqual(Buffer.from(volume.readFile('/stored')), Buffer.alloc(4 * B, 6))
    } finally {
      volume.close()
    }
  } finally {
    await scene.remove()
  }
})

test('what was changed is dated by then, though it is written later', { skip }, async () => {
  const scene = await MountScene.start('embedded', 'exclusive')
  try {
    const caller = Caller.start(scene.programs)
    const names = Array.from({ length: 30 }, (_, i) => `stored${i}`)
    for (const name of names) {
      await caller.open(1, scene.path(name))
      await caller.done('ftruncate', 1, 64 * B)
      await caller.done('map', 1, 1, 0, 64 * B, 'w')
      await caller.done('storefill', 1, 0, 64 * B, 6)
      await caller.done('close', 1)
      await caller.done('unmap', 1)
    }
    await caller.end()
    const times = names.map((name) => statSync(scene.path(name), { bigint: true }).mtimeNs)
    await scene.unmount()
    const volume = openVolume(scene.region)
    try {
      const found = names.map((name) => {
        const { mtimeSeconds, mtimeNanoseconds } = volume.stat(`/${name}`)
        return BigInt(mtimeSeconds) * 1_000_000_000n + BigInt(mtimeNanoseconds)
      })
      assert.deepEqual(found, times)
    } finally {
      volume.close()
    }
  } finally {
    await scene.remove()
  }
})

test(
  'who asks for a served volume alone is refused, and nothing is mounted',
  { skip },
  async () => {
    const scene = await MountScene.start('within')
    try {
      const elsewhere = `${scene.folder}/elsewhere`
      assert.equal(await run('mkdir', elsewhere), 'done')
      const [command, args] = scene.command('mount', '-o', 'exclusive', scene.socket, elsewhere)
      const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 })
      assert.deepEqual([status, isMounted(elsewhere)], [1, false])
      assert.match(stderr, /EINVAL: .* exclusive is for one user/)
    } finally {
      await scene.end()
    }
  },
)

test('a server that shows its volume does not have it alone', { skip }, async () => {
  const scene = await MountScene.start('embedded')
  try {
    await scene.unmount()
    const words = ['--mount', scene.directory, '--mount-options', 'exclusive', scene.region]
    const [command, args] = scene.command('serve', '--socket', scene.socket, ...words)
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 })
    assert.deepEqual([status, isMounted(scene.directory)], [1, false])
    assert.match(stderr, /EINVAL: .*exclusive is for one user/)
    // It has let go of the region.
    scene.holdfast('ls', `${scene.region}:/`)
  } finally {
    await scene.remove()
  }
})
