/**
 * Inodes that handles have open: what is known of them in memory only.
 *
 * A write in place changes no metadata but the times; those wait here (lazytime, mount(8)) until
 * the next transaction on the inode, fsync or the last close, so that overwriting costs no log
 * record.
 */

/** Who keeps a copy of a layout, as a mapping does. */
export interface LayoutWatcher {
  /** The blocks of [from, to) are about to leave the file. Never throws. */
  blocksLeave(from: number, to: number): void
  /**
   * File blocks of [from, to) are other region blocks than before, or none, or the size moved
   * there. Never throws.
   */
  layoutChanged(from: number, to: number): void
}

export class OpenInode {
  readonly number: number
  /** Handles. */
  opens = 0
  /** Its last name is gone: freed with the last handle. */
  unlinked = false
  /** It never had a name and may get one (O_TMPFILE without O_EXCL). */
  linkable = false
  /** Blocks were allocated past its end, for appends to come. */
  ahead = false
  /** mtime and ctime are `seconds` and `nanoseconds`, not yet in the inode. */
  timesPending = false
  seconds = 0
  nanoseconds = 0
  /** But mtime is `keptSeconds` and `keptNanoseconds`, where that was kept. */
  kept = false
  keptSeconds = 0
  keptNanoseconds = 0
  /** atime is `accessSeconds` and `accessNanoseconds`, not yet in the inode. */
  accessPending = false
  accessSeconds = 0
  accessNanoseconds = 0
  /** Reads that need not look at atime: it is later than mtime and ctime, and no day old. */
  accessCredit = 0
  /** Null as long as there are none. */
  watchers: Set<LayoutWatcher> | null = null

  constructor(number: number) {
    this.number = number
  }

  /**
   * Before the first transaction of a change that frees blocks: nobody reaches them from here on.
   * `layoutChanged` follows in any case, also when the change fails.
   */
  blocksLeave(from: number, to: number): void {
    if (this.watchers !== null) for (const one of this.watchers) one.blocksLeave(from, to)
  }

  /**
   * After the last transaction of a change. Watchers read metadata: what the caller had found in
   * the page cache is no longer good.
   */
  layoutChanged(from: number, to: number): void {
    if (this.watchers !== null) for (const one of this.watchers) one.layoutChanged(from, to)
  }
}

export class OpenInodes {
  readonly #byNumber = new Map<number, OpenInode>()

  get(number: number): OpenInode | undefined {
    return this.#byNumber.get(number)
  }

  open(number: number): OpenInode {
    let inode = this.#byNumber.get(number)
    if (inode === undefined) {
      inode = new OpenInode(number)
      this.#byNumber.set(number, inode)
    }
    inode.opens++
    return inode
  }

  /** True when it was the last handle. */
  close(inode: OpenInode): boolean {
    if (--inode.opens > 0) return false
    this.#byNumber.delete(inode.number)
    return true
  }

  values(): IterableIterator<OpenInode> {
    return this.#byNumber.values()
  }

  get count(): number {
    return this.#byNumber.size
  }
}
