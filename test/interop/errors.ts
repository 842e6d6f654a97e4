/**
 * What one end must not do to the other: each fault ends the connection, and both ends say so, by
 * the status of a request, by an event, and by the Terminate between them.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ErrorCode } from '../../src/rdma/wire/terminate.js'
import { DdpError, RdmapError } from '../../src/rdma/wire/terminate.js'
import type { Link, Peer, PeerKind, Region, Work } from './peer.js'
import { CASE_MS, nameOf, PAIRINGS, type Pair, type World } from './world.js'

const BYTES = 4096
const SMALL = 16
/** Of work requests. */
const FIRST_RECEIVE = 1
const LATER_RECEIVE = 2
const FAULT = 3
const WAITING = 4
const INVALIDATING = 5
const UNKNOWN_STAG = 0x1234_5678

/** Memory of the end that is wronged, by what may be done to it. */
interface Scene {
  readonly both: Region
  readonly readable: Region
  readonly writable: Region
  /** Of another protection domain than the connection. */
  readonly foreign: Region
}

interface Ends {
  readonly culprit: { readonly peer: Peer; readonly link: Link }
  readonly victim: { readonly peer: Peer; readonly link: Link }
}

/** What the culprit asks for: of `local`, and FAULT as its number. */
type Wrong = Omit<Work, 'id' | 'local'> & { readonly bytes?: number }

/** How an end that is wronged says so. */
interface Verdict {
  readonly terminate: ErrorCode
  /** The async event of the queue pair, or the cause of its end; null: none. */
  readonly event: string | null
  /** Of the receive that was waiting. */
  readonly receive: string
}

interface Fault {
  readonly name: string
  /** null: it lets that pass. */
  readonly victim: Readonly<Record<PeerKind, Verdict | null>>
  /** The status that the culprit sees; a Write is done once it was sent. */
  readonly culprit: Readonly<Record<PeerKind, string>>
  /** Bytes of the receives that wait for it; 0: there are none. */
  readonly receives?: number
  /** What is done before, in order. */
  readonly before?: (scene: Scene, ends: Ends) => Promise<void>
  readonly wrong: (scene: Scene) => Wrong
}

const WRITE_DONE = { siw: 'SUCCESS', ours: 'SUCCESS' } as const
const READ_REFUSED = { siw: 'WR_FLUSH_ERR', ours: 'REM_ACCESS_ERR' } as const

const remoteOf = ({ stag, address }: Region, offset = 0) => ({
  stag,
  address: address + BigInt(offset),
})

function verdict(terminate: ErrorCode, event: string | null, receive = 'WR_FLUSH_ERR'): Verdict {
  return { terminate, event, receive }
}

/** What siw says of a Write; it has one code for what is not there and for what is not allowed. */
const writeRefused = (siw: ErrorCode, event: string | null, ours: ErrorCode) => ({
  siw: verdict(siw, event),
  ours: verdict(ours, 'refused'),
})
const readRefused = (error: ErrorCode) => ({
  siw: verdict(error, 'QP_REQ_ERR'),
  ours: verdict(error, 'refused'),
})

const WRITES: readonly Fault[] = [
  {
    name: 'a Write to an STag that does not exist',
    victim: writeRefused(DdpError.invalidStag, null, DdpError.invalidStag),
    culprit: WRITE_DONE,
    wrong: () => ({ op: 'write', remote: { stag: UNKNOWN_STAG, address: 0n } }),
  },
  {
    name: 'a Write to what may only be read',
    victim: writeRefused(DdpError.invalidStag, 'QP_ACCESS_ERR', RdmapError.accessRights),
    culprit: WRITE_DONE,
    wrong: ({ readable }) => ({ op: 'write', remote: remoteOf(readable) }),
  },
  {
    name: 'a Write that goes beyond the end',
    victim: writeRefused(DdpError.bounds, 'QP_ACCESS_ERR', DdpError.bounds),
    culprit: WRITE_DONE,
    wrong: ({ both }) => ({ op: 'write', remote: remoteOf(both, BYTES - SMALL + 1) }),
  },
  {
    name: 'a Write that goes below the beginning',
    victim: writeRefused(DdpError.bounds, 'QP_ACCESS_ERR', DdpError.bounds),
    culprit: WRITE_DONE,
    wrong: ({ both }) => ({ op: 'write', remote: remoteOf(both, -1) }),
  },
  {
    name: 'a Write past 2^64',
    victim: writeRefused(DdpError.catastrophic, null, DdpError.toWrap),
    culprit: WRITE_DONE,
    wrong: ({ both }) => ({ op: 'write', remote: { stag: both.stag, address: 2n ** 64n - 8n } }),
  },
  {
    name: 'a Write to memory of another protection domain',
    victim: writeRefused(DdpError.stagNotOfStream, 'QP_ACCESS_ERR', DdpError.stagNotOfStream),
    culprit: WRITE_DONE,
    wrong: ({ foreign }) => ({ op: 'write', remote: remoteOf(foreign) }),
  },
  {
    name: 'a Write to memory that is registered no more',
    victim: writeRefused(DdpError.invalidStag, null, DdpError.invalidStag),
    culprit: WRITE_DONE,
    before: async ({ both }) => await both.deregister(),
    wrong: ({ both }) => ({ op: 'write', remote: remoteOf(both) }),
  },
]

