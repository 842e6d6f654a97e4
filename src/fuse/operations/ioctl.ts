/**
 * ioctl(2): inode flags, and what no other call of Linux can say to a mount: strict clones, pins,
 * extents. The kernel passes FICLONE to no FUSE filesystem.
 */
import { stat, readFile } from 'node:fs/promises'
import { HoldfastError } from '../../base/errors.js'
import { BLOCK_BYTES } from '../../base/limits.js'
import { O } from '../../base/open_flags.js'
import { unlessAborted } from '../../base/unless_aborted.js'
import type { Exchange } from '../exchange.js'
import type { OpenHandle } from '../handles.js'
import { decodeDevice } from '../replies.js'
import type { FuseSession } from '../session.js'
import { IoctlIn, IoctlOut } from '../wire/files.js'
import { Opcode } from '../wire/header.js'
import {
  CloneRange,
  EXTENTS_MAX,
  ExtentList,
  FsFlag,
  FsXattr,
  FsXflag,
  Ioctl,
  PinRange,
} from '../wire/ioctl.js'
import type { Operation, Operations } from './operation.js'

/** Where the argument begins in the request, in words, and in the reply. */
const IN = IoctlIn.size / 4
const OUT = IoctlOut.size / 4
const ENOTTY = 25
const OPEN_ACCESS = 3
/** Of open(2): a descriptor that names a file, and may be had of what may not be read. */
const O_PATH = 0o10000000

/** A reply with so many bytes of answer, which are zeros yet. */
function begin(x: Exchange, length: number): number {
  x.clear(0, IoctlOut.size + length)
  return IoctlOut.size + length
}

// ---- inode flags --------------------------------------------------------------------------------

type Bits = typeof FsFlag | typeof FsXflag

async function flagsOf(session: FuseSession, x: Exchange, bits: Bits): Promise<number> {
  const path = session.nodes.path(x.node)
  const { append, immutable } = await session.fs.inodeFlags(path, session.as(x))
  return (append ? bits.append : 0) | (immutable ? bits.immutable : 0)
}

async function setFlags(session: FuseSession, x: Exchange, to: number, bits: Bits): Promise<void> {
  if ((to & ~(bits.append | bits.immutable)) !== 0) {
    throw new HoldfastError('EOPNOTSUPP', 'append-only and immutable are the flags there are')
  }
  const flags = { append: (to & bits.append) !== 0, immutable: (to & bits.immutable) !== 0 }
  await session.fs.setInodeFlags(session.nodes.path(x.node), flags, session.as(x))
  // Flags are no attributes to the kernel, but they change the time of the last change.
  await session.notices.attributes(x.node)
}

// ---- clones -------------------------------------------------------------------------------------

/**
 * The handle that a descriptor of the caller stands for: one that is open for reading here, as the
 * kernel says. EBADF when it is none; EXDEV when it is another filesystem's.
 */
async function sourceOf(session: FuseSession, x: Exchange, fd: number): Promise<OpenHandle> {
  const bad = () => new HoldfastError('EBADF', `descriptor ${fd} of process ${x.pid}`)
  const dev = await stat(`/proc/${x.pid}/fd/${fd}`).then(
    (stats) => decodeDevice(stats.dev),
    () => Promise.reject(bad()),
  )
  if (dev !== session.options.device) throw new HoldfastError('EXDEV')
  // Which file, and how it is open, in one look: another may have the number by now.
  const info = await readFile(`/proc/${x.pid}/fdinfo/${fd}`, 'latin1').catch(() => '')
  const word = (name: string) => new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(info)?.[1] ?? ''
  const [flags, ino, mount] = [parseInt(word('flags'), 8), Number(word('ino')), word('mnt_id')]
  if (!Number.isInteger(flags)) throw bad()
  if ((flags & OPEN_ACCESS) === O.WRONLY || (flags & O_PATH) !== 0) throw bad()
  if (!(await isMountOf(x.pid, mount, dev))) throw new HoldfastError('EXDEV')
  for (const handle of session.handles.values()) {
    if (handle.ino === ino && (handle.flags & OPEN_ACCESS) !== O.WRONLY) return handle
  }
  throw bad()
}

/** Whether a mount of a process, by its id there, is of that device (proc(5), mountinfo). */
async function isMountOf(pid: number, id: string, dev: number): Promise<boolean> {
  const mounts = await readFile(`/proc/${pid}/mountinfo`, 'latin1').catch(() => '')
  const [, major, minor] = new RegExp(`^${id} \\d+ (\\d+):(\\d+) `, 'm').exec(mounts) ?? []
  return Number(major) * 0x10_0000 + Number(minor) === dev
}

async function clone(session: FuseSession, x: Exchange, to: OpenHandle): Promise<number> {
  const w = CloneRange.word
  const source = await sourceOf(session, x, x.u64(IN + w.srcFd))
  const [offset, length] = [x.u64(IN + w.srcOffset), x.u64(IN + w.srcLength)]
  const [at, { coherence }] = [x.u64(IN + w.destOffset), session]
  const signal = session.signalOf(x)
  const options = { share: 'strict', signal } as const
  const settled = Promise.all([coherence.settle(source.ino), coherence.settle(to.ino)])
  await unlessAborted(settled, signal)
  if (coherence.writesLater) await demandNoGrowth(source, offset, length, to, at)
  await source.file.reflinkRange(offset, to.file, at, length, options)
  await coherence.settle(to.ino)
  return begin(x, 0)
}

