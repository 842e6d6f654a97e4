/**
 * Declarations of structures: each byte is declared once, here checked, and everything else (code,
 * fsck's messages, docs/SPEC.md) comes from the declaration.
 *
 * Invariants of a declaration, checked when the module loads:
 * - fields come in the order of their offsets, without gaps and without overlaps, and end at
 *   `size`;
 * - a field of 2, 4 or 8 bytes is aligned to 4 (8-byte fields are read as two words, low first);
 * - bytes without meaning are named `reserved…`, and are zero.
 *
 * All numbers are little-endian. The accessors of hot code are plain typed arrays of this machine,
 * so a big-endian machine is refused.
 */

if (new Uint8Array(new Uint32Array([1]).buffer)[0] !== 1) {
  throw new Error('holdfast needs a little-endian machine')
}

/** [byte offset, byte width, meaning]. */
export type FieldDeclaration = readonly [offset: number, width: number, meaning: string]

export interface Struct<Name extends string = string> {
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly meaning: string
  readonly fields: ReadonlyArray<{ name: Name; offset: number; width: number; meaning: string }>
  /** Byte offset of each field. */
  readonly at: Readonly<Record<Name, number>>
  /** Index of each field in 4-byte words; only for fields that are aligned to 4. */
  readonly word: Readonly<Record<Name, number>>
}

export function defineStruct<const F extends Record<string, FieldDeclaration>>(
  name: string,
  size: number,
  meaning: string,
  declarations: F,
): Struct<Extract<keyof F, string>> {
  type Name = Extract<keyof F, string>
  const { fields, at } = placeFields(`struct ${name}`, size, declarations)
  const word = {} as Record<Name, number>
  for (const { name: field, offset, width } of fields) {
    if (width >= 2 && width % 2 === 0 && width <= 8 && offset % Math.min(width, 4) !== 0) {
      throw new Error(`struct ${name}.${field}: ${width} bytes at ${offset} are not aligned`)
    }
    if (offset % 4 === 0) word[field] = offset / 4
  }
  return { name, size, meaning, fields, at, word: fixed(word) }
}

/**
 * The fields of a declaration, which stand in the order of their offsets, without gaps and without
 * overlaps, and end at `size`; and the offset of each.
 */
export function placeFields<const F extends Record<string, FieldDeclaration>>(
  what: string,
  size: number,
  declarations: F,
) {
  type Name = Extract<keyof F, string>
  const at = {} as Record<Name, number>
  let end = 0
  const fields = (Object.keys(declarations) as Name[]).map((field) => {
    const [offset, width, meaning] = declarations[field]!
    if (offset !== end) throw new Error(`${what}.${field}: at ${offset}, expected ${end}`)
    end = offset + width
    at[field] = offset
    return { name: field, offset, width, meaning }
  })
  if (end !== size) throw new Error(`${what}: fields end at ${end}, size is ${size}`)
  return { fields, at: fixed(at) }
}

/**
 * Objects that grew by computed names are hash tables to the engine, and these are read in the
 * hottest code there is; JSON.parse makes objects of fixed shape.
 */
const fixed = <T>(table: T): T => JSON.parse(JSON.stringify(table)) as T

/**
 * A structure's magic: three letters and a version digit. The version is part of the magic so that
 * a reader of an older version never takes a newer structure for its own.
 */
export function magic(text: string): number {
  if (!/^[A-Z]{3}[0-9]$/.test(text))
    throw new Error(`magic '${text}' is not three letters, one digit`)
  return Buffer.from(text, 'latin1').readUInt32LE(0)
}

/** The letters of a magic number, for messages: `magic 'HFI1' expected, 0x00000000 found`. */
export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, '0')}`
}
