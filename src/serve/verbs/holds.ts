/** Verbs on holds and registrations. */
import { HoldfastError } from '../../base/errors.js'
import type { CallContext } from '../../control/answerer.js'
import type { ArgsOf } from '../../control/verb.js'
import type { VERBS } from '../../control/verbs/index.js'
import type { LayoutFile } from '../../layout/file.js'
import type { Hold } from '../../layout/hold.js'
import type { ClientSession } from '../client_session.js'
import { HeldByClient, holdOptions, tellRecall } from '../held.js'
import { Registration } from '../registrations.js'
import type { Some } from './some.js'

type Wish = ArgsOf<typeof VERBS.pin>['wish']

/** Takes a hold of a file that is open, and answers with where its blocks are. */
async function take(
  session: ClientSession,
  wish: Wish,
  call: CallContext,
  grant: (options: ReturnType<typeof optionsOf>) => Promise<Hold>,
) {
  session.demandHoldRoom()
  const file = session.file(wish.handle)
  const hold = await grant(optionsOf(session, wish, call))
  if (session.gone) {
    hold.release()
    throw new HoldfastError('ECONNRESET', 'the session has ended')
  }
  try {
    session.demandHoldRoom() // others were taken while this one waited
    return new HeldByClient(session, hold).granted(file)
  } catch (error) {
    // Whoever does not learn of it could not give it back: its handle was closed meanwhile, say.
    if (session.holds.has(hold.id)) session.held(hold.id).release()
    else hold.release()
    throw error
  }
}

function optionsOf(session: ClientSession, wish: Wish, { signal }: CallContext) {
  return { ...holdOptions(wish), session: session.layout, signal }
}

/** A hold of a file that is open: what one is opened for says nothing of another. */
function held(session: ClientSession, id: number, { ino }: LayoutFile): HeldByClient {
  const one = session.held(id)
  if (one.hold.info().ino === ino) return one
  throw new HoldfastError('EINVAL', `hold ${id} is of inode ${one.hold.info().ino}, not ${ino}`)
}

export const holdVerbs: Some<
  | 'pin'
  | 'seal'
  | 'layoutGet'
  | 'layoutReturn'
  | 'layoutCommit'
  | 'heldExtents'
  | 'register'
  | 'deregister'
  | 'commit'
> = {
  pin: (session, { wish }, call) => {
    session.demandWritable()
    const file = session.file(wish.handle)
    return take(session, wish, call, (options) => session.volume.promises.pin(file, options))
  },

  seal: (session, { wish }, call) => {
    session.demandMapping()
    session.demandWritable()
    const file = session.file(wish.handle)
    return take(session, wish, call, (options) => session.volume.promises.seal(file, options))
  },

  layoutGet: (session, { wish, iomode }, call) => {
    if (iomode === 'rw') session.demandWritable()
    const file = session.file(wish.handle)
    const onRecall = (id: number, recall: Parameters<typeof tellRecall>[2]) =>
      tellRecall(session, id, recall)
    const revoke = () => session.revoke(taken)
    let taken: Hold | null = null
    return take(session, wish, call, async (options) => {
      const caughtUp = () => session.caughtUp()
      const apart = () => session.maps
      const lease = { ...options, iomode, onRecall, revoke, caughtUp, apart }
      return (taken = await session.volume.promises.lease(file, lease))
    })
  },

  layoutReturn: (session, { id, range }) => {
    session.held(id).giveBack(range)
    return {}
  },

  layoutCommit: async (session, { id, size }, call) => {
    for (const { source } of session.held(id).registrations) await source.persist()
    if (session.maps) await session.held(id).flush()
    const { hold } = session.held(id)
    await session.settle(call, null, () => hold.commit(size, { stored: true }))
    await session.durable()
    return {}
  },

  heldExtents: (session, { id, from }) => session.held(id).extents(from),

  register: (session, { handle, hold, write }) => {
    const file = session.file(handle)
    if (write) session.demandWritable()
    if (file.stat().type === 'directory') throw new HoldfastError('EISDIR')
    if (write && !file.wish.write) {
      throw new HoldfastError('EBADF', 'the handle is not open for writing')
    }
    if (!file.wish.read) throw new HoldfastError('EBADF', 'the handle is not open for reading')
    const { region } =
      hold === undefined
        ? Registration.onDemand(session, file, write)
        : Registration.ofHold(session, held(session, hold, file), write)
    return { stag: region.stag, address: region.address, length: region.length }
  },

  deregister: (session, { stag }) => {
    session.registration(stag).end()
    return {}
  },

  commit: async (session, { stag }) => {
    await session.registration(stag).source.persist()
    await session.durable()
    return {}
  },
}
