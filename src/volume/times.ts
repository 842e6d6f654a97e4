/**
 * Times that wait in memory (lazytime, mount(8)): of writes in place, and of reads. They go into
 * the inode with its next transaction, fsync or the last close.
 *
 * atime moves as mount(8) says of relatime: when it is not later than mtime or ctime, or more than
 * a day old.
 */
import type { Stats } from '../base/stats.js'
import { Inode } from '../media/inode.js'
import type { Core } from './core.js'
import type { OpenInode } from './open_inodes.js'

const at = Inode.word
const DAY_SECONDS = 86_400
/** Reads of a file whose atime is good enough, until the clock is asked again. */
const CREDIT = 1024

/** 'relatime'; 'always' (strictatime) moves atime with every read; 'never' (noatime) does not. */
export type AtimeMode = 'relatime' | 'always' | 'never'

export class Times {
  readonly #core: Core
  readonly #mode: AtimeMode

  constructor(core: Core, mode: AtimeMode) {
    this.#core = core
    this.#mode = mode
  }

  /** The content was changed in place. */
  wrote(open: OpenInode): void {
    const { clock } = this.#core
    clock.read()
    open.timesPending = true
    open.kept = false
    open.seconds = clock.seconds
    open.nanoseconds = clock.nanoseconds
    open.accessCredit = 0
  }

  /** The content was changed at a time that is told another way: mtime is as it was. */
  keep(open: OpenInode, seconds: number, nanoseconds: number): void {
    this.wrote(open)
    open.kept = true
    open.keptSeconds = seconds
    open.keptNanoseconds = nanoseconds
  }

  /** The content, or the entries, were read. */
  accessed(open: OpenInode): void {
    if (open.accessCredit > 0) {
      open.accessCredit--
      return
    }
    const { clock, inodes } = this.#core
    if (this.#mode === 'never') return
    clock.read()
    if (this.#mode === 'relatime') {
      open.accessCredit = CREDIT
      if (!this.#isStale(inodes.get(open.number), open)) return
    }
    open.accessPending = true
    open.accessSeconds = clock.seconds
    open.accessNanoseconds = clock.nanoseconds
  }

  #isStale(w: number, open: OpenInode | null): boolean {
    const { clock, inodes } = this.#core
    const pending = open !== null && open.accessPending
    const seconds = pending ? open.accessSeconds : inodes.seconds(w, at.accessed)
    const nano = pending ? open.accessNanoseconds : inodes.nanoseconds(w, at.accessed)
    if (clock.seconds - seconds >= DAY_SECONDS) return true
    if (open !== null && open.timesPending) {
      if (!isLater(seconds, nano, open.seconds, open.nanoseconds)) return true
    }
    const modified = inodes.seconds(w, at.modified)
    if (!isLater(seconds, nano, modified, inodes.nanoseconds(w, at.modified))) return true
    const changed = inodes.seconds(w, at.changed)
    return !isLater(seconds, nano, changed, inodes.nanoseconds(w, at.changed))
  }

  /** The same for who has no handle: a directory's entries, a symlink's target. */
  accessedNow(number: number): void {
    const { clock, inodes, opens, transaction } = this.#core
    const known = opens.get(number)
    if (known !== undefined) return this.accessed(known)
    if (this.#mode === 'never' || !transaction.usable) return
    clock.read()
    const w = inodes.get(number)
    if (this.#mode === 'relatime' && !this.#isStale(w, null)) return
    transaction.run(0, false, () => {
      inodes.stamp(w, at.accessed)
      inodes.touch(w, Inode.at.accessed, 8)
    })
  }

  /** What stat shows of a file whose times wait. */
  overlay(open: OpenInode, stats: Stats): void {
    if (open.accessPending) {
      stats.atimeSeconds = open.accessSeconds
      stats.atimeNanoseconds = open.accessNanoseconds
    }
    if (!open.timesPending) return
    const { seconds, nanoseconds } = open
    stats.mtimeSeconds = open.kept ? open.keptSeconds : seconds
    stats.mtimeNanoseconds = open.kept ? open.keptNanoseconds : nanoseconds
    // A rename or link after the write set a later ctime.
    if (!isLater(seconds, nanoseconds, stats.ctimeSeconds, stats.ctimeNanoseconds)) return
    stats.ctimeSeconds = seconds
    stats.ctimeNanoseconds = nanoseconds
  }

  /** Times that wait go into the inode. */
  write(open: OpenInode): void {
    const { transaction, inodes } = this.#core
    if ((!open.timesPending && !open.accessPending) || !transaction.usable) return
    const w = inodes.get(open.number)
    transaction.run(0, false, () => {
      if (open.timesPending) {
        const { seconds, nanoseconds } = open
        if (open.kept) inodes.setTime(w, at.modified, open.keptSeconds, open.keptNanoseconds)
        else inodes.setTime(w, at.modified, seconds, nanoseconds)
        // A rename or link after the write set a later ctime.
        const changed = inodes.seconds(w, at.changed)
        if (isLater(seconds, nanoseconds, changed, inodes.nanoseconds(w, at.changed))) {
          inodes.setTime(w, at.changed, seconds, nanoseconds)
        }
        inodes.touchFirst(w)
      }
      if (open.accessPending) {
        inodes.setTime(w, at.accessed, open.accessSeconds, open.accessNanoseconds)
        inodes.touch(w, Inode.at.accessed, 8)
      }
    })
    open.timesPending = false
    open.accessPending = false
  }
}

function isLater(aSeconds: number, aNano: number, bSeconds: number, bNano: number): boolean {
  return aSeconds !== bSeconds ? aSeconds > bSeconds : aNano > bNano
}
