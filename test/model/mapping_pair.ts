/**
 * A file that is mapped, written and cut at random, beside a plain buffer. After each operation
 * every ArrayBuffer that should be there shows the buffer's bytes, and all others are detached.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { HoldfastError } from '../../src/base/errors.js'
import type { FileMapping } from '../../src/base/mapping.js'
import { Prng } from '../../src/base/prng.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import type { Volume } from '../../src/volume/volume.js'
import { sameBytes } from './compare.js'

const BLOCK = 4096
/** Bytes that the file has at most. */
const SIZE_MAX = 24 * BLOCK
const SLOTS = 4

export type MappingOperation =
  | { readonly do: 'write' | 'store'; slot: number; at: number; length: number; fill: number }
  | { readonly do: 'truncate' | 'noise'; readonly size: number }
  | { readonly do: 'punch' | 'zero' | 'allocate'; readonly at: number; readonly length: number }
  | { readonly do: 'collapse' | 'insert'; readonly block: number; readonly count: number }
  | {
      readonly do: 'map'
      readonly slot: number
      readonly block: number
      /** 0: to the end of the file. */
      readonly length: number
      readonly write: boolean
      readonly populate: boolean
    }
  | { readonly do: 'window'; readonly slot: number; readonly at: number; readonly length: number }
  | { readonly do: 'unmap' | 'persist' | 'stray'; readonly slot: number }
  | { readonly do: 'reopen' }

const slot = fc.nat(SLOTS - 1)
const at = fc.nat(SIZE_MAX - 1)
const length = fc.oneof(fc.nat(200), fc.nat(5 * BLOCK))
const change = fc.record({ slot, at, length, fill: fc.nat(255) })

export const mappingOperation: fc.Arbitrary<MappingOperation> = fc.oneof(
  { weight: 6, arbitrary: change.map((it) => ({ do: 'write' as const, ...it })) },
  { weight: 4, arbitrary: change.map((it) => ({ do: 'store' as const, ...it })) },
  { weight: 3, arbitrary: fc.nat(SIZE_MAX).map((size) => ({ do: 'truncate' as const, size })) },
  { weight: 2, arbitrary: fc.nat(SIZE_MAX).map((size) => ({ do: 'noise' as const, size })) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('map' as const),
      slot,
      block: fc.oneof(fc.constant(0), fc.nat(23)),
      length: fc.oneof(fc.constant(0), fc.nat(SIZE_MAX)),
      write: fc.boolean(),
      populate: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('window' as const), slot, at, length }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('punch' as const, 'zero' as const, 'allocate' as const),
      at,
      length: length.map((n) => n + 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('collapse' as const, 'insert' as const),
      block: fc.nat(23),
      count: fc.nat(3).map((n) => n + 1),
    }),
  },
  { weight: 1, arbitrary: slot.map((n) => ({ do: 'unmap' as const, slot: n })) },
  { weight: 1, arbitrary: slot.map((n) => ({ do: 'persist' as const, slot: n })) },
  { weight: 1, arbitrary: slot.map((n) => ({ do: 'stray' as const, slot: n })) },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
)

interface View {
  readonly bytes: Uint8Array
  /** First byte in the file. */
  readonly offset: number
  readonly length: number
  readonly writable: boolean
  live: boolean
}

interface Mapped {
  readonly mapping: FileMapping
  readonly views: View[]
}

export class MappingPair {
  readonly #volume: Volume
  readonly #path = '/mapped'
  #file: OpenFile
  #content = new Uint8Array(0)
  readonly #noise: OpenFile
  #noiseSize = 0
  readonly #slots: (Mapped | null)[] = Array<null>(SLOTS).fill(null)
  #steps = 0

  constructor(volume: Volume) {
    this.#volume = volume
    this.#file = volume.open(this.#path, 'w+')
    this.#noise = volume.open('/noise', 'w+')
  }

  /** Operations refused for want of space. */
  refused = 0

