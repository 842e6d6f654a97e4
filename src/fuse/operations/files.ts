/**
 * Operations on open files. Reads are answered out of the region itself, and writes stored from
 * where the kernel put them, in the turn that they come in; where something has to be waited for,
 * or the bytes are another host's, by calls.
 */
import { HoldfastError } from '../../base/errors.js'
import type { FileHandle, Stats } from '../../base/filesystem.js'
import { withoutSetIds } from '../../base/mode.js'
import { O } from '../../base/open_flags.js'
import type { MemoryId } from '../../native/native.js'
import type { Exchange } from '../exchange.js'
import { releasePins, type OpenHandle } from '../handles.js'
import { isRunning } from '../programs.js'
import { putEntry } from '../replies.js'
import type { FuseSession } from '../session.js'
import {
  CopyRangeIn,
  CopyRangeOut,
  CreateIn,
  FallocateIn,
  FlushIn,
  FsyncIn,
  LseekIn,
  LseekOut,
  OpenIn,
  OpenOut,
  ReadIn,
  ReleaseIn,
  WriteFlag,
  WriteIn,
  WriteOut,
} from '../wire/files.js'
import { Opcode } from '../wire/header.js'
import { ANSWERED, type Operations } from './operation.js'

const EFAULT = 14
/** Flags of open(2) that the filesystem is to see; the kernel has found the inode already. */
const SEEN = O.WRONLY | O.RDWR | O.TRUNC | O.APPEND | O.DSYNC | O.SYNC | O.NOATIME
const ACCESS = O.WRONLY | O.RDWR
const MADE = SEEN | O.CREAT | O.EXCL
const FLOCK_UNLOCK = 2
/** What one request copies at most: others have their turns. */
const COPY_BYTES_MAX = 16 << 20
const Fallocate = { keepSize: 1, punch: 2, zero: 16 } as const
const SEEK_DATA = 3
const SEEK_HOLE = 4

/** Puts a handle at byte `at` of the reply. */
function putOpen(
  session: FuseSession,
  x: Exchange,
  open: OpenHandle,
  at = 0,
  unnamed = false,
): number {
  const w = OpenOut.word
  x.put64(at / 4 + w.fh, session.handOut(x, open, unnamed))
  x.put32(at / 4 + w.openFlags, session.coherence.openReply(open.ino, open.flags))
  x.put32(at / 4 + w.backingId, 0)
  return at + OpenOut.size
}

const handleOf = (file: FileHandle, x: Exchange, ino: number, flags: number): OpenHandle => ({
  file,
  trusted: x.uid === 0,
  direct: file.direct,
  ino,
  flags,
  pins: new Map(),
  lockers: new Map(),
})

function open(session: FuseSession, x: Exchange): number | Promise<number> {
  const asked = x.u32(OpenIn.word.flags) & SEEN
  const access = asked & ACCESS
  // Else the kernel has looked whether it is a program that runs.
  const looks = (asked & O.TRUNC) !== 0 && access !== O.WRONLY && access !== O.RDWR
  return looks ? openUnlessRunning(session, x, asked) : openAs(session, x, asked)
}

async function openUnlessRunning(session: FuseSession, x: Exchange, asked: number) {
  const { directory, device } = session.options
  // A signal that comes meanwhile ends the wait after it.
  session.signalOf(x)
  if (await isRunning(directory, device, x.node)) {
    throw new HoldfastError('ETXTBSY', 'it is a program that runs')
  }
  return openAs(session, x, asked)
}

function openAs(session: FuseSession, x: Exchange, asked: number): number | Promise<number> {
  const flags = session.coherence.flagsOf(asked)
  if ((flags & O.APPEND) !== (asked & O.APPEND)) return openToAppend(session, x, flags, asked)
  const [path, as] = [session.nodes.path(x.node), session.as(x)]
  const put = (opened: FileHandle) => putOpen(session, x, handleOf(opened, x, x.node, flags))
  const file = session.direct?.open(path, flags, 0, as) ?? null
  if (file !== null) return put(file)
  return session.fs.open(path, flags, 0, as, { signal: session.signalOf(x) }).then(put)
}

/** With flags for a kernel that writes later; what is append-only as it was asked for. */
async function openToAppend(
  session: FuseSession,
  x: Exchange,
  later: number,
  asked: number,
): Promise<number> {
  const [path, as] = [session.nodes.path(x.node), session.as(x)]
  const how = { signal: session.signalOf(x) }
  const opened = async (flags: number) => {
    const file = await session.fs.open(path, flags, 0, as, how)
    return putOpen(session, x, handleOf(file, x, x.node, flags))
  }
  try {
    return await opened(later)
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'EPERM') throw error
    return opened(asked)
  }
}

