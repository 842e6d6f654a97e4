/**
 * The language of XDR (RFC 4506, section 6), as docs/PROTOCOL.md uses it: read from the document,
 * so that tests make messages of what it says, and of nothing that the code says.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Prng } from '../../src/base/prng.js'

export type Type =
  | { readonly is: 'unsigned int' | 'int' | 'unsigned hyper' | 'hyper' | 'bool' | 'void' }
  | { readonly is: 'opaque' | 'string'; readonly most: number }
  | { readonly is: 'fixed'; readonly length: number }
  | { readonly is: 'named'; readonly name: string }
  | { readonly is: 'list'; readonly of: Type; readonly most: number }
  | { readonly is: 'optional'; readonly of: Type }

export interface Field {
  readonly name: string
  readonly type: Type
}

export type Definition =
  | { readonly is: 'typedef'; readonly of: Type }
  | { readonly is: 'enum'; readonly values: readonly number[] }
  | { readonly is: 'struct'; readonly fields: readonly Field[] }
  | { readonly is: 'union'; readonly arms: ReadonlyMap<number, Field> }

/**
 * Numbers, bytes, texts, arrays, null for what is left out; a struct is an object by the names of
 * its fields, a union an arm with its value.
 */
export type Value =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | null
  | readonly Value[]
  | { readonly [field: string]: Value }
export interface Armed {
  readonly arm: number
  readonly value: Value
}

/** May say what a field is: undefined, anything may be there. */
export type Bias = (field: string, type: Type) => Value | undefined

