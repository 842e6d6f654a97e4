/**
 * A volume whose owner was killed while others held blocks of it by address: they go on, and the
 * next owner begins in the grace period.
 */
import assert from 'node:assert/strict'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import type { Hold } from '../../src/layout/hold.js'
import type { HeldExtent, ReclaimOptions } from '../../src/layout/reclaim.js'
import type { Session } from '../../src/layout/session.js'
import { LayoutVolume, type LayoutOptions } from '../../src/layout/volume.js'
import { native } from '../../src/native/native.js'
import { memfdRegion } from '../../src/region/file_region.js'
import type { Region } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import { workMemory } from '../../src/volume/mount.js'
import { assertBytes, blocksOf } from './ground.js'
import { FakeTimers } from './timers.js'

export const BYTES = 2 << 20
/** One volume is mounted at a time. */
const memory = workMemory(256, 512 * 1024)
const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

/** What a holder knows of its hold, whatever becomes of the owner. */
export interface Known {
  readonly handle: { readonly ino: number; readonly generation: number }
  readonly kind: ReclaimOptions['kind']
  readonly iomode: ReclaimOptions['iomode']
  readonly extents: readonly HeldExtent[]
}

export function known(volume: LayoutVolume, hold: Hold): Known {
  const { ino } = hold.info()
  const { generation } = volume.statInode(ino)
  const extents = hold.runs().map(({ offset, regionOffset, length }) => ({
    fileBlock: offset === null ? null : offset / B,
    regionBlock: regionOffset / B,
    count: length / B,
  }))
  return { handle: { ino, generation }, kind: hold.kind, iomode: hold.iomode, extents }
}

/** Every block that somebody holds, with a content that only the holder knows. */
export class Stakes {
  readonly #blocks = new Map<number, string>()

  /** The holder stores its own bytes, past all calls. */
  store(region: Region, { extents }: Known, tag: string): void {
    for (const { regionBlock, count } of extents) {
      for (let i = 0; i < count; i++) {
        const block = regionBlock! + i
        this.#blocks.set(block, tag)
        region.stream(block * B, blocksOf(tag, block, block + 1), 0, B)
      }
    }
    region.fence()
  }

  forget({ extents }: Known): void {
    for (const { regionBlock, count } of extents) {
      for (let i = 0; i < count; i++) this.#blocks.delete(regionBlock! + i)
    }
  }

  /** Nobody else has written to what is held. */
  assertKept(region: Region, when: string): void {
    const bytes = new Uint8Array(B)
    for (const [block, tag] of this.#blocks) {
      region.read(block * B, bytes, 0, B)
      assertBytes(bytes, blocksOf(tag, block, block + 1), `${when}: block ${block} of ${tag}`)
    }
  }
}

export interface Owner {
  readonly volume: LayoutVolume
  readonly session: Session
  readonly timers: FakeTimers
}

export class Survivors implements Disposable {
  #region: Region
  #owner: Owner
  readonly stakes = new Stakes()
  #mounts = 1
  readonly #options: LayoutOptions

  constructor(options: LayoutOptions = {}) {
    this.#options = options
    this.#region = memfdRegion(BYTES)
    formatVolume(this.#region, { entropy: seededEntropy(1), clock: new SteppedClock() })
    this.#owner = this.#mount(false)
  }

  get region(): Region {
    return this.#region
  }

  get volume(): LayoutVolume {
    return this.#owner.volume
  }

  get session(): Session {
    return this.#owner.session
  }

  get timers(): FakeTimers {
    return this.#owner.timers
  }

  #mount(survivors: boolean): Owner {
    const timers = new FakeTimers()
    const entropy = seededEntropy(++this.#mounts)
    const volume = LayoutVolume.mount(this.#region, {
      sync: 'always',
      atime: 'never',
      clock: new SteppedClock(),
      entropy,
      memory,
      timers,
      survivors,
      ...this.#options,
    })
    return { volume, timers, session: volume.session({ name: 'a survivor' }) }
  }

  /** The owner is killed, and another one comes: what was in the region is all that there is. */
  crash(survivors = true): void {
    const after = memfdRegion(BYTES)
    const bytes = new Uint8Array(BYTES)
    this.#region.read(0, bytes, 0, BYTES)
    after.stream(0, bytes, 0, BYTES)
    // What it writes now nobody sees.
    this.#owner.volume.close()
    this.#region.close()
    this.#region = after
    this.assertClean('after the crash')
    this.#owner = this.#mount(survivors)
  }

  assertClean(when: string): void {
    const report = checker.check(this.#region)
    const bad = report.findings.filter(({ code }) => !code.startsWith('owner'))
    assert.equal(bad.length, 0, `fsck ${when}:\n${formatReport(report)}`)
  }

  reclaim({ handle, kind, iomode, extents }: Known, session = this.session): Hold {
    const flags = iomode === 'read' ? 'r' : 'r+'
    using file = this.volume.openHandle(session, handle, flags)
    return this.volume.reclaim(session, file, { kind, iomode, extents, reason: 'as before' })
  }

  /** All that is on the medium but the log. */
  image(): Uint8Array {
    const { core } = this.volume
    core.pages.tick()
    core.transaction.checkpoint()
    const bytes = new Uint8Array(BYTES)
    this.#region.read(0, bytes, 0, BYTES)
    const { logStart, logBlocks, tailBlock } = core.geometry
    bytes.fill(0, logStart * B, (logStart + logBlocks) * B)
    bytes.fill(0, tailBlock * B, (tailBlock + 1) * B)
    return bytes
  }

  make(path: string, blocks: number): void {
    using file = this.volume.open(path, 'wx+')
    file.write(blocksOf(path, 0, blocks), 0)
  }

  /** A hold of a survivor, of file blocks [from, to). */
  hold(path: string, from: number, to: number, kind: 'pin' | 'rw' | 'read' = 'pin'): Known {
    return known(this.volume, this.take(path, from, to, kind))
  }

  take(path: string, from: number, to: number, kind: 'pin' | 'rw' | 'read' = 'pin'): Hold {
    const range = { offset: from * B, length: (to - from) * B }
    using file = this.volume.openAs(this.session, path, 'r+')
    return kind === 'pin' ? file.pin(range) : file.lease({ ...range, iomode: kind })
  }

  get limbo(): number {
    this.volume.core.pages.tick()
    return this.volume.core.limbo.blocks
  }

  /** What is left of the crash is freed in steps, some of them with each call. */
  settleDown(): void {
    for (let i = 0; i < 64; i++) this.volume.statfs()
  }

  [Symbol.dispose](): void {
    this.stakes.assertKept(this.#region, 'at the end')
    this.volume.close()
    this.assertClean('after the end')
    this.#region.close()
  }
}
