/**
 * Listing directories. Where a listing goes on after an entry is the volume's cookie of it, and two
 * more: `.` and `..` come first.
 */
import { HoldfastError } from '../../base/errors.js'
import type { DirectoryEntry, FileType } from '../../base/filesystem.js'
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
  readonly #x: Exchange
  readonly #most: number
  readonly #plus: boolean
  length = 0

  constructor(x: Exchange, most: number, plus: boolean) {
    this.#x = x
    this.#most = most
    this.#plus = plus
  }

  /** Where the next entry's attributes go. */
  get at(): number {
    return this.length
  }

  /** How many entries may fit: what is asked for beyond is asked for in vain. */
  get hopes(): number {
    const least = SHORT_BYTES + (this.#plus ? EntryOut.size : 0)
    return Math.min(STEP, 1 + Math.floor((this.#most - this.length) / least))
  }

  fits(name: Uint8Array): boolean {
    return this.length + this.#bytesOf(name) <= this.#most
  }

  add(name: Uint8Array, ino: number, type: number, off: number): void {
    const at = this.length + (this.#plus ? EntryOut.size : 0)
    const end = this.length + this.#bytesOf(name)
    const w = Dirent.word
    const x = this.#x
    const base = at / 4
    x.put64(base + w.ino, ino)
    x.put64(base + w.off, off)
    x.put32(base + w.namelen, name.length)
    x.put32(base + w.type, type)
    x.putBytes(at + Dirent.size, name)
    x.clear(at + Dirent.size + name.length, end - at - Dirent.size - name.length)
    this.length = end
  }

  #bytesOf(name: Uint8Array): number {
    const own = Math.ceil((Dirent.size + name.length) / 8) * 8
    return own + (this.#plus ? EntryOut.size : 0)
  }
}

async function readdir(session: FuseSession, x: Exchange, plus: boolean): Promise<number> {
  const { fh, offset, size } = ReadIn.word
  const { file, ino } = session.handles.get(x.u64(fh))
  const listing = new Listing(x, x.u32(size), plus)
  let off = x.u64(offset)
  for (; off < AFTER_DOTS; off++) {
    const name = DOTS[off]!
    if (!listing.fits(name)) return listing.length
    if (plus) x.clear(listing.at, EntryOut.size)
    listing.add(name, ino, TYPES.directory, off + 1)
  }
  for (;;) {
    const step = listing.hopes
    const entries = await file.readdir(off - AFTER_DOTS, step)
    const good = plus ? await addKnown(session, x, listing, entries) : addPlain(listing, entries)
    if (!good || entries.length < step) return listing.length
    off = entries.at(-1)!.cookie + AFTER_DOTS
  }
}

/** False: there is no room for more. */
function addPlain(listing: Listing, entries: readonly DirectoryEntry[]): boolean {
  for (const { name, ino, type, cookie } of entries) {
    if (!listing.fits(name)) return false
    listing.add(name, ino, TYPES[type], cookie + AFTER_DOTS)
  }
  return true
}

/** With attributes, as LOOKUP has them. What is gone meanwhile is listed without. */
async function addKnown(
  session: FuseSession,
  x: Exchange,
  listing: Listing,
  entries: readonly DirectoryEntry[],
): Promise<boolean> {
  const as = session.as(x)
  const known = entries.map(({ name }) =>
    session.fs.lstat(session.nodes.path(x.node, name), as).catch((error: unknown) => {
      if (error instanceof HoldfastError) return null
      throw error
    }),
  )
  const stats = await Promise.all(known)
  for (const [i, { name, ino, type, cookie }] of entries.entries()) {
    if (!listing.fits(name)) return false
    const found = stats[i]!
    if (found === null) x.clear(listing.at, EntryOut.size)
    else {
      session.nodes.learn(found)
      putEntry(x, found, session.validity, listing.at)
    }
    listing.add(name, ino, TYPES[type], cookie + AFTER_DOTS)
  }
  return true
}

export const directoryOperations: Operations = {
  [Opcode.opendir]: async (session, x) => {
    const path = session.nodes.path(x.node)
    const file = await session.fs.open(path, O.DIRECTORY, 0, session.as(x))
    const handle = { file, direct: undefined, ino: x.node, flags: O.DIRECTORY, pins: new Map() }
    x.put64(OpenOut.word.fh, session.handles.add(handle))
    x.put64(OpenOut.word.openFlags, 0)
    return OpenOut.size
  },

  [Opcode.readdir]: (session, x) => readdir(session, x, false),
  [Opcode.readdirplus]: (session, x) => readdir(session, x, true),

  [Opcode.releasedir]: async (session, x) => {
    await session.handles.remove(x.u64(ReleaseIn.word.fh)).file.close()
    return 0
  },

  [Opcode.fsyncdir]: async (session, x) => {
    await session.handles.get(x.u64(FsyncIn.word.fh)).file.sync()
    return 0
  },
}
