/** Verbs on advisory locks. */
import type { RangeLock } from '../../base/filesystem.js'
import type { ClientSession } from '../client_session.js'
import type { Some } from './some.js'

interface Asked {
  readonly type: 'read' | 'write'
  readonly start: number
  readonly length: number
  readonly owner?: number | undefined
}

/** Owners are the session's: the same number of another session is another one. */
const ownerOf = (session: ClientSession, owner: number | undefined) =>
  owner === undefined ? {} : { owner: `${session.id} ${owner}` }

function lockOf(session: ClientSession, { owner, ...lock }: Asked): RangeLock {
  return { ...lock, ...ownerOf(session, owner) }
}

export const lockVerbs: Some<'lock' | 'unlock' | 'testLock' | 'flock'> = {
  lock: async (session, { handle, lock, wait }, call) => {
    const { signal } = call
    await session.file(handle).lock(lockOf(session, lock), { wait, signal })
    return {}
  },

  unlock: (session, { handle, start, length, owner }) => {
    session.file(handle).unlock({ start, length, ...ownerOf(session, owner) })
    return {}
  },

  testLock: (session, { handle, lock }) => {
    const held = session.file(handle).testLock(lockOf(session, lock))
    if (held === null) return {}
    const { type, start, length, owner } = held
    const [id, number] = typeof owner === 'string' ? owner.split(' ').map(Number) : []
    const mine = id === session.id && number !== undefined
    return { held: { type, start, length, owner: mine ? number : undefined } }
  },

  flock: async (session, { handle, type, wait }, call) => {
    await session.file(handle).flock(type, { wait, signal: call.signal })
    return {}
  },
}