/** CREATE, TMPFILE: an inode and a handle. */
function create(session: FuseSession, x: Exchange, unnamed: boolean): number | Promise<number> {
  const w = CreateIn.word
  const flags = session.coherence.flagsOf(x.u32(w.flags) & MADE) & (unnamed ? ~O.CREAT : -1)
  const name = x.text(CreateIn.size)
  const path = session.nodes.path(x.node, unnamed ? undefined : name)
  const mode = x.u32(w.mode) & 0o7777
  const as = session.as(x, x.u32(w.umask))
  const how = flags | (unnamed ? O.TMPFILE : O.CREAT | O.EXCL)
  const put = (file: FileHandle, stats: Stats) => {
    session.learn(x, stats)
    const handle = handleOf(file, x, stats.ino, flags)
    return putOpen(session, x, handle, putEntry(x, stats, session.validity), unnamed)
  }
  const shared = !unnamed && (flags & O.EXCL) === 0
  try {
    const file = session.direct?.open(path, how, mode, as) ?? null
    if (file !== null) return put(file, file.statNow())
  } catch (error) {
    throw shared ? foundAgain(error) : error
  }
  const opening = session.fs.open(path, how, mode, as, { signal: session.signalOf(x) })
  const opened = opening.then(async (file) => put(file, await file.stat()))
  return shared ? opened.catch((error: unknown) => raise(foundAgain(error))) : opened
}

function raise(error: unknown): never {
  throw error
}

/**
 * Somebody else has made the name meanwhile. The kernel, which asks nobody whether what it has made
 * may be opened, is to look it up and open it (ESTALE: LOOKUP_REVAL of fs/namei.c).
 */
function foundAgain(error: unknown): unknown {
  if (!(error instanceof HoldfastError) || error.code !== 'EEXIST') return error
  return new HoldfastError('ESTALE', 'the name was made by somebody else')
}

function read(session: FuseSession, x: Exchange): number | Promise<number> {
  const w = ReadIn.word
  const handle = session.handles.get(x.u64(w.fh))
  const [offset, size] = [x.u64(w.offset), x.u32(w.size)]
  if (offset > Number.MAX_SAFE_INTEGER) return 0
  const { direct } = handle
  if (direct === undefined) return handle.file.read(x.room(size), offset)
  const { gather } = session
  gather.begin(direct.memory)
  const length = direct.locate(offset, size, gather)
  if (gather.tooMany) return handle.file.read(x.room(size), offset)
  const errno = gather.whole
    ? x.replyWith(session.device, direct.memory as MemoryId, gather.offset, length)
    : x.replyWithParts(session.device, gather.parts, gather.count, length)
  // A page that the medium has lost: by the call, which says so.
  if (errno === EFAULT) return handle.file.read(x.room(size), offset)
  session.sent(errno)
  return ANSWERED
}

function putWritten(x: Exchange, length: number): number {
  x.put32(WriteOut.word.size, length)
  x.put32(WriteOut.word.reserved, 0)
  return WriteOut.size
}

function write(session: FuseSession, x: Exchange): number | Promise<number> {
  const w = WriteIn.word
  const handle = session.handles.get(x.u64(w.fh))
  const [offset, size, flags] = [x.place(w.offset), x.u32(w.size), x.u32(w.flags)]
  const data = x.data(WriteIn.size, size)
  // From the page cache bytes have a place; and who had O_APPEND may have let go of it.
  const cached = (x.u32(w.writeFlags) & WriteFlag.cache) !== 0
  const placed = cached || (flags & O.APPEND) === 0
  if (placed && (handle.flags & O.APPEND) !== 0) return writePlaced(session, x, data, offset)
  // Who writes may be somebody else than who has opened it.
  const kills = (x.u32(w.writeFlags) & WriteFlag.killSetIds) !== 0
  if (kills && handle.trusted) return writeAsOther(session, x, handle, data, offset)
  // When it was written the kernel says by itself then, and may have said already.
  const later = cached && session.coherence.datesLater
  if (handle.direct?.writeNow(data, offset, later) === true) return putWritten(x, size)
  return writeSlowly(session, x, handle.file, data, offset)
}

async function writeSlowly(
  session: FuseSession,
  x: Exchange,
  file: FileHandle,
  data: Uint8Array,
  offset: number,
): Promise<number> {
  return putWritten(x, await file.write(data, offset, { signal: session.signalOf(x) }))
}

/** By a handle of root, for somebody whose writes take set-id bits away. */
async function writeAsOther(
  session: FuseSession,
  x: Exchange,
  { file }: OpenHandle,
  data: Uint8Array,
  offset: number,
): Promise<number> {
  const { mode } = await file.stat()
  const left = withoutSetIds(mode)
  if (left !== mode) await file.chmod(left & 0o7777)
  return writeSlowly(session, x, file, data, offset)
}

