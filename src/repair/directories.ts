/**
 * The entries of directories. An entry stays when it has a name that can be read and leads to an
 * inode that is there; all else about it (hash, number, type, whose the name is) is set right.
 *
 * Entries with nothing odd about them come first, in all directories: an odd one never takes a name
 * or a directory away from one that is as it should be.
 */
import { halfSipHash } from '../base/halfsiphash.js'
import type { FindingCode } from '../check/codes.js'
import { Inode, ROOT_INODE } from '../media/inode.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Ground } from './ground.js'
import { NameSlabs } from './name_slabs.js'
import { numberRecords, UNNUMBERED } from './numbers.js'
import { Records } from './tree_builder.js'

const at = Inode.word

const ENTRY_KEY = (record: Uint32Array): number => record[0]! * 65_536 + (record[1]! >>> 16)

interface Odd {
  readonly directory: number
  readonly words: readonly [number, number, number, number]
}

export class Directories {
  readonly names: NameSlabs
  readonly #ground: Ground
  /** By slot index: directories whose entries are to be written, with all that they keep. */
  readonly #changed = new Map<number, Records>()
  readonly #odd: Odd[] = []
  /** Entries from leaves whose checksum is wrong. */
  readonly #doubtful: Odd[] = []
  readonly #entries = new Records()

  constructor(ground: Ground) {
    this.#ground = ground
    this.names = new NameSlabs(ground.draft, ground.space)
  }

  /** Claims the slabs of the names that a directory's entries have. */
  discoverNames(tree: number): void {
    const discover = (_hash: number, detail: number, block: number) =>
      this.names.discover(block, detail & 0xff)
    this.#ground.trees.forEach(tree, discover)
    this.#ground.trees.forEachDoubtful(tree, discover)
  }

  /** Looks at all entries of all directories. */
  settle(): void {
    const { inodes } = this.#ground
    for (let index = 0; index < inodes.length; index++) {
      if (inodes.isDirectory(index)) this.#walk(index)
    }
    for (const odd of this.#odd) this.#settleOdd(odd)
    for (const doubtful of this.#doubtful) this.#settleDoubtful(doubtful)
  }

  #walk(index: number): void {
    const { inodes, trees } = this.#ground
    const tree = inodes.tree.data[index]! - 1
    const entries = this.#entries
    entries.clear()
    const oddBefore = this.#odd.length
    let last: readonly [hash: number, name: string] | null = null
    let group = new Set<string>()
    if (tree >= 0) {
      trees.forEach(tree, (hash, detail, block, target) => {
        const words = [hash, detail, block, target] as const
        const name = this.#isPlain(index, words)
        if (name === null) {
          this.#odd.push({ directory: index, words })
          return
        }
        if (last === null || last[0] !== hash) group = new Set()
        const text = Buffer.from(name).toString('latin1')
        if (group.has(text) || !this.names.claim(block, detail & 0xff)) {
          this.#odd.push({ directory: index, words })
          return
        }
        if (this.names.own(block, detail & 0xff, inodes.numberOf(index))) {
          this.#ground.fixes.add('reserved-not-zero', `bytes after the name '${text}' are zeroed`)
        }
        group.add(text)
        last = [hash, text]
        entries.push(...words)
        this.#link(index, target)
      })
    }
    if (tree >= 0) {
      trees.forEachDoubtful(tree, (...words) => this.#doubtful.push({ directory: index, words }))
    }
    const sound = tree < 0 || trees.sound.data[tree] === 1
    const changed = !sound || this.#odd.length > oddBefore || entries.hasEqual(ENTRY_KEY)
    if (changed) this.#changed.set(index, entries.copy())
    else this.#checkCount(index, entries.length)
  }

  /** The name of an entry with nothing odd about it, else null. */
  #isPlain(index: number, words: Odd['words']): Uint8Array | null {
    const [hash, detail, block, target] = words
    const { inodes } = this.#ground
    const slot = detail & 0xff
    const name = this.names.read(block, slot)
    if (name === null || this.#hash(name) !== hash) return null
    const number = inodes.numberOf(index)
    if (this.names.owner(block, slot) !== number) return null
    const found = inodes.find(target)
    if (found < 0 || inodes.type.data[found] !== ((detail >>> 8) & 0xff)) return null
    if (!inodes.isDirectory(found)) return name
    const plain = target !== ROOT_INODE && inodes.get(found, at.parent) === number
    return plain && inodes.holder.data[found] === 0 ? name : null
  }

  #hash(name: Uint8Array): number {
    const { hashKeyLow, hashKeyHigh } = this.#ground.header
    return halfSipHash(hashKeyLow, hashKeyHigh, name, 0, name.length)
  }

  #link(index: number, target: number): void {
    const { inodes } = this.#ground
    const found = inodes.find(target)
    inodes.names.data[found]!++
    if (!inodes.isDirectory(found)) return
    inodes.holder.data[found] = inodes.numberOf(index)
    inodes.subdirectories.data[index]!++
  }

