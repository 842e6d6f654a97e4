/**
 * What inodes say of their names, made to agree with the names: circles of directories,
 * inodes without a name, links and parents.
 */
import { Column } from '../check/column.js'
import { Mode } from '../base/mode.js'
import { Inode, ROOT_INODE } from '../media/inode.js'
import type { Directories } from './directories.js'
import type { Ground } from './ground.js'
import type { Orphans } from './orphans.js'

const at = Inode.word
/** What is known of the way from a directory up to the root. */
const Way = { unknown: 0, underway: 1, known: 2 } as const
const LOST_AND_FOUND = 'lost+found'

export class Links {
  readonly #ground: Ground
  readonly #directories: Directories
  readonly #orphans: Orphans
  /** Index of /lost+found, -1 when there is none yet. */
  #lostAndFound = -1

  constructor(ground: Ground, directories: Directories, orphans: Orphans) {
    this.#ground = ground
    this.#directories = directories
    this.#orphans = orphans
  }

  /** Inode 1 is a directory, whatever stood there. */
  makeRoot(): void {
    const { inodes, fixes } = this.#ground
    const root = inodes.find(ROOT_INODE)
    if (root >= 0 && inodes.isDirectory(root)) return
    const index = inodes.create(ROOT_INODE, Mode.directory | 0o755)
    if (index < 0) {
      fixes.leave('root-missing', 'no room for a root directory')
      return
    }
    inodes.set(index, [[at.parent, ROOT_INODE]])
    fixes.add('root-missing', 'inode 1 is made a directory')
  }

  // ---- circles, and what has no name -----------------------------------------------------------

  /** Cuts circles of directories, and gives everything without a name one in /lost+found. */
  reconnect(): void {
    const { inodes } = this.#ground
    this.#cutCircles()
    for (let index = 0; index < inodes.length; index++) {
      if (inodes.type.data[index] === 0 || inodes.names.data[index] !== 0) continue
      if (inodes.numberOf(index) === ROOT_INODE || inodes.unlinked.data[index] === 1) continue
      if (this.#wasUnlinked(index)) continue
      if (!this.#reconnectOne(index)) return
    }
  }

  /** An inode without links whose orphan record may be among those that are lost. */
  #wasUnlinked(index: number): boolean {
    const { inodes, trees, stateLost, fixes } = this.#ground
    if (inodes.get(index, at.links) !== 0) return false
    if (!stateLost && trees.broken.data[this.#orphans.tree] === 0) return false
    if (this.#orphans.stillLinked(index) !== null) return false
    this.#orphans.restore(index)
    const number = inodes.numberOf(index)
    fixes.add('inode-unreachable', `inode ${number} has no links: it gets an orphan record again`)
    return true
  }

  #reconnectOne(index: number): boolean {
    const { inodes, fixes } = this.#ground
    const number = inodes.numberOf(index)
    if (this.#lostAndFound < 0) this.#lostAndFound = this.#findLostAndFound()
    const name = this.#lostAndFound < 0 ? null : this.#unusedName(number)
    if (name === null || !this.#directories.add(this.#lostAndFound, Buffer.from(name), number)) {
      fixes.leave('inode-unreachable', `no room to give inode ${number} a name in /lost+found`)
      return false
    }
    fixes.add('inode-unreachable', `inode ${number} has a name now: /${LOST_AND_FOUND}/${name}`)
    return true
  }

  #unusedName(number: number): string {
    for (let i = 0; ; i++) {
      const name = i === 0 ? `#${number}` : `#${number}.${i}`
      if (this.#directories.find(this.#lostAndFound, Buffer.from(name)) === 0) return name
    }
  }

  /** The directory /lost+found, made when there is none. */
  #findLostAndFound(): number {
    const { inodes } = this.#ground
    const root = inodes.find(ROOT_INODE)
    if (root < 0) return -1
    for (let i = 0; ; i++) {
      const name = Buffer.from(i === 0 ? LOST_AND_FOUND : `${LOST_AND_FOUND}.${i}`)
      const number = this.#directories.find(root, name)
      if (number === 0) return this.#makeLostAndFound(root, name)
      const index = inodes.find(number)
      if (index >= 0 && inodes.isDirectory(index)) return index
    }
  }

  #makeLostAndFound(root: number, name: Uint8Array): number {
    const { inodes, fixes, space } = this.#ground
    // Its slab, a slab for names, the nodes of the root and its own.
    if (space.free < 4) return -1
    const number = inodes.unusedNumber()
    const index = number < 0 ? -1 : inodes.create(number, Mode.directory | 0o700)
    if (index < 0) return -1
    this.#directories.add(root, name, number)
    fixes.add('inode-unreachable', `/${Buffer.from(name).toString()} is made, inode ${number}`)
    return index
  }

  /** Goes up from each directory until what is above is known; a circle is cut where it is met. */
  #cutCircles(): void {
    const { inodes, fixes } = this.#ground
    const way = new Column()
    way.extend(inodes.length)
    const root = inodes.find(ROOT_INODE)
    if (root >= 0) way.data[root] = Way.known
    for (let index = 0; index < inodes.length; index++) {
      if (!inodes.isDirectory(index)) continue
      const end = this.#goUp(way.data, index, Way.underway)
      if (end >= 0 && way.data[end] === Way.underway) {
        const holder = inodes.find(inodes.holder.data[end]!)
        const number = inodes.numberOf(end)
        this.#directories.unlink(holder, number)
        fixes.add('directory-cycle', `directory ${number} is taken out of a circle`)
      }
      this.#goUp(way.data, index, Way.known)
    }
  }

  #goUp(way: Uint32Array, start: number, mark: number): number {
    const { inodes } = this.#ground
    let index = start
    while (index >= 0 && way[index]! < mark) {
      way[index] = mark
      const holder = inodes.holder.data[index]!
      index = holder === 0 ? -1 : inodes.find(holder)
    }
    return index
  }

  // ---- counts ----------------------------------------------------------------------------------

  /** Links and parents of all inodes. */
  count(): void {
    const { inodes, fixes } = this.#ground
    for (let index = 0; index < inodes.length; index++) {
      if (inodes.type.data[index] === 0) continue
      const number = inodes.numberOf(index)
      const directory = inodes.isDirectory(index)
      const named = number === ROOT_INODE || inodes.unlinked.data[index] === 0
      const links = !named
        ? 0
        : directory
          ? 2 + inodes.subdirectories.data[index]!
          : inodes.names.data[index]!
      if (inodes.get(index, at.links) !== links) {
        inodes.set(index, [[at.links, links]])
        fixes.add('links-wrong', `inode ${number} has ${links} links`)
      }
      if (!directory) continue
      const parent = number === ROOT_INODE ? ROOT_INODE : inodes.holder.data[index]!
      if (parent === 0 || inodes.get(index, at.parent) === parent) continue
      inodes.set(index, [[at.parent, parent]])
      fixes.add('directory-parent-wrong', `directory ${number} has the parent ${parent}`)
    }
  }
}
