/**
 * A directory of the host as a FileSystem: each call is the system call that says the same, made by
 * a program for which the directory is the root. What no system call says is EOPNOTSUPP.
 */
import type {
  AttributeFlags,
  Credentials,
  DirectoryEntry,
  FileHandle,
  FileSystem,
  FollowOptions,
  Layout,
  OpenFlags,
  Path,
  RenameOptions,
  SetXattrOptions,
  StatFs,
  Stats,
  Time,
} from '../../../src/base/filesystem.js'
import { HoldfastError } from '../../../src/base/errors.js'
import { flagNumber, O } from '../../../src/base/open_flags.js'
import { bytesOf, Calls, numbersOf, statsOf, textBytes, timeWords, unsaid, whole } from './calls.js'
import { HostFile, xattrNames } from './file.js'

/** Bits of rename(2), setxattr(2), chattr(1). */
const NO_REPLACE = 1
const EXCHANGE = 2
const XATTR_MODES = { any: 0, create: 1, replace: 2 } as const
const IMMUTABLE = 0x10
const APPEND = 0x20

export class HostFileSystem implements FileSystem {
  readonly #calls: Calls

  constructor(directory: string) {
    this.#calls = new Calls(directory)
  }

  async open(
    path: Path,
    flags: OpenFlags | number = 'r',
    mode = 0o666,
    as?: Credentials,
  ): Promise<FileHandle> {
    return HostFile.open(this.#calls, path, flagNumber(flags), mode, as)
  }

  async stat(path: Path, as?: Credentials): Promise<Stats> {
    return statsOf(await this.#calls.make('statx', [bytesOf(path), 1], as))
  }

  async lstat(path: Path, as?: Credentials): Promise<Stats> {
    return statsOf(await this.#calls.make('statx', [bytesOf(path), 0], as))
  }

  async access(path: Path, want: number, as?: Credentials): Promise<void> {
    await this.#calls.make('access', [bytesOf(path), want], as)
  }

  async truncate(path: Path, size: number, as?: Credentials): Promise<void> {
    await this.#calls.make('truncate', [bytesOf(path), whole(size)], as)
  }

  async mkdir(path: Path, mode = 0o777, as?: Credentials): Promise<void> {
    await this.#calls.make('mkdir', [bytesOf(path), mode], as)
  }

  async rmdir(path: Path, as?: Credentials): Promise<void> {
    await this.#calls.make('rmdir', [bytesOf(path)], as)
  }

  async unlink(path: Path, as?: Credentials): Promise<void> {
    await this.#calls.make('unlink', [bytesOf(path)], as)
  }

  async rename(
    from: Path,
    to: Path,
    { noReplace = false, exchange = false }: RenameOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const flags = (noReplace ? NO_REPLACE : 0) | (exchange ? EXCHANGE : 0)
    await this.#calls.make('rename', [bytesOf(from), bytesOf(to), flags], as)
  }

  async link(
    existing: Path,
    path: Path,
    { follow = false }: FollowOptions = {},
    as?: Credentials,
  ): Promise<void> {
    await this.#calls.make('link', [bytesOf(existing), bytesOf(path), follow ? 1 : 0], as)
  }

  async symlink(target: Path, path: Path, as?: Credentials): Promise<void> {
    await this.#calls.make('symlink', [bytesOf(target), bytesOf(path)], as)
  }

  async readlink(path: Path, as?: Credentials): Promise<Uint8Array> {
    return textBytes(await this.#calls.make('readlink', [bytesOf(path)], as))
  }

  async mknod(path: Path, mode: number, device = 0, as?: Credentials): Promise<void> {
    await this.#calls.make('mknod', [bytesOf(path), mode, device], as)
  }

  async readdir(
    path: Path,
    cookie = 0,
    limit = Infinity,
    as?: Credentials,
  ): Promise<DirectoryEntry[]> {
    const directory = await HostFile.open(this.#calls, path, O.DIRECTORY, 0, as)
    try {
      return await directory.readdir(cookie, limit)
    } finally {
      await directory.close()
    }
  }

  async chmod(path: Path, mode: number, as?: Credentials): Promise<void> {
    await this.#calls.make('chmod', [bytesOf(path), mode], as)
  }

  async chown(
    path: Path,
    uid: number,
    gid: number,
    { follow = true }: FollowOptions = {},
    as?: Credentials,
  ): Promise<void> {
    await this.#calls.make(follow ? 'chown' : 'lchown', [bytesOf(path), uid, gid], as)
  }

  async utimes(
    path: Path,
    atime: Time,
    mtime: Time,
    { follow = true }: FollowOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const args = [bytesOf(path), ...timeWords(atime), ...timeWords(mtime)]
    await this.#calls.make(follow ? 'utimes' : 'lutimes', args, as)
  }

  async getXattr(
    path: Path,
    name: string,
    { follow = true }: FollowOptions = {},
    as?: Credentials,
  ): Promise<Uint8Array> {
    const call = follow ? 'getxattr' : 'lgetxattr'
    return textBytes(await this.#calls.make(call, [bytesOf(path), bytesOf(name)], as))
  }

  async setXattr(
    path: Path,
    name: string,
    value: Uint8Array,
    { follow = true, mode }: SetXattrOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const args = [bytesOf(path), bytesOf(name), Buffer.from(value), XATTR_MODES[mode ?? 'any']]
    await this.#calls.make(follow ? 'setxattr' : 'lsetxattr', args, as)
  }

  async removeXattr(
    path: Path,
    name: string,
    { follow = true }: FollowOptions = {},
    as?: Credentials,
  ): Promise<void> {
    const call = follow ? 'removexattr' : 'lremovexattr'
    await this.#calls.make(call, [bytesOf(path), bytesOf(name)], as)
  }

  async listXattrs(
    path: Path,
    { follow = true }: FollowOptions = {},
    as?: Credentials,
  ): Promise<string[]> {
    const call = follow ? 'listxattr' : 'llistxattr'
    return xattrNames(await this.#calls.make(call, [bytesOf(path)], as))
  }

  async setInodeFlags(path: Path, flags: Partial<AttributeFlags>, as?: Credentials): Promise<void> {
    const bits = (wanted: boolean) =>
      (flags.immutable === wanted ? IMMUTABLE : 0) | (flags.append === wanted ? APPEND : 0)
    await this.#calls.make('chattr', [bytesOf(path), bits(true), bits(false)], as)
  }

  async extents(path: Path, as?: Credentials): Promise<Layout> {
    const file = await HostFile.open(this.#calls, path, 0, 0, as)
    try {
      // A directory that is open says where its own blocks are; by its path it is EISDIR.
      if ((await file.stat()).isDirectory()) throw new HoldfastError('EISDIR')
      return await file.extents()
    } finally {
      await file.close()
    }
  }

  async statfs(): Promise<StatFs> {
    const answer = numbersOf(await this.#calls.make('statfs', []))
    const [blockSize = 0, blocks = 0, blocksFree = 0, blocksAvailable = 0] = answer
    const [, , , , inodes = 0, filesFree = 0, nameMax = 0] = answer
    const files = inodes - filesFree
    return { blockSize, blocks, blocksFree, blocksAvailable, files, filesFree, nameMax }
  }

  async sync(): Promise<void> {
    await this.#calls.make('syncfs', [])
  }

  close(): Promise<void> {
    return this.#calls.end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  inodeFlags = () => unsaid('all flags of an inode')
  fix = () => unsaid('that a file is fixed')
  unfix = () => unsaid('that a file is not fixed any more')
  sealWrites = () => unsaid('that a file is sealed')
  setPolicy = () => unsaid('what becomes of pinned blocks')
  reflink = () => unsaid('that a name is a clone')
  snapshot = () => unsaid('that a tree is a clone')
  defragment = () => unsaid('that a file is moved')
  evacuate = () => unsaid('that blocks are moved')
  watch(): never {
    throw new HoldfastError('EOPNOTSUPP', 'no system call says what others change')
  }
}
