/** Stores of peers are written back slice by slice: others have their turns in between. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemTimers } from '../../src/base/timers.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { heapRegion } from '../../src/region/memory_region.js'
import type { FileSource } from '../../src/serve/file_source.js'
import { HeldSource } from '../../src/serve/held_source.js'
import { formatVolume } from '../../src/volume/format.js'
import { followed, store } from './sources.js'

const MiB = 1 << 20
const BYTES = 20 * MiB
const content = Buffer.alloc(BYTES, 7)

interface Stage {
  readonly volume: LayoutVolume
  readonly file: LayoutFile
  /** Bytes that were written back in each turn. */
  readonly turns: number[]
  /** Runs before each turn. */
  readonly between: (() => void)[]
  fences(): number
}

function stage(): Stage {
  const region = heapRegion(64 * MiB, 'flush')
  formatVolume(region)
  const turns = [0]
  const between: (() => void)[] = []
  const turn = async () => {
    between.shift()?.()
    turns.push(0)
    await systemTimers.turn()
  }
  const volume = LayoutVolume.mount(region, { sync: 'group', timers: { ...systemTimers, turn } })
  const file = volume.open('/f', 'wx+')
  file.allocate(0, BYTES)
  volume.sync()
  const { flush } = region
  region.flush = (offset, length) => {
    turns[turns.length - 1]! += length
    flush.call(region, offset, length)
  }
  return { volume, file, turns, between, fences: () => region.counters.fences }
}

const sourcesOf: Record<string, (stage: Stage) => HeldSource | FileSource> = {
  held: ({ volume, file }) => new HeldSource(volume, file.pin()),
  'on demand': ({ volume, file }) => followed(volume, file, BYTES),
}

for (const [name, make] of Object.entries(sourcesOf)) {
  test(`${name}: a commit of much takes several turns, and one fence at the end`, async () => {
    const s = stage()
    const source = make(s)
    store(source, 0, content)
    const fences = s.fences()
    const persisted = source.persist()
    // What is stored meanwhile is for the next.
    s.between.push(() => store(source, 0, Buffer.alloc(4096, 8)))
    if (name === 'held') assert.equal(s.fences(), fences, 'not before the last')
    await persisted
    assert.ok(s.turns.length >= 3 && s.turns.every((bytes) => bytes <= 8 * MiB), String(s.turns))
    assert.ok(s.turns.reduce((sum, bytes) => sum + bytes) >= BYTES)
    assert.ok(s.fences() > fences)
    assert.ok(source.dirty, 'a store that came meanwhile')
    await source.persist()
    assert.equal(source.dirty, false)
    source.close()
    s.volume.close()
  })

  test(`${name}: of two commits at once neither is done before all is written back`, async () => {
    const s = stage()
    const source = make(s)
    store(source, 0, content)
    const fences = s.fences()
    const persist = async () => {
      await source.persist()
      assert.ok(s.turns.reduce((sum, bytes) => sum + bytes) >= BYTES)
      assert.ok(s.fences() > fences)
    }
    await Promise.all([persist(), persist()])
    source.close()
    s.volume.close()
  })

  test(`${name}: one that is closed in the middle is written back then`, async () => {
    const s = stage()
    const source = make(s)
    store(source, 0, content)
    let then = 0
    s.between.push(() => {
      source.close()
      then = s.turns.at(-1)!
    })
    await source.persist()
    assert.ok(then >= BYTES, `${then} bytes`)
    s.volume.close()
  })

  test(`${name}: a commit that the end of the volume overtakes is none`, async () => {
    const s = stage()
    const source = make(s)
    store(source, 0, content)
    s.between.push(() => s.volume.close())
    await assert.rejects(source.persist(), { code: 'EIO' })
  })
}

test('held: what is given back in the middle of a commit was written back before', async () => {
  const s = stage()
  const hold = s.file.pin()
  const source = new HeldSource(s.volume, hold)
  store(source, 0, content)
  let then = 0
  s.between.push(() => {
    source.dropped(BYTES - MiB, MiB)
    hold.returnRange(BYTES - MiB, MiB)
    then = s.turns.at(-1)!
  })
  await source.persist()
  assert.equal(then, 9 * MiB, 'the first slice, and what was given back')
  hold.release()
  s.volume.close()
})
