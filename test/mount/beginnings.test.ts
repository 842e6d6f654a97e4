/** How mounts begin: in the background too, or not at all, which is said and leaves nothing. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { noCompiler } from '../processes/compile.js'
import { until } from '../processes/program.js'
import { Caller } from './caller.js'
import { run } from './holder.js'
import { inScene, processesOf } from './left.js'
import { cannotMount, isMounted, MountScene } from './scene.js'

const skip = cannotMount() ?? noCompiler()

test('what cannot be mounted, or mounted at, is said, and leaves nothing', { skip }, async () => {
  const scene = await MountScene.start('embedded')
  try {
    const at = (name: string) => join(scene.folder, name)
    writeFileSync(at('file'), '')
    mkdirSync(at('other'))
    const cases: readonly (readonly [volume: string, directory: string, says: RegExp])[] = [
      [at('none.hf'), at('other'), /ENOENT: .*none\.hf/],
      [at('file'), at('other'), /ENODEV: .*file has 0 bytes/],
      [scene.region, at('none'), /ENOENT: .*none: there is no such directory/],
      [scene.region, at('other'), /EBUSY: .* is open in process \d+/],
      [`hf://127.0.0.1:1`, at('other'), /EACCES: .* wants a key/],
    ]
    for (const [volume, directory, says] of cases) refused(scene, volume, directory, says)
    await scene.unmount()
    refused(scene, scene.region, at('file'), /ENOTDIR: .*file/)
    // In the background it is said by the command, too.
    refused(scene, scene.region, at('none'), /ENOENT: .*none:/, ['--daemon'])
    assert.deepEqual(processesOf(scene.folder), [])
    // A refusal has let go of the region.
    await scene.mount('embedded')
    await scene.end()
  } catch (error) {
    await scene.remove()
    throw error
  }
})

function refused(
  scene: MountScene,
  volume: string,
  directory: string,
  says: RegExp,
  words: readonly string[] = [],
): void {
  const [command, args] = scene.command('mount', ...words, volume, directory)
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 })
  assert.equal(status, 1, stderr)
  assert.match(stderr, says)
  assert.equal(stderr.trim().split('\n').length, 1, stderr)
  assert.equal(isMounted(directory), false)
}

test('a mount in the background has begun when its command returns', { skip }, () =>
  inScene('embedded', '', async (scene) => {
    await scene.unmount()
    const said = scene.holdfast('mount', '--daemon', scene.region, scene.directory)
    assert.match(said, /^mounted .*\n$/)
    assert.equal(isMounted(scene.directory), true)
    const [pid, ...more] = processesOf(`\0${scene.region}\0${scene.directory}\0`)
    assert.deepEqual(more, [])
    scene.programs.adopt(pid!)
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/')
    const caller = Caller.start(scene.programs)
    await caller.open(1, scene.path('f'))
    await caller.end()
    assert.equal(await run('umount', scene.directory), 'done')
    await until(() => processesOf(scene.directory).length === 0, 'no process is left')
  }),
)