/** EOPNOTSUPP where the end of the file would move, of which the kernel cannot be told. */
async function demandNoGrowth(
  { file }: OpenHandle,
  offset: number,
  length: number,
  to: OpenHandle,
  at: number,
): Promise<void> {
  const bytes = length === 0 ? (await file.stat()).size - offset : length
  if (at + bytes <= (await to.file.stat()).size) return
  const detail =
    'a mount that is exclusive clones no further than to the end: ftruncate(2) it first'
  throw new HoldfastError('EOPNOTSUPP', detail)
}

// ---- pins and extents ---------------------------------------------------------------------------

async function pin(session: FuseSession, x: Exchange, handle: OpenHandle): Promise<number> {
  const { file } = handle
  if (file.pin === undefined) throw new HoldfastError('EOPNOTSUPP', 'there are no pins here')
  const owns = x.uid === 0 || (await file.stat()).uid === x.uid
  if (!owns && (handle.flags & OPEN_ACCESS) === 0) {
    throw new HoldfastError('EACCES', 'a pin takes a descriptor that writes, or the owner')
  }
  const w = PinRange.word
  const [offset, length] = [x.u64(IN + w.offset), x.u64(IN + w.length)]
  const reason = `process ${x.pid}, by the mount`
  const signal = session.signalOf(x)
  // Nothing of it may stand in the page cache from now on.
  await unlessAborted(session.coherence.release(handle.ino), signal)
  const held = await file.pin({ offset, length, reason, signal })
  handle.pins.set(held.id, held)
  const size = begin(x, PinRange.size)
  x.put64(OUT + w.offset, offset)
  x.put64(OUT + w.length, length)
  x.put64(OUT + w.id, held.id)
  return size
}

async function unpin(_: FuseSession, x: Exchange, { pins }: OpenHandle): Promise<number> {
  const id = x.u64(IN + PinRange.word.id)
  const held = pins.get(id)
  if (held === undefined) throw new HoldfastError('ESTALE', `pin ${id} is none of this descriptor`)
  pins.delete(id)
  await held.release()
  return begin(x, 0)
}

async function extents(session: FuseSession, x: Exchange, handle: OpenHandle): Promise<number> {
  const w = ExtentList.word
  const from = Math.floor(x.u64(IN + w.from) / BLOCK_BYTES)
  await unlessAborted(session.coherence.settle(handle.ino), session.signalOf(x))
  const { epoch, generation, extents: all } = await handle.file.extents()
  const some = all.filter(({ fileBlock, count }) => fileBlock + count > from)
  const size = begin(x, ExtentList.size)
  x.put64(OUT + w.from, from * BLOCK_BYTES)
  x.put64(OUT + w.epoch, epoch)
  x.put64(OUT + w.generation, generation)
  x.put32(OUT + w.count, Math.min(some.length, EXTENTS_MAX))
  x.put32(OUT + w.more, some.length > EXTENTS_MAX ? 1 : 0)
  for (const [i, extent] of some.slice(0, EXTENTS_MAX).entries()) {
    const at = OUT + w.extents + 6 * i
    x.put64(at, extent.fileBlock * BLOCK_BYTES)
    x.put64(at + 2, extent.regionBlock * BLOCK_BYTES)
    x.put64(at + 4, extent.count * BLOCK_BYTES)
  }
  return size
}

const OWN: Readonly<
  Record<number, (session: FuseSession, x: Exchange, handle: OpenHandle) => Promise<number>>
> = {
  [Ioctl.clone]: clone,
  [Ioctl.pin]: pin,
  [Ioctl.unpin]: unpin,
  [Ioctl.extents]: extents,
}

const ioctl: Operation = async (session, x) => {
  const command = x.u32(IoctlIn.word.cmd)
  switch (command) {
    case Ioctl.getFlags: {
      const flags = await flagsOf(session, x, FsFlag)
      const size = begin(x, x.u32(IoctlIn.word.outSize))
      x.put32(OUT, flags)
      return size
    }
    case Ioctl.setFlags:
      await setFlags(session, x, x.u32(IN), FsFlag)
      return begin(x, 0)
    case Ioctl.getXattr: {
      const flags = await flagsOf(session, x, FsXflag)
      const size = begin(x, FsXattr.size)
      x.put32(OUT + FsXattr.word.xflags, flags)
      return size
    }
    case Ioctl.setXattr:
      await setFlags(session, x, x.u32(IN + FsXattr.word.xflags), FsXflag)
      return begin(x, 0)
    case Ioctl.getVersion: {
      const generation = session.nodes.generationOf(x.node)
      const size = begin(x, x.u32(IoctlIn.word.outSize))
      x.put32(OUT, generation)
      return size
    }
  }
  const own = OWN[command]
  if (own !== undefined) return own(session, x, session.handles.get(x.u64(IoctlIn.word.fh)))
  begin(x, 0)
  x.put32(IoctlOut.word.result, -ENOTTY)
  return IoctlOut.size
}

export const ioctlOperations: Operations = { [Opcode.ioctl]: ioctl }
