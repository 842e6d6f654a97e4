/** What holes are to who reads them. */
import type { Pieces } from '../rdma/pieces.js'

/** As long as the payload of a segment. Nobody is ever given it to store to. */
const ZEROS = new Uint8Array(1 << 16)

export function addZeros(pieces: Pieces, length: number): void {
  for (let left = length; left > 0; left -= ZEROS.length) {
    pieces.add(ZEROS, 0, Math.min(left, ZEROS.length))
  }
}
