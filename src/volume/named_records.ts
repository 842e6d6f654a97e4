/**
 * Named records of an inode: an ordered set of (hash of the name, number among its equals) -> name,
 * a byte, a target. The entries of a directory and the extended attributes of a file are such sets.
 *
 * Invariants:
 * - names are compared byte for byte, the hash only finds them; it is keyed, so that nobody can
 *   choose names that collide;
 * - a record's key never changes while the record stands: the cookie made of it is good for ever;
 * - the count in the inode is the number of records.
 */
import { HoldfastError } from '../base/errors.js'
import { halfSipHash } from '../base/halfsiphash.js'
import { HASH_COLLISIONS_MAX } from '../base/limits.js'
import { Inode } from '../media/inode.js'
import type { Inodes } from './inodes.js'
import type { Names } from './names.js'
import type { Pages } from './pages.js'
import type { Tree } from './tree.js'

const at = Inode.word

export class NamedRecords {
  /** The record found by `find`. */
  target = 0
  byte = 0

  protected readonly pages: Pages
  protected readonly inodes: Inodes
  protected readonly names: Names
  protected readonly tree: Tree
  /** Words of the inode: the root of the tree, and the count of its records. */
  readonly #root: number
  readonly #count: number
  readonly #keyLow: number
  readonly #keyHigh: number
  #hash = 0
  /**
   * What the last `find` was about, 0 when the tree has changed since: its way down is used again.
   */
  #lastInode = 0
  #lastNow = 0
  #lastStart = 0
  #lastLength = 0
  #lastBytes: Uint8Array | null = null
  #lastFound = false

  constructor(
    pages: Pages,
    inodes: Inodes,
    names: Names,
    tree: Tree,
    words: { readonly root: number; readonly count: number },
    key: readonly [number, number],
  ) {
    this.pages = pages
    this.inodes = inodes
    this.names = names
    this.tree = tree
    this.#root = words.root
    this.#count = words.count
    this.#keyLow = key[0]
    this.#keyHigh = key[1]
  }

  /** What is to be marked when records come and go. */
  protected changed(w: number): void {
    this.inodes.modified(w)
  }

  /** Root of the tree of the inode at word `w`. */
  protected rootOf(w: number): number {
    return this.pages.u32[w + this.#root]!
  }

  /** Records that the inode at word `w` has. */
  countOf(w: number): number {
    return this.pages.u32[w + this.#count]!
  }

  /** Finds a name in the inode at word `w`: sets `target` and `byte`. */
  find(w: number, bytes: Uint8Array, start: number, length: number): boolean {
    const u32 = this.pages.u32
    const hash = halfSipHash(this.#keyLow, this.#keyHigh, bytes, start, length)
    this.#hash = hash
    this.#lastInode = w
    this.#lastNow = this.pages.now
    this.#lastBytes = bytes
    this.#lastStart = start
    this.#lastLength = length
    this.#lastFound = false
    if (!this.tree.seek(u32[w + this.#root]!, u32[w + at.number]!, hash, 0)) return false
    do {
      const record = this.tree.record
      if (u32[record] !== hash) return false
      const second = u32[record + 1]!
      if (this.names.equals(u32[record + 2]!, second & 0xff, bytes, start, length)) {
        this.target = u32[record + 3]!
        this.byte = (second >>> 8) & 0xff
        this.#lastFound = true
        return true
      }
    } while (this.tree.next())
    return false
  }

  /** The word that leads to a name from the inode at word `w`; -1: nothing there does. */
  leadTo(w: number, name: Uint8Array, block: number, slot: number): number {
    if (!this.find(w, name, 0, name.length)) return -1
    this.lost()
    const { record } = this.tree
    return this.tree.word(2) === block && (this.tree.word(1) & 0xff) === slot ? record + 2 : -1
  }

  /** Blocks that a new record may allocate: the tree's, and a name slab. */
  recordBlocks(w: number): number {
    const u32 = this.pages.u32
    return this.tree.insertBlocks(u32[w + this.#root]!, u32[w + at.number]!) + 1
  }

  /** Adds a name that is not there. Allocates at most `recordBlocks`. */
  add(
    w: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    target: number,
    byte: number,
  ): void {
    const u32 = this.pages.u32
    const owner = u32[w + at.number]!
    const known = this.#isLast(w, bytes, start, length)
    const hash = known ? this.#hash : halfSipHash(this.#keyLow, this.#keyHigh, bytes, start, length)
    // With a neighbour of the same hash the way down is lost, and the number is looked for.
    const number = known && this.tree.landed ? 0 : this.#unusedNumber(w, hash)
    this.names.write(owner, bytes, start, length)
    const second = ((number << 16) | (byte << 8) | this.names.slot) >>> 0
    const { block } = this.names
    const root = u32[w + this.#root]!
    u32[w + this.#root] =
      known && this.tree.landed
        ? this.tree.insertHere(root, owner, hash, second, block, target)
        : this.tree.insert(root, owner, hash, second, block, target)
    this.#lastInode = 0
    u32[w + this.#count]!++
    this.changed(w)
  }

  /** The smallest number that no entry with this hash has. */
  #unusedNumber(w: number, hash: number): number {
    const u32 = this.pages.u32
    if (!this.tree.seek(u32[w + this.#root]!, u32[w + at.number]!, hash, 0)) return 0
    let number = 0
    do {
      if (u32[this.tree.record] !== hash) return number
      if (u32[this.tree.record + 1]! >>> 16 !== number) return number
      number++
    } while (number <= HASH_COLLISIONS_MAX && this.tree.next())
    if (number > HASH_COLLISIONS_MAX) {
      throw new HoldfastError('ENOSPC', `more than ${HASH_COLLISIONS_MAX} names with one hash`)
    }
    return number
  }

  /** Removes a name that is there. */
  remove(w: number, bytes: Uint8Array, start: number, length: number): void {
    this.#findAgain(w, bytes, start, length)
    const u32 = this.pages.u32
    const record = this.tree.record
    const second = u32[record + 1]!
    const block = u32[record + 2]!
    u32[w + this.#root] = this.tree.removeHere(u32[w + this.#root]!)
    this.#lastInode = 0
    this.names.erase(block, second & 0xff)
    u32[w + this.#count]!--
    this.changed(w)
  }

  /** A name that is there leads elsewhere from now on. Allocates at most `recordBlocks`. */
  replace(
    w: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    target: number,
    byte: number,
  ): void {
    this.#findAgain(w, bytes, start, length)
    if (byte === this.byte) {
      this.tree.change(3, target)
      this.changed(w)
      return
    }
    // The byte is a part of the key word: a name with another byte is another record.
    this.remove(w, bytes, start, length)
    this.add(w, bytes, start, length, target, byte)
  }

  #findAgain(w: number, bytes: Uint8Array, start: number, length: number): void {
    if (this.#lastFound && this.#isLast(w, bytes, start, length)) return
    if (!this.find(w, bytes, start, length)) {
      throw new HoldfastError('EUCLEAN', 'a name just found is gone')
    }
  }

  /** The last `find` was for this very name, and the tree is as it was. */
  #isLast(w: number, bytes: Uint8Array, start: number, length: number): boolean {
    return (
      this.#lastInode === w &&
      this.#lastNow === this.pages.now &&
      this.#lastBytes === bytes &&
      this.#lastStart === start &&
      this.#lastLength === length
    )
  }

  /** The way down of the last `find` is lost: something else used the tree. */
  protected lost(): void {
    this.#lastInode = 0
  }
}
