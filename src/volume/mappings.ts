/**
 * Files of a volume as memory: what src/mapping asks of them, and the mappings that there are.
 *
 * Invariants:
 * - a mapping counts as an open of its inode: the blocks stay when handle and name are gone;
 * - it is told before a transaction frees blocks of its file, and reaches them no more; and after
 *   every change of layout or size, before the call returns;
 * - a mapping for writing is given out when the layout under it is durable: flushing what is stored
 *   there is then enough.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { MapOptions } from '../base/mapping.js'
import { InodeFlag } from '../media/inode.js'
import { Mapping, placeOf, type MappedFile, type MappedRange } from '../mapping/mapping.js'
import type { DeviceSync } from '../region/region.js'
import type { Core } from './core.js'
import type { OpenInode } from './open_inodes.js'
import type { Ranges } from './ranges.js'
import type { Times } from './times.js'
import type { Work } from './work.js'

/** Extents between two times that the page cache is told that a new step begins. */
const STEP_EXTENTS = 128

type Visit = (fileBlock: number, regionBlock: number, count: number) => void

export class Mappings {
  readonly #core: Core
  readonly #ranges: Ranges
  readonly #times: Times
  readonly #work: Work
  readonly #release: (open: OpenInode) => void
  readonly #live = new Map<Mapping, OpenInode>()

  /** `release`: what the close of a handle does with its inode. */
  constructor(
    core: Core,
    work: Work,
    ranges: Ranges,
    times: Times,
    release: (open: OpenInode) => void,
  ) {
    this.#core = core
    this.#work = work
    this.#ranges = ranges
    this.#times = times
    this.#release = release
  }

  /** `ended` is called when it is unmapped. */
  map(open: OpenInode, options: MapOptions, ended?: () => void): Mapping {
    const { region, opens, inodes, transaction, log } = this.#core
    if (region.unmappable !== null) throw new HoldfastError('EOPNOTSUPP', region.unmappable)
    this.#work.settle(open.number)
    const w = inodes.get(open.number)
    const size = inodes.size(w)
    const range = rangeOf(options, size)
    if (range.write) {
      if (inodes.has(w, InodeFlag.immutable)) throw new HoldfastError('EPERM', 'it is immutable')
      if (inodes.has(w, InodeFlag.append)) throw new HoldfastError('EACCES', 'it is append-only')
      if (inodes.has(w, InodeFlag.writeSealed)) {
        throw new HoldfastError('EPERM', 'it is write-sealed: its data does not change')
      }
      transaction.checkUsable()
      this.#populate(open, range, size)
      if (log.durable !== log.head) transaction.flush()
    }
    opens.open(open.number)
    try {
      const mapping: Mapping = new Mapping(
        region,
        this.#file(open, () => mapping, range.write, ended),
        range,
      )
      this.#live.set(mapping, open)
      ;(open.watchers ??= new Set()).add(mapping)
      return mapping
    } catch (error) {
      this.#release(open)
      throw error
    }
  }