  #checkCount(index: number, entries: number): void {
    const { inodes, fixes } = this.#ground
    if (inodes.get(index, at.count) === entries) return
    inodes.set(index, [[at.count, entries]])
    const message = `directory ${inodes.numberOf(index)} has ${entries} entries`
    fixes.add('directory-count-wrong', message)
  }

  // ---- entries that are not as they should be --------------------------------------------------

  #settleOdd({ directory, words }: Odd): void {
    const { inodes, fixes } = this.#ground
    const [hash, detail, block, target] = words
    const number = inodes.numberOf(directory)
    const slot = detail & 0xff
    const entry = `entry 0x${hash.toString(16)} of directory ${number}, for inode ${target},`
    const drop = (code: FindingCode, why: string) =>
      fixes.add(code, `${entry} ${why}: it is removed`)
    const name = this.names.read(block, slot)
    if (name === null) return drop('name-damaged', 'has no name that can be read')
    const found = inodes.find(target)
    if (found < 0) return drop('entry-target-missing', 'leads to no inode')
    const type = inodes.type.data[found]!
    if (inodes.isDirectory(found) && (target === ROOT_INODE || inodes.holder.data[found] !== 0)) {
      return drop('directory-linked-twice', 'leads to a directory that has an entry already')
    }
    const right = this.#hash(name)
    const entries = this.list(directory)
    if (this.#has(entries, right, name)) return drop('name-duplicate', 'has a name twice')
    if (!this.names.claim(block, slot)) {
      return drop('name-claimed-twice', "has another entry's name")
    }
    this.names.own(block, slot, number)
    entries.push(right, ((detail & 0xffff_0000) | (type << 8) | slot) >>> 0, block, target)
    this.#link(directory, target)
    const told = right === hash ? 'stays' : `stays, under the hash 0x${right.toString(16)}`
    fixes.add(right === hash ? 'entry-type-wrong' : 'name-hash-wrong', `${entry} ${told}`)
  }

  /**
   * An entry from a leaf whose checksum is wrong: the keyed hash proves its name. What it leads to
   * is believed when that is of its type and lacks a name.
   */
  #settleDoubtful({ directory, words }: Odd): void {
    const { inodes, fixes } = this.#ground
    const [hash, detail, block, target] = words
    const number = inodes.numberOf(directory)
    const slot = detail & 0xff
    const name = this.names.read(block, slot)
    if (name === null || this.#hash(name) !== hash) return
    if (this.names.owner(block, slot) !== number) return
    const found = inodes.find(target)
    if (found < 0 || inodes.type.data[found] !== ((detail >>> 8) & 0xff)) return
    const lacksName = inodes.isDirectory(found)
      ? inodes.holder.data[found] === 0 && inodes.get(found, at.parent) === number
      : inodes.names.data[found]! < inodes.get(found, at.links)
    if (target === ROOT_INODE || !lacksName) return
    const entries = this.list(directory)
    if (this.#has(entries, hash, name) || !this.names.claim(block, slot)) return
    entries.push(hash, detail, block, target)
    this.#link(directory, target)
    const text = JSON.stringify(Buffer.from(name).toString())
    fixes.add('tree-node-damaged', `entry ${text} of directory ${number} is saved from its leaf`)
  }

  #has(entries: Records, hash: number, name: Uint8Array): boolean {
    for (let i = 0; i < entries.length; i++) {
      const [other, detail, block] = entries.at(i)
      if (other !== hash) continue
      const bytes = this.names.read(block!, detail! & 0xff)
      if (bytes !== null && Buffer.compare(bytes, name) === 0) return true
    }
    return false
  }

  // ---- changes ---------------------------------------------------------------------------------

  /** The entries of a directory, to be changed: they are written in the end. */
  list(index: number): Records {
    const known = this.#changed.get(index)
    if (known !== undefined) return known
    const { inodes, trees } = this.#ground
    const entries = new Records()
    const tree = inodes.tree.data[index]! - 1
    if (tree >= 0) trees.forEach(tree, (...words) => entries.push(...words))
    this.#changed.set(index, entries)
    return entries
  }

  /** Adds an entry with a new name; false when there is no room for the name. */
  add(index: number, name: Uint8Array, target: number): boolean {
    const { inodes } = this.#ground
    const [block, slot] = this.names.write(inodes.numberOf(index), name)
    if (block === 0) return false
    const found = inodes.find(target)
    const detail = (inodes.type.data[found]! << 8) | slot
    // Its number among its equals is given when all are known.
    this.list(index).push(this.#hash(name), (UNNUMBERED | detail) >>> 0, block, target)
    this.#link(index, target)
    if (inodes.isDirectory(found)) inodes.set(found, [[at.parent, inodes.numberOf(index)]])
    return true
  }

  /** Removes the entry of a directory that leads to another. */
  unlink(index: number, target: number): void {
    const { inodes } = this.#ground
    this.list(index).remove(([, detail, block, inode]) => {
      if (inode !== target) return false
      this.names.free(block!, detail! & 0xff)
      return true
    })
    const found = inodes.find(target)
    inodes.names.data[found] = 0
    inodes.holder.data[found] = 0
    inodes.subdirectories.data[index]!--
  }

  /** Number of the inode that an entry leads to, 0 when there is no such entry. */
  find(index: number, name: Uint8Array): number {
    const { inodes, trees } = this.#ground
    const hash = this.#hash(name)
    let found = 0
    const look = (other: number, detail: number, block: number, inode: number) => {
      if (other !== hash || found !== 0) return
      const bytes = this.names.read(block, detail & 0xff)
      if (bytes !== null && Buffer.compare(bytes, name) === 0) found = inode
    }
    const changed = this.#changed.get(index)
    const tree = inodes.tree.data[index]! - 1
    if (changed === undefined) {
      if (tree >= 0) trees.forEach(tree, look)
      return found
    }
    for (let i = 0; i < changed.length; i++) {
      const [hashed, detail, block, inode] = changed.at(i)
      look(hashed!, detail!, block!, inode!)
    }
    return found
  }

  /** Writes the trees of all directories that changed. */
  write(): void {
    for (const [index, entries] of this.#changed) this.#writeDirectory(index, entries)
  }

  #writeDirectory(index: number, entries: Records): void {
    const { inodes, trees, builder, fixes } = this.#ground
    const number = inodes.numberOf(index)
    numberRecords(entries)
    let tree = inodes.tree.data[index]! - 1
    if (tree < 0) {
      tree = trees.add(0, RecordKinds.directory, number)
      inodes.tree.data[index] = tree + 1
    }
    const root = builder.replace(tree, entries)
    if (root < 0) {
      fixes.leave('tree-node-damaged', `no room for the entries of directory ${number}`)
      return
    }
    inodes.set(index, [
      [at.root, root],
      [at.count, entries.length],
    ])
    const message = `directory ${number} is written anew, with ${entries.length} entries`
    fixes.add('tree-node-damaged', message)
  }
}
