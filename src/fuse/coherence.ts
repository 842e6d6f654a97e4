/**
 * What the kernel may keep of a mount, and how it is told that others have changed it.
 *
 *     mode       | pages of files       | who else may change files
 *     direct     | only of mappings     | anybody: reads and writes see it at once
 *     cache      | of all that is read  | anybody: pages are dropped when it is told of
 *     exclusive  | and of what is       | nobody: the volume is this mount's alone
 *                | written, for a while |
 *
 * Invariants:
 * - a change by somebody else is told before long, and what is told was dropped;
 * - before somebody else gets a hold that lets him store to a file, dirty pages of it are written
 *   back and all are dropped; from then on it is opened direct.
 */
import type { Change, FileSystem } from '../base/filesystem.js'
import type { HoldInfo } from '../base/layout.js'
import { O } from '../base/open_flags.js'
import type { Nodes } from './nodes.js'
import type { Notices } from './notices.js'
import { OpenReply } from './wire/files.js'

export type CacheMode = 'direct' | 'cache' | 'exclusive'

export interface CoherenceOptions {
  readonly mode: CacheMode
  /** Whether changes by others are told of (FileSystem.watch). */
  readonly tells: boolean
  /** Nobody else has the volume. */
  readonly alone: boolean
}

const ACCESS = 3

export class Coherence {
  readonly #mode: CacheMode
  /** Nobody else has the volume. */
  readonly #alone: boolean
  readonly #nodes: Nodes
  readonly #notices: Notices
  /** Files that others store to past all calls. */
  readonly #direct = new Set<number>()
  #finishing = false
  readonly #end: () => void

  constructor(
    fs: FileSystem,
    { mode, tells, alone }: CoherenceOptions,
    nodes: Nodes,
    notices: Notices,
  ) {
    this.#mode = mode
    this.#alone = alone
    this.#nodes = nodes
    this.#notices = notices
    const others = { others: true }
    this.#end = tells ? fs.watch((change) => this.#changed(change), others) : () => {}
  }

  end(): void {
    this.#end()
  }

  /** What the kernel is told of a file that it opens; what appends by itself is written at once. */
  openReply(ino: number, flags: number): number {
    const appends = this.#mode === 'exclusive' && (flags & O.APPEND) !== 0
    if (this.#mode === 'direct' || appends || this.#direct.has(ino)) {
      return OpenReply.direct | OpenReply.parallelDirectWrites
    }
    return OpenReply.keepCache
  }

  /**
   * The same of a directory: names are kept where nobody else makes any. A listing that was read
   * before a change and is kept after it would not be noticed (fs/fuse/readdir.c).
   */
  opendirReply(): number {
    return this.#alone ? OpenReply.cacheDirectory | OpenReply.keepCache : 0
  }

  /**
   * With what flags a file is opened: a kernel that writes later reads the rest of a page first,
   * and says itself where the end is.
   */
  flagsOf(flags: number): number {
    if (this.#mode !== 'exclusive') return flags
    const writes = (flags & ACCESS) === O.WRONLY
    return (writes ? (flags & ~ACCESS) | O.RDWR : flags) & ~O.APPEND
  }

  /**
   * Somebody else stores to a file, or is about to. Resolves when nothing of it is cached. It stays
   * so while the mount lasts, whether the kernel knows the file now or not.
   */
  async release(ino: number): Promise<void> {
    this.#direct.add(ino)
    if (this.#nodes.knows(ino)) await this.#notices.inode(ino)
  }

  /** Those who hold files to store to them already, but for a session of one's own. */
  async releaseHeld(holds: readonly HoldInfo[], own: number): Promise<void> {
    const others = holds.filter(({ iomode, owner }) => iomode !== 'read' && owner.session !== own)
    await Promise.all([...new Set(others.map(({ ino }) => ino))].map((ino) => this.release(ino)))
  }

  /**
   * Changes may have been made that nobody has told of: nothing that is cached is believed.
   * Resolves when what was dirty is written, too.
   */
  async doubt(): Promise<void> {
    await Promise.all([...this.#nodes.numbers()].map((ino) => this.#notices.inode(ino)))
  }

  /** The same before the mount is cut off: the kernel will not say any more when it was written. */
  finish(): Promise<void> {
    this.#finishing = true
    return this.doubt()
  }

  /** Pages of a file that are dirty are written back. */
  async settle(ino: number): Promise<void> {
    if (this.#nodes.knows(ino)) await this.#notices.inode(ino)
  }

  /** The kernel has its own word for how long a file is, and takes no other. */
  get writesLater(): boolean {
    return this.#mode === 'exclusive'
  }

  /** And for when it was written. */
  get datesLater(): boolean {
    return this.writesLater && !this.#finishing
  }

  #changed({ kind, ino, parent, name, oldParent, oldName }: Change): void {
    if (kind === 'content' || kind === 'layout') return this.#data(ino)
    this.#attributes(ino)
    if (parent !== undefined && name !== undefined) this.#entry(parent, name)
    if (oldParent !== undefined && oldName !== undefined) this.#entry(oldParent, oldName)
  }

  #data(ino: number): void {
    if (this.#nodes.knows(ino)) void this.#notices.inode(ino)
  }

  #attributes(ino: number): void {
    if (this.#nodes.knows(ino)) void this.#notices.attributes(ino)
  }

  #entry(parent: number, name: Uint8Array): void {
    if (!this.#nodes.knows(parent)) return
    void this.#notices.entry(parent, name)
    void this.#notices.attributes(parent)
  }
}