  step(op: MappingOperation): void {
    this.#steps++
    try {
      this.#do(op)
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'ENOSPC') throw error
      this.refused++
    }
    this.#expire()
    this.check(`operation ${this.#steps} ${JSON.stringify(op)}`)
  }

  /** What has lost its place in the file. */
  #expire(): void {
    for (const mapped of this.#slots) {
      for (const view of mapped?.views ?? []) {
        const end = view.offset + view.length
        if (end > this.#end || (view.writable && this.#hole(view.offset, end))) view.live = false
      }
    }
  }

  #do(op: MappingOperation): void {
    switch (op.do) {
      case 'write': {
        const bytes = pattern(op.fill, Math.min(op.length, SIZE_MAX - op.at))
        this.#file.write(bytes, op.at)
        if (bytes.length > 0) this.#put(bytes, op.at)
        return
      }
      case 'store':
        return this.#store(op.slot, op.at, op.length, op.fill)
      case 'truncate':
        return this.#truncate(op.size)
      case 'noise':
        // The neighbour takes what the file gives back, and breaks its runs.
        this.#noiseSize = Math.min(this.#noiseSize, op.size >> 1)
        this.#noise.truncate(this.#noiseSize)
        this.#noise.write(NOISE.subarray(0, op.size), 0)
        this.#noiseSize = op.size
        return
      case 'punch':
      case 'zero':
      case 'allocate':
        return this.#range(op)
      case 'collapse':
      case 'insert':
        return this.#shift(op)
      case 'map':
        return this.#map(op)
      case 'window':
        return this.#window(op.slot, op.at, op.length)
      case 'unmap':
        return this.#unmap(op.slot)
      case 'persist':
        return this.#expectThere(this.#slots[op.slot], 0, Infinity, (mapping) => mapping.persist())
      case 'stray':
        return this.#stray(op.slot)
      case 'reopen':
        this.#file.close()
        this.#file = this.#volume.open(this.#path, 'r+')
    }
  }

  #put(bytes: Uint8Array, at: number): void {
    if (at + bytes.length > this.#content.length) {
      const longer = new Uint8Array(at + bytes.length)
      longer.set(this.#content)
      this.#content = longer
    }
    this.#content.set(bytes, at)
  }

  #truncate(size: number): void {
    this.#file.truncate(size)
    const content = new Uint8Array(size)
    content.set(this.#content.subarray(0, size))
    this.#content = content
  }

  #range(op: MappingOperation & { do: 'punch' | 'zero' | 'allocate' }): void {
    const length = Math.min(op.length, SIZE_MAX - op.at)
    if (op.do === 'punch') this.#file.punch(op.at, length)
    else if (op.do === 'zero') this.#file.zeroRange(op.at, length)
    else this.#file.allocate(op.at, length)
    const end = op.at + length
    if (op.do === 'punch') this.#content.fill(0, op.at, end)
    else if (op.do === 'zero') this.#put(new Uint8Array(length), op.at)
    else if (end > this.#content.length) this.#put(new Uint8Array(1), end - 1)
  }

  #shift(op: MappingOperation & { do: 'collapse' | 'insert' }): void {
    const at = op.block * BLOCK
    const length = op.count * BLOCK
    const old = this.#content
    if (op.do === 'collapse') {
      if (at + length >= old.length) return
      this.#file.collapse(at, length)
      this.#content = Uint8Array.of(...old.subarray(0, at), ...old.subarray(at + length))
    } else {
      if (at >= old.length || old.length + length > SIZE_MAX) return
      this.#file.insert(at, length)
      this.#content = new Uint8Array(old.length + length)
      this.#content.set(old.subarray(0, at))
      this.#content.set(old.subarray(at), at + length)
    }
  }

  /** End of the last block of the file. */
  get #end(): number {
    return Math.ceil(this.#content.length / BLOCK) * BLOCK
  }

  #map(op: MappingOperation & { do: 'map' }): void {
    this.#unmap(op.slot)
    const offset = op.block * BLOCK
    const length = op.length === 0 ? this.#content.length - offset : op.length
    const options = {
      offset,
      write: op.write,
      populate: op.populate,
      ...(op.length === 0 ? {} : { length }),
    }
    if (length <= 0 || offset + length > this.#end) {
      assert.throws(() => this.#file.map(options), { code: 'EINVAL' })
      return
    }
    const mapping = this.#file.map(options)
    this.#slots[op.slot] = { mapping, views: [] }
    this.#window(op.slot, 0, length)
  }

  #window(slot: number, at: number, length: number): void {
    const mapped = this.#slots[slot]
    if (!mapped) return
    const { mapping, views } = mapped
    const first = (at % mapping.byteLength) & -8
    const n = Math.min(length, mapping.byteLength - first)
    this.#expectThere(mapped, first, n, () => {
      const buffer = n === mapping.byteLength ? mapping.buffer : mapping.window(first, n)
      const offset = mapping.offset + first
      const bytes = new Uint8Array(buffer)
      views.push({ bytes, offset, length: n, writable: mapping.writable, live: n > 0 })
    })
  }

  /** Does it, and it is ESTALE exactly when a part of the range is not in the file. */
  #expectThere(
    mapped: Mapped | null | undefined,
    first: number,
    length: number,
    run: (mapping: FileMapping) => void,
  ): void {
    if (!mapped) return
    const { mapping } = mapped
    const from = mapping.offset + first
    const to = Math.min(from + length, mapping.offset + mapping.byteLength)
    const gone =
      Math.ceil(to / BLOCK) * BLOCK > this.#end || (mapping.writable && this.#hole(from, to))
    let code = 'none'
    try {
      run(mapping)
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      code = error.code
    }
    assert.equal(code, gone ? 'ESTALE' : 'none', `[${from}, ${to}) of the file`)
  }

  #hole(from: number, to: number): boolean {
    let block = Math.floor(from / BLOCK)
    for (const { fileBlock, count } of this.#file.extents().extents) {
      if (fileBlock <= block && block < fileBlock + count) block = fileBlock + count
    }
    return block < Math.ceil(to / BLOCK)
  }

  #unmap(slot: number): void {
    const mapped = this.#slots[slot]
    if (!mapped) return
    mapped.mapping.unmap()
    for (const { bytes } of mapped.views) assert.equal(bytes.length, 0, 'unmapped')
    this.#slots[slot] = null
  }

  #store(slot: number, at: number, length: number, fill: number): void {
    const view = this.#slots[slot]?.views.at(-1)
    if (!view?.writable || view.length === 0) return
    const first = at % view.length
    const bytes = pattern(fill, Math.min(length, view.length - first))
    if (!view.live) {
      for (let i = 0; i < bytes.length; i++) view.bytes[first + i] = bytes[i]!
      return
    }
    view.bytes.set(bytes, first)
    const end = Math.min(bytes.length, this.#content.length - view.offset - first)
    if (end > 0) this.#content.set(bytes.subarray(0, end), view.offset + first)
  }

  /** A store where none is allowed. */
  #stray(slot: number): void {
    const mapped = this.#slots[slot]
    const view = mapped?.views.at(-1)
    if (!mapped || !view?.live || view.writable) return
    view.bytes[view.length >> 1] = 1
    assert.throws(() => mapped.mapping.check(), { code: 'EACCES' })
  }

  check(what: string): void {
    const found = new Uint8Array(this.#content.length + 1)
    const n = this.#file.read(found, 0)
    sameBytes(found.subarray(0, n), this.#content, `${what}: read()`)
    const noise = new Uint8Array(this.#noiseSize)
    this.#noise.read(noise, 0)
    sameBytes(noise, NOISE.subarray(0, this.#noiseSize), `${what}: the other file`)
    for (const [i, mapped] of this.#slots.entries()) {
      for (const view of mapped?.views ?? []) {
        const name = `${what}: mapping ${i}, ${view.length} bytes at ${view.offset}`
        assert.equal(view.bytes.length, view.live ? view.length : 0, name)
        if (!view.live) continue
        // Past the end of the file there may be anything, to the end of its block.
        const expected = this.#content.subarray(view.offset, view.offset + view.length)
        sameBytes(view.bytes.subarray(0, expected.length), expected, name)
      }
    }
  }

  /** Ends every mapping, by unmapping or by closing the volume under it. */
  finish(unmap: boolean): void {
    if (unmap) for (let slot = 0; slot < SLOTS; slot++) this.#unmap(slot)
    this.#volume.close()
    for (const mapped of this.#slots) {
      for (const { bytes } of mapped?.views ?? []) assert.equal(bytes.length, 0, 'volume closed')
    }
  }

  get content(): Uint8Array {
    return this.#content
  }
}

function pattern(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  new Prng(seed + 1).fill(bytes)
  return bytes
}

const NOISE = pattern(1, SIZE_MAX)