const READS: readonly Fault[] = [
  {
    name: 'a Read of an STag that does not exist',
    victim: readRefused(RdmapError.invalidStag),
    culprit: READ_REFUSED,
    wrong: () => ({ op: 'read', remote: { stag: UNKNOWN_STAG, address: 0n } }),
  },
  {
    name: 'a Read of what may only be written',
    // siw looks at the right to read nowhere.
    victim: { ...readRefused(RdmapError.accessRights), siw: null },
    culprit: READ_REFUSED,
    wrong: ({ writable }) => ({ op: 'read', remote: remoteOf(writable) }),
  },
  {
    name: 'a Read that goes beyond the end',
    victim: readRefused(RdmapError.bounds),
    culprit: READ_REFUSED,
    wrong: ({ both }) => ({ op: 'read', remote: remoteOf(both, BYTES - SMALL + 1) }),
  },
  {
    name: 'a Read of memory of another protection domain',
    victim: readRefused(RdmapError.stagNotOfStream),
    culprit: READ_REFUSED,
    wrong: ({ foreign }) => ({ op: 'read', remote: remoteOf(foreign) }),
  },
  {
    name: 'a Read of memory that is registered no more',
    victim: readRefused(RdmapError.invalidStag),
    culprit: READ_REFUSED,
    before: async ({ both }) => await both.deregister(),
    wrong: ({ both }) => ({ op: 'read', remote: remoteOf(both) }),
  },
]

/** A Send with Invalidate, in order, which the victim has received. */
async function invalidate({ both }: Scene, { culprit, victim }: Ends): Promise<void> {
  const local = { region: await culprit.peer.region(SMALL, 'l'), offset: 0, length: SMALL }
  await culprit.link.post({ id: INVALIDATING, op: 'send', local, invalidate: both.stag })
  assert.equal((await culprit.link.completion(INVALIDATING)).status, 'SUCCESS')
  assert.equal((await victim.link.completion(FIRST_RECEIVE)).status, 'SUCCESS')
}

const SENDS: readonly Fault[] = [
  {
    name: 'a Send that is longer than the receive',
    victim: {
      siw: verdict(DdpError.noBuffer, 'QP_FATAL', 'LOC_LEN_ERR'),
      ours: verdict(DdpError.tooLong, 'refused', 'LOC_LEN_ERR'),
    },
    culprit: WRITE_DONE,
    receives: SMALL - 1,
    wrong: () => ({ op: 'send' }),
  },
  {
    name: 'a Send that nobody waits for',
    victim: {
      siw: verdict(DdpError.noBuffer, null),
      ours: verdict(DdpError.noBuffer, 'refused'),
    },
    culprit: WRITE_DONE,
    receives: 0,
    wrong: () => ({ op: 'send' }),
  },
  {
    name: 'a Send that is to invalidate an STag that does not exist',
    // siw completes its receive with an error, and tells nobody else.
    victim: {
      siw: null,
      ours: verdict(RdmapError.cannotInvalidate, 'refused'),
    },
    culprit: WRITE_DONE,
    wrong: () => ({ op: 'send', invalidate: UNKNOWN_STAG }),
  },
  {
    name: 'a Send that is to invalidate memory of another protection domain',
    victim: {
      siw: null,
      ours: verdict(RdmapError.protectionCannotInvalidate, 'refused'),
    },
    culprit: WRITE_DONE,
    wrong: ({ foreign }) => ({ op: 'send', invalidate: foreign.stag }),
  },
]

