/**
 * Typed arrays that grow. By an eighth, not by doubling: what a hold costs is promised, and room
 * that is not used yet is part of it.
 */

const WORDS_MIN = 64

function roomFor(length: number, had: number): number {
  return Math.max(WORDS_MIN, length, had + Math.floor(had / 8))
}

/** The array, or a larger one with the same content where it is too short. */
export function grownWords(
  had: Uint32Array<ArrayBuffer>,
  length: number,
): Uint32Array<ArrayBuffer> {
  if (length <= had.length) return had
  const grown = new Uint32Array(roomFor(length, had.length))
  grown.set(had)
  return grown
}
