/**
 * What messages look like: declared once, from which follow how they are written and read, their
 * types in TypeScript, and their text in the language of XDR (RFC 4506, section 6) in
 * docs/PROTOCOL.md.
 */
import { checkBytes } from '../base/bytes.js'
import { assert, HoldfastError, type ErrorCode } from '../base/errors.js'
import { malformed, type XdrReader, type XdrWriter } from './xdr.js'

export interface Schema<T> {
  write(out: XdrWriter, value: T): void
  /** EPROTO when it is not well formed. */
  read(from: XdrReader): T
  /** A declaration of `name` in the language of XDR. */
  declare(name: string): string
  /** Of a type with a name of its own: its definition. */
  readonly definition?: string
  /** Types that the declaration uses. */
  readonly uses: readonly Schema<unknown>[]
}

/** The values that a schema describes. */
export type Of<S> = S extends Schema<infer T> ? T : never

type Fields = Readonly<Record<string, Schema<unknown>>>
type Optional<F extends Fields> = {
  [K in keyof F]: undefined extends Of<F[K]> ? K : never
}[keyof F]
export type StructOf<F extends Fields> = {
  readonly [K in Exclude<keyof F, Optional<F>>]: Of<F[K]>
} & { readonly [K in Optional<F>]?: Of<F[K]> }
export type ArmOf<A extends Fields> = {
  [K in keyof A]: { readonly [P in K]: Of<A[K]> }
}[keyof A]

const plain = <T>(
  write: (out: XdrWriter, value: T) => void,
  read: (from: XdrReader) => T,
  declare: (name: string) => string,
  uses: readonly Schema<unknown>[] = [],
): Schema<T> => ({ write, read, declare, uses })

export const u32: Schema<number> = plain(
  (out, value) => out.u32(value),
  (from) => from.u32(),
  (name) => `unsigned int ${name}`,
)

/** Bytes, offsets, counts: below 2^53. */
export const size: Schema<number> = plain(
  (out, value) => out.size(value),
  (from) => from.size(),
  (name) => `unsigned hyper ${name}`,
)

/** Whole numbers between -2^53 and 2^53. */
export const long: Schema<number> = plain(
  (out, value) => out.long(value),
  (from) => from.long(),
  (name) => `hyper ${name}`,
)

export const bool: Schema<boolean> = plain(
  (out, value) => out.u32(value ? 1 : 0),
  (from) => {
    const value = from.u32()
    if (value > 1) throw malformed(`a bool of ${value}`)
    return value === 1
  },
  (name) => `bool ${name}`,
)

/**
 * Bytes; those that are read are a part of the message. `tooLong`: what more of them are where they
 * are a caller's; the server knows it of a little more than it takes, and says by how much.
 */
export const opaque = (most: number, tooLong?: ErrorCode): Schema<Uint8Array> =>
  plain(
    (out, value) => {
      checkBytes(value)
      if (tooLong !== undefined && value.length > most) {
        throw new HoldfastError(tooLong, `${value.length} bytes, more than are sent`)
      }
      assert(value.length <= most, 'what is sent keeps to its bound')
      out.opaque(value)
    },
    (from) => from.opaque(most),
    (name) => `opaque ${name}<${most}>`,
  )

/** As `opaque`, of exactly so many bytes. */
export const fixed = (length: number): Schema<Uint8Array> =>
  plain(
    (out, value) => {
      checkBytes(value)
      assert(value.length === length, 'what is sent has its length')
      out.fixed(value)
    },
    (from) => from.fixed(length),
    (name) => `opaque ${name}[${length}]`,
  )

/** UTF-8. What is sent is cut where it is too long. */
export const text = (most: number): Schema<string> =>
  plain(
    (out, value) => {
      if (typeof value !== 'string') throw new HoldfastError('EINVAL', 'a string is wanted')
      out.text(Buffer.byteLength(value) <= most ? value : cut(value, most))
    },
    (from) => from.text(most),
    (name) => `string ${name}<${most}>`,
  )

function cut(value: string, most: number): string {
  let short = value.slice(0, most)
  while (Buffer.byteLength(short) > most) short = short.slice(0, -1)
  return short
}

