/**
 * Directories: an ordered set of (hash of the name, number among its equals) -> name, type, inode.
 *
 * Invariants:
 * - names are compared byte for byte, the hash only finds them; it is keyed, so that nobody can
 *   choose names that collide;
 * - an entry's key never changes while the entry stands: the cookie made of it is good for ever;
 * - `count` of the directory's inode is the number of its entries.
 */
import { HoldfastError } from '../base/errors.js'
import { halfSipHash } from '../base/halfsiphash.js'
import { HASH_COLLISIONS_MAX } from '../base/limits.js'
import { Inode } from '../media/inode.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Inodes } from './inodes.js'
import type { Names } from './names.js'
import type { Pages } from './pages.js'
import { Tree } from './tree.js'

const at = Inode.word

/** One entry, as `read` hands it out. */
export interface Entry {
  readonly name: Uint8Array
  readonly inode: number
  /** mode >> 12. */
  readonly type: number
  readonly cookie: number
}

export class Directories {
  /** The entry found by `find`. */
  inode = 0
  type = 0

  readonly #pages: Pages
  readonly #inodes: Inodes
  readonly #names: Names
  readonly #tree: Tree
  readonly #keyLow: number
  readonly #keyHigh: number
  #hash = 0
  /**
   * What the last `find` was about, 0 when the tree has changed since: its way down is used again.
   */
  #lastDirectory = 0
  #lastNow = 0
  #lastStart = 0
  #lastLength = 0
  #lastBytes: Uint8Array | null = null
  #lastFound = false

  constructor(
    pages: Pages,
    inodes: Inodes,
    allocator: Allocator,
    names: Names,
    keyLow: number,
    keyHigh: number,
  ) {
    this.#pages = pages
    this.#inodes = inodes
    this.#names = names
    this.#tree = new Tree(pages, allocator, RecordKinds.directory)
    this.#keyLow = keyLow
    this.#keyHigh = keyHigh
  }

  /** Finds a name in the directory at word `w`: sets `inode` and `type`. */
  find(w: number, bytes: Uint8Array, start: number, length: number): boolean {
    const u32 = this.#pages.u32
    const hash = halfSipHash(this.#keyLow, this.#keyHigh, bytes, start, length)
    this.#hash = hash
    this.#lastDirectory = w
    this.#lastNow = this.#pages.now
    this.#lastBytes = bytes
    this.#lastStart = start
    this.#lastLength = length
    this.#lastFound = false
    if (!this.#tree.seek(u32[w + at.root]!, u32[w + at.number]!, hash, 0)) return false
    do {
      const record = this.#tree.record
      if (u32[record] !== hash) return false
      const second = u32[record + 1]!
      if (this.#names.equals(u32[record + 2]!, second & 0xff, bytes, start, length)) {
        this.inode = u32[record + 3]!
        this.type = (second >>> 8) & 0xff
        this.#lastFound = true
        return true
      }
    } while (this.#tree.next())
    return false
  }

  /** Blocks that a new entry may allocate: the tree's, and a name slab. */
  entryBlocks(w: number): number {
    const u32 = this.#pages.u32
    return this.#tree.insertBlocks(u32[w + at.root]!, u32[w + at.number]!) + 1
  }

  /** Adds a name that is not there. Allocates at most `entryBlocks`. */
  add(
    w: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    inode: number,
    type: number,
  ): void {
    const u32 = this.#pages.u32
    const owner = u32[w + at.number]!
    const known = this.#isLast(w, bytes, start, length)
    const hash = known ? this.#hash : halfSipHash(this.#keyLow, this.#keyHigh, bytes, start, length)
    // With a neighbour of the same hash the way down is lost, and the number is looked for.
    const number = known && this.#tree.landed ? 0 : this.#unusedNumber(w, hash)
    this.#names.write(owner, bytes, start, length)
    const second = ((number << 16) | (type << 8) | this.#names.slot) >>> 0
    const { block } = this.#names
    const root = u32[w + at.root]!
    u32[w + at.root] =
      known && this.#tree.landed
        ? this.#tree.insertHere(root, owner, hash, second, block, inode)
        : this.#tree.insert(root, owner, hash, second, block, inode)
    this.#lastDirectory = 0
    u32[w + at.count]!++
    this.#inodes.modified(w)
  }

  /** The smallest number that no entry with this hash has. */
  #unusedNumber(w: number, hash: number): number {
    const u32 = this.#pages.u32
    if (!this.#tree.seek(u32[w + at.root]!, u32[w + at.number]!, hash, 0)) return 0
    let number = 0
    do {
      if (u32[this.#tree.record] !== hash) return number
      if (u32[this.#tree.record + 1]! >>> 16 !== number) return number
      number++
    } while (number <= HASH_COLLISIONS_MAX && this.#tree.next())
    if (number > HASH_COLLISIONS_MAX) {
      throw new HoldfastError('ENOSPC', `more than ${HASH_COLLISIONS_MAX} names with one hash`)
    }
    return number
  }

  /** Removes a name that is there. */
  remove(w: number, bytes: Uint8Array, start: number, length: number): void {
    this.#findAgain(w, bytes, start, length)
    const u32 = this.#pages.u32
    const record = this.#tree.record
    const second = u32[record + 1]!
    const block = u32[record + 2]!
    u32[w + at.root] = this.#tree.removeHere(u32[w + at.root]!)
    this.#lastDirectory = 0
    this.#names.erase(block, second & 0xff)
    u32[w + at.count]!--
    this.#inodes.modified(w)
  }

  /** A name that is there leads to another inode from now on. Allocates at most `entryBlocks`. */
  replace(
    w: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    inode: number,
    type: number,
  ): void {
    this.#findAgain(w, bytes, start, length)
    if (type === this.type) {
      this.#tree.change(3, inode)
      this.#inodes.modified(w)
      return
    }
    // The type is a part of the key word: an entry of another type is another record.
    this.remove(w, bytes, start, length)
    this.add(w, bytes, start, length, inode, type)
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
      this.#lastDirectory === w &&
      this.#lastNow === this.#pages.now &&
      this.#lastBytes === bytes &&
      this.#lastStart === start &&
      this.#lastLength === length
    )
  }

  isEmpty(w: number): boolean {
    return this.#pages.u32[w + at.count] === 0
  }

  /** At most `limit` entries after `cookie` (0: from the start). */
  read(w: number, cookie: number, limit: number): Entry[] {
    const u32 = this.#pages.u32
    this.#lastDirectory = 0
    const entries: Entry[] = []
    // A cookie is hash * 2^16 + number + 1, so that 0 stands before the first.
    const hash = Math.floor(cookie / 0x1_0000)
    const second = (cookie % 0x1_0000) * 0x1_0000
    if (hash > 0xffff_ffff) return entries
    if (!this.#tree.seek(u32[w + at.root]!, u32[w + at.number]!, hash, second)) return entries
    do {
      const r = this.#tree.record
      const word = u32[r + 1]!
      entries.push({
        name: this.#names.read(u32[r + 2]!, word & 0xff),
        inode: u32[r + 3]!,
        type: (word >>> 8) & 0xff,
        cookie: u32[r]! * 0x1_0000 + (word >>> 16) + 1,
      })
    } while (entries.length < limit && this.#tree.next())
    return entries
  }
}
