/** Holds of large ranges in the promise form: populated part by part, refused as a whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { Ground } from './ground.js'
import { stateOf } from './scene.js'
import { idle, outcomeOf } from './timers.js'

const MIB = 1 << 20
const BYTES = 24 * MIB

interface Stage {
  readonly ground: Ground
  readonly file: LayoutFile
}

function stage(run: (stage: Stage) => Promise<void>, limits?: { root: number }): Promise<void> {
  const ground = new Ground({ bytes: BYTES, ...(limits === undefined ? {} : { limits }) })
  const file = ground.volume.open('/f', 'wx+')
  file.truncate(8 * MIB)
  return run({ ground, file }).finally(() => ground.close())
}

const blocks = (file: LayoutFile) => file.stat().blocks / 8

/** Lets it go on turn by turn, and tells what the file had after each. */
async function watched(file: LayoutFile, done: () => boolean): Promise<number[]> {
  const seen: number[] = []
  while (!done()) {
    seen.push(blocks(file))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return seen
}

for (const kind of ['pin', 'seal'] as const) {
  test(`a large ${kind} lets others go on after each two mebibytes`, () =>
    stage(async ({ ground, file }) => {
      const hold = outcomeOf(ground.volume.promises[kind](file))
      const seen = new Set(await watched(file, () => hold.settled))
      for (const part of [512, 1024, 1536]) assert.ok(seen.has(part), `${part} of ${[...seen]}`)
      assert.deepEqual(hold.value!.info().ranges, [{ offset: 0, length: 8 * MIB }])
      assert.equal(blocks(file), 2048)
      for (const { offset, regionOffset } of hold.value!.runs()) {
        assert.equal((regionOffset - offset!) % (2 * MIB), 0, 'whole groups of large pages')
      }
      hold.value!.release()
    }))
}

test('what is taken out between two parts is there again once it is granted', () =>
  stage(async ({ ground, file }) => {
    const pin = outcomeOf(ground.volume.promises.lease(file, { iomode: 'rw' }))
    while (blocks(file) < 1024) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(pin.settled, false)
    file.punch(0, MIB)
    await watched(file, () => pin.settled)
    assert.equal(stateOf(pin), 'done')
    assert.equal(blocks(file), 2048)
    pin.value!.release()
  }))

test('a clone gets its blocks part by part', () =>
  stage(async ({ ground, file }) => {
    file.allocate(0, 8 * MIB)
    ground.volume.reflink('/f', '/g')
    const pin = outcomeOf(ground.volume.promises.pin(file))
    const { free } = ground
    while (ground.free > free - 600) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(pin.settled, false)
    await watched(file, () => pin.settled)
    assert.equal(stateOf(pin), 'done')
    pin.value!.release()
    assert.equal(ground.volume.stat('/g').blocks, (8 * MIB) / 512)
  }))

test('past the limit nothing of it is populated', () =>
  stage(
    async ({ ground, file }) => {
      const pin = outcomeOf(ground.volume.promises.pin(file))
      await idle()
      assert.equal(stateOf(pin), 'ENOMEM')
      assert.equal(blocks(file), 0)
    },
    { root: 2000 },
  ))

test('without room for all of it nothing of it is populated', () =>
  stage(async ({ ground, file }) => {
    const pin = outcomeOf(ground.volume.promises.pin(file, { length: 2 * BYTES }))
    await idle()
    assert.equal(stateOf(pin), 'ENOSPC')
    assert.equal(blocks(file), 0)
  }))

test('who gives up waiting gets no hold, and another one may', () =>
  stage(async ({ ground, file }) => {
    const gives = new AbortController()
    const pin = outcomeOf(ground.volume.promises.pin(file, { signal: gives.signal }))
    while (blocks(file) < 512) await new Promise((resolve) => setImmediate(resolve))
    gives.abort()
    await idle()
    assert.equal(stateOf(pin), 'EINTR')
    assert.deepEqual(ground.volume.holds(), [])
    const again = await ground.volume.promises.pin(file, { length: B })
    again.release()
  }))

test('a closed handle is EBADF', () =>
  stage(async ({ ground, file }) => {
    file.close()
    const pin = outcomeOf(ground.volume.promises.pin(file))
    await idle()
    assert.equal(stateOf(pin), 'EBADF')
  }))