export const list = <T>(of: Schema<T>, most: number): Schema<readonly T[]> =>
  plain(
    (out, value) => {
      assert(value.length <= most, 'a list that is sent keeps to its bound')
      out.u32(value.length)
      for (const item of value) of.write(out, item)
    },
    (from) => {
      const items: T[] = []
      for (let left = from.count(most); left > 0; left--) items.push(of.read(from))
      return items
    },
    (name) => `${of.declare(name)}<${most}>`,
    [of],
  )

export const optional = <T>(of: Schema<T>): Schema<T | undefined> =>
  plain(
    (out, value) => {
      out.u32(value === undefined ? 0 : 1)
      if (value !== undefined) of.write(out, value)
    },
    (from) => (bool.read(from) ? of.read(from) : undefined),
    (name) => of.declare(`*${name}`),
    [of],
  )

/** A type with a name of its own: lists and optional ones are of such, or of numbers. */
export const named = <T>(typeName: string, of: Schema<T>): Schema<T> => ({
  ...of,
  declare: (name) => `${typeName} ${name}`,
  definition: `typedef ${of.declare(typeName)};`,
})

/** One of some words. */
export function choice<const N extends readonly string[]>(
  typeName: string,
  ...names: N
): Schema<N[number]> {
  const numbers = new Map(names.map((name, number) => [name as string, number]))
  const listed = names.map(
    (name, number) => `  ${typeName.toUpperCase()}_${words(name)} = ${number}`,
  )
  return {
    write: (out, value) => out.u32(numbers.get(value)!),
    read: (from) => {
      const number = from.u32()
      const name = names[number]
      if (name === undefined) throw malformed(`${typeName} ${number}, which is none`)
      return name
    },
    declare: (name) => `${typeName} ${name}`,
    definition: `enum ${typeName} {\n${listed.join(',\n')}\n};`,
    uses: [],
  }
}

const words = (name: string) => name.replaceAll(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()

/** Fields one behind the other. */
export function struct<F extends Fields>(typeName: string, fields: F): Schema<StructOf<F>> {
  const names = Object.keys(fields)
  const schemas = Object.values(fields)
  const listed = names.map((name, i) => `  ${schemas[i]!.declare(snake(name))};`)
  return {
    write: (out, value) => {
      for (let i = 0; i < names.length; i++) {
        schemas[i]!.write(out, (value as Readonly<Record<string, unknown>>)[names[i]!])
      }
    },
    read: (from) => {
      const value: Record<string, unknown> = {}
      for (let i = 0; i < names.length; i++) value[names[i]!] = schemas[i]!.read(from)
      return value as StructOf<F>
    },
    declare: (name) => `${typeName} ${name}`,
    definition: `struct ${typeName} {\n${listed.join('\n')}\n};`,
    uses: schemas,
  }
}

/** One of several things, each an object with that key alone. */
export function either<A extends Fields>(typeName: string, arms: A): Schema<ArmOf<A>> {
  const entries = Object.entries(arms)
  const cases = entries.map(
    ([name, schema], number) => `  case ${number}: ${schema.declare(snake(name))};`,
  )
  return {
    write: (out, value) => {
      let number = 0
      while (number < entries.length && !(entries[number]![0] in (value as object))) number++
      assert(number < entries.length, 'a union that is sent has one of its arms')
      const [name, schema] = entries[number]!
      out.u32(number)
      schema.write(out, (value as Readonly<Record<string, unknown>>)[name])
    },
    read: (from) => {
      const number = from.u32()
      const arm = entries[number]
      if (arm === undefined) throw malformed(`case ${number} of ${typeName}, which is none`)
      return { [arm[0]]: arm[1].read(from) } as ArmOf<A>
    },
    declare: (name) => `${typeName} ${name}`,
    definition: `union ${typeName} switch (unsigned int arm) {\n${cases.join('\n')}\n};`,
    uses: Object.values(arms),
  }
}

const snake = (name: string) => name.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()

/** No fields. */
export const nothing: Schema<Readonly<Record<never, never>>> = plain(
  () => {},
  () => ({}),
  () => 'void',
)
