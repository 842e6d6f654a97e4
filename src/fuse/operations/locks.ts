/** Locks: fcntl(2) and flock(2), which may wait until INTERRUPT ends that. */
import { HoldfastError } from '../../base/errors.js'
import type { RangeLock } from '../../base/filesystem.js'
import type { Exchange } from '../exchange.js'
import { TO_END } from '../locks.js'
import type { FuseSession } from '../session.js'
import { Opcode } from '../wire/header.js'
import { LockIn, LockOut, LockType } from '../wire/locks.js'
import type { Operations } from './operation.js'

const WHOLE_FILE = 1
const w = LockIn.word

/** The lock in question, of an owner by its number here. */
function lockOf(x: Exchange, owner: number): RangeLock {
  const [start, end] = [x.u64(w.start), x.u64(w.end)]
  const length = end >= TO_END ? 0 : end - start + 1
  const type = x.u32(w.type) === LockType.read ? 'read' : 'write'
  return { type, start, length, owner }
}

async function getlk(session: FuseSession, x: Exchange): Promise<number> {
  const { file, ino } = session.handles.get(x.u64(w.fh))
  const found = await file.testLock(lockOf(x, session.locks.numberOf(ino, x.u64(w.owner))))
  const out = LockOut.word
  x.clear(0, LockOut.size)
  if (found === null) {
    x.put32(out.type, LockType.unlock)
    return LockOut.size
  }
  const { type, start, length, owner } = found
  x.put64(out.start, start)
  if (length > 0) x.put64(out.end, start + length - 1)
  else {
    x.put32(out.end, 0xffff_ffff)
    x.put32(out.end + 1, 0x7fff_ffff)
  }
  x.put32(out.type, LockType[type])
  x.put32(out.pid, session.locks.pidOf(owner))
  return LockOut.size
}

async function setlk(session: FuseSession, x: Exchange, wait: boolean): Promise<number> {
  const handle = session.handles.get(x.u64(w.fh))
  const { file, ino } = handle
  const options = wait ? { wait, signal: session.signalOf(x) } : {}
  const unlocks = x.u32(w.type) === LockType.unlock
  if ((x.u32(w.lkFlags) & WHOLE_FILE) !== 0) {
    const shared = x.u32(w.type) === LockType.read
    await file.flock(unlocks ? 'unlock' : shared ? 'shared' : 'exclusive', options)
    return 0
  }
  const name = x.u64(w.owner)
  if (!unlocks) {
    await file.lock(lockOf(x, session.locks.take(handle, name, x.u32(w.pid))), options)
    return 0
  }
  const number = session.locks.numberOf(ino, name)
  if (number === 0) return 0
  const range = lockOf(x, number)
  await file.unlock(range)
  if (range.start === 0 && range.length === 0) session.locks.dropped(ino, name)
  return 0
}

/** A position that no file has is refused as fcntl(2) does. */
function checked(run: (session: FuseSession, x: Exchange, wait: boolean) => Promise<number>) {
  return (wait: boolean) => (session: FuseSession, x: Exchange) => {
    if (x.u64(w.start) > Number.MAX_SAFE_INTEGER) {
      throw new HoldfastError('EINVAL', 'a lock that begins past the end of every file')
    }
    return run(session, x, wait)
  }
}

const set = checked(setlk)

export const lockOperations: Operations = {
  [Opcode.getlk]: checked(getlk)(false),
  [Opcode.setlk]: set(false),
  [Opcode.setlkw]: set(true),
}
