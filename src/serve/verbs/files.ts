/** Verbs on files that are open: opening, reading, writing, ranges. */
import { HoldfastError } from '../../base/errors.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../../base/limits.js'
import { O, parseFlags } from '../../base/open_flags.js'
import { DATA_BYTES_MAX } from '../../control/limits.js'
import type { LayoutFile } from '../../layout/file.js'
import type { CallContext } from '../../control/answerer.js'
import type { ChangeWish } from '../../control/types.js'
import { PART_BYTES, type ClientSession } from '../client_session.js'
import type { Some } from './some.js'

/** What one call copies at most, in one turn of the event loop. */
const COPY_BYTES_MAX = 4 << 20
/** What is read stands here until it is answered, before anything else runs. */
const scratch = new Uint8Array(DATA_BYTES_MAX)

export const fileVerbs: Some<
  | 'open'
  | 'openHandle'
  | 'close'
  | 'read'
  | 'write'
  | 'allocate'
  | 'punch'
  | 'zeroRange'
  | 'collapse'
  | 'insert'
  | 'seek'
  | 'copyRange'
  | 'reflinkRange'
  | 'sync'
> = {
  open: async (session, { path, flags, mode, options }, call) => {
    session.demandHandleRoom()
    session.demandFlags(flags)
    const { volume } = session
    const as = session.credentials(call)
    const open = () => volume.open(path, flags, mode, as)
    const { create, truncate, unnamed } = parseFlags(flags & ~O.CLOEXEC)
    const changes = create || truncate || unnamed
    const file = await session.request(call, options, open, !changes)
    return opened(session, file)
  },

  openHandle: (session, { ino, generation, key, flags }) => {
    session.demandHandleRoom()
    session.demandFlags(flags)
    const { layout, principal, server, volume } = session
    if (!principal.privileged) server.handleKeys.demand(ino, generation, key)
    return opened(session, volume.openHandle(layout, { ino, generation }, flags))
  },

  close: async (session, { handle }) => {
    await session.closeHandle(handle)
    return {}
  },

  read: (session, { handle, position, length }) => {
    const wanted = Math.min(length, DATA_BYTES_MAX)
    const got = session.file(handle).read(scratch.subarray(0, wanted), position)
    return { data: scratch.subarray(0, got) }
  },

  write: async (session, { handle, position, data, options }, call) => {
    const file = session.file(handle)
    const { append } = file.wish
    return session.settle(call, options, () => {
      const count = file.write(data, position)
      return { count, end: append ? file.stat().size : position + count }
    })
  },

  allocate: async (session, { handle, offset, length, keepSize, contiguous, options }, call) => {
    const file = session.file(handle)
    const wish = { keepSize, contiguous }
    const range = { offset, length, options }
    if (contiguous && length > PART_BYTES) {
      await allocateRun(session, call, file, range, keepSize)
    } else if (contiguous || !fitsInParts(session, file, range, false)) {
      await session.settle(call, options, () => file.allocate(offset, length, wish))
    } else await session.inParts(call, range, (at, some) => file.allocate(at, some, wish))
    return {}
  },

  punch: async (session, { handle, offset, length, options }, call) => {
    const file = session.file(handle)
    await session.settle(call, options, () => file.punch(offset, length))
    return {}
  },

  zeroRange: async (session, { handle, offset, length, keepSize, options }, call) => {
    const file = session.file(handle)
    const range = { offset, length, options }
    const zero = (at: number, some: number) => file.zeroRange(at, some, { keepSize })
    if (fitsInParts(session, file, range, true)) await session.inParts(call, range, zero)
    else await session.settle(call, options, () => zero(offset, length))
    return {}
  },

  collapse: async (session, { handle, offset, length, options }, call) => {
    const file = session.file(handle)
    await session.settle(call, options, () => file.collapse(offset, length))
    return {}
  },

  insert: async (session, { handle, offset, length, options }, call) => {
    const file = session.file(handle)
    await session.settle(call, options, () => file.insert(offset, length))
    return {}
  },

  seek: (session, { handle, offset, what }) => ({
    offset: session.file(handle).seek(offset, what),
  }),

  copyRange: async (session, { handle, offset, to, toOffset, length, options }, call) => {
    const [from, into] = [session.file(handle), session.file(to)]
    // Fewer may be copied than are asked for, as with copy_file_range(2).
    const some = Math.min(length, COPY_BYTES_MAX)
    const copy = () => from.copyRange(offset, into, toOffset, some)
    return { count: await session.settle(call, options, copy) }
  },

  reflinkRange: async (session, { handle, offset, to, toOffset, length, options }, call) => {
    const [from, into] = [session.file(handle), session.file(to)]
    const { share } = options
    const clone = () => from.reflinkRange(offset, into, toOffset, length, { share })
    await session.settle(call, options, clone)
    return {}
  },

  sync: async (session, { handle }) => {
    const { files } = session.server
    const file = handle === undefined ? null : session.file(handle)
    const { transaction } = session.volume.core
    if (file !== null && (transaction.syncMode === 'always' || !transaction.usable)) file.sync()
    else {
      file?.stat() // one that is closed is EBADF, before anything is flushed
      void session.layout
      await files.sync()
    }
    return {}
  },
}

function opened(session: ClientSession, file: LayoutFile) {
  if (session.gone) {
    file.close()
    throw new HoldfastError('ECONNRESET', 'the session has ended')
  }
  try {
    session.demandHandleRoom() // others were opened while this one waited
    const { ino, generation } = file.handle
    const key = session.server.handleKeys.keyOf(ino, generation)
    return { handle: session.addHandle(file), ino, generation, key }
  } catch (error) {
    file.close()
    throw error
  }
}

/** One run of blocks, which is zeroed part by part before the file has it. */
async function allocateRun(
  session: ClientSession,
  call: CallContext,
  file: LayoutFile,
  { offset, length, options }: { offset: number; length: number; options: ChangeWish },
  keepSize: boolean,
): Promise<void> {
  const { volume, server } = session
  const take = () => file.takeRun(offset, length, keepSize)
  const run = await session.settle(call, options, take)
  if (run === null) {
    return session.settle(call, options, () => file.allocate(offset, length, { keepSize }))
  }
  try {
    let from = 0
    while (!call.signal.aborted && from !== Infinity) {
      from = file.zeroRun(run, from, PART_BYTES / BLOCK_BYTES)
      await server.timers.turn()
    }
    await session.settle(call, options, () => file.giveRun(offset, length, keepSize, run))
  } finally {
    if (!volume.closed) volume.enterHolds(() => volume.releaseInode(run))
    if (volume.work.left > 0) void server.freed()
  }
}

/**
 * Whether a range may get its blocks part by part. What is no range, and what there is no room for,
 * is refused as a whole, before anything has changed.
 */
function fitsInParts(
  { volume }: ClientSession,
  file: LayoutFile,
  { offset, length }: { readonly offset: number; readonly length: number },
  alone: boolean,
): boolean {
  if (!(length > 0 && offset + length <= FILE_BYTES_MAX)) return false
  const { blockSize, blocksAvailable } = volume.statfs()
  // Where there is room for all of it nobody has to look what is there.
  return length <= blockSize * blocksAvailable || file.hasRoom(offset, length, alone)
}
