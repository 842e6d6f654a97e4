/**
 * Who is asked before a layout changes: src/layout is, when a volume has it.
 *
 * The mechanism asks once for each range that a call is about to change, then says that it goes on,
 * and only then changes anything: a call that is refused has done nothing.
 */
import type { LayoutChange } from '../base/layout.js'

export interface LayoutGuard {
  /** EDEADLK for who is told of a call that is in its middle, and makes one of his own. */
  demandOutside(): void
  /** Who asks from here on: what the guard has put into a handle; null: nobody in particular. */
  ask(asker: object | null): void
  /** Whether anything is held in an inode: without that, and without flags, all may change. */
  watches(inode: number): boolean
  /**
   * File blocks [from, to) of an inode are about to change. Throws what the contract says where a
   * hold is in the way; `to` may be Infinity. Nothing changes yet.
   */
  demand(change: LayoutChange, inode: number, from: number, to: number): void
  /**
   * All that a call will change has been asked for, and there is room for it: from here on it is
   * done. What the asker itself has lent to it there counts as given back now. Pages may go: who
   * calls looks inodes up again. True when that was something: a file without a name may have gone
   * with it.
   */
  proceed(): boolean
  /** EBUSY, with the holds, when blocks of the region that left their files are held. */
  demandLeft(start: number, end: number): void
  /** Whether anything of file blocks [from, to) is held. */
  held(inode: number, from: number, to: number): boolean
  /**
   * Of [from, to) of the source of a share that was allowed, what is not to gain a second owner:
   * its end, and whether the part from `from` to there is to be copied.
   */
  shareRun(
    inode: number,
    from: number,
    to: number,
  ): { readonly end: number; readonly copy: boolean }
  /**
   * Whether the bytes of file block `from` are a holder's, who stores to them past the calls, also
   * past the end of the file; and the block before which that is so of all.
   */
  storedRun(
    inode: number,
    from: number,
    to: number,
  ): { readonly end: number; readonly held: boolean }
  /**
   * Whether region block `start`, which only this block of this file owns, is still read through a
   * lease of another one that owned it, too: then it is not to be written to in place. And of how
   * many blocks that is so.
   */
  hauntedRun(
    inode: number,
    fileBlock: number,
    start: number,
    most: number,
  ): { readonly haunted: boolean; readonly count: number }
  /**
   * The last name of an inode is about to go. Throws where the volume keeps those of held files.
   */
  demandUnlink(inode: number): void
  /** Blocks under a hold have left the file: they are in limbo from here on. */
  deferred(inode: number, fileBlock: number, regionBlock: number, count: number): void
}

/** Of a volume that nobody can hold anything of. */
export const UNGUARDED: LayoutGuard = {
  demandOutside: () => {},
  ask: () => {},
  watches: () => false,
  demand: () => {},
  proceed: () => false,
  demandLeft: () => {},
  held: () => false,
  shareRun: (_inode, _from, end) => ({ end, copy: false }),
  storedRun: (_inode, _from, end) => ({ end, held: false }),
  hauntedRun: (_inode, _block, _start, count) => ({ haunted: false, count }),
  demandUnlink: () => {},
  deferred: () => {},
}
