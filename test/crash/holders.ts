/**
 * Who holds blocks of the files of a program, and stores there past the calls, as a device does: it
 * knows the addresses that it was granted, and nothing else.
 */
import type { WaitOptions } from '../../src/base/layout.js'
import type { Hold } from '../../src/layout/hold.js'
import { take } from '../../src/layout/grants.js'
import type { Session } from '../../src/layout/session.js'
import type { LayoutVolume } from '../../src/layout/volume.js'
import type { TracedRegion } from '../../src/region/traced_region.js'
import { idle, type FakeTimers } from '../layout/timers.js'
import { CrashFailure } from './explorer.js'
import { fileOf } from './layout_calls.js'
import { fileAt, resized, type Grant, type LayoutCall, type ModelFile, type Tree } from './model.js'

const BLOCK = 4096
const PATIENCE_MS = 1000

type MarkBad = LayoutCall & { op: 'markBad' }

interface Granted {
  readonly hold: Hold
  readonly session: Session
  readonly ino: number
  readonly generation: number
  /** File block -> region block, as it was granted. */
  readonly places: ReadonlyMap<number, number>
}

export class Holders {
  readonly #region: TracedRegion
  readonly #timers: FakeTimers
  /** By path. */
  readonly #granted = new Map<string, Granted>()
  /** Runs of region blocks that are counted as held without a hold: inode, start, count. */
  readonly #counted: Array<readonly [number, number, number]> = []

  constructor(region: TracedRegion, timers: FakeTimers) {
    this.#region = region
    this.#timers = timers
  }

  // ---- blocks that are only counted ------------------------------------------------------------

  /** Counts what holds file blocks of [first, first + count) as held. */
  count(volume: LayoutVolume, path: string, first: number, count: number): void {
    const { frames, limbo } = volume.core
    limbo.prepare()
    const { ino } = volume.stat(path)
    for (const extent of volume.extents(path).extents) {
      const from = Math.max(first, extent.fileBlock)
      const to = Math.min(first + count, extent.fileBlock + extent.count)
      if (from >= to) continue
      const start = extent.regionBlock + (from - extent.fileBlock)
      frames.add(start, to - from)
      this.#counted.push([ino, start, to - from])
    }
  }

  letGo({ core, work }: LayoutVolume): void {
    for (const [, start, count] of this.#counted.splice(0)) {
      core.frames.drop(start, count)
      core.limbo.lift(work, start, count)
    }
  }

  /**
   * Whoever holds outlives the owner, and reclaims from the next one, in its grace period, all
   * that it knows; from then on that is held as before. Why that is not so, or null.
   */
  survive(volume: LayoutVolume, damage: () => string | null): string | null {
    const session = volume.session({ name: 'a survivor' })
    const { freeBlocks } = volume.core.state
    const held = [...this.#granted.values()].filter(({ hold }) => {
      return !hold.released && hold.iomode !== 'read' && hold.info().state !== 'fenced'
    })
    for (const { hold, ino, generation, places } of held) {
      const file = volume.openHandle(session, { ino, generation }, 'r+')
      const extents = [...places].map(([fileBlock, regionBlock]) => {
        return { fileBlock, regionBlock, count: 1 }
      })
      const { kind, iomode } = hold
      volume.reclaim(session, file, { kind, iomode, extents })
      file.close()
    }
    if (volume.core.state.freeBlocks !== freeBlocks) return 'the grace period changes what is free'
    volume.sync()
    const damaged = damage()
    if (damaged !== null) return `before the end of the grace period: ${damaged}`
    volume.endGrace()
    for (let i = 0; volume.core.limbo.sweeping && i < 100; i++) volume.statfs()
    for (const { ino, places } of held) {
      for (const block of places.values()) checkRun(volume, ino, block, 1)
    }
    return null
  }

  /** Held blocks are their file's or nobody's, and in use. */
  check(volume: LayoutVolume): void {
    for (const [ino, start, count] of this.#counted) checkRun(volume, ino, start, count)
    for (const { hold, ino } of this.#granted.values()) {
      if (hold.released || hold.iomode === 'read') continue
      for (const { regionOffset, length } of hold.runs()) {
        checkRun(volume, ino, regionOffset / BLOCK, length / BLOCK)
      }
    }
  }

  // ---- holds -----------------------------------------------------------------------------------

  /** Takes a hold; what it was promised is what the model has from then on. */
  grant(volume: LayoutVolume, node: ModelFile, call: Grant): void {
    const { path, kind, iomode, unshare } = call
    const session = volume.session({ name: 'a device' })
    const file = volume.openAs(session, path, 'r+')
    const range = { offset: call.first * BLOCK, length: call.count * BLOCK, unshare }
    const revoke = call.revokes ? () => {} : undefined
    const hold =
      kind === 'lease'
        ? file.lease({ ...range, iomode: iomode!, revoke })
        : kind === 'pin'
          ? file.pin(range)
          : sealed(volume, session, path, range)
    const places = new Map<number, number>()
    for (const { offset, regionOffset, length } of hold.runs()) {
      for (let i = 0; i < length / BLOCK; i++) {
        places.set(offset! / BLOCK + i, regionOffset / BLOCK + i)
      }
    }
    this.#granted.set(path, { hold, session, ...file.handle, places })
    file.close()
    node.places = new Map([...node.places, ...places])
    node.held = new Uint8Array((call.first + call.count) * BLOCK)
    node.held.set(node.content.subarray(0, node.held.length))
  }

  /** Stores at the addresses, wherever the blocks belong by now; `durable`: and writes it back. */
  store(path: string, bytes: Uint8Array, offset: number, durable: boolean): void {
    const { places } = this.#granted.get(path)!
    const region = this.#region
    for (let done = 0; done < bytes.length;) {
      const at = offset + done
      const inBlock = at % BLOCK
      const length = Math.min(BLOCK - inBlock, bytes.length - done)
      const place = places.get(Math.floor(at / BLOCK))! * BLOCK + inBlock
      region.u8.set(bytes.subarray(done, done + length), place)
      region.listener?.stored(place, length, false)
      if (durable) region.flush(place, length)
      done += length
    }
    if (!durable) return
    if (region.persistence === 'sync') region.sync(0, region.byteLength)
    else region.fence()
  }

  commit(path: string, size: number): void {
    this.#granted.get(path)!.hold.commit(size)
  }

  end(path: string, how: 'release' | 'endSession'): void {
    const { hold, session } = this.#granted.get(path)!
    this.#granted.delete(path)
    if (how === 'release') hold.release()
    else session.end()
  }

  /** The volume closes: nothing is held any more. */
  endAll(): void {
    this.#granted.clear()
  }

  /** Waits for a change under a lease that is not given back. */
  async late(change: (options: WaitOptions) => Promise<void>): Promise<void> {
    const changed = change({ deadline: PATIENCE_MS })
    // A failure in between is told when it is waited for.
    changed.catch(() => {})
    await idle()
    await this.#timers.pass(PATIENCE_MS)
    return changed
  }
}

