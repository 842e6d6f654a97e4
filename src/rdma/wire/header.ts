/**
 * Declarations of the wire's headers, in the RFCs' words: each byte is declared once. All numbers
 * are big-endian and packed, where the medium's structures (base/struct.ts) are little-endian and
 * aligned.
 *
 * Invariant of a declaration, checked when the module loads: fields come in the order of their
 * offsets, without gaps and without overlaps, and end at `size`.
 */
import { placeFields, type FieldDeclaration, type Struct } from '../../base/struct.js'

/** `meaning`: what it is, and where that is written. */
export type Header<Name extends string = string> = Omit<Struct<Name>, 'word'>

export function defineHeader<const F extends Record<string, FieldDeclaration>>(
  name: string,
  size: number,
  meaning: string,
  declarations: F,
): Header<Extract<keyof F, string>> {
  return { name, size, meaning, ...placeFields(`header ${name}`, size, declarations) }
}

/** 64 bits as two numbers: data planes know no BigInt. */
export function put64(view: DataView, offset: number, high: number, low: number): void {
  view.setUint32(offset, high)
  view.setUint32(offset + 4, low)
}

/** 32 bits, as a number in [0, 2^32). */
export const word = (bytes: Uint8Array, at: number) =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
