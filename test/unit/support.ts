/** What the unit tests share: seeds, and a small volume to take parts of. */
import type { TestContext } from 'node:test'
import { SteppedClock, seededEntropy } from '../../src/base/clock.js'
import { Prng } from '../../src/base/prng.js'
import { heapRegion } from '../../src/region/memory_region.js'
import type { Region } from '../../src/region/region.js'
import type { Core } from '../../src/volume/core.js'
import { formatVolume } from '../../src/volume/format.js'
import { mountVolume, releaseMemory, workMemory, stagingBytes } from '../../src/volume/mount.js'
import type { SyncMode } from '../../src/volume/transaction.js'

/** How much more the random tests do than in the short run. */
export const LONG = Number(process.env['HOLDFAST_LONG'] ?? 1)

/** Random numbers of one test; its seed is printed, and SEED repeats it. */
export function seeded(t: TestContext): Prng {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
  t.diagnostic(`SEED=${seed} ${t.name}`)
  return new Prng(seed)
}

export interface CoreOptions {
  readonly bytes?: number
  readonly sync?: SyncMode
  readonly cachePages?: number
}

/** The parts of a new volume on the heap, given back when the test ends. */
export function newCore(t: TestContext, options: CoreOptions = {}): Core {
  const region = heapRegion(options.bytes ?? 8 * 1024 * 1024)
  formatVolume(region, { clock: new SteppedClock(), entropy: seededEntropy(1) })
  return mountCore(t, region, options)
}

export function mountCore(t: TestContext, region: Region, options: CoreOptions = {}): Core {
  const memory = workMemory(options.cachePages ?? 1024, stagingBytes(128 * 1024))
  t.after(() => {
    releaseMemory(memory)
    region.close()
  })
  return mountVolume(region, {
    sync: options.sync ?? 'always',
    clock: new SteppedClock(),
    entropy: seededEntropy(2),
    memory,
  }).core
}
