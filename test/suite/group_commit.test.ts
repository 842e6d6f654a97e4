/** The volume with group sync as a FileSystem: it commits by itself, on a thread, and in order. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createVolume, openVolume } from '../../src/layout/embedded.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'

/** A timer that ticks when it is told to. */
class HandTimer {
  ms = 0
  tick = () => {}
  stopped = false

  readonly every = (ms: number, run: () => void): (() => void) => {
    this.ms = ms
    this.tick = run
    return () => void (this.stopped = true)
  }
}

function open(t: TestContext): { fs: VolumeFileSystem; timer: HandTimer; staged(): boolean } {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-group-'))
  const path = join(directory, 'volume.hf')
  createVolume(path, 4 << 20)
  const timer = new HandTimer()
  const volume = openVolume(path, { sync: 'group' })
  const fs = new VolumeFileSystem(volume, timer.every)
  t.after(async () => {
    await fs.close()
    rmSync(directory, { recursive: true })
  })
  return { fs, timer, staged: () => volume.core.log.durable !== volume.core.log.head }
}

test('what waits is committed at the next tick, and nothing when nothing waits', async (t) => {
  const { fs, timer, staged } = open(t)
  assert.equal(timer.ms, 5000)
  await fs.mkdir('/a')
  assert.ok(staged())
  const syncs = fs.volume.region.counters.syncs
  timer.tick()
  timer.tick() // the first is on its way: no second one beside it
  assert.equal(fs.volume.region.counters.syncs, syncs + 1)
  await fs.sync()
  assert.ok(!staged())
  const after = fs.volume.region.counters.syncs
  timer.tick()
  assert.equal(fs.volume.region.counters.syncs, after)
  await fs.close()
  assert.ok(timer.stopped)
})

test('fsync of a file, of many at once, and of none: all is durable when it returns', async (t) => {
  const { fs, staged } = open(t)
  const files = await Promise.all(['/a', '/b', '/c'].map((path) => fs.open(path, 'w')))
  for (const file of files) await file.write(Buffer.from('content'))
  assert.ok(staged())
  await Promise.all(files.map((file) => file.sync()))
  assert.ok(!staged())
  await Promise.all([fs.sync(), fs.sync()])
  for (const file of files) await file.close()
})

test('work goes on while a group is on its way, and a close in the middle waits for it', async (t) => {
  const { fs } = open(t)
  await fs.mkdir('/before')
  const pending = [fs.sync(), fs.sync()]
  for (let i = 0; i < 50; i++) await fs.mkdir(`/during${i}`)
  const closed = fs.close()
  await Promise.allSettled(pending)
  await closed
  const again = openVolume(fs.volume.region.path)
  assert.equal(again.readdir('/').length, 51)
  again.close()
})
