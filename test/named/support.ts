/**
 * For tests that are each about one way in which filesystems for persistent memory have lost data.
 * Many of these were found by testing crash states of several of them (Chipmunk, LeBlanc et al.,
 * EuroSys 2023).
 */
import assert from 'node:assert/strict'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import type { Region } from '../../src/region/region.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { workMemory, type MountOptions } from '../../src/volume/mount.js'
import { Volume } from '../../src/volume/volume.js'
import { Medium } from '../crash/medium.js'

const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

export function newRegion(kib: number): TracedRegion {
  const region = new TracedRegion(kib * 1024)
  formatVolume(region, { entropy: seededEntropy(1), clock: new SteppedClock() })
  return region
}

export function mount(region: Region, options: MountOptions = {}): Volume {
  return Volume.mount(region, {
    cachePages: 256,
    entropy: seededEntropy(2),
    clock: new SteppedClock(),
    ...options,
  })
}

export function assertClean(region: Region, when: string): void {
  const report = checker.check(region)
  assert.equal(report.state, 'clean', `fsck ${when}:\n${formatReport(report)}`)
}

/** A region with these bytes, to be closed by whoever asks for it. */
export function regionOf(bytes: Uint8Array): TracedRegion {
  const region = new TracedRegion(bytes.length)
  region.u8.set(bytes)
  return region
}

/**
 * Mounts what a crash may leave at every single store that `operation` makes: all stores up to
 * there (the process died), and only those that a fence made certain (the power went). Returns the
 * number of stores. The volume given to `look` may be written to; it is fscked before it is
 * mounted.
 */
export function atEveryStore(
  region: TracedRegion,
  operation: () => void,
  look: (crashed: Volume, when: string) => void,
): number {
  const memory = workMemory(256, 512 * 1024)
  const copy = new TracedRegion(region.byteLength)
  const images: { when: string; bytes: Uint8Array }[] = []
  let stores = 0
  const durable = new Uint8Array(region.byteLength)
  const medium = new Medium(
    region,
    durable,
    () => {},
    () => {},
  )
  const keep = () => {
    images.push({ when: `after store ${stores}`, bytes: region.u8.slice() })
    images.push({ when: `of what was certain at store ${stores}`, bytes: durable.slice() })
  }
  region.listener = {
    beforeStore: () => medium.beforeStore(),
    stored: (offset, length, streamed) => {
      medium.stored(offset, length, streamed)
      stores++
      keep()
    },
    flushed: (offset, length) => medium.flushed(offset, length),
    fenced: () => medium.fenced(),
    synced: () => medium.synced(),
  }
  try {
    operation()
    keep()
  } finally {
    region.listener = null
  }
  for (const { when, bytes } of images) {
    copy.u8.set(bytes)
    assertClean(copy, when)
    const crashed = mount(copy, { memory })
    look(crashed, when)
    crashed.close()
    assertClean(copy, `${when}, closed`)
  }
  copy.close()
  return stores
}

/** Everything that is there, as lines: path, type, links, and content in hex. */
export function describe(volume: Volume): string {
  const lines: string[] = []
  const down = (path: string) => {
    for (const entry of volume.readdir(path === '' ? '/' : path)) {
      const child = `${path}/${Buffer.from(entry.name).toString()}`
      const { nlink, type, ino } = volume.stat(child)
      const content = type === 'file' ? Buffer.from(volume.readFile(child)).toString('hex') : ''
      lines.push(`${child} ${type} inode ${ino} links ${nlink} ${content}`)
      if (type === 'directory') down(child)
    }
  }
  down('')
  return lines.sort().join('\n')
}

/** Bytes that say whose they are. */
export function bytesOf(text: string, length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => text.charCodeAt(i % text.length))
}