  /** The volume closes: no address leads into the region any more, and every file is given back. */
  end(): void {
    for (const mapping of this.#live.keys()) mapping.end('the volume was closed')
    for (const mapping of [...this.#live.keys()]) mapping.release()
  }

  /** The file, and the bytes of it, that an address of a mapping of ours leads to. */
  find(view: ArrayBufferView): { open: OpenInode; offset: number; length: number } | null {
    const place = placeOf(view.buffer)
    const open = place === undefined ? undefined : this.#live.get(place.mapping)
    if (place === undefined || open === undefined) return null
    const offset = place.mapping.offset + place.offset + view.byteOffset
    return { open, offset, length: view.byteLength }
  }

  /** Where the grain is larger than a block, whole grains: also past the end of the file. */
  #populate(open: OpenInode, range: MappedRange, size: number): void {
    const { grain } = this.#core.region
    let from = range.offset
    let to = Math.min(range.offset + range.byteLength, size)
    if (grain > BLOCK_BYTES) {
      from -= from % grain
      to = Math.ceil(to / grain) * grain
    }
    this.#ranges.own(open, from, to - from)
  }

  #file(open: OpenInode, mapping: () => Mapping, write: boolean, ended?: () => void): MappedFile {
    const core = this.#core
    const { inodes, transaction, log } = core
    // Records up to here hold the layout under the mapping.
    let layoutAt = log.durable
    const blocks = () => Math.ceil(inodes.size(inodes.get(open.number)) / BLOCK_BYTES)
    return {
      demandOutside: () => core.guard.demandOutside(),
      blocks,
      walk: (from, to, visit) =>
        walk(
          core,
          open.number,
          from,
          to,
          blocks(),
          write ? ownOnly(core, open.number, visit) : visit,
        ),
      changed: () => {
        layoutAt = log.head
      },
      device: (what, offset, length) => syncDevice(core, open.number, what, offset, length),
      poisoned: (from, to) => {
        core.pages.tick()
        walk(core, open.number, from, to, blocks(), (_fileBlock, regionBlock, count) => {
          if (regionBlock !== 0) core.badBlocks.suspect(regionBlock, count)
        })
        core.listPoison()
      },
      persist: (flush) => {
        if (layoutAt > log.durable) transaction.flush()
        transaction.flushed(flush)
        if (write) this.#times.wrote(open)
      },
      release: () => {
        this.#live.delete(mapping())
        open.watchers?.delete(mapping())
        if (open.watchers?.size === 0) open.watchers = null
        this.#release(open)
        ended?.()
      },
    }
  }
}

/** Writes back, or drops, what this side has cached of bytes of a file. */
function syncDevice(
  core: Core,
  number: number,
  what: DeviceSync,
  offset: number,
  length: number,
): void {
  const { region, pages } = core
  if (region.coherent) return
  pages.tick()
  const end = offset + length
  const [from, to] = [Math.floor(offset / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES)]
  walk(core, number, from, to, to, (fileBlock, regionBlock, count) => {
    if (regionBlock === 0) return
    const start = fileBlock * BLOCK_BYTES
    const [first, last] = [Math.max(offset, start), Math.min(end, start + count * BLOCK_BYTES)]
    const at = regionBlock * BLOCK_BYTES + (first - start)
    region.syncDevice(what, at, last - first)
  })
}

/** What of a file of `size` bytes is wanted. EINVAL when that is not in it. */
function rangeOf(options: MapOptions, size: number): MappedRange {
  const { offset = 0, write = false, populate = false } = options
  const { length = size - offset } = options
  if (!Number.isSafeInteger(offset) || offset < 0 || offset % BLOCK_BYTES !== 0) {
    throw new HoldfastError('EINVAL', `offset ${offset} is not a multiple of ${BLOCK_BYTES}`)
  }
  const end = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES
  if (!Number.isSafeInteger(length) || length <= 0 || offset + length > end) {
    throw new HoldfastError(
      'EINVAL',
      `${length} bytes at ${offset} of a file of ${size}: what is mapped is in the file; ` +
        'truncate(size) makes it longer',
    )
  }
  return { offset, byteLength: length, write, populate }
}

/**
 * Blocks with another owner, or that a fenced lease still reads, are not to be stored to: for who
 * maps to write, they are not there.
 */
function ownOnly(core: Core, number: number, visit: Visit): Visit {
  const { shares } = core
  return (fileBlock, regionBlock, count) => {
    if (regionBlock === 0) return visit(fileBlock, regionBlock, count)
    for (let done = 0; done < count;) {
      const [block, at] = [fileBlock + done, regionBlock + done]
      const shared = !shares.empty && shares.runAt(at, count - done)
      const alone = shares.empty ? count - done : shares.count
      const run = shared ? null : core.guard.hauntedRun(number, block, at, alone)
      const n = run?.count ?? alone
      visit(block, shared || run?.haunted === true ? 0 : at, n)
      done += n
    }
  }
}

/**
 * Visits the runs and holes of [from, to) in order, each in one visit, also where two extents
 * follow each other in file and region. From block `end` on everything is a hole.
 */
function walk(
  core: Core,
  number: number,
  from: number,
  to: number,
  end: number,
  visit: Visit,
): void {
  const { inodes, extents, pages } = core
  let start = from
  let run = -1
  const begins = (block: number, regionBlock: number) => {
    if (run >= 0) {
      if (regionBlock === (run === 0 ? 0 : run + (block - start))) return
      visit(start, run, block - start)
    }
    start = block
    run = regionBlock
  }
  const stop = Math.min(to, end)
  let w = inodes.get(number)
  let block = from
  for (let steps = 1; block < stop; steps++) {
    if (steps % STEP_EXTENTS === 0) {
      pages.tick()
      w = inodes.get(number)
    }
    if (extents.find(w, block)) {
      begins(block, extents.regionBlock + (block - extents.fileBlock))
      block = Math.min(stop, extents.fileBlock + extents.count)
    } else {
      begins(block, 0)
      block = extents.count === 0 ? stop : Math.min(stop, extents.fileBlock)
    }
  }
  if (block < to) begins(block, 0)
  if (from < to) begins(to, -1)
}
