/** Directories: the named records that lead to inodes; the byte is the type, mode >> 12. */
import type { DirectoryEntry } from '../base/filesystem.js'
import { typeOfBits } from '../base/stats.js'
import { Inode } from '../media/inode.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Inodes } from './inodes.js'
import { NamedRecords } from './named_records.js'
import type { Names } from './names.js'
import type { Pages } from './pages.js'
import { Tree } from './tree.js'

export class Directories extends NamedRecords {
  constructor(
    pages: Pages,
    inodes: Inodes,
    allocator: Allocator,
    names: Names,
    key: readonly [number, number],
  ) {
    const tree = new Tree(pages, allocator, RecordKinds.directory)
    super(pages, inodes, names, tree, Inode.word, key)
  }

  isEmpty(w: number): boolean {
    return this.countOf(w) === 0
  }

  /**
   * Appends at most `limit` entries after `cookie` (0: from the start) to `entries`; returns how
   * many.
   */
  read(w: number, cookie: number, limit: number, entries: DirectoryEntry[]): number {
    const u32 = this.pages.u32
    this.lost()
    // A cookie is hash * 2^16 + number + 1, so that 0 stands before the first.
    const hash = Math.floor(cookie / 0x1_0000)
    const second = (cookie % 0x1_0000) * 0x1_0000
    if (hash > 0xffff_ffff) return 0
    if (!this.tree.seek(this.rootOf(w), u32[w + Inode.word.number]!, hash, second)) return 0
    let count = 0
    do {
      const r = this.tree.record
      const word = u32[r + 1]!
      entries.push({
        name: this.names.readPooled(u32[r + 2]!, word & 0xff),
        ino: u32[r + 3]!,
        type: typeOfBits((word >>> 8) & 0xff),
        cookie: u32[r]! * 0x1_0000 + (word >>> 16) + 1,
      })
    } while (++count < limit && this.tree.next())
    return count
  }
}
