/**
 * The FileSystem interface over a server: each call is one of the protocol's.
 *
 * What is asked in nobody's name is asked in that of the session's user.
 */
import type {
  AttributeFlags,
  Change,
  Credentials,
  DirectoryEntry,
  FileSystem,
  FollowOptions,
  InodeFlags,
  Layout,
  OpenFlags,
  Path,
  ReflinkOptions,
  RenameOptions,
  SetXattrOptions,
  WatchOptions,
  ConflictOptions,
  StatFs,
  Stats,
  Time,
} from '../base/filesystem.js'
import { flagNumber } from '../base/open_flags.js'
import type { Defragmented, Evacuated, LayoutPolicy, MoveOptions } from '../base/layout.js'
import type { CallOptions } from '../control/caller.js'
import type { Verb } from '../control/verb.js'
import { VERBS } from '../control/verbs/index.js'
import type { FileFactory, OpenOptions, ServedFile } from './file.js'
import type { Link } from './link.js'
import { allExtents, listDirectory, moveCall } from './paging.js'
import { byPath, bytesOf, contentOf, ownerOf, sizeOf, timeOf, u32Of, wishOf } from './wire.js'

export abstract class ServedFileSystem implements FileSystem {
  abstract readonly connection: Link
  protected files!: FileFactory
  /** In whose name calls are made that do not say; undefined: the session's user. */
  protected abstract get asker(): Credentials | undefined

  protected call<A, R>(
    verb: Verb<A, R>,
    args: A,
    as?: Credentials,
    options: CallOptions = {},
    safe = false,
  ): Promise<R> {
    const asker = verb.inNameOf ? (as ?? this.asker) : undefined
    return this.connection.call(verb, args, { ...options, as: asker }, safe)
  }