const TOKEN = /\/\*[^]*?\*\/|[A-Za-z_]\w*|\d+|[{}();:,=*<>[\]]/g
const EDGES = [0, 1, 2, 3, 4095, 4096, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
const WIDE_EDGES = [0, 1, 4096, 2 ** 32 - 1, 2 ** 32, 2 ** 44, 2 ** 53 - 1]
/** Bytes, and items, of generated values where much more may be. */
const USUAL = 40

export class XdrLanguage {
  readonly types = new Map<string, Definition>()
  readonly #tokens: string[]
  #at = 0

  constructor(text: string) {
    this.#tokens = (text.match(TOKEN) ?? []).filter((token) => !token.startsWith('/*'))
    while (this.#at < this.#tokens.length) this.#definition()
    for (const definition of this.types.values()) this.#resolve(definition)
  }

  // ---- reading ---------------------------------------------------------------------------------

  #next(): string {
    const token = this.#tokens[this.#at++]
    assert.ok(token !== undefined, 'the text ends within a definition')
    return token
  }

  #take(wanted: string): boolean {
    if (this.#tokens[this.#at] !== wanted) return false
    this.#at++
    return true
  }

  #expect(wanted: string): void {
    assert.equal(this.#next(), wanted)
  }

  #number(): number {
    const token = this.#next()
    assert.match(token, /^\d+$/)
    return Number(token)
  }

  #name(): string {
    const token = this.#next()
    assert.match(token, /^[a-z]\w*$/i)
    return token
  }

  #definition(): void {
    const kind = this.#next()
    if (kind === 'typedef') {
      const { name, type } = this.#declaration()
      this.#define(name, { is: 'typedef', of: type })
      return this.#expect(';')
    }
    const name = this.#name()
    if (kind === 'enum') this.#define(name, { is: 'enum', values: this.#enum() })
    else if (kind === 'struct') this.#define(name, { is: 'struct', fields: this.#struct() })
    else if (kind === 'union') this.#define(name, { is: 'union', arms: this.#union() })
    else assert.fail(`a definition begins with ${kind}`)
    this.#expect(';')
  }

  #define(name: string, definition: Definition): void {
    assert.ok(!this.types.has(name), `${name} is defined twice`)
    this.types.set(name, definition)
  }

  #enum(): number[] {
    const values: number[] = []
    this.#expect('{')
    do {
      this.#name()
      this.#expect('=')
      values.push(this.#number())
    } while (this.#take(','))
    this.#expect('}')
    return values
  }

  #struct(): Field[] {
    const fields: Field[] = []
    this.#expect('{')
    while (!this.#take('}')) {
      fields.push(this.#declaration())
      this.#expect(';')
    }
    return fields
  }

  #union(): Map<number, Field> {
    const arms = new Map<number, Field>()
    for (const token of ['switch', '(', 'unsigned', 'int']) this.#expect(token)
    this.#name()
    this.#expect(')')
    this.#expect('{')
    while (!this.#take('}')) {
      this.#expect('case')
      const number = this.#number()
      this.#expect(':')
      arms.set(number, this.#declaration())
      this.#expect(';')
    }
    return arms
  }

  /** A declaration, as section 6.3 has it: what is optional, or a list, is of a plain specifier. */
  #declaration(): Field {
    const specifier = this.#next()
    if (specifier === 'void') return { name: '', type: { is: 'void' } }
    if (specifier === 'opaque' || specifier === 'string') {
      const name = this.#name()
      if (specifier === 'opaque' && this.#take('[')) {
        const length = this.#number()
        this.#expect(']')
        return { name, type: { is: 'fixed', length } }
      }
      return { name, type: { is: specifier, most: this.#bound() } }
    }
    const type = this.#specifier(specifier)
    if (this.#take('*')) return { name: this.#name(), type: { is: 'optional', of: type } }
    const name = this.#name()
    if (this.#tokens[this.#at] !== '<') return { name, type }
    return { name, type: { is: 'list', of: type, most: this.#bound() } }
  }

  #bound(): number {
    this.#expect('<')
    const most = this.#number()
    this.#expect('>')
    return most
  }

  #specifier(first: string): Type {
    if (first === 'unsigned') {
      const second = this.#next()
      if (second === 'int') return { is: 'unsigned int' }
      assert.equal(second, 'hyper')
      return { is: 'unsigned hyper' }
    }
    if (first === 'hyper' || first === 'bool' || first === 'int') return { is: first }
    return { is: 'named', name: first }
  }

  /** Whatever is used is defined. */
  #resolve(definition: Definition): void {
    const look = (type: Type): void => {
      if (type.is === 'named') assert.ok(this.types.has(type.name), `${type.name} is not defined`)
      if (type.is === 'list' || type.is === 'optional') look(type.of)
    }
    if (definition.is === 'typedef') look(definition.of)
    if (definition.is === 'struct') for (const { type } of definition.fields) look(type)
    if (definition.is === 'union') for (const { type } of definition.arms.values()) look(type)
  }

  /** A type as it is called in a table: a name, or that of a plain type. */
  type(name: string): Type {
    if (name === 'void') return { is: 'void' }
    assert.ok(this.types.has(name), `${name} is not defined`)
    return { is: 'named', name }
  }

  // ---- making values ---------------------------------------------------------------------------

  generate(type: Type, random: Prng, bias: Bias = () => undefined, field = ''): Value {
    const said = type.is === 'void' ? undefined : bias(field, type)
    if (said !== undefined) return said
    switch (type.is) {
      case 'unsigned int':
        return random.chance(1, 2) ? random.pick(EDGES) : random.next()
      case 'int':
        return random.next() | 0
      case 'unsigned hyper':
        return random.chance(1, 2) ? random.pick(WIDE_EDGES) : wide(random)
      case 'hyper':
        return (random.chance(1, 2) ? random.pick(WIDE_EDGES) : wide(random)) * random.pick([1, -1])
      case 'bool':
        return random.chance(1, 2)
      case 'void':
        return null
      case 'opaque':
        return bytesOf(lengthOf(random, type.most), random)
      case 'fixed':
        return bytesOf(type.length, random)
      case 'string':
        return textOf(lengthOf(random, type.most), random)
      case 'optional':
        return random.chance(1, 2) ? null : this.generate(type.of, random, bias, field)
      case 'list': {
        const count = random.chance(1, 20)
          ? Math.min(type.most, 300)
          : random.below(Math.min(5, type.most + 1))
        return Array.from({ length: count }, () => this.generate(type.of, random, bias, field))
      }
      case 'named':
        return this.#generateNamed(type.name, random, bias, field)
    }
  }

  #generateNamed(name: string, random: Prng, bias: Bias, field: string): Value {
    const definition = this.types.get(name)!
    switch (definition.is) {
      case 'typedef':
        return this.generate(definition.of, random, bias, field)
      case 'enum':
        return random.pick(definition.values)
      case 'struct':
        return Object.fromEntries(
          definition.fields.map(({ name: f, type }) => [f, this.generate(type, random, bias, f)]),
        )
      case 'union': {
        const arm = random.pick([...definition.arms.keys()])
        const { name: f, type } = definition.arms.get(arm)!
        return { arm, value: this.generate(type, random, bias, f) }
      }
    }
  }

  /** Bytes that a value may have at most. */
  most(type: Type): number {
    const whole = (bytes: number) => (bytes + 3) & -4
    switch (type.is) {
      case 'void':
        return 0
      case 'unsigned hyper':
      case 'hyper':
        return 8
      case 'opaque':
      case 'string':
        return 4 + whole(type.most)
      case 'fixed':
        return whole(type.length)
      case 'list':
        return 4 + type.most * this.most(type.of)
      case 'optional':
        return 4 + this.most(type.of)
      case 'named': {
        const definition = this.types.get(type.name)!
        if (definition.is === 'typedef') return this.most(definition.of)
        if (definition.is === 'enum') return 4
        const all = (fields: Iterable<Field>) => [...fields].map((field) => this.most(field.type))
        if (definition.is === 'struct') return all(definition.fields).reduce((a, b) => a + b, 0)
        return 4 + Math.max(...all(definition.arms.values()))
      }
      default:
        return 4
    }
  }

  // ---- writing ---------------------------------------------------------------------------------

  encode(type: Type, value: Value, out: Encoder): void {
    switch (type.is) {
      case 'unsigned int':
      case 'int':
        return out.word(Number(value))
      case 'unsigned hyper':
      case 'hyper':
        return out.wide(BigInt(value as number | bigint))
      case 'bool':
        return out.word(Number(value))
      case 'void':
        return
      case 'opaque':
      case 'string': {
        const bytes = typeof value === 'string' ? Buffer.from(value) : (value as Uint8Array)
        out.word(bytes.length)
        return out.bytes(bytes)
      }
      case 'fixed':
        return out.bytes(value as Uint8Array)
      case 'optional':
        out.word(value === null ? 0 : 1)
        if (value !== null) this.encode(type.of, value, out)
        return
      case 'list': {
        const items = value as readonly Value[]
        out.word(items.length)
        for (const item of items) this.encode(type.of, item, out)
        return
      }
      case 'named':
        return this.#encodeNamed(type.name, value, out)
    }
  }

  #encodeNamed(name: string, value: Value, out: Encoder): void {
    const definition = this.types.get(name)!
    if (definition.is === 'typedef') return this.encode(definition.of, value, out)
    if (definition.is === 'enum') return out.word(value as number)
    if (definition.is === 'struct') {
      const fields = value as Readonly<Record<string, Value>>
      for (const field of definition.fields) this.encode(field.type, fields[field.name]!, out)
      return
    }
    const { arm, value: of } = value as unknown as Armed
    out.word(arm)
    const { type } = definition.arms.get(arm) ?? { type: { is: 'void' } as const }
    this.encode(type, of, out)
  }
}