/** What a direct mapping is granted; the mapping itself would store untraced. */
function sealed(
  volume: LayoutVolume,
  session: Session,
  path: string,
  range: { offset: number; length: number },
): Hold {
  const file = volume.openAs(session, path, 'r+')
  try {
    return volume.call('mmap', path, undefined, () => {
      const wanted = { kind: 'seal', iomode: null, session, options: range, user: null } as const
      return volume.newHold(take(volume, file.inode, { ...wanted, ticket: Infinity }))
    })
  } finally {
    file.close()
  }
}

function checkRun(volume: LayoutVolume, ino: number, start: number, count: number): void {
  const { allocator, reverseMap, limbo, pages, shares } = volume.core
  pages.tick()
  if (allocator.freeIn(start, start + count) > 0) {
    throw new CrashFailure(`a held block of ${start} to ${start + count - 1} is free`)
  }
  for (let block = start; block < start + count; block++) {
    const owner = reverseMap.first(block, block + 1, (at) => shares.find(at))
    if (owner?.inode === ino || owner?.inode === limbo.number) continue
    throw new CrashFailure(`held block ${block} went to inode ${owner?.inode}`)
  }
}

/** The block that goes bad: one of a file, or, without a path, a free one. */
export function badBlock(volume: LayoutVolume, { path, block }: MarkBad): number {
  if (path === '') return volume.core.geometry.blockCount - 1 - block
  const [extent] = volume
    .extents(path)
    .extents.filter((e) => e.fileBlock <= block && block < e.fileBlock + e.count)
  return extent!.regionBlock + block - extent!.fileBlock
}

/** Performs a call of the layout contract; the model has had it done. */
export function performLayoutCall(
  volume: LayoutVolume,
  holders: Holders,
  tree: Tree,
  call: LayoutCall,
): void | Promise<void> {
  const { path } = call
  switch (call.op) {
    case 'fix': {
      volume.fix(path)
      const { places } = fileAt(tree, path)
      for (const { fileBlock, regionBlock, count } of volume.extents(path).extents) {
        for (let i = 0; i < count; i++) places.set(fileBlock + i, regionBlock + i)
      }
      return
    }
    case 'unfix':
      return volume.unfix(path)
    case 'sealWrites':
      return volume.sealWrites(path)
    case 'openWrites':
      return volume.sealWrites(path, { off: true })
    case 'policy':
      return volume.setPolicy(path, call.policy)
    case 'snapshot':
      return volume.snapshot(path, call.to)
    case 'markBad':
      return volume.markBad(badBlock(volume, call))
    case 'grant':
      return holders.grant(volume, fileAt(tree, path), call)
    case 'store':
    case 'storeOnly': {
      const { held } = fileOf(tree, path)
      const bytes = resized(held.subarray(call.offset), call.length)
      return holders.store(path, bytes, call.offset, call.op === 'store')
    }
    case 'commit':
      return holders.commit(path, call.size)
    case 'release':
    case 'endSession':
      return holders.end(path, call.op)
    case 'defer':
      return volume.truncate(path, call.size, undefined, { policy: 'defer' })
    case 'cloneCopy':
      return volume.reflink(path, call.to, { share: 'copy' })
    case 'fence':
      return holders.late((options) => volume.promises.truncate(path, call.size, options))
    case 'fenceClone':
      return holders.late((options) => volume.promises.reflink(path, call.to, options))
  }
}
