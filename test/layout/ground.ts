/** A volume with files whose every block says whose it is, and what the tests of holds look at. */
import assert from 'node:assert/strict'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import type { HoldInfo } from '../../src/base/layout.js'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import type { Hold } from '../../src/layout/hold.js'
import type { Session } from '../../src/layout/session.js'
import { LayoutVolume, type LayoutOptions } from '../../src/layout/volume.js'
import {
  BITMAP_MAGIC,
  BitmapChunk,
  CHUNK_BLOCKS,
  CHUNKS_PER_BLOCK,
} from '../../src/media/bitmap.js'
import { Superblock } from '../../src/media/superblock.js'
import { native } from '../../src/native/native.js'
import { memfdRegion } from '../../src/region/file_region.js'
import type { Region } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import { readGeometry, type Geometry } from '../../src/volume/geometry.js'
import { workMemory } from '../../src/volume/mount.js'
import { SuperblockPair } from '../../src/volume/superblock.js'
import type { Policy } from './contract_table.js'
import { FakeTimers } from './timers.js'

const REGION_BYTES = 1024 * 1024
const CACHE_PAGES = 256

const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

export interface GroundOptions extends Pick<LayoutOptions, 'limits'> {
  readonly bytes?: number
  readonly policy?: Policy
  /** Bits of LayoutOption. */
  readonly options?: number
}

const POLICIES: readonly Policy[] = ['busy', 'wait', 'defer']

export class Ground implements Disposable {
  readonly region: Region
  readonly geometry: Geometry
  readonly timers = new FakeTimers()
  readonly volume: LayoutVolume
  /** Somebody else than this program. */
  readonly other: Session

  constructor({ bytes = REGION_BYTES, policy = 'busy', options = 0, limits }: GroundOptions = {}) {
    this.region = memfdRegion(bytes)
    formatVolume(this.region, { entropy: seededEntropy(1), clock: new SteppedClock() })
    const pair = new SuperblockPair(this.region)
    pair.read()
    pair.u32[Superblock.word.policy] = POLICIES.indexOf(policy)
    pair.u32[Superblock.word.layoutOptions] = options
    if (policy !== 'busy' || options !== 0) pair.u32[Superblock.word.featuresIncompat] = 1
    pair.write()
    this.geometry = readGeometry(pair.u32, 0)
    this.volume = LayoutVolume.mount(this.region, {
      sync: 'always',
      atime: 'never',
      clock: new SteppedClock(),
      entropy: seededEntropy(2),
      memory: workMemory(CACHE_PAGES, 512 * 1024),
      timers: this.timers,
      ...(limits === undefined ? {} : { limits }),
    })
    this.other = this.volume.session({ name: 'nic0' })
  }

  /** Blocks in limbo. */
  get limbo(): number {
    this.volume.core.pages.tick()
    return this.volume.core.limbo.blocks
  }

  get free(): number {
    return this.volume.core.state.freeBlocks
  }

  generation(path: string): number {
    return this.volume.extents(path).generation
  }

  /** Region block of a file block; null in a hole. */
  place(path: string, block: number): number | null {
    for (const { fileBlock, regionBlock, count } of this.volume.extents(path).extents) {
      if (block >= fileBlock && block < fileBlock + count) return regionBlock + (block - fileBlock)
    }
    return null
  }

  /** Bytes of a region block, past all calls. */
  bytesAt(regionBlock: number): Uint8Array {
    const bytes = new Uint8Array(BLOCK_BYTES)
    this.region.read(regionBlock * BLOCK_BYTES, bytes, 0, BLOCK_BYTES)
    return bytes
  }

  /** A store past all calls, as a device makes it. */
  storeAt(regionOffset: number, bytes: Uint8Array): void {
    this.region.stream(regionOffset, bytes, 0, bytes.length)
    this.region.fence()
  }

