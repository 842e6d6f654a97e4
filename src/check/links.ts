/**
 * What inodes say of their names, against the names that were found: links, parents, flags, and
 * that everything can be reached from the root.
 */
import { InodeFlag, ROOT_INODE } from '../media/inode.js'
import { OrphanKind } from '../media/tree_node.js'
import type { Findings } from './codes.js'
import { Column } from './column.js'
import { SlotType, type Inodes } from './inodes.js'
import { NAMELESS } from './orphans.js'

const UNLINKED = 1 << OrphanKind.unlinked

/** What is known of the way from a directory up to the root. */
const Way = { unknown: 0, underway: 1, known: 2 } as const

export class Links {
  readonly #inodes: Inodes
  readonly #findings: Findings
  /** By inode slot. */
  readonly #way = new Column()
  /** Part of the orphan records could not be read. */
  #orphansLost = false

  constructor(inodes: Inodes, findings: Findings) {
    this.#inodes = inodes
    this.#findings = findings
  }

  /**
   * `incomplete`, `orphansLost`: entries, or orphan records, are missing, so that a missing link is
   * no second finding.
   */
  check(incomplete: boolean, orphansLost: boolean): void {
    this.#orphansLost = orphansLost
    const root = this.#inodes.slotOf(ROOT_INODE)
    const type = root < 0 ? SlotType.none : this.#inodes.type.data[root]!
    if (type !== SlotType.directory && type !== SlotType.damaged) {
      const found = type === SlotType.none ? 'not in use' : `of type ${type}`
      this.#findings.add(
        'root-missing',
        `inode ${ROOT_INODE}`,
        `expected a directory, it is ${found}`,
      )
    }
    this.#checkDirectories(root)
    this.#checkCycles(root)
    for (let index = 0; index < this.#inodes.type.length; index++) {
      const found = this.#inodes.type.data[index]
      if (found === SlotType.none || found === SlotType.damaged) continue
      this.#checkFlag(index)
      this.#checkLinks(index, index === root, incomplete)
    }
  }

  #checkFlag(index: number): void {
    const unfinished = (this.#inodes.flags.data[index]! & InodeFlag.unfinished) !== 0
    const recorded = (this.#inodes.orphan.data[index]! & ~NAMELESS) !== 0
    if (unfinished === recorded || (unfinished && this.#orphansLost)) return
    const message = unfinished
      ? 'the flag is set, no orphan record says what is unfinished'
      : 'an orphan record says that work is unfinished, the flag is clear'
    this.#findings.add('orphan-flag-wrong', this.#inodes.placeOf(index), message)
  }

  #checkLinks(index: number, root: boolean, incomplete: boolean): void {
    const inodes = this.#inodes
    const links = inodes.links.data[index]!
    const entries = inodes.entries.data[index]!
    const directory = inodes.type.data[index] === SlotType.directory
    const orphan = (inodes.orphan.data[index]! & UNLINKED) !== 0
    if (orphan && (entries > 0 || root)) {
      const message = `recorded as unlinked, and has ${entries} entries`
      this.#findings.add('orphan-still-linked', this.#inodes.placeOf(index), message)
    }
    if (incomplete) return
    if (entries === 0 && !orphan && !root) {
      if (!this.#orphansLost) {
        const message = 'no entry leads to it and it has no orphan record'
        this.#findings.add('inode-unreachable', this.#inodes.placeOf(index), message)
      }
      return
    }
    const expected = orphan ? 0 : directory ? 2 + inodes.subdirectories.data[index]! : entries
    if (links !== expected) {
      this.#findings.add(
        'links-wrong',
        this.#inodes.placeOf(index),
        `links ${links}, expected ${expected}`,
      )
    }
  }

  #checkDirectories(root: number): void {
    const { number, slot, parent, count } = this.#inodes.directories
    for (let i = 0; i < number.length; i++) {
      const index = slot.data[i]!
      const holder = index === root ? ROOT_INODE : this.#inodes.holder.data[index]!
      if (index === root && this.#inodes.holder.data[index] !== 0) {
        const message = `the root has an entry in directory ${this.#inodes.holder.data[index]!}`
        this.#findings.add('directory-linked-twice', this.#inodes.placeOf(index), message)
      }
      if (holder !== 0 && parent.data[i] !== holder) {
        const message = `parent ${parent.data[i]!}, expected ${holder}`
        this.#findings.add('directory-parent-wrong', this.#inodes.placeOf(index), message)
      }
      if ((this.#inodes.orphan.data[index]! & UNLINKED) !== 0 && count.data[i] !== 0) {
        const message = `recorded as unlinked, and has ${count.data[i]!} entries of its own`
        this.#findings.add('orphan-still-linked', this.#inodes.placeOf(index), message)
      }
    }
  }

  /**
   * Goes up from each directory until what is above is known. Each directory is passed once; one
   * that is met while it is underway closes a circle.
   */
  #checkCycles(root: number): void {
    const { slot } = this.#inodes.directories
    const way = this.#way
    way.reset()
    way.extend(this.#inodes.type.length)
    if (root >= 0) way.data[root] = Way.known
    for (let i = 0; i < slot.length; i++) {
      const end = this.#goUp(slot.data[i]!, Way.underway)
      if (end >= 0 && way.data[end] === Way.underway) {
        const holder = this.#inodes.holder.data[end]!
        const message = `it is held by directory ${holder}, which is below it`
        this.#findings.add('directory-cycle', this.#inodes.placeOf(end), message)
      }
      this.#goUp(slot.data[i]!, Way.known)
    }
  }

  /**
   * Marks the way up from `index`, as far as its marks are lower; returns where it ends, -1
   * nowhere.
   */
  #goUp(index: number, mark: number): number {
    const way = this.#way.data
    while (index >= 0 && way[index]! < mark) {
      way[index] = mark
      const holder = this.#inodes.holder.data[index]!
      index = holder === 0 ? -1 : this.#inodes.slotOf(holder)
    }
    return index
  }
}
