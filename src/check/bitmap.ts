/** The bitmap against the claims: what is in use and what only says so. */
import { popcount } from '../base/bytes.js'
import { BLOCK_BYTES } from '../base/limits.js'
import {
  BitmapChunk,
  CHUNK_BLOCKS,
  CHUNK_WORDS,
  CHUNKS_PER_BLOCK,
  invalidBitmapChunk,
} from '../media/bitmap.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import type { Medium, Scratch } from './medium.js'
import { checkReserved } from './reserved.js'
import type { Header, Roots } from './volume_header.js'

type RunCode = 'block-leaked' | 'block-unallocated'
const RUN_MESSAGE = {
  'block-leaked': 'in use in the bitmap, nothing claims it',
  'block-unallocated': 'free in the bitmap, and claimed',
} as const

export class Bitmap {
  readonly #medium: Medium
  readonly #claims: Claims
  readonly #findings: Findings
  readonly #scratch: Scratch
  /** The run of blocks with the same trouble that is being gathered. */
  #runCode: RunCode | null = null
  #runStart = 0
  #runEnd = 0

  constructor(medium: Medium, claims: Claims, findings: Findings, scratch: Scratch) {
    this.#medium = medium
    this.#claims = claims
    this.#findings = findings
    this.#scratch = scratch
  }

  check(header: Header, roots: Roots, onChunk: (done: number, total: number) => void): void {
    const chunks = Math.ceil(header.blockCount / CHUNK_BLOCKS)
    const stored = Math.min(chunks, header.bitmapBlocks * CHUNKS_PER_BLOCK)
    let free = 0
    let whole = stored === chunks
    this.#runCode = null
    for (let chunk = 0; chunk < stored; chunk++) {
      const found = this.#checkChunk(header, roots.blocks, chunk)
      if (found < 0) whole = false
      else free += found
      onChunk(chunk + 1, stored)
    }
    this.#endRun()
    if (whole && free !== roots.freeBlocks) {
      const message = `the state says ${roots.freeBlocks}, the bitmap has ${free} free`
      this.#findings.add('free-blocks-wrong', placeOf('state', 2), message)
    }
  }

  /** The free blocks of the chunk, -1 when it is not valid. */
  #checkChunk(header: Header, blocks: number, chunk: number): number {
    const block = header.bitmapStart + Math.floor(chunk / CHUNKS_PER_BLOCK)
    const offset = (chunk % CHUNKS_PER_BLOCK) * BitmapChunk.size
    const place = placeOf(`bitmap chunk ${chunk}`, block, offset)
    this.#medium.read(block, offset, this.#scratch.u8, 0, BitmapChunk.size)
    const reason = invalidBitmapChunk(this.#scratch, 0, chunk)
    if (reason !== null) {
      this.#findings.add('bitmap-damaged', place, reason)
      return -1
    }
    checkReserved(this.#scratch, 0, BitmapChunk, block, offset, this.#findings)
    const first = chunk * CHUNK_BLOCKS
    let free = 0
    let endClear = 0
    for (let i = 0; i < CHUNK_WORDS; i++) {
      const stored = this.#scratch.u32[BitmapChunk.word.bits + i]!
      const start = first + i * 32
      const inside = Math.min(32, Math.max(0, blocks - start))
      const mask = inside === 32 ? -1 : (1 << inside) - 1
      free += popcount(~stored & mask)
      endClear += popcount(~stored & ~mask)
      const wrong = (stored ^ this.#expected(start, inside)) & mask
      if (wrong !== 0) this.#compareWord(start, stored, wrong)
    }
    if (endClear > 0) {
      const message = `${endClear} bits past block ${blocks - 1} are clear, expected set`
      this.#findings.add('bitmap-end-clear', place, message)
    }
    const said = this.#scratch.u32[BitmapChunk.word.free]!
    if (said !== free) {
      this.#findings.add('bitmap-free-wrong', place, `free is ${said}, ${free} bits are clear`)
    }
    return free
  }

  /** Bits of the claims of blocks [start, start + count), at most 32. */
  #expected(start: number, count: number): number {
    const kind = this.#claims.kind
    let bits = 0
    for (let i = 0; i < count; i++) if (kind[start + i] !== Claim.none) bits |= 1 << i
    return bits
  }

  #compareWord(start: number, stored: number, wrong: number): void {
    for (let i = 0; i < 32; i++) {
      if (((wrong >>> i) & 1) === 0) continue
      const code = ((stored >>> i) & 1) !== 0 ? 'block-leaked' : 'block-unallocated'
      const block = start + i
      if (code !== this.#runCode || block !== this.#runEnd) {
        this.#endRun()
        this.#runCode = code
        this.#runStart = block
      }
      this.#runEnd = block + 1
    }
  }

  #endRun(): void {
    if (this.#runCode === null) return
    const start = this.#runStart
    const count = this.#runEnd - start
    const where = count === 1 ? 'block' : `${count} blocks to ${this.#runEnd - 1}`
    const place = `${where}, block ${start} (0x${(start * BLOCK_BYTES).toString(16)})`
    this.#findings.add(this.#runCode, place, RUN_MESSAGE[this.#runCode])
    this.#runCode = null
  }
}
