/**
 * The named records of an inode, as a directory and its attributes are: (hash of the name, number)
 * -> name, a byte, a target. What both have in common: each name is whole and the record's own, its
 * hash is right, no name is there twice.
 */
import { halfSipHash } from '../base/halfsiphash.js'
import { hex } from '../base/struct.js'
import { NameHeader } from '../media/name.js'
import type { RecordKind } from '../media/tree_node.js'
import { placeOf, type Findings } from './codes.js'
import type { NameUse, Names, ReadName } from './names.js'
import type { TreeWalker } from './tree.js'
import type { Header } from './volume_header.js'

/** Takes a record's name (null: none to go by), its byte and its target. */
export type RecordVisitor = (name: ReadName | null, byte: number, target: number) => void

export class NamedRecords {
  readonly #names: Names
  readonly #walker: TreeWalker
  readonly #findings: Findings
  readonly #kind: RecordKind
  readonly #use: NameUse
  readonly #onRecord: RecordVisitor
  #keyLow = 0
  #keyHigh = 0
  /** The inode being walked. */
  #owner = 0
  /** The leaf that the record being looked at stands in, and the hash of the record. */
  #block = 0
  #hash = -1
  /**
   * The record before, when it has the same hash: its number and its name. Records of one hash
   * stand side by side, and are looked at as one group.
   */
  #ordinal = -1
  #name: ReadName | null = null
  /** The names of the group, made at its second name: most groups have one. */
  #group: Set<string> | null = null

  constructor(
    names: Names,
    walker: TreeWalker,
    findings: Findings,
    kind: RecordKind,
    use: NameUse,
    onRecord: RecordVisitor,
  ) {
    this.#names = names
    this.#walker = walker
    this.#findings = findings
    this.#kind = kind
    this.#use = use
    this.#onRecord = onRecord
  }

  begin(header: Header): void {
    this.#keyLow = header.hashKeyLow
    this.#keyHigh = header.hashKeyHigh
  }

  /** Walks the records of inode `owner`; returns how many, -1 when some are lost. */
  walk(root: number, owner: number): number {
    this.#owner = owner
    this.#hash = -1
    this.#walker.walk(root, this.#kind, owner, this.#visit)
    this.#name = null
    this.#group = null
    return this.#walker.broken ? -1 : this.#walker.records
  }

  /** The record being looked at, for messages. */
  readonly place = (): string =>
    placeOf(`${hex(this.#hash)}, ${this.#use} ${this.#owner}`, this.#block)

  readonly #visit = (words: Uint32Array, w: number, block: number): void => {
    this.#block = block
    const hash = words[w]!
    const detail = words[w + 1]!
    const target = words[w + 3]!
    if (hash !== this.#hash) {
      this.#hash = hash
      this.#ordinal = -1
      this.#name = null
      this.#group = null
    }
    const name = this.#names.take(words[w + 2]!, detail & 0xff, this.#owner, this.#use, this.place)
    if (name !== null) this.#checkName(name, hash)
    if (this.#ordinal === detail >>> 16) {
      const message = `number ${detail >>> 16} among the names of its hash`
      this.#findings.add('entry-number-duplicate', this.place(), message)
    }
    this.#ordinal = detail >>> 16
    this.#name = name
    this.#onRecord(name, (detail >>> 8) & 0xff, target)
  }

  #checkName(name: ReadName, hash: number): void {
    const bytes = name.scratch.u8
    const computed = halfSipHash(this.#keyLow, this.#keyHigh, bytes, NameHeader.size, name.length)
    if (computed !== hash) {
      const message = `hash ${hex(hash)}, computed ${hex(computed)}`
      this.#findings.add('name-hash-wrong', this.place(), message)
    }
    if (this.#name === null && this.#group === null) return
    this.#group ??= new Set([textOf(this.#name!)])
    const text = textOf(name)
    if (this.#group.has(text)) {
      this.#findings.add('name-duplicate', this.place(), JSON.stringify(text))
    }
    this.#group.add(text)
  }
}

/** The bytes of a name, one a character. */
export const textOf = (name: ReadName): string =>
  Buffer.from(name.scratch.u8.buffer, NameHeader.size, name.length).toString('latin1')