const STALE: readonly Fault[] = [
  {
    name: 'a Write to memory that a Send has invalidated',
    victim: writeRefused(DdpError.invalidStag, 'QP_ACCESS_ERR', DdpError.invalidStag),
    culprit: WRITE_DONE,
    before: invalidate,
    wrong: ({ both }) => ({ op: 'write', remote: remoteOf(both) }),
  },
  {
    name: 'a Read of memory that a Send has invalidated',
    victim: readRefused(RdmapError.invalidStag),
    culprit: READ_REFUSED,
    before: invalidate,
    wrong: ({ both }) => ({ op: 'read', remote: remoteOf(both) }),
  },
]

async function sceneOf(peer: Peer): Promise<Scene> {
  return {
    both: await peer.region(BYTES, 'lrwi'),
    readable: await peer.region(BYTES, 'lr'),
    writable: await peer.region(BYTES, 'lw'),
    foreign: await peer.region(BYTES, 'lrw', 1),
  }
}

/** The fault, and what the two say of it. */
async function commit(fault: Fault, { culprit, victim }: Ends): Promise<void> {
  const expected = fault.victim[victim.peer.kind]!
  const scene = await sceneOf(victim.peer)
  const buffer = await culprit.peer.region(BYTES, 'l')
  const inbox = await victim.peer.region(BYTES, 'l')
  const { receives = BYTES } = fault
  if (receives > 0) {
    for (const id of [FIRST_RECEIVE, LATER_RECEIVE]) {
      await victim.link.receive(id, { region: inbox, offset: 0, length: receives })
    }
  }
  await culprit.link.receive(WAITING, { region: buffer, offset: SMALL, length: SMALL })
  const untouched = 77
  if (fault.before === undefined) await scene.both.fill(0, BYTES, untouched)
  else await fault.before(scene, { culprit, victim })
  const wrong = fault.wrong(scene)
  const local = { region: buffer, offset: 0, length: SMALL }
  await culprit.link.post({ ...wrong, id: FAULT, local })

  assert.equal((await culprit.link.completion(FAULT)).status, fault.culprit[culprit.peer.kind])
  await Promise.all([culprit.link.end(), victim.link.end()])
  if (expected.event !== null) assert.equal(await victim.link.event(), expected.event)
  assert.equal((await culprit.link.completion(WAITING)).status, 'WR_FLUSH_ERR')
  if (receives > 0) {
    const later = (await victim.link.completion(LATER_RECEIVE)).status
    assert.equal(later, 'WR_FLUSH_ERR')
    if (fault.before !== invalidate) {
      assert.equal((await victim.link.completion(FIRST_RECEIVE)).status, expected.receive)
    }
  }
  assert.deepEqual(await culprit.link.terminate(victim.peer.kind), expected.terminate)
  if (fault.before === undefined) {
    assert.equal(await scene.both.difference(0, BYTES, untouched), null)
  }
}

async function commitEitherWay(world: World, fault: Fault, pair: () => Promise<Pair>) {
  for (const culprit of ['initiator', 'responder'] as const) {
    const { initiator, responder } = await pair()
    const ends =
      culprit === 'initiator'
        ? { culprit: initiator, victim: responder }
        : { culprit: responder, victim: initiator }
    if (fault.victim[ends.victim.peer.kind] !== null) {
      await world.guest.kernelLog()
      await commit(fault, ends)
    } else {
      await ends.culprit.link.disconnect()
      await Promise.all([ends.culprit.link.end(), ends.victim.link.end()])
    }
    await ends.culprit.link.close()
    await ends.victim.link.close()
  }
}

/** The responder may be the first that speaks. */
const EITHER_FIRST = { asked: { peerToPeer: true } }

export function testErrors(world: World): void {
  for (const pairing of PAIRINGS) {
    describe(`faults, ${nameOf(pairing)}`, () => {
      for (const fault of [...WRITES, ...READS, ...SENDS, ...STALE]) {
        const { initiator, responder } = pairing
        if (fault.victim[initiator] === null && fault.victim[responder] === null) continue
        test(fault.name, { timeout: CASE_MS }, async () => {
          await world.peers(pairing, async (from, to) => {
            await commitEitherWay(world, fault, () => world.connect(from, to, EITHER_FIRST))
          })
        })
      }
    })
  }
}
