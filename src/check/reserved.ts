/**
 * The bytes that a structure declares as reserved: zero, so that a later version can give them a
 * meaning.
 */
import type { Bytes } from '../base/bytes.js'
import type { Struct } from '../base/struct.js'
import { placeOf, type Findings } from './codes.js'

/** [start, end) of each reserved field, by structure: looked up once. */
const ranges = new Map<Struct, ReadonlyArray<readonly [number, number]>>()

function rangesOf(struct: Struct): ReadonlyArray<readonly [number, number]> {
  let known = ranges.get(struct)
  if (known === undefined) {
    known = struct.fields
      .filter((field) => /reserved/i.test(field.name))
      .map((field) => [field.offset, field.offset + field.width] as const)
    ranges.set(struct, known)
  }
  return known
}

/** `offset`: where in `block` the structure stands that is at byte `base` of `bytes`. */
export function checkReserved(
  bytes: Bytes,
  base: number,
  struct: Struct,
  block: number,
  offset: number,
  findings: Findings,
): void {
  for (const [start, end] of rangesOf(struct)) {
    for (let i = start; i < end; i++) {
      if (bytes.u8[base + i] === 0) continue
      const place = placeOf(struct.name, block, offset + i)
      findings.add('reserved-not-zero', place, `byte ${i} is ${bytes.u8[base + i]!}, expected 0`)
      return
    }
  }
}
