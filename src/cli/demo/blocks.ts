/**
 * Content that says where it belongs: each block is made from a seed, its number and a version, so
 * that one that is lost, old, or another's is found, and which one.
 */
import { Prng } from '../../base/prng.js'

export const BLOCK = 4096

const expected = new Uint8Array(BLOCK)

export function fillBlock(seed: number, block: number, version: number, into: Uint8Array): void {
  const mixed = Math.imul(seed, 0x9e3779b1) ^ Math.imul(block, 0x85ebca77) ^ Math.imul(version, 97)
  new Prng(mixed >>> 0).fill(into)
}

export function makeBlocks(seed: number, from: number, count: number, version = 0): Uint8Array {
  const bytes = new Uint8Array(count * BLOCK)
  for (let i = 0; i < count; i++) {
    fillBlock(seed, from + i, version, bytes.subarray(i * BLOCK, (i + 1) * BLOCK))
  }
  return bytes
}

/** What is not as it should be in blocks from `from` on; null: all of it is. */
export function differing(
  bytes: Uint8Array,
  seed: number,
  from: number,
  version: (block: number) => number,
): string | null {
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const block = from + at / BLOCK
    fillBlock(seed, block, version(block), expected)
    const got = bytes.subarray(at, at + BLOCK)
    if (Buffer.compare(got, expected.subarray(0, got.length)) === 0) continue
    const byte = got.findIndex((value, i) => value !== expected[i])
    return `block ${block}, byte ${byte}: ${got[byte]} in the place of ${expected[byte]}`
  }
  return null
}
