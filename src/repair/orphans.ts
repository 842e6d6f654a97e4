/**
 * The orphan records: each stays when its inode is there and its work can be done; and inodes say
 * that work on them is unfinished when a record does.
 *
 * Work that cannot be done is given up: blocks past the end of a file stay with it; a file that was
 * being moved together or apart, or made a clone, stays as far as it came, which is told.
 */
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { invalidOrphan, TOGETHER } from '../check/orphans.js'
import { Inode, InodeFlag, ROOT_INODE } from '../media/inode.js'
import { OrphanKind, RecordKinds } from '../media/tree_node.js'
import type { Directories } from './directories.js'
import type { ExtentTable } from './extent_table.js'
import type { Ground } from './ground.js'
import { Records } from './tree_builder.js'

const at = Inode.word
const FILE_END = 0x1_0000_0000

/** The first and second argument of the records of an inode, by kind. */
type Work = Map<number, readonly [first: number, second: number]>

export class Orphans {
  readonly tree: number
  readonly #ground: Ground
  readonly #directories: Directories
  readonly #kept = new Records()
  /** Inodes that are to be freed, by number, and to whom their blocks go before. */
  readonly #givers = new Map<number, number>()
  /** Those that somebody receives from. */
  readonly #received = new Set<number>()
  #changed = false

  constructor(ground: Ground, directories: Directories) {
    this.#ground = ground
    this.#directories = directories
    this.tree = ground.trees.add(ground.roots.orphans, RecordKinds.orphans, 0)
  }

  /** Kinds of the records that stay: bit k for kind k. */
  get kinds(): number {
    let kinds = 0
    for (let i = 0; i < this.#kept.length; i++) kinds |= 1 << this.#kept.at(i)[1]!
    return kinds
  }

  /** To be called when all names and extents are known. */
  settle(extents: ExtentTable): void {
    const { trees } = this.#ground
    const byInode = new Map<number, Work>()
    trees.forEach(this.tree, (number, kind, first, second) => {
      const work = byInode.get(number) ?? new Map()
      byInode.set(number, work.set(kind, [first, second]))
    })
    for (const [number, work] of byInode) this.#settleGiver(number, work)
    const working = new Set<number>()
    for (const [number, work] of byInode) this.#settleInode(number, work, extents, working)
    this.#keepGivers()
    this.#changed ||= trees.sound.data[this.tree] === 0
    this.#setFlags(working)
  }

  /** Takes the record of a giver out of its work, and remembers it when it is as it must be. */
  #settleGiver(number: number, work: Work): void {
    const { inodes } = this.#ground
    const record = work.get(OrphanKind.giver)
    if (record === undefined || !work.has(OrphanKind.unlinked)) return
    const index = inodes.find(number)
    if (index < 0 || !inodes.isFile(index) || this.stillLinked(index) !== null) return
    if (invalidOrphan(OrphanKind.giver, ...record) !== null) return
    work.delete(OrphanKind.giver)
    this.#givers.set(number, record[0])
  }

