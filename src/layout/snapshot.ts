/**
 * A snapshot of a directory tree: its directories made anew, its files cloned, so that it takes no
 * more space than names and inodes. Nothing changes meanwhile, be it that
 * the volume does nothing else or that all changes wait: it is the tree of one point in time. It
 * gets its name when all of it is there.
 */
import { HoldfastError } from '../base/errors.js'
import type { Credentials, DirectoryEntry, Path, ShareOptions, Stats } from '../base/filesystem.js'
import { Mode } from '../base/mode.js'
import { asBytes } from '../volume/paths.js'
import type { LayoutVolume } from './volume.js'

const ENTRIES = 256
const SLASH = 0x2f
const INSIDE = 'the snapshot would be a part of what it is of; snapshot what is below, one by one'

class Snapshot {
  readonly #volume: LayoutVolume
  readonly #options: ShareOptions
  readonly #as: Credentials | undefined
  /** Copies of files with several names, by inode. */
  readonly #linked = new Map<number, Uint8Array>()

  constructor(volume: LayoutVolume, options: ShareOptions, as: Credentials | undefined) {
    this.#volume = volume
    this.#options = options
    this.#as = as
  }

  /** What is in the way of cloning any file of the tree, before anything is made. */
  *demand(from: Uint8Array): Generator<void> {
    for (const { name, type } of this.#entries(from)) {
      yield
      const path = join(from, name)
      if (type === 'directory') yield* this.demand(path)
      if (type !== 'file') continue
      const volume = this.#volume
      volume.arbiter.during({ share: this.#options.share }, () =>
        volume.onFile('snapshot', path, this.#as, (number) => volume.sharing.demandClone(number)),
      )
    }
  }

  *directory(from: Uint8Array, to: Uint8Array, stats: Stats): Generator<void> {
    this.#volume.mkdir(to, 0o700, this.#as)
    for (const { name } of this.#entries(from)) {
      yield
      yield* this.#entry(join(from, name), join(to, name))
    }
    this.#attributes(from, to, stats)
  }

  *#entries(path: Uint8Array): Generator<DirectoryEntry> {
    for (let cookie = 0; ;) {
      const entries = this.#volume.readdir(path, cookie, ENTRIES, this.#as)
      yield* entries
      if (entries.length < ENTRIES) return
      cookie = entries[entries.length - 1]!.cookie
    }
  }

  *#entry(from: Uint8Array, to: Uint8Array): Generator<void> {
    const volume = this.#volume
    const as = this.#as
    const stats = volume.lstat(from, as)
    const type = stats.mode & Mode.typeMask
    if (type === Mode.directory) return yield* this.directory(from, to, stats)
    const other = this.#linked.get(stats.ino)
    if (other !== undefined) return volume.link(other, to, {}, as)
    if (type === Mode.file) volume.reflink(from, to, this.#options, as)
    else if (type === Mode.symlink) volume.symlink(volume.readlink(from, as), to, as)
    else volume.mknod(to, stats.mode, stats.rdev, as)
    if (stats.nlink > 1) this.#linked.set(stats.ino, to)
    this.#attributes(from, to, stats)
  }

  /** Owner, attributes, mode and times; what only root may give stays as it was made. */
  #attributes(from: Uint8Array, to: Uint8Array, stats: Stats): void {
    const volume = this.#volume
    const as = this.#as
    const noFollow = { follow: false }
    const root = as === undefined || as.uid === 0
    if (root) volume.chown(to, stats.uid, stats.gid, noFollow, as)
    if ((stats.mode & Mode.typeMask) !== Mode.symlink) {
      for (const name of volume.listXattrs(from, noFollow, as)) {
        volume.setXattr(to, name, volume.getXattr(from, name, noFollow, as), noFollow, as)
      }
      volume.chmod(to, stats.mode & 0o7777, as)
    }
    const time = (seconds: number, nanoseconds: number) => ({ seconds, nanoseconds })
    volume.utimes(
      to,
      time(stats.atimeSeconds, stats.atimeNanoseconds),
      time(stats.mtimeSeconds, stats.mtimeNanoseconds),
      noFollow,
      as,
    )
  }
}

