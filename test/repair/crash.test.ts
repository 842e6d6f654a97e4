/**
 * A repair that a power cut ends, anywhere: the repair after it comes to a clean volume with the
 * same files in it. SEED repeats a run, HOLDFAST_LONG makes it longer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import type { Region } from '../../src/region/region.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { Repairer } from '../../src/repair/repairer.js'
import { CrashFailure, Explorer } from '../crash/explorer.js'
import type { Undo } from '../crash/image.js'
import { contentsOf } from './contents.js'
import { BYTES, damage, Ground, metadataOf, samples } from './images.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const images = 8 * Number(process.env['HOLDFAST_LONG'] ?? 1)
const checker = new Checker(native.crc32cOf)
const repairer = new Repairer(native.crc32cOf)
const sources = samples().map((image) => ({ image, metadata: metadataOf(image) }))

/** What the repair of this image comes to when nothing ends it; null: not to a clean volume. */
function expected(ground: Ground): string | null {
  const report = repairer.repair(ground.region, {})
  return report.state === 'repaired' ? contentsOf(ground.region) : null
}

function examine(region: TracedRegion, undo: Undo, wanted: string): string | null {
  const silent = { stored: () => {}, flushed: () => {}, fenced: () => {}, synced: () => {} }
  region.listener = { ...silent, beforeStore: (offset, length) => undo.save(offset, length) }
  try {
    repairer.repair(region, {})
    const report = checker.check(region)
    if (report.state !== 'clean') return formatReport(report)
    const found = contentsOf(region as Region)
    return found === wanted ? null : `other contents:\n${difference(wanted, found)}`
  } catch (error) {
    return String((error as Error).stack)
  } finally {
    region.listener = null
  }
}

function difference(wanted: string, found: string): string {
  const [before, after] = [wanted.split('\n'), found.split('\n')]
  const lost = before.filter((line) => !after.includes(line)).map((line) => `- ${line}`)
  const come = after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`)
  return [...lost, ...come].slice(0, 20).join('\n')
}

/** Which of the fences of a repair is between the pages at home and the end of the journal. */
const HOME_FENCE = 4

test('a repair that forgets its journal before home is durable is found out', (t) => {
  const ground = new Ground()
  const live = new TracedRegion(BYTES)
  const probe = new TracedRegion(BYTES)
  const { image, metadata } = sources[0]!
  let failure: unknown = null
  // Most of what is half done the next repair makes good: not every damage shows it.
  for (let i = 0; i < 60 && failure === null; i++) {
    ground.u8.set(image)
    damage(ground, metadata, new Prng(i))
    live.listener = null
    live.u8.set(ground.u8)
    const wanted = expected(ground)
    if (wanted === null) continue
    const explorer = new Explorer(live, probe, new Prng(1), 60, new Set(), (region, undo) =>
      examine(region, undo, wanted),
    )
    const { medium } = explorer
    let fences = 0
    live.listener = {
      beforeStore: () => {},
      stored: (...store) => medium.stored(...store),
      flushed: (...range) => medium.flushed(...range),
      fenced: () => (++fences === HOME_FENCE ? undefined : medium.fenced()),
      synced: () => medium.synced(),
    }
    explorer.watch(true)
    try {
      repairer.repair(live, {})
    } catch (error) {
      failure = error
    }
  }
  assert.ok(failure instanceof CrashFailure, String(failure))
  t.diagnostic(failure.message.split('\n').slice(0, 3).join(' '))
  for (const region of [live, probe, ground.region]) region.close()
})

for (const persistence of ['flush', 'sync'] as const) {
  test(`a cut during a repair is made good by the next (${persistence}, SEED=${seed})`, (t) => {
    const ground = new Ground()
    const live = new TracedRegion(BYTES, persistence)
    const probe = new TracedRegion(BYTES, persistence)
    const seen = new Set<number>()
    let repaired = 0
    let windows = 0
    for (let i = 0; repaired < images; i++) {
      const { image, metadata } = sources[i % sources.length]!
      ground.u8.set(image)
      damage(ground, metadata, new Prng((seed + i) >>> 0))
      live.listener = null
      live.u8.set(ground.u8)
      const wanted = expected(ground)
      if (wanted === null) continue
      repaired++
      const explorer = new Explorer(live, probe, new Prng(i), 24, seen, (region, undo) =>
        examine(region, undo, wanted),
      )
      explorer.watch(true)
      try {
        repairer.repair(live, {})
        explorer.window()
      } catch (error) {
        throw new Error(`SEED=${seed}, image ${i}: ${(error as Error).message}`, { cause: error })
      }
      explorer.assertTraceComplete()
      windows += explorer.tally.windows
    }
    t.diagnostic(`${repaired} repairs, ${windows} windows, ${seen.size} distinct states`)
    assert.ok(windows > repaired && seen.size > 20 * repaired)
    for (const region of [live, probe, ground.region]) region.close()
  })
}
