/**
 * One volume under mixed operations for a time: `soak.js SECONDS SEED always|group`. It is opened
 * again and checked every now and then. At the end the volume is clean, and neither resident memory
 * nor the number of the process's mappings has grown: else it says so, and ends with 1.
 *
 * always: a region on tmpfs with a small cache. group: an ordinary file, and flushes on the thread
 * while operations go on.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { checkVolume } from '../../src/check/checker.js'
import { native } from '../../src/native/native.js'
import { createRegion, openRegion } from '../../src/region/file_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'
import { Mixer } from './mixer.js'
import { growth } from './resident.js'

const MIB = 1024 * 1024
const REGION_BYTES = 192 * MIB
/** Operations between two openings. */
const A_LIFE = 20_000
/** Of these a part runs while a flush is on its way. */
const A_GROUP = 500
/** By which memory may seem to grow, for how the engine and malloc keep what was freed. */
const GROWTH_MAX = 8 * MIB
/** And the mappings, for what the engine takes. */
const MAPPINGS_GROWTH_MAX = 200

interface Sample {
  /** Bytes in memory, and mappings. */
  readonly bytes: number
  readonly mappings: number
}

type Sync = 'always' | 'group'

/**
 * What this process has of the kernel, without the region, once garbage is gone. Mappings are
 * counted before the event loop turns, which a synchronous program may never let it do; what the
 * engine keeps for each ArrayBuffer it frees only then.
 */
async function measure(): Promise<Sample> {
  global.gc!()
  const mappings = readFileSync('/proc/self/maps', 'utf8').split('\n').length - 1
  await setImmediate()
  const status = readFileSync('/proc/self/status', 'utf8')
  return { bytes: Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1]) * 1024, mappings }
}

async function live(volume: Volume, mixer: Mixer, sync: Sync): Promise<void> {
  for (let done = 0; done < A_LIFE; done += A_GROUP) {
    const flushed = sync === 'group' ? volume.syncAsync() : null
    mixer.run(A_GROUP)
    await flushed
  }
}

/** Throws what fsck says when the volume is not clean. */
function checkClean(path: string): void {
  const region = openRegion(path)
  try {
    const report = checkVolume(region, { crc32cOf: native.crc32cOf })
    if (report.state !== 'clean') throw new Error(JSON.stringify(report.findings, null, 2))
  } finally {
    region.close()
  }
}

async function soak(seconds: number, seed: number, sync: Sync, path: string): Promise<void> {
  const made = createRegion(path, REGION_BYTES)
  formatVolume(made)
  made.close()
  const samples: Sample[] = []
  const start = performance.now()
  const elapsed = () => (performance.now() - start) / 1000
  const options = { sync, cachePages: 1024 }
  let mixer: Mixer | null = null
  let lives = 0
  do {
    const region = openRegion(path)
    const volume = Volume.mount(region, options)
    if (mixer === null) mixer = new Mixer(volume, seed)
    else mixer.reopened(volume)
    await live(volume, mixer, sync)
    volume.close()
    region.close()
    checkClean(path)
    samples.push(await measure())
    lives++
  } while (elapsed() < seconds)
  report(sync, seed, lives, mixer, samples)
}

function report(
  sync: Sync,
  seed: number,
  lives: number,
  mixer: Mixer,
  samples: readonly Sample[],
): void {
  const counts = [...mixer.counts].map(([name, { done, refused }]) => `${name} ${done}+${refused}`)
  const grown = growth(samples.map(({ bytes }) => bytes))
  const more = growth(samples.map(({ mappings }) => mappings))
  const last = samples[samples.length - 1]!
  console.log(
    `soak, sync=${sync}, seed ${seed}: ${lives} lives of ${A_LIFE} operations, clean after each; ` +
      `${(last.bytes / MIB).toFixed(1)} MiB resident, ${(grown / MIB).toFixed(1)} MiB of growth; ` +
      `${last.mappings} mappings, ${more} more\n` +
      `  done+refused: ${counts.join(', ')}`,
  )
  if (grown > GROWTH_MAX) {
    console.log(`soak: resident memory grew by more than ${GROWTH_MAX / MIB} MiB`)
    process.exitCode = 1
  }
  if (more > MAPPINGS_GROWTH_MAX) {
    console.log(`soak: the mappings of the process grew by more than ${MAPPINGS_GROWTH_MAX}`)
    process.exitCode = 1
  }
}

const [seconds, seed, sync] = process.argv.slice(2)
if (!(Number(seconds) > 0) || (sync !== 'always' && sync !== 'group')) {
  console.error('usage: node --expose-gc soak.js SECONDS SEED always|group')
  process.exitCode = 2
} else {
  const below = sync === 'always' ? '/dev/shm' : tmpdir()
  const directory = mkdtempSync(`${below}/holdfast-soak-`)
  try {
    await soak(Number(seconds), Number(seed), sync, `${directory}/volume.hf`)
  } finally {
    rmSync(directory, { recursive: true })
  }
}
