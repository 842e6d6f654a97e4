/**
 * The directories: each entry has a name and leads to an inode. Directories are walked in the order
 * of their inodes and not along the tree that they form, so that no circle of them can be followed.
 */
import { RecordKinds } from '../media/tree_node.js'
import type { Findings } from './codes.js'
import { SlotType, type Inodes } from './inodes.js'
import { NamedRecords } from './named_records.js'
import type { Names } from './names.js'
import type { TreeWalker } from './tree.js'
import type { Header } from './volume_header.js'

export class Directories {
  /** Entries of all directories. */
  entries = 0
  /** Part of a directory could not be read: names and links in it are not known. */
  incomplete = false
  readonly #inodes: Inodes
  readonly #findings: Findings
  readonly #records: NamedRecords
  /** The directory being walked. */
  #number = 0
  #slot = 0

  constructor(inodes: Inodes, names: Names, walker: TreeWalker, findings: Findings) {
    this.#inodes = inodes
    this.#findings = findings
    const link = (_: unknown, type: number, target: number) => this.#link(target, type)
    const kind = RecordKinds.directory
    this.#records = new NamedRecords(names, walker, findings, kind, 'entry of directory', link)
  }

  walkAll(header: Header, onDirectory: (done: number, total: number) => void): void {
    this.entries = 0
    this.incomplete = this.#inodes.incomplete
    this.#records.begin(header)
    const { number, slot, root, count } = this.#inodes.directories
    for (let i = 0; i < number.length; i++) {
      this.#number = number.data[i]!
      this.#slot = slot.data[i]!
      const found = this.#records.walk(root.data[i]!, this.#number)
      if (found < 0) {
        this.incomplete = true
      } else if (found !== count.data[i]) {
        const message = `count is ${count.data[i]!}, there are ${found} entries`
        this.#findings.add('directory-count-wrong', this.#inodes.placeOf(this.#slot), message)
      }
      onDirectory(i + 1, number.length)
    }
  }

  #link(target: number, type: number): void {
    this.entries++
    const inodes = this.#inodes
    const index = inodes.slotOf(target)
    const found = index < 0 ? SlotType.none : inodes.type.data[index]!
    if (found === SlotType.damaged) return
    const place = this.#records.place
    if (found === SlotType.none) {
      if (index < 0 && inodes.incomplete) return
      this.#findings.add('entry-target-missing', place(), `leads to inode ${target}`)
      return
    }
    if (type !== found) {
      const message = `type ${type}, inode ${target} has type ${found}`
      this.#findings.add('entry-type-wrong', place(), message)
    }
    inodes.entries.data[index]!++
    if (found !== SlotType.directory) return
    inodes.subdirectories.data[this.#slot]!++
    if (inodes.holder.data[index] !== 0) {
      const message = `directory ${target} has an entry in ${inodes.holder.data[index]!} already`
      this.#findings.add('directory-linked-twice', place(), message)
    } else {
      inodes.holder.data[index] = this.#number
    }
  }
}
