/** Content made from a seed: the same everywhere, and any piece of it without those before. */
import { Prng } from '../base/prng.js'

export const PIECE_BYTES = 1 << 20

/** Fills `piece` with what belongs at byte `index` * 1 MiB. */
export function seedPiece(seed: number, index: number, piece: Uint8Array): void {
  // Knuth's multiplier spreads the index, so that piece 1 of seed 0 is not piece 0 of seed 1.
  new Prng((Math.imul(index, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca77) ^ (seed >>> 16)) >>> 0).fill(
    piece,
  )
}
