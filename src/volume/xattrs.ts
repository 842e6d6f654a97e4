/**
 * Extended attributes: the named records that lead to values. A value of up to 512 bytes stands in
 * a name slab (the byte is its slot, the target its block), a longer one in a chain of value blocks
 * (the byte is 0); an empty one is nowhere (both are 0).
 *
 * Invariants:
 * - names and slab values carry the inode as their owner;
 * - a value never changes: an attribute set anew is another record with another value.
 */
import { HoldfastError } from '../base/errors.js'
import {
  NAME_BYTES_MAX,
  SLAB_VALUE_BYTES_MAX,
  XATTR_LIST_BYTES_MAX,
  XATTR_VALUE_BYTES_MAX,
} from '../base/limits.js'
import { Inode } from '../media/inode.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Inodes } from './inodes.js'
import { NamedRecords } from './named_records.js'
import type { Names } from './names.js'
import type { Pages } from './pages.js'
import { Tree } from './tree.js'
import { valueBlocks, type Values } from './values.js'

const at = Inode.word

export class Xattrs extends NamedRecords {
  readonly #values: Values

  constructor(
    pages: Pages,
    inodes: Inodes,
    allocator: Allocator,
    names: Names,
    values: Values,
    key: readonly [number, number],
  ) {
    const tree = new Tree(pages, allocator, RecordKinds.xattrs)
    super(pages, inodes, names, tree, { root: at.xattrRoot, count: at.xattrCount }, key)
    this.#values = values
  }

  protected override changed(w: number): void {
    this.inodes.touch(w, Inode.at.xattrRoot, 8)
    this.inodes.changed(w)
  }

  /** A copy of the value, or null when there is no such attribute. */
  get(w: number, name: Uint8Array): Uint8Array | null {
    if (this.countOf(w) === 0 || !this.find(w, name, 0, name.length)) return null
    const owner = this.pages.u32[w + at.number]!
    if (this.byte !== 0) return this.names.read(this.target, this.byte)
    return this.target === 0 ? new Uint8Array(0) : this.#values.read(owner, this.target)
  }

  /** Blocks that setting an attribute to `length` bytes may allocate. */
  blocks(w: number, length: number): number {
    const value = length === 0 ? 0 : length <= SLAB_VALUE_BYTES_MAX ? 1 : valueBlocks(length)
    return this.recordBlocks(w) + value
  }

  /** E2BIG for a value that no attribute may have. */
  checkValue(length: number): void {
    if (length > XATTR_VALUE_BYTES_MAX) {
      throw new HoldfastError('E2BIG', `value of ${length} bytes, at most ${XATTR_VALUE_BYTES_MAX}`)
    }
  }

  /** ENOSPC when another name would make the list longer than listxattr(2) can tell. */
  checkList(w: number, name: Uint8Array): void {
    // So few fit whatever they are called: the others are not looked at.
    if ((this.countOf(w) + 1) * (NAME_BYTES_MAX + 1) <= XATTR_LIST_BYTES_MAX) return
    if (this.#listBytes(w) + name.length + 1 > XATTR_LIST_BYTES_MAX) {
      throw new HoldfastError('ENOSPC', `the attribute names of a file have at most 64 KiB`)
    }
  }

  /** Of all names, each with the zero behind it. */
  #listBytes(w: number): number {
    this.lost()
    const owner = this.pages.u32[w + at.number]!
    if (!this.tree.seek(this.rootOf(w), owner, 0, 0)) return 0
    let bytes = 0
    do {
      bytes += this.names.lengthOf(this.tree.word(2), this.tree.word(1) & 0xff) + 1
    } while (this.tree.next())
    return bytes
  }

  /** Inside a transaction: sets an attribute, there or not. Allocates at most `blocks`. */
  set(w: number, name: Uint8Array, value: Uint8Array): void {
    if (this.find(w, name, 0, name.length)) this.removeFound(w, name)
    const owner = this.pages.u32[w + at.number]!
    let target = 0
    let slot = 0
    if (value.length > SLAB_VALUE_BYTES_MAX) target = this.#values.write(owner, value)
    else if (value.length > 0) {
      this.names.write(owner, value, 0, value.length)
      target = this.names.block
      slot = this.names.slot
    }
    this.add(w, name, 0, name.length, target, slot)
  }

  /** Inside a transaction: removes the attribute that `find` just found, and its value. */
  removeFound(w: number, name: Uint8Array): void {
    const { target, byte } = this
    this.remove(w, name, 0, name.length)
    if (byte !== 0) this.names.erase(target, byte)
    else if (target !== 0) this.#values.free(this.pages.u32[w + at.number]!, target)
  }

  /** Names of all attributes, in no order. */
  list(w: number): Uint8Array[] {
    const names: Uint8Array[] = []
    if (this.countOf(w) === 0) return names
    this.lost()
    const owner = this.pages.u32[w + at.number]!
    if (!this.tree.seek(this.rootOf(w), owner, 0, 0)) return names
    do {
      names.push(this.names.read(this.tree.word(2), this.tree.word(1) & 0xff))
    } while (this.tree.next())
    return names
  }

  /** The word that leads to a value in a slab from the inode at word `w`; -1: none does. */
  leadToValue(w: number, block: number, slot: number): number {
    this.lost()
    const owner = this.pages.u32[w + at.number]!
    if (this.countOf(w) === 0 || !this.tree.seek(this.rootOf(w), owner, 0, 0)) return -1
    do {
      if (this.tree.word(3) === block && ((this.tree.word(1) >>> 8) & 0xff) === slot) {
        return this.tree.record + 3
      }
    } while (this.tree.next())
    return -1
  }

  /** The name of the attribute whose value has a part in `block`, or null. Ticks. */
  nameOfChain(number: number, block: number): Uint8Array | null {
    for (let [hash, second] = [0, 0]; ; second++) {
      this.pages.tick()
      this.lost()
      const w = this.inodes.get(number)
      if (this.countOf(w) === 0 || !this.tree.seek(this.rootOf(w), number, hash, second))
        return null
      hash = this.tree.word(0)
      second = this.tree.word(1)
      const first = this.tree.word(3)
      if (((second >>> 8) & 0xff) !== 0 || first === 0) continue
      if (this.#values.blocks(number, first).includes(block)) {
        return this.names.read(this.tree.word(2), second & 0xff)
      }
    }
  }

  /** Blocks of the chain that holds the value of an attribute. */
  chain(w: number, name: Uint8Array): number[] {
    this.find(w, name, 0, name.length)
    return this.#values.blocks(this.pages.u32[w + at.number]!, this.target)
  }

  /** Inside a transaction: gives such a value other blocks. Allocates as many as it has. */
  moveChain(w: number, name: Uint8Array): void {
    this.find(w, name, 0, name.length)
    this.tree.change(3, this.#values.move(this.pages.u32[w + at.number]!, this.target))
    this.lost()
  }

  /** Inside a transaction: removes attributes while `more` says so. True: none is left. */
  clear(w: number, more: () => boolean): boolean {
    while (this.countOf(w) > 0) {
      this.lost()
      const owner = this.pages.u32[w + at.number]!
      if (!this.tree.seek(this.rootOf(w), owner, 0, 0)) {
        throw new HoldfastError('EUCLEAN', `inode ${owner} counts attributes that are not there`)
      }
      const name = this.names.read(this.tree.word(2), this.tree.word(1) & 0xff)
      this.find(w, name, 0, name.length)
      this.removeFound(w, name)
      if (!more()) return this.countOf(w) === 0
    }
    return true
  }
}