/** At its place, though the handle only appends. */
async function writePlaced(
  session: FuseSession,
  x: Exchange,
  data: Uint8Array,
  offset: number,
): Promise<number> {
  const { fs, nodes } = session
  await using file = await fs.open(nodes.path(x.node), O.WRONLY, 0, session.as(x))
  return await writeSlowly(session, x, file, data, offset)
}

async function fallocate(session: FuseSession, x: Exchange): Promise<number> {
  const w = FallocateIn.word
  const { file } = session.handles.get(x.u64(w.fh))
  const [offset, length, mode] = [x.place(w.offset), x.place(w.length), x.u32(w.mode)]
  const keepSize = (mode & Fallocate.keepSize) !== 0
  const signal = session.signalOf(x)
  switch (mode & ~Fallocate.keepSize) {
    case 0:
      await file.allocate(offset, length, { keepSize, signal })
      return 0
    case Fallocate.punch:
      await file.punch(offset, length, { signal })
      return 0
    case Fallocate.zero:
      await file.zeroRange(offset, length, { keepSize, signal })
      return 0
    default:
      throw new HoldfastError('EOPNOTSUPP', `fallocate with mode ${mode}`)
  }
}

async function lseek(session: FuseSession, x: Exchange): Promise<number> {
  const w = LseekIn.word
  const { file, ino } = session.handles.get(x.u64(w.fh))
  const whence = x.u32(w.whence)
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw new HoldfastError('EINVAL')
  const offset = x.u64(w.offset)
  if (offset > Number.MAX_SAFE_INTEGER) throw new HoldfastError('ENXIO', 'no file is so long')
  // What is only in pages would be a hole: the kernel does not write it back for this. A signal
  // ends no lseek(2), and nobody expects it to.
  if (session.handles.writes(ino)) await session.notices.inode(ino)
  const found = await file.seek(offset, whence === SEEK_DATA ? 'data' : 'hole')
  x.put64(LseekOut.word.offset, found)
  return LseekOut.size
}

/** Shares what may be shared, and copies the rest. Returns how many bytes. */
async function copyRange(session: FuseSession, x: Exchange): Promise<number> {
  const w = CopyRangeIn.word
  const from = session.handles.get(x.u64(w.fhIn))
  const to = session.handles.get(x.u64(w.fhOut))
  if (x.u64(w.flags) !== 0) throw new HoldfastError('EINVAL', 'copy_file_range has no flags')
  const length = Math.min(x.u64(w.len), COPY_BYTES_MAX)
  const n = await from.file.copyRange(x.place(w.offIn), to.file, x.place(w.offOut), length)
  // That the one was read is nothing that the kernel thinks of by itself.
  await session.notices.attributes(from.ino)
  return n
}

function release(session: FuseSession, x: Exchange): number | Promise<number> {
  const w = ReleaseIn.word
  const handle = session.handles.remove(x.u64(w.fh))
  session.dropUnnamed(handle)
  const unlocks = (x.u32(w.releaseFlags) & FLOCK_UNLOCK) !== 0
  const direct = handle.pins.size === 0 && !unlocks ? handle.file.direct : undefined
  if (direct === undefined) return releaseSlowly(session, handle, unlocks)
  direct.closeNow()
  session.locks.released(handle)
  return 0
}

async function releaseSlowly(
  session: FuseSession,
  handle: OpenHandle,
  unlocks: boolean,
): Promise<number> {
  try {
    await releasePins(handle)
    if (unlocks) await handle.file.flock('unlock')
  } finally {
    await handle.file.close()
    session.locks.released(handle)
  }
  return 0
}

export const fileOperations: Operations = {
  [Opcode.open]: open,
  [Opcode.create]: (session, x) => create(session, x, false),
  [Opcode.tmpfile]: (session, x) => create(session, x, true),
  [Opcode.read]: read,
  [Opcode.write]: write,
  [Opcode.fallocate]: fallocate,
  [Opcode.lseek]: lseek,
  [Opcode.release]: release,

  [Opcode.copyFileRange]: async (session, x) => putWritten(x, await copyRange(session, x)),
  [Opcode.copyFileRange64]: async (session, x) => {
    x.put64(CopyRangeOut.word.bytesCopied, await copyRange(session, x))
    return CopyRangeOut.size
  },

  [Opcode.flush]: (session, x) => {
    const handle = session.handles.get(x.u64(FlushIn.word.fh))
    return session.locks.closed(handle, x.u64(FlushIn.word.lockOwner))
  },

  [Opcode.fsync]: async (session, x) => {
    await session.handles.get(x.u64(FsyncIn.word.fh)).file.sync()
    return 0
  },
}
