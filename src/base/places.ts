/** Where bytes of a file are: told piece by piece, in order, to who moves them by himself. */
export interface BytePlaces {
  /** `length` bytes at `offset` of the region. */
  stored(offset: number, length: number): void
  /** `length` zeros that no block holds. */
  hole(length: number): void
}