  #settleInode(number: number, work: Work, extents: ExtentTable, working: Set<number>): void {
    const { inodes, fixes } = this.#ground
    const index = inodes.find(number)
    const drop = (kinds: Iterable<number>, why: string) => {
      const text = [...kinds].join(', ')
      this.#changed = true
      const code = index < 0 ? 'orphan-target-missing' : 'orphan-work-impossible'
      fixes.add(code, `orphan records of inode ${number} (kind ${text}) are removed: ${why}`)
    }
    if (index < 0) return drop(work.keys(), 'it is not in use')
    const unlinked = work.get(OrphanKind.unlinked)
    work.delete(OrphanKind.unlinked)
    if (unlinked !== undefined) {
      const why = this.stillLinked(index)
      if (why !== null) drop([OrphanKind.unlinked], why)
      else {
        if (work.size > 0) drop(work.keys(), 'all of it is to be freed')
        this.#changed ||= unlinked[1] !== 0
        this.addUnlinked(index, unlinked[0])
        return
      }
    }
    if (work.size === 0) return
    const why = this.#impossible(index, work, extents)
    if (why !== null) return drop(work.keys(), why)
    working.add(index)
    this.#received.add(work.get(OrphanKind.receiveFrom)?.[0] ?? 0)
    for (const [kind, [first, second]] of work) this.#kept.push(number, kind, first, second)
  }

  /** What nobody receives is only to be freed. */
  #keepGivers(): void {
    for (const [number, target] of this.#givers) {
      if (this.#received.has(number)) {
        this.#kept.push(number, OrphanKind.giver, target, 0)
        continue
      }
      this.#changed = true
      const message = `inode ${number} is only to be freed: inode ${target} receives nothing from it`
      this.#ground.fixes.add('orphan-work-impossible', message)
    }
  }

  /** Why an inode cannot be one without a name, or null. */
  stillLinked(index: number): string | null {
    const { inodes } = this.#ground
    if (inodes.numberOf(index) === ROOT_INODE) return 'it is the root'
    if (inodes.names.data[index] !== 0) return 'it has a name'
    const full = inodes.isDirectory(index) && this.#directories.list(index).length > 0
    return full ? 'it is a directory with entries' : null
  }

  /** An inode has no name and is to be freed. */
  addUnlinked(index: number, limboOf = 0): void {
    const { inodes } = this.#ground
    inodes.unlinked.data[index] = 1
    this.#kept.push(inodes.numberOf(index), OrphanKind.unlinked, limboOf, 0)
  }

  /** The same of one whose record is lost. */
  restore(index: number): void {
    this.addUnlinked(index)
    this.#changed = true
  }

  /** Why the work on the blocks of an inode cannot be done, or null. */
  #impossible(index: number, work: Work, extents: ExtentTable): string | null {
    const { inodes } = this.#ground
    let kinds = 0
    for (const [kind, [first, second]] of work) {
      const why = invalidOrphan(kind, first, second)
      if (why !== null) return why
      kinds |= 1 << kind
    }
    if (!TOGETHER.has(kinds)) return 'they do not go together'
    if (!inodes.isFile(index)) return 'it is no file'
    const giver = work.get(OrphanKind.receiveFrom)
    if (giver !== undefined) {
      const [from, to] = work.get(OrphanKind.receive)!
      if (this.#givers.get(giver[0]) !== inodes.numberOf(index)) {
        return `inode ${giver[0]} gives it nothing`
      }
      const other = inodes.find(giver[0])
      const more = hasBlocks(extents, other, 0, from) || hasBlocks(extents, other, to, FILE_END)
      return more ? `inode ${giver[0]} has blocks for more than the range` : null
    }
    const size = inodes.get(index, at.size) + inodes.get(index, at.size + 1) * 2 ** 32
    const collapse = work.get(OrphanKind.collapse)
    const insert = work.get(OrphanKind.insert)
    if (collapse !== undefined) {
      const [to, distance] = collapse
      if (distance * BLOCK_BYTES >= size) return 'it is shorter than what is taken out'
      const punch = work.get(OrphanKind.punch)
      if (punch !== undefined) {
        return punch[0] === to - distance && punch[1] === to ? null : 'they are of other blocks'
      }
      return hasBlocks(extents, index, to - distance, to) ? 'blocks are in the way' : null
    }
    if (insert === undefined) return null
    const [from] = work.get(OrphanKind.insertEnd)!
    if (from <= insert[0]) return 'it is done'
    if (size + insert[1] * BLOCK_BYTES > FILE_BYTES_MAX) return 'it would be too large'
    return hasBlocks(extents, index, from, from + insert[1]) ? 'blocks are in the way' : null
  }

  /** Who has work to be done says so, and nobody else does. */
  #setFlags(working: ReadonlySet<number>): void {
    const { inodes, fixes } = this.#ground
    for (let index = 0; index < inodes.length; index++) {
      if (inodes.type.data[index] === 0) continue
      const flags = inodes.get(index, at.flags)
      const wanted = working.has(index)
        ? flags | InodeFlag.unfinished
        : flags & ~InodeFlag.unfinished
      if (flags === wanted) continue
      inodes.set(index, [[at.flags, wanted >>> 0]])
      const number = inodes.numberOf(index)
      fixes.add('orphan-flag-wrong', `the flag 'unfinished' of inode ${number} is set right`)
    }
  }

  /** Root of the orphans, written again when they changed. */
  write(): number {
    const { builder, trees, fixes } = this.#ground
    if (!this.#changed) return trees.root.data[this.tree]!
    this.#kept.sort(RecordKinds.orphans.keyWords)
    const root = builder.replace(this.tree, this.#kept)
    if (root >= 0) return root
    fixes.leave('orphan-record-invalid', 'no room for the orphan records')
    return trees.root.data[this.tree]!
  }
}

/** Whether a file has blocks at file blocks [from, to). */
function hasBlocks(extents: ExtentTable, index: number, from: number, to: number): boolean {
  for (let i = 0; i < extents.length; i++) {
    if (extents.inode.data[i] !== index) continue
    const [file, count] = [extents.file.data[i]!, extents.count.data[i]!]
    if (file < to && file + count > from) return true
  }
  return false
}