/** Bytes of XDR, made without the code that is tested. */
export class Encoder {
  readonly #parts: Buffer[] = []
  /** Where each item begins. */
  readonly places: number[] = []
  #length = 0

  #add(part: Buffer): void {
    this.places.push(this.#length)
    this.#parts.push(part)
    this.#length += part.length
  }

  word(value: number): void {
    const part = Buffer.alloc(4)
    part.writeUInt32BE(value >>> 0)
    this.#add(part)
  }

  wide(value: bigint): void {
    const part = Buffer.alloc(8)
    part.writeBigUInt64BE(BigInt.asUintN(64, value))
    this.#add(part)
  }

  bytes(value: Uint8Array): void {
    this.#add(Buffer.concat([value, Buffer.alloc((4 - (value.length % 4)) % 4)]))
  }

  /** All of it, in memory of its own. */
  get all(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts))
  }
}

const wide = (random: Prng) => random.below(1 << 21) * 2 ** 32 + random.next()

const lengthOf = (random: Prng, most: number) =>
  random.chance(1, 20) ? random.pick([0, most, most - 1]) : random.below(Math.min(USUAL, most + 1))

function bytesOf(length: number, random: Prng): Uint8Array {
  const bytes = new Uint8Array(length)
  random.fill(bytes)
  return bytes
}

/** Characters of one to four bytes, and the rest of one. */
function textOf(length: number, random: Prng): string {
  let text = ''
  for (let left = length; left > 0;) {
    const character = random.pick(['a', '/', '.', '\0', '\n', 'é', '€', '\u{1f600}', '\ufeff'])
    const bytes = Buffer.byteLength(character)
    text += bytes <= left ? character : 'z'
    left -= bytes <= left ? bytes : 1
  }
  return text
}

// ---- the document
// --------------------------------------------------------------------------------

export interface DocumentedVerb {
  readonly number: number
  readonly title: string
  readonly args: Type
  readonly result: Type
}
export interface DocumentedNotice {
  readonly number: number
  readonly title: string
  readonly body: Type
}

/** What docs/PROTOCOL.md says of types, verbs and notices. */
export class ProtocolDocument {
  readonly language: XdrLanguage
  readonly verbs: readonly DocumentedVerb[]
  readonly notices: readonly DocumentedNotice[]

  constructor() {
    const text = readFileSync('docs/PROTOCOL.md', 'utf8')
    const blocks = [...text.matchAll(/^```c\n([^]*?)^```$/gm)].map((found) => found[1]!)
    this.language = new XdrLanguage(blocks.join('\n'))
    const { language } = this
    this.verbs = [...text.matchAll(/^\| (\d+) \| (\S+)(?: †)? \| `(\w+)` \| `(\w+)` \|/gm)].map(
      ([, number, title, args, result]) => ({
        number: Number(number),
        title: title!,
        args: language.type(args!),
        result: language.type(result!),
      }),
    )
    this.notices = [...text.matchAll(/^\| (\d+) \| (\S+) \| `(\w+)` \| (?!`)/gm)].map(
      ([, number, title, body]) => ({
        number: Number(number),
        title: title!,
        body: language.type(body!),
      }),
    )
  }

  verb(title: string): DocumentedVerb {
    const verb = this.verbs.find((one) => one.title === title)
    assert.ok(verb !== undefined, `${title} is in the document`)
    return verb
  }
}
