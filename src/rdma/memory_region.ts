/**
 * Memory regions: memory that peers of one protection domain reach by a steering tag.
 *
 * Invariants:
 * - invalidation is final, and at once: every access looks its region up, begins and ends within
 *   one call: what is read is copied into a frame, or taken by the stream, before that returns. So
 *   none is under way when `invalidate` runs, and none begins after it: a message in the middle of
 *   its segments stops, and ends its stream;
 * - a region belongs to one protection domain from its beginning to its end.
 */
import { assert, HoldfastError } from '../base/errors.js'
import type { Pieces } from './pieces.js'
import { Access, Fault, sourceOf } from './source.js'
import type { AccessName, MemorySource, PlainMemory } from './source.js'
import type { Stags } from './stags.js'

export interface RegionOptions {
  /** What may be done with it; reading it here always is. Nothing else unless it is said. */
  readonly access?: readonly AccessName[]
  /** The tagged offset of its first byte, below 2^53 with all of it. 0 unless given. */
  readonly address?: number
}

export class MemoryRegion {
  readonly domain: ProtectionDomain
  /** What local work and remote peers name it by: lkey and rkey in one. */
  readonly stag: number
  readonly address: number
  /** Bits of Access. */
  readonly access: number
  readonly source: MemorySource
  readonly #stags: Stags
  #valid = true

  constructor(domain: ProtectionDomain, stags: Stags, source: MemorySource, o: RegionOptions) {
    const { access = [], address = 0 } = o
    const end = address + source.length
    if (!Number.isSafeInteger(address) || address < 0 || !Number.isSafeInteger(end)) {
      throw new HoldfastError('EINVAL', `a region at ${address}; its offsets must be below 2^53`)
    }
    this.domain = domain
    this.source = source
    this.address = address
    this.access = rightsOf(access)
    this.stag = stags.next()
    this.#stags = stags
    stags.add(this)
  }

  /** Bytes. */
  get length(): number {
    return this.source.length
  }

  get valid(): boolean {
    return this.#valid
  }

  /** Nobody reaches it any more: see above. Once is enough. */
  invalidate(): void {
    if (!this.#valid) return
    this.#valid = false
    this.#stags.delete(this)
  }

  [Symbol.dispose](): void {
    this.invalidate()
  }

  /** Finds bytes that were checked to be within it, and adds where they are. */
  translate(offset: number, length: number, store: boolean, pieces: Pieces): Fault {
    const { count } = pieces
    const fault = this.source.translate(offset, length, store, pieces)
    if (fault !== Fault.none) return fault
    assert(
      pieces.bytesFrom(count) === length,
      'a source finds the bytes it is asked for, and no more',
    )
    return fault
  }
}

function rightsOf(names: readonly AccessName[]): number {
  let rights = 0
  for (const name of names) {
    if (!Object.hasOwn(Access, name)) {
      throw new HoldfastError(
        'EINVAL',
        `no right '${name}'; there are ${Object.keys(Access).join(', ')}`,
      )
    }
    rights |= Access[name]
  }
  const remote = Access.remoteWrite | Access.remoteAtomic
  if ((rights & remote) !== 0 && (rights & Access.localWrite) === 0) {
    throw new HoldfastError('EINVAL', 'remoteWrite and remoteAtomic need localWrite, too')
  }
  return rights
}

/** Regions and queue pairs that belong together: no queue pair reaches regions of another. */
export class ProtectionDomain {
  readonly #stags: Stags

  constructor(stags: Stags) {
    this.#stags = stags
  }

  register(memory: PlainMemory | MemorySource, options: RegionOptions = {}): MemoryRegion {
    return new MemoryRegion(this, this.#stags, sourceOf(memory), options)
  }
}
