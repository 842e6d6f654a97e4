/** Verbs on the session itself, on those of others, and on what happens. */
import { HoldfastError } from '../../base/errors.js'
import { LISTED_MAX, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from '../../control/limits.js'
import { reclaim, reclaimDone, showMapping } from '../reclaiming.js'
import type { Some } from './some.js'

export const sessionVerbs: Some<
  | 'ping'
  | 'hello'
  | 'descriptor'
  | 'reclaim'
  | 'reclaimDone'
  | 'showMapping'
  | 'holds'
  | 'sessions'
  | 'recall'
  | 'evict'
  | 'watch'
  | 'dropped'
  | 'statistics'
  | 'summary'
> = {
  ping: () => ({}),

  hello: (session, { version, versionMin, name, umask }) => {
    if (session.greeted) throw new HoldfastError('EPROTO', 'a second HELLO')
    if (versionMin > PROTOCOL_VERSION || version < PROTOCOL_VERSION_MIN) {
      throw new HoldfastError(
        'EPROTO',
        `the client speaks versions ${versionMin} to ${version} of the protocol, the server ` +
          `${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION}: update the older one`,
      )
    }
    session.server.demandSession(session.principal)
    session.begin(name, umask)
    session.server.greeted(session)
    const { principal, server } = session
    return {
      version: Math.min(version, PROTOCOL_VERSION),
      capabilities: 0,
      session: session.id,
      privileged: principal.privileged,
      uid: principal.uid,
      ...server.facts,
      mapping: session.mayMap,
      keepalive: session.remote ? server.keepalive : 0,
      grace: session.volume.inGrace,
    }
  },

  descriptor: (session) => {
    session.demandMapping()
    return session.giveDescriptor()
  },

  reclaim: (session, args) => reclaim(session, args),

  reclaimDone: (session, { slots }) => reclaimDone(session, slots),

  showMapping: (session) => showMapping(session),

  holds: (session, { from }) => {
    void session.layout
    const all = session.volume.holdsFrom(from, LISTED_MAX + 1)
    return { holds: all.slice(0, LISTED_MAX), more: all.length > LISTED_MAX }
  },

  sessions: (session, { from }) => {
    void session.layout
    const all = session.server.list(from)
    return { sessions: all.slice(0, LISTED_MAX), more: all.length > LISTED_MAX }
  },

  recall: (session, { id, deadline }, call) => session.server.recall(session, id, deadline, call),

  evict: async (session, { session: id }) => {
    session.demandPrivileged('evicts')
    session.demandWritable()
    await session.server.evict(id)
    return {}
  },

  watch: (session, { changes, others, holds, stores }) => {
    session.watch(changes, others === true, holds, stores === true)
    return {}
  },

  dropped: (session, { token }) => {
    session.dropped(token)
    return {}
  },

  statistics: (session) => {
    void session.layout
    return { text: session.server.statistics() }
  },

  summary: (session) => {
    void session.layout
    return { json: JSON.stringify(session.server.summary()) }
  },
}
