/**
 * Content that says whose it is: each aligned 8 bytes of a file name the file, the block and the
 * sequence number of the write. As 8 bytes are stored at once, that is so whoever else writes.
 *
 * A file is known by its name: its own number, then those of the files that it was cloned from.
 * What it shows is of one of these, of the same block, or zeros.
 */
import { BLOCK_BYTES } from '../../src/base/limits.js'

export const WORDS = BLOCK_BYTES / 8
/** Bits of the sequence number, below the block's. */
const SEQUENCE_BITS = 20
export const SEQUENCE_MAX = 2 ** SEQUENCE_BITS - 1
export const BLOCKS_MAX = 2 ** (32 - SEQUENCE_BITS)

export interface Named {
  /** Starts with p: nobody else writes to it. */
  readonly own: boolean
  readonly id: number
  /** Whose bytes it may show. */
  readonly family: readonly number[]
}

export function nameOf(id: number, parents: readonly number[], own = false): string {
  return `${own ? 'p' : 's'}${[id, ...parents].join('.')}`
}

/** Null: no name of ours. */
export function named(name: string): Named | null {
  const found = /^\/?([ps])(\d+(?:\.\d+)*)$/.exec(name)
  if (found === null) return null
  const family = found[2]!.split('.').map(Number)
  return { own: found[1] === 'p', id: family[0]!, family }
}

export function word(id: number, block: number, sequence: number): bigint {
  return (BigInt(id) << 32n) | BigInt(block * 2 ** SEQUENCE_BITS + (sequence & SEQUENCE_MAX))
}

export function blockBytes(id: number, block: number, sequence: number): Uint8Array {
  const words = new BigUint64Array(WORDS).fill(word(id, block, sequence))
  return new Uint8Array(words.buffer)
}

/** What is wrong with words of a file from a block on; null: nothing. */
export function wrong(words: Uint32Array, family: readonly number[], first: number): string | null {
  let [low, high] = [0, 0]
  for (let i = 0; i + 1 < words.length; i += 2) {
    const [l, h] = [words[i]!, words[i + 1]!]
    // Most words are as the one before.
    if (l === low && h === high && (i / 2) % WORDS !== 0) continue
    ;[low, high] = [l, h]
    const block = first + Math.floor(i / 2 / WORDS)
    if (l === 0 && h === 0) continue
    // Two loads, between which somebody may have stored.
    const ours = h === 0 || family.includes(h)
    const there = (l === 0 && h === 0) || l >>> SEQUENCE_BITS === block
    if (ours && there) continue
    return (
      `word ${(i / 2) % WORDS} of block ${block} of file ${family.join('.')} is that of ` +
      `block ${l >>> SEQUENCE_BITS} of file ${h}, written as ${l & SEQUENCE_MAX}`
    )
  }
  return null
}

/** Sequence number of a block that one writer alone writes; null: it was torn. */
export function sequenceOf(words: Uint32Array, block: number): number | null {
  const at = block * WORDS * 2
  const [low, high] = [words[at]!, words[at + 1]!]
  for (let i = at; i < at + WORDS * 2; i += 2) {
    if (words[i] !== low || words[i + 1] !== high) return null
  }
  return low & SEQUENCE_MAX
}

export const wordsOf = (bytes: Uint8Array): Uint32Array =>
  new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 4))
