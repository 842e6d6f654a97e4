/**
 * The directories: each entry has a name and leads to an inode. Directories are walked in the order
 * of their inodes and not along the tree that they form, so that no circle of them can be followed.
 */
import { halfSipHash } from '../base/halfsiphash.js'
import { hex } from '../base/struct.js'
import { NameHeader } from '../media/name.js'
import { RecordKinds } from '../media/tree_node.js'
import { placeOf, type Findings } from './codes.js'
import { SlotType, type Inodes } from './inodes.js'
import type { Names, ReadName } from './names.js'
import type { TreeWalker } from './tree.js'
import type { Header } from './volume_header.js'

export class Directories {
  /** Entries of all directories. */
  entries = 0
  /** Part of a directory could not be read: names and links in it are not known. */
  incomplete = false
  readonly #inodes: Inodes
  readonly #names: Names
  readonly #walker: TreeWalker
  readonly #findings: Findings
  #keyLow = 0
  #keyHigh = 0
  /** The directory being walked. */
  #number = 0
  #slot = 0
  /** The leaf that the entry being looked at stands in, and the hash of the entry. */
  #block = 0
  #hash = -1
  /**
   * The entry before, when it has the same hash: its number and its name. Entries of one hash stand
   * side by side, and are looked at as one group.
   */
  #ordinal = -1
  #name: ReadName | null = null
  /** The names of the group, made at its second name: most groups have one. */
  #group: Set<string> | null = null

  constructor(inodes: Inodes, names: Names, walker: TreeWalker, findings: Findings) {
    this.#inodes = inodes
    this.#names = names
    this.#walker = walker
    this.#findings = findings
  }

  walkAll(header: Header, onDirectory: (done: number, total: number) => void): void {
    this.entries = 0
    this.incomplete = this.#inodes.incomplete
    this.#keyLow = header.hashKeyLow
    this.#keyHigh = header.hashKeyHigh
    const { number, slot, root, count } = this.#inodes.directories
    for (let i = 0; i < number.length; i++) {
      this.#number = number.data[i]!
      this.#slot = slot.data[i]!
      this.#hash = -1
      this.#walker.walk(root.data[i]!, RecordKinds.directory, this.#number, this.#visit)
      if (this.#walker.broken) {
        this.incomplete = true
      } else if (this.#walker.records !== count.data[i]) {
        const message = `count is ${count.data[i]!}, there are ${this.#walker.records} entries`
        this.#findings.add('directory-count-wrong', this.#inodes.placeOf(this.#slot), message)
      }
      onDirectory(i + 1, number.length)
    }
    this.#name = null
    this.#group = null
  }

  /** The entry being looked at, for messages. */
  readonly #place = (): string =>
    placeOf(`entry ${hex(this.#hash)} of directory ${this.#number}`, this.#block)

  readonly #visit = (words: Uint32Array, w: number, block: number): void => {
    this.entries++
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
    const name = this.#names.take(words[w + 2]!, detail & 0xff, this.#number, this.#place)
    if (name !== null) this.#checkName(name, hash)
    if (this.#ordinal === detail >>> 16) {
      const message = `number ${detail >>> 16} among the names of its hash`
      this.#findings.add('entry-number-duplicate', this.#place(), message)
    }
    this.#ordinal = detail >>> 16
    this.#name = name
    this.#link(target, (detail >>> 8) & 0xff)
  }

  #checkName(name: ReadName, hash: number): void {
    const bytes = name.scratch.u8
    const computed = halfSipHash(this.#keyLow, this.#keyHigh, bytes, NameHeader.size, name.length)
    if (computed !== hash) {
      const message = `hash ${hex(hash)}, computed ${hex(computed)}`
      this.#findings.add('name-hash-wrong', this.#place(), message)
    }
    if (this.#name === null && this.#group === null) return
    this.#group ??= new Set([textOf(this.#name!)])
    const text = textOf(name)
    if (this.#group.has(text)) {
      this.#findings.add('name-duplicate', this.#place(), JSON.stringify(text))
    }
    this.#group.add(text)
  }

  #link(target: number, type: number): void {
    const inodes = this.#inodes
    const index = inodes.slotOf(target)
    const found = index < 0 ? SlotType.none : inodes.type.data[index]!
    if (found === SlotType.damaged) return
    if (found === SlotType.none) {
      if (index < 0 && inodes.incomplete) return
      this.#findings.add('entry-target-missing', this.#place(), `leads to inode ${target}`)
      return
    }
    if (type !== found) {
      const message = `type ${type}, inode ${target} is of type ${found}`
      this.#findings.add('entry-type-wrong', this.#place(), message)
    }
    inodes.entries.data[index]!++
    if (found !== SlotType.directory) return
    inodes.subdirectories.data[this.#slot]!++
    if (inodes.holder.data[index] !== 0) {
      const message = `directory ${target} has an entry in ${inodes.holder.data[index]!} already`
      this.#findings.add('directory-linked-twice', this.#place(), message)
    } else {
      inodes.holder.data[index] = this.#number
    }
  }
}

const textOf = (name: ReadName): string =>
  Buffer.from(name.scratch.u8.buffer, NameHeader.size, name.length).toString('latin1')