/** Makes it in steps of a file each. Nothing is to change between them; given up, it goes again. */
export function* snapshot(
  volume: LayoutVolume,
  from: Path,
  to: Path,
  options: ShareOptions,
  as?: Credentials,
): Generator<void> {
  const stats = volume.stat(from, as)
  if ((stats.mode & Mode.typeMask) !== Mode.directory) {
    throw new HoldfastError('ENOTDIR', 'a snapshot is of a directory; reflink clones a file', {
      syscall: 'snapshot',
      path: from,
    })
  }
  const target = trimmed(asBytes(to))
  if (isThere(volume, target, as)) {
    throw new HoldfastError('EEXIST', undefined, { syscall: 'snapshot', path: to })
  }
  const made = unusedName(volume, target, as)
  refuseInside(volume, stats.ino, made, as)
  const snapshot = new Snapshot(volume, options, as)
  yield* snapshot.demand(asBytes(from))
  let whole = false
  try {
    yield* snapshot.directory(asBytes(from), made, stats)
    volume.rename(made, target, { noReplace: true }, as)
    whole = true
  } finally {
    if (!whole && !volume.closed) abandon(volume, made)
  }
}

/** Removes what was made so far, whatever its modes say; why it failed is what is told. */
function abandon(volume: LayoutVolume, made: Uint8Array): void {
  try {
    removeTree(volume, made)
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error))
  }
}

/** A tree does not hold its own snapshot: making it would never end. */
function refuseInside(
  volume: LayoutVolume,
  source: number,
  to: Uint8Array,
  as?: Credentials,
): void {
  const cut = to.lastIndexOf(SLASH) + 1
  let above = cut === 0 ? asBytes('/') : to.subarray(0, cut)
  for (let last = 0; ;) {
    const { ino } = volume.stat(above, as)
    if (ino === source) {
      throw new HoldfastError('EINVAL', INSIDE, {
        syscall: 'snapshot',
        path: to,
      })
    }
    if (ino === last) return // the root is above itself
    last = ino
    above = join(above, asBytes('..'))
  }
}

function isThere(volume: LayoutVolume, path: Uint8Array, as?: Credentials): boolean {
  try {
    volume.lstat(path, as)
    return true
  } catch (error) {
    if ((error as HoldfastError).code === 'ENOENT') return false
    throw error
  }
}

/** Beside the target, so that renaming stays in its directory. */
function unusedName(volume: LayoutVolume, target: Uint8Array, as?: Credentials): Uint8Array {
  const cut = target.lastIndexOf(SLASH) + 1
  for (let i = 0; ; i++) {
    const name = new TextEncoder().encode(`.snapshot-${i}`)
    const path = new Uint8Array(cut + name.length)
    path.set(target.subarray(0, cut))
    path.set(name, cut)
    if (!isThere(volume, path, as)) return path
  }
}

function removeTree(volume: LayoutVolume, path: Uint8Array, as?: Credentials): void {
  if (!isThere(volume, path, as)) return
  for (;;) {
    const entries = volume.readdir(path, 0, ENTRIES, as)
    for (const { name, type } of entries) {
      const below = join(path, name)
      if (type === 'directory') removeTree(volume, below, as)
      else volume.unlink(below, as)
    }
    if (entries.length < ENTRIES) break
  }
  volume.rmdir(path, as)
}

function join(directory: Uint8Array, name: Uint8Array): Uint8Array {
  const path = new Uint8Array(directory.length + 1 + name.length)
  path.set(directory)
  path[directory.length] = SLASH
  path.set(name, directory.length + 1)
  return path
}

/** Without slashes at its end. */
function trimmed(path: Uint8Array): Uint8Array {
  let end = path.length
  while (end > 0 && path[end - 1] === SLASH) end--
  return path.subarray(0, end)
}
