/**
 * mkfs over a volume, cut anywhere: the old volume whole, or none, or the new one; never a mixture.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { native } from '../../src/native/native.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { workMemory } from '../../src/volume/mount.js'
import { Volume } from '../../src/volume/volume.js'
import { Explorer } from './explorer.js'
import type { Undo } from './image.js'

const BYTES = 512 * 1024
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const checker = new Checker(native.crc32cOf)
const memory = workMemory(256, 256 * 1024)
const clock = () => new SteppedClock()

function examine(region: TracedRegion, undo: Undo): string | null {
  const silent = { stored: () => {}, flushed: () => {}, fenced: () => {}, synced: () => {} }
  region.listener = { ...silent, beforeStore: (offset, length) => undo.save(offset, length) }
  try {
    const entropy = seededEntropy(7)
    const volume = Volume.mount(region, { memory, entropy, clock: clock() })
    const names = volume.readdir('/').map(({ name }) => Buffer.from(name).toString())
    if (names.length > 0 && names.join() !== 'old') return `a volume with ${names.join()}`
    if (names.length > 0 && volume.readFile('/old').some((b) => b !== 1)) return 'another content'
    volume.close()
    const { state, findings } = checker.check(region)
    return state === 'clean' ? null : `fsck: ${findings[0]!.code}, ${findings[0]!.place}`
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'ENODEV') return null
    return (error as Error).message
  } finally {
    region.listener = null
  }
}

for (const persistence of ['flush', 'sync'] as const) {
  test(`a cut during mkfs leaves the old volume, none or the new one (${persistence})`, (t) => {
    const live = new TracedRegion(BYTES, persistence)
    formatVolume(live, { entropy: seededEntropy(seed), clock: clock() })
    const old = Volume.mount(live, { memory, entropy: seededEntropy(2), clock: clock() })
    old.writeFile('/old', new Uint8Array(9000).fill(1))
    old.close()
    const probe = new TracedRegion(BYTES, persistence)
    const explorer = new Explorer(live, probe, new Prng(seed), 300, new Set(), examine)
    explorer.watch(true)
    formatVolume(live, { entropy: seededEntropy(seed + 1), clock: clock() })
    explorer.window()
    explorer.assertTraceComplete()
    const { windows, distinct } = explorer.tally
    t.diagnostic(`${windows} windows, ${distinct} distinct states, SEED=${seed}`)
    assert.ok(windows >= 4 && distinct > 100)
  })
}
