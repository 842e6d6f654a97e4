/**
 * A file of a client on the same machine: what it maps it reaches itself, in place, with no copy
 * and no word to the server.
 *
 * Invariant: a mapping stands on a hold of its range. When that ends, whatever the cause, its
 * ArrayBuffers are detached and its addresses lead to zeros, before anybody is told that the range
 * is free.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { MapOptions } from '../base/mapping.js'
import { Mapping, type MappedFile, type MappedRange } from '../mapping/mapping.js'
import type { Walk } from '../mapping/stitch.js'
import type { PassedRegion } from '../region/passed_region.js'
import { HoldingFile } from './holding_file.js'
import type { ClientHold, OnRecall } from './hold.js'
import type { Client } from './client.js'
import type { RegionUse } from './passed.js'
import { ServedLayout, type FileLayout } from './layout.js'
import type { LayoutOptions } from './taking.js'
import type { Opened } from './file.js'

export interface LocalMapOptions extends MapOptions {
  /**
   * Of a mapping that is not `direct`: it is asked back. When this returns, or what it returns
   * resolves, the mapping ends; then the file changes.
   */
  readonly onRecall?: OnRecall
}

/** A mapping of a file of a server, and what it stands on: a seal, or a lease. */
export class LocalMapping extends Mapping {
  readonly hold: ClientHold

  constructor(hold: ClientHold, region: PassedRegion, file: MappedFile, range: MappedRange) {
    super(region, file, range)
    this.hold = hold
  }
}

export class LocalFile extends HoldingFile {
  readonly #region: () => Promise<RegionUse>

  constructor(client: Client, region: () => Promise<RegionUse>, opened: Opened, flags: number) {
    super(client, opened, flags)
    this.#region = region
  }

  /** Lends a range; its bytes go through the connection. */
  async layout(options: LayoutOptions = {}): Promise<FileLayout> {
    const hold = await this.lease(options)
    return new ServedLayout(
      hold,
      (into, offset) => this.readAt(into, offset),
      (bytes, offset) => this.writeAt(bytes, offset, {}),
    )
  }

  /**
   * The file as memory of this process. EPERM for who is not trusted with the region. With
   * `direct` nothing changes the layout under it (a seal); else it is a lease, and ends when that
   * is asked back.
   */
  override async map(options: LocalMapOptions = {}): Promise<LocalMapping> {
    const { write = false, direct = false } = options
    if (direct || options.sync === true) this.#demandDirect(options)
    if (write) this.demandWritable()
    for (;;) {
      const region = await this.#region()
      const mapping = await this.#mapped(region, options)
      if (mapping !== null) return mapping
    }
  }

  /** Null: the session was lost meanwhile, and the descriptor with it. It does not own the hold. */
  async #mapped(use: RegionUse, options: LocalMapOptions): Promise<LocalMapping | null> {
    const { write = false, populate = false, direct = false, onRecall } = options
    const reason = options.reason ?? (direct ? 'a direct mapping' : 'a mapping')
    let hold: ClientHold | null = null
    try {
      const { size } = await this.stat()
      const range = rangeOf(options, size)
      hold = await this.take(direct ? 'seal' : 'lease', {
        offset: range.offset,
        length: range.byteLength,
        reason,
        iomode: write ? 'rw' : 'read',
        ...(onRecall ? { onRecall } : {}),
      })
      if (use.current) {
        hold.demandHeld()
        const file = mappedFile(hold, size, use.region)
        const mapping = new LocalMapping(hold, use.region, file, { ...range, write, populate })
        hold.slot = use.slot
        hold.cut = (why) => {
          mapping.end(why)
          use.release()
        }
        hold.cutPart = (from, to) => mapping.giveUp(from, to)
        return mapping
      }
    } catch (error) {
      use.release()
      await hold?.release().catch(() => {})
      throw error
    }
    use.release()
    await hold.release().catch(() => {})
    return null
  }

  /** EOPNOTSUPP where a page cache stands between, as the volume has it. */
  #demandDirect({ coherence, direct }: MapOptions): void {
    const { persistence, path, coherent } = this.client.hello.region
    if (persistence === 'sync') {
      throw new HoldfastError(
        'EOPNOTSUPP',
        `${path} is mapped through the page cache; a region on tmpfs, hugetlbfs, a DAX ` +
          'filesystem or device-DAX has direct mappings',
        { syscall: 'mmap' },
      )
    }
    if (direct !== true || coherent || coherence === 'manual') return
    throw new HoldfastError(
      'EOPNOTSUPP',
      `${path} is not coherent with what devices write; with { coherence: 'manual' } the ` +
        'caller flushes and invalidates where it must be',
      { syscall: 'mmap' },
    )
  }
}

/** What of a file of `size` bytes is mapped. */
function rangeOf({ offset = 0, length }: MapOptions, size: number) {
  if (!Number.isSafeInteger(offset) || offset < 0 || offset % BLOCK_BYTES !== 0) {
    throw new HoldfastError('EINVAL', `offset ${offset} is not a multiple of ${BLOCK_BYTES}`)
  }
  const bytes = length ?? size - offset
  const end = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || offset + bytes > end) {
    throw new HoldfastError(
      'EINVAL',
      `${bytes} bytes at ${offset} of a file of ${size}: what is mapped is in the file; ` +
        'truncate(size) makes it longer',
    )
  }
  return { offset, byteLength: bytes }
}

/** What a mapping asks of a file: the blocks that were granted, which stay. */
function mappedFile(hold: ClientHold, size: number, region: PassedRegion): MappedFile {
  const walk = walkOf(hold)
  const device: MappedFile['device'] = (what, offset, length) => {
    const end = offset + length
    walk(Math.floor(offset / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES), (fileBlock, at, count) => {
      if (at === 0) return
      const start = fileBlock * BLOCK_BYTES
      const [first, last] = [Math.max(offset, start), Math.min(end, start + count * BLOCK_BYTES)]
      region.syncDevice(what, at * BLOCK_BYTES + (first - start), last - first)
    })
  }
  return {
    demandOutside: () => {},
    blocks: () => Math.ceil(size / BLOCK_BYTES),
    walk,
    changed: () => {},
    device,
    poisoned: () => {},
    persist: (flush) => {
      hold.demandHeld()
      flush()
    },
    release: () => {
      hold.release().catch((error: unknown) => process.emitWarning(String(error)))
    },
  }
}

/** Visits runs and holes of a range, in order. */
function walkOf(hold: ClientHold): Walk {
  return (from, to, visit) => {
    const { extents } = hold
    let low = 0
    for (let high = extents.length; low < high;) {
      const middle = (low + high) >>> 1
      const { fileBlock, count } = extents[middle]!
      if (fileBlock + count <= from) low = middle + 1
      else high = middle
    }
    let at = from
    for (let i = low; at < to && i < extents.length; i++) {
      const { fileBlock, regionBlock, count } = extents[i]!
      if (fileBlock >= to) break
      if (fileBlock > at) visit(at, 0, fileBlock - at)
      const first = Math.max(at, fileBlock)
      const end = Math.min(to, fileBlock + count)
      visit(first, regionBlock + (first - fileBlock), end - first)
      at = end
    }
    if (at < to) visit(at, 0, to - at)
  }
}
