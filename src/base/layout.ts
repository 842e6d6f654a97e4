/** The words of the layout contract, as types: what holds are, and what changes a layout. */

/**
 * What unmediated access stands on. `pin`: DMA that cannot fault; `seal`: a direct mapping;
 * `lease`: a layout lent to someone who can give it back.
 */
export type HoldKind = 'pin' | 'seal' | 'lease'

/** What a lease is for. A read lease allocates and unshares nothing: it covers what is there. */
export type Iomode = 'read' | 'rw'

/**
 * Everything that changes a layout:
 * - `grow`: blocks are added in a hole or past the end;
 * - `shrink`: every block past the new end goes, those beyond the size too;
 * - `punch`: the blocks of a range go;
 * - `shareInto`: the destination of a reflink, clone or dedupe; what it had there is replaced;
 * - `share`: the source of one; its blocks gain a second owner;
 * - `unshare`: this owner gets blocks of its own (copy-on-write);
 * - `move`: the content moves to other blocks (defragmentation, evacuation, region shrink);
 * - `shift`: blocks from the offset to the end of all blocks change their place in the file.
 */
export type LayoutChange =
  'grow' | 'shrink' | 'punch' | 'shareInto' | 'share' | 'unshare' | 'move' | 'shift'

/**
 * What a shrink or a punch does to pinned blocks. `busy`: EBUSY at once. `wait`: waits for the pins
 * to end. `defer`: succeeds at once, and the blocks leave the file into limbo.
 */
export type LayoutPolicy = 'busy' | 'wait' | 'defer'

/**
 * What a share does with blocks that cannot gain a second owner. `strict`: refuses. `copy`: gives
 * the destination a copy of those, and shares the rest.
 */
export type ShareMode = 'strict' | 'copy'

/**
 * Who moves when a hold is taken on shared blocks. `self`: this file gets new blocks. `others`:
 * every other owner does, and this file keeps its place.
 */
export type UnshareMode = 'self' | 'others'

/**
 * `held`: as granted. `recalled`: asked to give it back by its deadline. `deferred`: covers its
 * blocks, no longer a range of the file. `fenced`: the deadline passed; its access was cut.
 */
export type HoldState = 'held' | 'recalled' | 'deferred' | 'fenced'

/** Names one file of a volume for ever: an inode that is used again has another generation. */
export interface InodeHandle {
  readonly ino: number
  readonly generation: number
}

/** Another one whenever the layout of a file has changed, and at no other time. */
export interface LayoutId {
  /** Raised by each mount. */
  readonly epoch: number
  readonly generation: number
}

/** Bytes of a file, from its start. */
export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/** Who holds: a session, by number and by what it calls itself. */
export interface HoldOwner {
  readonly session: number
  readonly name: string
  readonly uid: number
}

/** A hold, as it is listed. */
export interface HoldInfo {
  /** Never given twice within one mount of a volume. */
  readonly id: number
  readonly kind: HoldKind
  /** Null for pins and seals: they are always for reading and writing. */
  readonly iomode: Iomode | null
  readonly ino: number
  /** Its file has no name any more: what it covers is freed with the last hold and handle. */
  readonly deleted?: boolean | undefined
  /**
   * What it covers of the file, in file order, neighbours joined; empty when all of it has been
   * deferred.
   */
  readonly ranges: readonly ByteRange[]
  readonly owner: HoldOwner
  /** In words, from whoever took it. */
  readonly reason: string
  /** When it was granted: milliseconds of wall clock since 1970. */
  readonly since: number
  /** Milliseconds left to give back what is due first; null unless it is recalled. */
  readonly deadline: number | null
  readonly state: HoldState
  /** Bytes of blocks that it covers, those in limbo too. */
  readonly bytes: number
}

/** What the holder of a lease is told when it is asked back. */
export interface Recall extends ByteRange {
  /** First byte of the file that is wanted back. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
  readonly ino: number
  /** What is to change there. */
  readonly change: LayoutChange
  /** Milliseconds to give it back in. */
  readonly deadline: number
}

// ---- how a change goes about what is held ------------------------------------------------------

export interface ChangeOptions {
  /** What it does to pinned blocks; as the file or the volume has it unless given. */
  readonly policy?: LayoutPolicy | undefined
}

export interface ShareOptions {
  /**
   * What of the source may not gain a second owner, being held or fixed: 'strict' refuses (the
   * default), 'copy' gives the destination a copy of it.
   */
  readonly share?: ShareMode | undefined
}

export interface WaitOptions {
  /**
   * Milliseconds that pins are waited for, with policy 'wait': 10 s unless given, 10 min at most.
   * What is fenced has, after its deadline, so long to drain (10 min unless given); then EBUSY.
   */
  readonly timeout?: number | undefined
  /** Milliseconds that a holder has to answer a recall: 5 s unless given, 60 s at most. */
  readonly deadline?: number | undefined
  /** Ends the wait with EINTR. */
  readonly signal?: AbortSignal | undefined
}

export interface MoveOptions extends WaitOptions {
  /** Moves away from under leases that were not given back and cannot be cut off, too. */
  readonly force?: boolean | undefined
  /** Called after each step with the bytes moved so far. */
  readonly onProgress?: ((moved: number) => void) | undefined
}

/** Extents of a file before and after it was moved into one run. */
export interface Defragmented {
  readonly before: number
  readonly after: number
}

/** What making a volume smaller has done. */
export interface Shrunk {
  /** Bytes of the volume. */
  readonly before: number
  readonly after: number
  /** Blocks that were moved. */
  readonly moved: number
}

/** What moving all files out of a range of the region has done. */
export interface Evacuated {
  /** Blocks that were moved. */
  readonly moved: number
  /** Blocks of the range still in use: metadata, or what is kept out of use, or `unreadable`. */
  readonly left: number
  /** Blocks that could not be read, and stay where they are. */
  readonly unreadable: number
  /** Inodes that have such blocks, the first hundred. */
  readonly unreadableOf: readonly number[]
}
