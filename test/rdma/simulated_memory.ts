/**
 * Memory with guards around, which says when something was touched that was not to be.
 *
 * Invariants:
 * - guard bytes never change;
 * - of a region that was invalidated, nothing is looked up any more;
 * - a region holds what its shadow does, which only the model changes.
 */
import assert from 'node:assert/strict'
import type { Prng } from '../../src/base/prng.js'
import type { Local, Sge } from '../../src/rdma/local.js'
import type { MemoryRegion, ProtectionDomain } from '../../src/rdma/memory_region.js'
import type { Pieces } from '../../src/rdma/pieces.js'
import { Fault, type AccessName, type MemorySource } from '../../src/rdma/source.js'

const GUARD_BYTES = 24
const GUARD = 0xa7

/** Bytes with a guard on each side. */
export class Guarded {
  readonly bytes: Uint8Array
  readonly #whole: Uint8Array

  constructor(length: number) {
    this.#whole = new Uint8Array(length + 2 * GUARD_BYTES).fill(GUARD)
    this.bytes = this.#whole.subarray(GUARD_BYTES, GUARD_BYTES + length)
    this.bytes.fill(0)
  }

  demandIntact(what: string): void {
    const whole = this.#whole
    for (let i = 0; i < GUARD_BYTES; i++) {
      const intact = whole[i] === GUARD && whole[whole.length - 1 - i] === GUARD
      assert.ok(intact, `${what}: a byte next to it has changed`)
    }
  }
}

/** Who looks at what a peer does. What it throws, `failed` is told: others may catch it. */
export interface Watcher {
  failed(error: Error): void
  fetched(region: Offered, offset: number, bytes: Uint8Array): void
  stored(region: Offered, offset: number, bytes: Uint8Array): void
}

/** A region that a peer was told of. */
export class Offered implements MemorySource {
  readonly length: number
  readonly region: MemoryRegion
  /** What it is to hold. */
  readonly shadow: Uint8Array
  /** It was invalidated, or is by what the peer has posted. */
  dead = false
  readonly #memory: Guarded
  readonly #watcher: Watcher
  readonly #piece: number

  constructor(
    domain: ProtectionDomain,
    watcher: Watcher,
    random: Prng,
    o: { readonly length: number; readonly access: readonly AccessName[] },
  ) {
    this.length = o.length
    this.#memory = new Guarded(o.length)
    this.#watcher = watcher
    // In one piece, or in many.
    this.#piece = random.chance(1, 2) ? Infinity : 8 * (1 + random.below(40))
    random.fill(this.#memory.bytes)
    this.shadow = this.#memory.bytes.slice()
    const near = [0, 4096, 2 ** 32 - 64, 2 ** 32, 2 ** 40 + 8, 2 ** 53 - 512 - o.length]
    const address = random.pick(near)
    this.region = domain.register(this, {
      access: o.access,
      address: address - (address % 8),
    })
  }

  /** A program of this side changes it. */
  touch(offset: number, bytes: Uint8Array): void {
    this.#memory.bytes.set(bytes, offset)
    this.shadow.set(bytes, offset)
  }

  translate(offset: number, length: number, store: boolean, pieces: Pieces): Fault {
    this.#watch(() => this.#lookUp(offset, length, store, pieces))
    return Fault.none
  }

  #watch(look: () => void): void {
    try {
      look()
    } catch (error) {
      this.#watcher.failed(error as Error)
      throw error
    }
  }

  #lookUp(offset: number, length: number, store: boolean, pieces: Pieces): void {
    assert.ok(this.region.valid, 'what was invalidated is looked up no more')
    assert.ok(offset >= 0 && offset + length <= this.length, 'nothing beyond a region is looked up')
    const { bytes } = this.#memory
    for (let at = offset; at < offset + length;) {
      const end = Math.min(offset + length, at - (at % this.#piece) + this.#piece || Infinity)
      pieces.add(bytes, at, end - at)
      at = end
    }
    if (!store) this.#watcher.fetched(this, offset, bytes.slice(offset, offset + length))
  }

  stored(offset: number, length: number): void {
    const bytes = this.#memory.bytes.subarray(offset, offset + length)
    this.#watch(() => this.#watcher.stored(this, offset, bytes))
  }

  demandIntact(): void {
    this.#memory.demandIntact('a region')
    assert.equal(Buffer.compare(this.#memory.bytes, this.shadow), 0, 'a region is as it should be')
  }
}

const SCRIBBLE = 0x5c

/** The local end of a piece of work: a list, or one, of byte arrays and of parts of regions. */
export class LocalMemory {
  readonly local: Local
  readonly length: number
  readonly regions: MemoryRegion[] = []
  readonly #parts: Guarded[] = []
  readonly #inRegion = new Map<Uint8Array, Uint8Array>()
  /** Around what is a part of a region. */
  readonly #around: { readonly guarded: Guarded; readonly before: Uint8Array }[] = []

  constructor(domain: ProtectionDomain, random: Prng, length: number, mostParts: number) {
    this.length = length
    const list: Sge[] = []
    const parts = 1 + random.below(mostParts)
    for (let i = 0, left = length; i < parts; i++) {
      const count = i === parts - 1 ? left : random.below(left + 1)
      left -= count
      list.push(this.#part(domain, random, count))
    }
    this.local = list.length === 1 && random.chance(1, 2) ? list[0]! : list
  }

  #part(domain: ProtectionDomain, random: Prng, count: number): Sge {
    const guarded = new Guarded(count)
    this.#parts.push(guarded)
    if (random.chance(2, 3)) return guarded.bytes
    const offset = random.below(3) * 8
    const whole = guarded.bytes
    const around = new Guarded(offset + count + 8)
    // The part lies within the region: what stands before and behind it is not to change.
    random.fill(around.bytes)
    this.#around.push({ guarded: around, before: around.bytes.slice() })
    const region = domain.register(around.bytes, {
      access: ['localWrite'],
      address: 4096 * random.below(1 << 20),
    })
    this.regions.push(region)
    this.#inRegion.set(whole, around.bytes.subarray(offset, offset + count))
    return { region, offset, length: count }
  }

  #slices(): Uint8Array[] {
    return this.#parts.map(({ bytes }) => this.#inRegion.get(bytes) ?? bytes)
  }

  fill(content: Uint8Array): void {
    let at = 0
    for (const slice of this.#slices()) {
      slice.set(content.subarray(at, at + slice.length))
      at += slice.length
    }
  }

  content(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#slices()))
  }

  /** It is the program's again, for something else. */
  release(): void {
    this.demandIntact()
    for (const slice of this.#slices()) slice.fill(SCRIBBLE)
    for (const region of this.regions) region.invalidate()
  }

  demandIntact(): void {
    for (const part of this.#parts) part.demandIntact('local memory')
    for (const { guarded, before } of this.#around) {
      guarded.demandIntact('a local region')
      const now = guarded.bytes.slice()
      for (const slice of this.#inRegion.values()) {
        if (slice.buffer !== guarded.bytes.buffer) continue
        const from = slice.byteOffset - guarded.bytes.byteOffset
        now.set(before.subarray(from, from + slice.length), from)
      }
      assert.equal(Buffer.compare(now, before), 0, 'a local region changes where it is to')
    }
  }
}
