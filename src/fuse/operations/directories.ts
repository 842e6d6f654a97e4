/**
 * Listing directories. Where a listing goes on after an entry is the volume's cookie of it, and two
 * more: `.` and `..` come first.
 */
import { HoldfastError } from '../../base/errors.js'
import type {
  DirectFile,
  DirectFileSystem,
  DirectoryEntry,
  FileHandle,
  FileType,
  Stats,
} from '../../base/filesystem.js'
import { O } from '../../base/open_flags.js'
import type { Exchange } from '../exchange.js'
import { putEntry } from '../replies.js'
import type { FuseSession } from '../session.js'
import { EntryOut } from '../wire/attr.js'
import { FsyncIn, OpenOut, ReadIn, ReleaseIn } from '../wire/files.js'
import { Opcode } from '../wire/header.js'
import { Dirent } from '../wire/names.js'
import type { Operations } from './operation.js'

const AFTER_DOTS = 2
/** Entries of one step at most. */
const STEP = 64
/** Bytes of an entry with a short name. */
const SHORT_BYTES = 32
/** DT_ of readdir(3). */
const TYPES: Readonly<Record<FileType, number>> = {
  fifo: 1,
  character: 2,
  directory: 4,
  block: 6,
  file: 8,
  symlink: 10,
  socket: 12,
}
const DOTS = ['.', '..'].map((name) => new TextEncoder().encode(name))

/** A reply that entries are put into, as long as they fit. */
class Listing {
  readonly #session: FuseSession
  readonly #x: Exchange
  readonly #most: number
  /** With attributes. */
  readonly plus: boolean
  /** Bytes of it. */
  length = 0
  /** Inodes that it tells of. */
  readonly #told: Stats[] = []

  constructor(session: FuseSession, x: Exchange, most: number, plus: boolean) {
    this.#session = session
    this.#x = x
    this.#most = most
    this.plus = plus
  }

