/** Operations on names: looking up, making, removing, renaming. */
import { HoldfastError } from '../../base/errors.js'
import type { Stats } from '../../base/filesystem.js'
import type { Exchange } from '../exchange.js'
import { decodeDevice, putEntry, putNoEntry } from '../replies.js'
import { quietly } from '../quietly.js'
import type { FuseSession } from '../session.js'
import { Opcode } from '../wire/header.js'
import { LinkIn, MkdirIn, MknodIn, Rename2In, RenameIn } from '../wire/names.js'
import type { Operations } from './operation.js'

/** Flags of renameat2(2). */
const RENAME_NOREPLACE = 1
const RENAME_EXCHANGE = 2

const nothing = () => 0
const isMissing = (error: unknown) => error instanceof HoldfastError && error.code === 'ENOENT'

function lookup(session: FuseSession, x: Exchange): number | Promise<number> {
  const { direct } = session
  if (direct === undefined) return lookupSlowly(session, x)
  const stats = direct.lookUp(session.nodes.path(x.node, x.text(0)), session.as(x))
  return stats === null ? putNoEntry(x, session.validity) : putKnown(session, x, stats)
}

async function lookupSlowly(session: FuseSession, x: Exchange): Promise<number> {
  try {
    return await entrySlowly(session, x, x.text(0))
  } catch (error) {
    // The directory itself is gone, or the name is.
    if (!isMissing(error)) throw error
    return putNoEntry(x, session.validity)
  }
}

function putKnown(session: FuseSession, x: Exchange, stats: Stats): number {
  session.learn(x, stats)
  return putEntry(x, stats, session.validity)
}

/** The kernel is told of what a name of the directory in question leads to. */
function entry(session: FuseSession, x: Exchange, name: Uint8Array): number | Promise<number> {
  const { direct } = session
  if (direct === undefined) return entrySlowly(session, x, name)
  return putKnown(session, x, direct.lstat(session.nodes.path(x.node, name), session.as(x)))
}

async function entrySlowly(session: FuseSession, x: Exchange, name: Uint8Array): Promise<number> {
  const path = session.nodes.path(x.node, name)
  const stats = await quietly(() => session.fs.lstat(path, session.as(x)))
  return putKnown(session, x, stats)
}

function rename(
  session: FuseSession,
  x: Exchange,
  directory: number,
  flags: number,
  at: number,
): number | Promise<number> {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) {
    throw new HoldfastError('EINVAL', 'renameat2: NOREPLACE and EXCHANGE are known')
  }
  const from = x.text(at)
  const to = x.text(at + from.length + 1)
  const how = {
    noReplace: (flags & RENAME_NOREPLACE) !== 0,
    exchange: (flags & RENAME_EXCHANGE) !== 0,
  }
  const { nodes, fs, direct } = session
  const [old, name, as] = [nodes.path(x.node, from), nodes.path(directory, to), session.as(x)]
  if (direct?.rename(old, name, how, as) === true) return 0
  return fs.rename(old, name, { ...how, signal: session.signalOf(x) }, as).then(nothing)
}

async function link(session: FuseSession, x: Exchange): Promise<number> {
  const old = x.u64(LinkIn.word.oldnodeid)
  const name = x.text(LinkIn.size)
  const { nodes, fs } = session
  const path = nodes.path(x.node, name)
  const unnamed = session.unnamed(old)
  if (unnamed !== undefined) await unnamed.file.link(path, session.as(x))
  else await fs.link(nodes.path(old), path, {}, session.as(x))
  return entry(session, x, name)
}

export const nameOperations: Operations = {
  [Opcode.lookup]: lookup,

  [Opcode.mknod]: async (session, x) => {
    const { mode, rdev, umask } = MknodIn.word
    const name = x.text(MknodIn.size)
    const device = decodeDevice(x.u32(rdev))
    const path = session.nodes.path(x.node, name)
    await session.fs.mknod(path, x.u32(mode), device, session.as(x, x.u32(umask)))
    return entry(session, x, name)
  },

  [Opcode.mkdir]: (session, x) => {
    const w = MkdirIn.word
    const name = x.text(MkdirIn.size)
    const path = session.nodes.path(x.node, name)
    const [mode, as] = [x.u32(w.mode) & 0o7777, session.as(x, x.u32(w.umask))]
    if (session.direct?.mkdir(path, mode, as) === true) return entry(session, x, name)
    return session.fs.mkdir(path, mode, as).then(() => entry(session, x, name))
  },

  [Opcode.symlink]: async (session, x) => {
    const name = x.text(0)
    const target = x.text(name.length + 1)
    await session.fs.symlink(target, session.nodes.path(x.node, name), session.as(x))
    return entry(session, x, name)
  },

  [Opcode.unlink]: (session, x) => {
    const path = session.nodes.path(x.node, x.text(0))
    const as = session.as(x)
    if (session.direct?.unlink(path, as) === true) return 0
    return session.fs.unlink(path, as, { signal: session.signalOf(x) }).then(nothing)
  },

  [Opcode.rmdir]: (session, x) => {
    const path = session.nodes.path(x.node, x.text(0))
    const as = session.as(x)
    if (session.direct?.rmdir(path, as) === true) return 0
    return session.fs.rmdir(path, as).then(nothing)
  },

  [Opcode.rename]: (session, x) =>
    rename(session, x, x.u64(RenameIn.word.newdir), 0, RenameIn.size),
  [Opcode.rename2]: (session, x) => {
    const { newdir, flags } = Rename2In.word
    return rename(session, x, x.u64(newdir), x.u32(flags), Rename2In.size)
  },

  [Opcode.link]: link,

  [Opcode.readlink]: async (session, x) => {
    const target = await session.fs.readlink(session.nodes.path(x.node), session.as(x))
    x.putBytes(0, target)
    return target.length
  },
}