  /**
   * Everything in use on the medium but the log: what a call that was refused leaves as it was.
   * Blocks that are free are zeros here.
   */
  image(): Uint8Array {
    const { volume, region, geometry } = this
    volume.core.pages.tick()
    volume.core.transaction.checkpoint()
    const bytes = new Uint8Array(region.byteLength)
    region.read(0, bytes, 0, bytes.length)
    const words = new Uint32Array(bytes.buffer)
    const used = (block: number) => {
      const chunk = Math.floor(block / CHUNK_BLOCKS)
      const at = geometry.bitmapStart * BLOCK_BYTES + chunk * BitmapChunk.size
      assert.equal(words[at >>> 2], BITMAP_MAGIC)
      const bit = block % CHUNK_BLOCKS
      return ((words[((at + BitmapChunk.at.bits) >>> 2) + (bit >>> 5)]! >>> (bit & 31)) & 1) === 1
    }
    const clear = (block: number, count: number) =>
      bytes.fill(0, block * BLOCK_BYTES, (block + count) * BLOCK_BYTES)
    for (let b = geometry.dataStart; b < geometry.blockCount; b++) if (!used(b)) clear(b, 1)
    clear(geometry.logStart, geometry.logBlocks)
    clear(geometry.tailBlock, 1)
    assert.ok(geometry.bitmapBlocks * CHUNKS_PER_BLOCK * CHUNK_BLOCKS >= geometry.blockCount)
    return bytes
  }

  assertSameImage(before: Uint8Array, what: string): void {
    const after = this.image()
    if (Buffer.compare(before, after) === 0) return
    const changed: number[] = []
    for (let block = 0; block * BLOCK_BYTES < before.length; block++) {
      const [from, to] = [block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES]
      if (Buffer.compare(before.subarray(from, to), after.subarray(from, to)) !== 0) {
        changed.push(block)
      }
    }
    const { dataStart, stateBlock } = this.geometry
    const where = `state ${stateBlock}, data from ${dataStart}`
    assert.fail(`${what}: it was refused, and blocks ${changed.join(', ')} changed (${where})`)
  }

  assertClean(when: string): void {
    this.volume.sync()
    this.volume.core.pages.tick()
    this.volume.core.transaction.checkpoint()
    const report = checker.check(this.region)
    const bad = report.findings.filter(({ code }) => !code.startsWith('owner'))
    assert.equal(bad.length, 0, `fsck ${when}:\n${formatReport(report)}`)
  }

  close(): void {
    this.volume.close()
    const report = checker.check(this.region)
    assert.equal(report.state, 'clean', `fsck after the end:\n${formatReport(report)}`)
    this.region.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Blocks that say whose they are: each is full of its own words. */
export function blocksOf(tag: string, from: number, to: number): Uint8Array {
  const bytes = Buffer.alloc((to - from) * BLOCK_BYTES)
  for (let block = from; block < to; block++) {
    const at = (block - from) * BLOCK_BYTES
    bytes.fill(`${tag}:${block};`, at, at + BLOCK_BYTES)
  }
  return new Uint8Array(bytes.buffer)
}

/** A hold, whatever it is: its number, and how it ends. */
export interface AnyHold {
  readonly id: number
  release(): void
}

export function infoOf(ground: Ground, id: number): HoldInfo | undefined {
  return ground.volume.holds().find((hold) => hold.id === id)
}

/** Region offsets of what a hold covers, by block. */
export function placesOf(ground: Ground, id: number): number[] {
  const { holding } = ground.volume
  return holding
    .pieces(holding.table.slotOf(id))
    .flatMap(([, block, count]) => Array.from({ length: count }, (_, i) => block + i))
    .sort((a, b) => a - b)
}

/** The call is refused with this errno, and names exactly these holds. */
export function assertRefused(
  error: unknown,
  code: string,
  holds: readonly { readonly id: number }[],
  what: string,
): void {
  assert.ok(error instanceof HoldfastError, `${what}: ${String(error)}`)
  assert.equal(error.code, code, `${what}: ${error.message}`)
  const named = (error.holds ?? []).map(({ id }) => id).sort((a, b) => a - b)
  const wanted = holds.map(({ id }) => id).sort((a, b) => a - b)
  assert.deepEqual(named, wanted, `${what}: the holds named`)
}

export function assertBytes(got: Uint8Array, want: Uint8Array, what: string): void {
  if (Buffer.compare(got, want) === 0) return
  assert.equal(got.length, want.length, `${what}: bytes`)
  const at = got.findIndex((byte, i) => byte !== want[i])
  const block = Math.floor(at / BLOCK_BYTES)
  const text = (bytes: Uint8Array) =>
    JSON.stringify(Buffer.from(bytes.subarray(at, at + 8)).toString('latin1'))
  assert.fail(`${what}: byte ${at} (block ${block}) is ${text(got)}, expected ${text(want)}`)
}

export type { Hold }
