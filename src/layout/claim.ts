/** Whose a hold is to be, and what its holder does about its end. */
import { HoldfastError } from '../base/errors.js'
import type { HoldKind, Iomode, Recall } from '../base/layout.js'
import type { OpenInode } from '../volume/open_inodes.js'
import type { Session } from './session.js'

/** What is to be told of the end of a part of a hold, and cuts the access through it off. */
export interface HoldUser {
  /** The lease is asked back. */
  readonly onRecall?: (id: number, recall: Recall) => void
  /**
   * Resolves when all that had come from the holder was dealt with. After a turn unless given: its
   * deadline is missed only then.
   */
  readonly caughtUp?: () => Promise<void>
  /**
   * Access through the hold ends now, all of it: to file blocks [from, to) at most. Returns, or
   * resolves, when none is under way any more: only then does the change go on.
   */
  readonly revoke?: (from: number, to: number) => void | Promise<void>
  /**
   * Whether its addresses are in use where nobody here can end that, as in another process: then it
   * is asked back for what its own session wants, too, and does not count as returned.
   */
  readonly apart?: () => boolean
  /** It follows its file by itself, at once: it is in the way of nothing. */
  readonly follows?: boolean
  /** It ends: what reaches its blocks in this process reaches them no more. Never throws. */
  readonly ends?: () => void
}

/** Whose hold of what file it is to be, and why. */
export interface Claim {
  readonly session: Session
  readonly kind: HoldKind
  readonly iomode: Iomode | null
  readonly open: OpenInode
  readonly reason: string
  readonly user: HoldUser | null
}

/** EINVAL for what is none: everybody whom the hold is in the way of is shown it. */
export function checkReason(reason: unknown): void {
  if (reason === undefined || typeof reason === 'string') return
  throw new HoldfastError('EINVAL', 'a reason is a string')
}
