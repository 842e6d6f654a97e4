/**
 * Typed arrays that grow. By a sixteenth, not by doubling: what a hold costs is promised, and room
 * that is not used yet is part of it.
 */

type Grows = Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>

const LENGTH_MIN = 64

export const newBytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length)
export const newWords = (length: number): Uint32Array<ArrayBuffer> => new Uint32Array(length)
export const newNumbers = (length: number): Float64Array<ArrayBuffer> => new Float64Array(length)

/** The array, or, where it is too short, a larger one with the same content and zeros behind. */
export function grown<T extends Grows>(had: T, length: number, make: (length: number) => T): T {
  if (length <= had.length) return had
  const array = make(Math.max(LENGTH_MIN, length, had.length + Math.floor(had.length / 16)))
  array.set(had)
  return array
}