  /** How many entries may fit: what is asked for beyond is asked for in vain. */
  get hopes(): number {
    const least = SHORT_BYTES + (this.plus ? EntryOut.size : 0)
    return Math.min(STEP, 1 + Math.floor((this.#most - this.length) / least))
  }

  /** False: there is no room for it. */
  add({ name, ino, type, cookie }: DirectoryEntry, stats: Stats | null): boolean {
    const at = this.length + (this.plus ? EntryOut.size : 0)
    const end = at + Math.ceil((Dirent.size + name.length) / 8) * 8
    if (end > this.#most) return false
    if (this.plus) this.#addStats(stats)
    const w = Dirent.word
    const x = this.#x
    const base = at / 4
    x.put64(base + w.ino, ino)
    x.put64(base + w.off, cookie + AFTER_DOTS)
    x.put32(base + w.namelen, name.length)
    x.put32(base + w.type, TYPES[type])
    x.putBytes(at + Dirent.size, name)
    x.clear(at + Dirent.size + name.length, end - at - Dirent.size - name.length)
    this.length = end
    return true
  }

  /** It is answered as it is. Returns bytes. */
  end(): number {
    for (const stats of this.#told) this.#session.learn(this.#x, stats)
    return this.length
  }

  #addStats(stats: Stats | null): void {
    if (stats === null) return this.#x.clear(this.length, EntryOut.size)
    this.#told.push(stats)
    putEntry(this.#x, stats, this.#session.validity, this.length)
  }
}

function opendir(session: FuseSession, x: Exchange): number | Promise<number> {
  const [path, as] = [session.nodes.path(x.node), session.as(x)]
  const file = session.direct?.open(path, O.DIRECTORY, 0, as) ?? null
  if (file !== null) return putOpened(session, x, file)
  const opening = session.fs.open(path, O.DIRECTORY, 0, as)
  return opening.then((opened) => putOpened(session, x, opened))
}

function putOpened(session: FuseSession, x: Exchange, file: FileHandle): number {
  const { direct } = file
  const trusted = x.uid === 0
  const handle = {
    file,
    trusted,
    direct,
    ino: x.node,
    flags: O.DIRECTORY,
    pins: new Map(),
    lockers: new Map(),
  }
  x.put64(OpenOut.word.fh, session.handOut(x, handle))
  x.put32(OpenOut.word.openFlags, session.coherence.opendirReply())
  x.put32(OpenOut.word.backingId, 0)
  return OpenOut.size
}

function readdir(session: FuseSession, x: Exchange, plus: boolean): number | Promise<number> {
  const w = ReadIn.word
  const handle = session.handles.get(x.u64(w.fh))
  const listing = new Listing(session, x, x.u32(w.size), plus)
  const off = addDots(listing, x.u64(w.offset), handle.ino)
  if (off < AFTER_DOTS) return listing.end()
  const { direct } = session
  if (direct === undefined || handle.direct === undefined) {
    return readdirSlowly(session, x, handle.file, listing, off)
  }
  return readdirNow(session, x, direct, handle.direct, listing, off)
}

/** Where it goes on. */
function addDots(listing: Listing, from: number, ino: number): number {
  let off = from
  for (; off < AFTER_DOTS; off++) {
    const entry = { name: DOTS[off]!, ino, type: 'directory' as const, cookie: off - 1 }
    if (!listing.add(entry, null)) return off
  }
  return off
}

function readdirNow(
  session: FuseSession,
  x: Exchange,
  fs: DirectFileSystem,
  file: DirectFile,
  listing: Listing,
  off: number,
): number {
  for (let cookie = off - AFTER_DOTS; ;) {
    const step = listing.hopes
    const entries = file.readdirNow(cookie, step)
    for (const entry of entries) {
      const stats = listing.plus ? knownNow(session, x, fs, entry) : null
      if (!listing.add(entry, stats)) return listing.end()
      cookie = entry.cookie
    }
    if (entries.length < step) return listing.end()
  }
}

async function readdirSlowly(
  session: FuseSession,
  x: Exchange,
  file: FileHandle,
  listing: Listing,
  off: number,
): Promise<number> {
  for (let cookie = off - AFTER_DOTS; ;) {
    const step = listing.hopes
    const entries = await file.readdir(cookie, step)
    const stats = listing.plus ? await known(session, x, entries) : null
    for (const [i, entry] of entries.entries()) {
      if (!listing.add(entry, stats?.[i] ?? null)) return listing.end()
      cookie = entry.cookie
    }
    if (entries.length < step) return listing.end()
  }
}

/** Attributes, as LOOKUP has them; null for what cannot be read, and is listed without. */
function knownNow(
  session: FuseSession,
  x: Exchange,
  fs: DirectFileSystem,
  { name }: DirectoryEntry,
): Stats | null {
  try {
    return fs.lookUp(session.nodes.path(x.node, name), session.as(x))
  } catch (error) {
    if (error instanceof HoldfastError) return null
    throw error
  }
}

/** The same by calls. */
function known(
  session: FuseSession,
  x: Exchange,
  entries: readonly DirectoryEntry[],
): Promise<(Stats | null)[]> {
  const as = session.as(x)
  const asked = entries.map(({ name }) =>
    session.fs.lstat(session.nodes.path(x.node, name), as).catch((error: unknown) => {
      if (error instanceof HoldfastError) return null
      throw error
    }),
  )
  return Promise.all(asked)
}

export const directoryOperations: Operations = {
  [Opcode.opendir]: opendir,

  [Opcode.readdir]: (session, x) => readdir(session, x, false),
  [Opcode.readdirplus]: (session, x) => readdir(session, x, true),

  [Opcode.releasedir]: (session, x) => {
    const { file, direct } = session.handles.remove(x.u64(ReleaseIn.word.fh))
    if (direct === undefined) return file.close().then(() => 0)
    direct.closeNow()
    return 0
  },

  [Opcode.fsyncdir]: async (session, x) => {
    await session.handles.get(x.u64(FsyncIn.word.fh)).file.sync()
    return 0
  },
}