  /** What may be asked twice. */
  #look<A, R>(verb: Verb<A, R>, args: A, as?: Credentials): Promise<R> {
    return this.call(verb, args, as, {}, true)
  }

  async open(
    path: Path,
    flags: OpenFlags | number = 'r',
    mode = 0o666,
    as?: Credentials,
    options: OpenOptions & ConflictOptions = {},
  ): Promise<ServedFile> {
    const number = flagNumber(flags)
    const args = { path: bytesOf(path), flags: u32Of(number, 'flags'), mode: u32Of(mode, 'mode') }
    const { signal } = options
    const opened = await this.call(VERBS.open, { ...args, options: wishOf(options) }, as, {
      signal,
    })
    return this.files(opened, number, options)
  }

  async stat(path: Path, as?: Credentials): Promise<Stats> {
    return this.#look(VERBS.stat, { target: byPath(path) }, as)
  }

  async lstat(path: Path, as?: Credentials): Promise<Stats> {
    if (this.connection.privileged) {
      return this.#look(VERBS.stat, { target: byPath(path, false) }, as)
    }
    // Whoever is not privileged reaches it again by its key, as a mount does.
    const { stats, key } = await this.#look(VERBS.find, { path: bytesOf(path) }, as)
    stats.key = key
    return stats
  }

  async access(path: Path, want: number, as?: Credentials): Promise<void> {
    await this.#look(VERBS.access, { path: bytesOf(path), want: u32Of(want, 'want') }, as)
  }

  async truncate(
    path: Path,
    size: number,
    as?: Credentials,
    options: ConflictOptions = {},
  ): Promise<void> {
    const args = { target: byPath(path), size: sizeOf(size, 'size'), options: wishOf(options) }
    await this.call(VERBS.truncate, args, as, { signal: options.signal })
  }

  async mkdir(path: Path, mode = 0o777, as?: Credentials): Promise<void> {
    await this.call(VERBS.mkdir, { path: bytesOf(path), mode: u32Of(mode, 'mode') }, as)
  }

  async rmdir(path: Path, as?: Credentials): Promise<void> {
    await this.call(VERBS.rmdir, { path: bytesOf(path) }, as)
  }

  async unlink(path: Path, as?: Credentials, options: ConflictOptions = {}): Promise<void> {
    const args = { path: bytesOf(path), options: wishOf(options) }
    await this.call(VERBS.unlink, args, as, { signal: options.signal })
  }

  async rename(from: Path, to: Path, options: RenameOptions = {}, as?: Credentials): Promise<void> {
    const { noReplace = false, exchange = false, signal } = options
    const paths = { from: bytesOf(from), to: bytesOf(to) }
    const args = { ...paths, noReplace, exchange, options: wishOf(options) }
    await this.call(VERBS.rename, args, as, { signal })
  }

  async link(
    existing: Path,
    path: Path,
    { follow = false }: FollowOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const target = byPath(existing, follow)
    await this.call(VERBS.link, { target, path: bytesOf(path) }, as)
  }

  async symlink(target: Path, path: Path, as?: Credentials): Promise<void> {
    await this.call(VERBS.symlink, { content: contentOf(target), path: bytesOf(path) }, as)
  }

  async readlink(path: Path, as?: Credentials): Promise<Uint8Array> {
    const { content } = await this.#look(VERBS.readlink, { path: bytesOf(path) }, as)
    return content
  }

  async mknod(path: Path, mode: number, device = 0, as?: Credentials): Promise<void> {
    const args = { path: bytesOf(path), mode: u32Of(mode, 'mode'), device: u32Of(device, 'device') }
    await this.call(VERBS.mknod, args, as)
  }

  readdir(path: Path, cookie = 0, limit = Infinity, as?: Credentials): Promise<DirectoryEntry[]> {
    const list = (from: number, most: number) =>
      this.#look(VERBS.readdir, { target: byPath(path), cookie: from, limit: most }, as)
    return listDirectory(list, cookie, limit)
  }

  async chmod(path: Path, mode: number, as?: Credentials): Promise<void> {
    await this.call(VERBS.chmod, { target: byPath(path), mode: u32Of(mode, 'mode') }, as)
  }

  async chown(
    path: Path,
    uid: number,
    gid: number,
    options: FollowOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const target = byPath(path, options.follow)
    await this.call(VERBS.chown, { target, uid: ownerOf(uid), gid: ownerOf(gid) }, as)
  }

  async utimes(
    path: Path,
    atime: Time,
    mtime: Time,
    options: FollowOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const target = byPath(path, options.follow)
    await this.call(VERBS.utimes, { target, atime: timeOf(atime), mtime: timeOf(mtime) }, as)
  }

  async getXattr(
    path: Path,
    name: string,
    options: FollowOptions = {},
    as?: Credentials,
  ): Promise<Uint8Array> {
    const target = byPath(path, options.follow)
    const { value } = await this.#look(VERBS.getXattr, { target, name }, as)
    return value
  }

  async setXattr(
    path: Path,
    name: string,
    value: Uint8Array,
    { mode, follow }: SetXattrOptions = {},
    as?: Credentials,
  ): Promise<void> {
    await this.call(VERBS.setXattr, { target: byPath(path, follow), name, value, mode }, as)
  }

  async removeXattr(
    path: Path,
    name: string,
    { follow }: FollowOptions = {},
    as?: Credentials,
  ): Promise<void> {
    await this.call(VERBS.removeXattr, { target: byPath(path, follow), name }, as)
  }

  async listXattrs(
    path: Path,
    { follow }: FollowOptions = {},
    as?: Credentials,
  ): Promise<string[]> {
    const { names } = await this.#look(VERBS.listXattrs, { target: byPath(path, follow) }, as)
    return [...names]
  }

  async inodeFlags(path: Path, as?: Credentials): Promise<InodeFlags> {
    const { policy, ...flags } = await this.#look(VERBS.inodeFlags, { path: bytesOf(path) }, as)
    return { ...flags, policy: policy ?? null }
  }

  async setInodeFlags(path: Path, flags: Partial<AttributeFlags>, as?: Credentials): Promise<void> {
    await this.call(VERBS.setInodeFlags, { path: bytesOf(path), ...flags }, as)
  }

  extents(path: Path, as?: Credentials): Promise<Layout> {
    return allExtents((from) => this.#look(VERBS.extents, { target: byPath(path), from }, as))
  }

  async fix(path: Path, options: MoveOptions = {}, as?: Credentials): Promise<void> {
    const args = { path: bytesOf(path), options: wishOf(options) }
    await this.call(VERBS.fix, args, as, moveCall(options))
  }

  async unfix(path: Path, as?: Credentials): Promise<void> {
    await this.call(VERBS.unfix, { path: bytesOf(path) }, as)
  }

  async sealWrites(
    path: Path,
    { off = false }: { readonly off?: boolean } = {},
    as?: Credentials,
  ): Promise<void> {
    await this.call(VERBS.sealWrites, { path: bytesOf(path), off }, as)
  }

  async setPolicy(path: Path, policy: LayoutPolicy | null, as?: Credentials): Promise<void> {
    await this.call(VERBS.setPolicy, { path: bytesOf(path), policy: policy ?? undefined }, as)
  }

  async reflink(
    from: Path,
    to: Path,
    options: ReflinkOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const args = { from: bytesOf(from), to: bytesOf(to), options: wishOf(options) }
    await this.call(VERBS.reflink, args, as, { signal: options.signal })
  }

  async snapshot(
    from: Path,
    to: Path,
    options: ReflinkOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const args = { from: bytesOf(from), to: bytesOf(to), options: wishOf(options) }
    await this.call(VERBS.snapshot, args, as, { signal: options.signal })
  }

  defragment(path: Path, options: MoveOptions = {}, as?: Credentials): Promise<Defragmented> {
    const args = { path: bytesOf(path), options: wishOf(options) }
    return this.call(VERBS.defragment, args, as, moveCall(options))
  }

  evacuate(
    from: number,
    to: number,
    options: MoveOptions = {},
    as?: Credentials,
  ): Promise<Evacuated> {
    const range = { from: sizeOf(from, 'from'), to: sizeOf(to, 'to') }
    const args = { ...range, options: wishOf(options) }
    return this.call(VERBS.evacuate, args, as, moveCall(options))
  }

  statfs(): Promise<StatFs> {
    return this.#look(VERBS.statfs, {})
  }

  async sync(): Promise<void> {
    await this.#look(VERBS.sync, {})
  }

  abstract watch(listener: (change: Change) => void, options?: WatchOptions): () => void
  abstract close(): Promise<void>

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
