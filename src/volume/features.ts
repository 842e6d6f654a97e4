/**
 * Features of a volume: written to the superblock, durably, before the first structure that needs
 * them. Who does not know one does not open the volume.
 */
import { Superblock } from '../media/superblock.js'
import type { SuperblockPair } from './superblock.js'

const at = Superblock.word

export class Features {
  readonly #superblock: SuperblockPair

  constructor(superblock: SuperblockPair) {
    this.#superblock = superblock
  }

  /** Sets a bit of `featuresIncompat`, if it is not set. */
  require(bit: number): void {
    const { u32 } = this.#superblock
    if ((u32[at.featuresIncompat]! & bit) !== 0) return
    u32[at.featuresIncompat] = u32[at.featuresIncompat]! | bit
    this.#superblock.write()
  }

  /** What a shrink or punch does to pinned blocks: 0 busy, 1 wait, 2 defer. */
  get policy(): number {
    return this.#superblock.u32[at.policy]!
  }

  has(option: number): boolean {
    return (this.#superblock.u32[at.layoutOptions]! & option) !== 0
  }
}
