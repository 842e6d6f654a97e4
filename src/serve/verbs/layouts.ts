/** Verbs on layouts: where blocks are, fixed files, clones, moves. */
import { ITEMS_MAX } from '../../control/limits.js'
import type { CallContext } from '../../control/answerer.js'
import type { ChangeWish } from '../../control/types.js'
import type { ClientSession } from '../client_session.js'
import { withTarget } from '../target.js'
import type { Some } from './some.js'

/** A call that goes on in steps, and tells how far it is. */
function stepwise(session: ClientSession, call: CallContext, options: ChangeWish) {
  session.demandWritable()
  const { timeout, deadline, force } = options
  return {
    as: session.credentials(call),
    timeout,
    deadline,
    force,
    signal: call.signal,
    onProgress: (moved: number) => session.progress(call.id, moved),
  }
}

export const layoutVerbs: Some<
  | 'extents'
  | 'fix'
  | 'unfix'
  | 'sealWrites'
  | 'setPolicy'
  | 'reflink'
  | 'snapshot'
  | 'defragment'
  | 'evacuate'
> = {
  extents: (session, { target, from }, call) => {
    const as = session.credentials(call)
    const { epoch, generation, extents } = withTarget(session, target, {
      path: (path) => session.volume.extents(path, as, from, ITEMS_MAX + 1),
      file: (file) => file.extents(from, ITEMS_MAX + 1),
    })
    const more = extents.length > ITEMS_MAX
    return { layout: { epoch, generation }, extents: extents.slice(0, ITEMS_MAX), more }
  },

  fix: async (session, { path, options }, call) => {
    await session.volume.promises.fix(path, stepwise(session, call, options))
    return {}
  },

  unfix: async (session, { path }, call) => {
    const as = session.credentials(call)
    await session.settle(call, null, () => session.volume.unfix(path, as))
    return {}
  },

  sealWrites: async (session, { path, off }, call) => {
    const as = session.credentials(call)
    await session.settle(call, null, () => session.volume.sealWrites(path, { off }, as))
    return {}
  },

  setPolicy: async (session, { path, policy }, call) => {
    const as = session.credentials(call)
    await session.settle(call, null, () => session.volume.setPolicy(path, policy ?? null, as))
    return {}
  },

  reflink: async (session, { from, to, options }, call) => {
    const as = session.credentials(call)
    const { share } = options
    await session.settle(call, options, () => session.volume.reflink(from, to, { share }, as))
    return {}
  },

  snapshot: async (session, { from, to, options }, call) => {
    const as = session.credentials(call)
    session.demandWritable()
    const { policy, share, timeout, deadline } = options
    const { layout, volume } = session
    const { signal } = call
    const how = { as, session: layout, policy, share, timeout, deadline, signal }
    await session.snapshot(call, () => volume.promises.snapshotInTurns(from, to, how))
    return {}
  },

  defragment: (session, { path, options }, call) =>
    session.volume.promises.defragment(path, stepwise(session, call, options)),

  evacuate: (session, { from, to, options }, call) =>
    session.volume.promises.evacuate(from, to, stepwise(session, call, options)),
}
