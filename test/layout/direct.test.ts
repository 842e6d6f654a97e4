/** Calls that are answered in the turn that they come in: where they would have to wait. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { VolumeHandle } from '../../src/layout/handle.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { BLOCKS, Scene } from './scene.js'

/** A handle of `/f`, and what is told of holds from then on. */
async function opened(s: Scene): Promise<{ handle: VolumeHandle; told: string[] }> {
  const files = new VolumeFileSystem(s.volume, () => () => {})
  const handle = await files.open('/f', 'r+')
  assert.ok(handle instanceof VolumeHandle)
  const told: string[] = []
  s.volume.watchHolds(({ kind }) => told.push(kind))
  return { handle, told }
}

test('a write that would have to wait has done nothing, and is no refusal yet', async () => {
  using s = new Scene()
  const { handle, told } = await opened(s)
  await handle.truncate((BLOCKS + 2) * B)
  const lease = s.lease('/f', [BLOCKS, BLOCKS + 2], {
    onRecall: () => lease.release(),
  })
  assert.equal(handle.writeNow(Buffer.from('grows'), BLOCKS * B, false), false)
  assert.deepEqual(told, ['grant'])
  assert.deepEqual(s.block('/f', BLOCKS), new Uint8Array(B))
  await handle.write(Buffer.from('grows'), BLOCKS * B)
  assert.deepEqual(told, ['grant', 'recall', 'release'])
  assert.equal(handle.writeNow(Buffer.from('again'), BLOCKS * B, false), true)
  await handle.close()
})

test('what a cache writes later leaves the time of the last change as it was', async () => {
  using s = new Scene()
  const { handle } = await opened(s)
  const dated = { seconds: 1_234_567, nanoseconds: 89 }
  await handle.utimes('omit', dated)
  for (const [position, what] of [
    [0, 'in place'],
    [BLOCKS * B - 3, 'over the end'],
  ] as const) {
    assert.equal(handle.writeNow(Buffer.from(what), position, true), true)
    const { mtimeSeconds, mtimeNanoseconds } = handle.statNow()
    assert.deepEqual({ seconds: mtimeSeconds, nanoseconds: mtimeNanoseconds }, dated, what)
  }
  await handle.close()
  const { mtimeSeconds, mtimeNanoseconds } = s.volume.stat('/f')
  assert.deepEqual({ seconds: mtimeSeconds, nanoseconds: mtimeNanoseconds }, dated)
})
