/**
 * Steering tags: the names by which peers reach memory regions.
 *
 * Invariants:
 * - a tag is never 0, and names one region at most, for ever: they are a keyed permutation of a
 *   counter, so that none comes twice before all have, and who knows some can guess no other
 *   (RFC 5042, 7.2);
 * - nothing of a region is touched unless it lives, belongs to the peer's protection domain, and
 *   has the right and the bytes that are asked for.
 */
import { HoldfastError } from '../base/errors.js'
import { halfSipHash } from '../base/halfsiphash.js'
import type { MemoryRegion, ProtectionDomain } from './memory_region.js'
import { Access } from './source.js'
import { DdpError, RdmapError, type ErrorCode } from './wire/terminate.js'

const TAGS = 2 ** 32
const WORD = 2 ** 32
const OFFSET_HIGH_MAX = 2 ** 21
/** Of a Feistel network (Luby, Rackoff: four make it a permutation that nobody tells apart). */
const ROUNDS = 4

/** Why `Stags.find` found nothing. */
export const Refusal = { invalid: -1, domain: -2, wrap: -3, bounds: -4, rights: -5 } as const
export type Refusal = (typeof Refusal)[keyof typeof Refusal]

/** What the peer is told of it, where it wanted to place (RFC 5041, 7.1; RFC 5040, 7.2). */
export function placingError(refusal: number): ErrorCode {
  if (refusal === Refusal.invalid) return DdpError.invalidStag
  if (refusal === Refusal.domain) return DdpError.stagNotOfStream
  if (refusal === Refusal.wrap) return DdpError.toWrap
  if (refusal === Refusal.bounds) return DdpError.bounds
  return RdmapError.accessRights
}

/** And where it wanted to fetch, or to change (RFC 5040, 7.1). */
export function fetchingError(refusal: number): ErrorCode {
  if (refusal === Refusal.invalid) return RdmapError.invalidStag
  if (refusal === Refusal.domain) return RdmapError.stagNotOfStream
  if (refusal === Refusal.wrap) return RdmapError.toWrap
  if (refusal === Refusal.bounds) return RdmapError.bounds
  return RdmapError.accessRights
}

export class Stags {
  /** What `find` found. */
  found!: MemoryRegion
  readonly #regions = new Map<number, MemoryRegion>()
  readonly #key: Uint32Array
  readonly #half = new Uint8Array(3)
  #given = 0

  /** `key`: two random words. */
  constructor(key: Uint32Array) {
    this.#key = key
  }

  get size(): number {
    return this.#regions.size
  }

  get(stag: number): MemoryRegion | undefined {
    return this.#regions.get(stag)
  }

  /** A tag that never was one before. ENOMEM when there is none left. */
  next(): number {
    for (;;) {
      if (this.#given === TAGS) {
        throw new HoldfastError('ENOMEM', 'all 2^32 STags of this device were given; make another')
      }
      const stag = this.#permute(this.#given++)
      if (stag !== 0) return stag
    }
  }

  add(region: MemoryRegion): void {
    this.#regions.set(region.stag, region)
  }

  delete(region: MemoryRegion): void {
    this.#regions.delete(region.stag)
  }

  /**
   * The offset in its source of `length` bytes at a tagged offset of the region that a peer names,
   * which is `found` then; or a Refusal. Rights are looked at last where it wants to place, and
   * first where it wants to fetch: in the order in which the RFCs have their errors.
   */
  find(
    stag: number,
    domain: ProtectionDomain,
    toHigh: number,
    toLow: number,
    length: number,
    right: number,
  ): number {
    const region = this.#regions.get(stag)
    if (region === undefined) return Refusal.invalid
    if (region.domain !== domain) return Refusal.domain
    const allowed = (region.access & right) !== 0
    if (!allowed && right !== Access.remoteWrite) return Refusal.rights
    if (toHigh === WORD - 1 && toLow + length > WORD) return Refusal.wrap
    if (toHigh >= OFFSET_HIGH_MAX) return Refusal.bounds
    const offset = toHigh * WORD + toLow - region.address
    if (offset < 0 || offset + length > region.length) return Refusal.bounds
    if (!allowed) return Refusal.rights
    this.found = region
    return offset
  }

  #permute(counter: number): number {
    let [left, right] = [counter >>> 16, counter & 0xffff]
    for (let round = 0; round < ROUNDS; round++) {
      const half = this.#half
      half[0] = round
      half[1] = right & 0xff
      half[2] = right >>> 8
      const mixed = halfSipHash(this.#key[0]!, this.#key[1]!, half, 0, half.length)
      ;[left, right] = [right, left ^ (mixed & 0xffff)]
    }
    return ((left << 16) | right) >>> 0
  }
}
