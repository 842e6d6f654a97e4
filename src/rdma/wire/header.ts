/**
 * Declarations of the wire's headers, in the RFCs' words: each byte is declared once. All numbers
 * are big-endian and packed, where the medium's structures (base/struct.ts) are little-endian and
 * aligned.
 *
 * Invariant of a declaration, checked when the module loads: fields come in the order of their
 * offsets, without gaps and without overlaps, and end at `size`.
 */

/** [byte offset, byte width, meaning]. */
export type HeaderField = readonly [offset: number, width: number, meaning: string]

export interface Header<Name extends string = string> {
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** What it is, and where that is written. */
  readonly meaning: string
  readonly fields: ReadonlyArray<{ name: Name; offset: number; width: number; meaning: string }>
  /** Byte offset of each field. */
  readonly at: Readonly<Record<Name, number>>
}

export function defineHeader<const F extends Record<string, HeaderField>>(
  name: string,
  size: number,
  meaning: string,
  declarations: F,
): Header<Extract<keyof F, string>> {
  type Name = Extract<keyof F, string>
  const at = {} as Record<Name, number>
  let end = 0
  const fields = (Object.keys(declarations) as Name[]).map((field) => {
    const [offset, width, text] = declarations[field]!
    if (offset !== end) throw new Error(`header ${name}.${field}: at ${offset}, expected ${end}`)
    end = offset + width
    at[field] = offset
    return { name: field, offset, width, meaning: text }
  })
  if (end !== size) throw new Error(`header ${name}: fields end at ${end}, size is ${size}`)
  return { name, size, meaning, fields, at }
}

/** 64 bits as two numbers: data planes know no BigInt. */
export function put64(view: DataView, offset: number, high: number, low: number): void {
  view.setUint32(offset, high)
  view.setUint32(offset + 4, low)
}
