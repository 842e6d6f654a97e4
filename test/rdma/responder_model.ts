/**
 * What a peer may say to a responder that has some regions and receives: frames, each with the
 * numbers that are next or with others; and what a responder must make of them, frame by frame, in
 * the order in which the RFCs have the checks. Of requests it says nothing: when they are answered
 * depends on what comes with them.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  AtomicRequest,
  AtomicResponse,
  Opcode,
  queueOf,
  ReadRequest,
} from '../../src/rdma/wire/ddp.js'
import {
  DdpError,
  encodeTerminate,
  RdmapError,
  type ErrorCode,
} from '../../src/rdma/wire/terminate.js'
import { encodeHeader, hexOf, joined, NOTHING, pattern, segmentOf } from './frames.js'

export const REGION_BYTES = 1024
const GUARD_BYTES = 64
export const ADDRESS = 0x1_0000_0000
export const RECEIVES = 6
export const RECEIVE_BYTES = 80

/** Regions, by what may be done with them here. */
export const REGIONS = ['open', 'readable', 'unreadable', 'loan', 'foreign'] as const
type RegionName = (typeof REGIONS)[number]

/** What a frame is to be, before it is known what its numbers must be. */
export interface Wish {
  readonly opcode: Opcode
  readonly last: boolean
  readonly region: RegionName | 'none'
  /** From the beginning of the region; far beyond it, too. */
  readonly offset: bigint
  readonly size: number
  /** Added to the right MSN and MO. */
  readonly off: number
}

/** What nobody asked for, and what ends it, less often than the others. */
const opcodes = fc.oneof(
  {
    arbitrary: fc.constantFrom(
      Opcode.write,
      Opcode.readRequest,
      Opcode.send,
      Opcode.sendSolicited,
      Opcode.immediate,
      Opcode.atomicRequest,
    ),
    weight: 8,
  },
  { arbitrary: fc.constantFrom(...Object.values(Opcode)), weight: 1 },
)

export const wishes: fc.Arbitrary<Wish> = fc.record({
  opcode: opcodes,
  last: fc.oneof({ arbitrary: fc.constant(true), weight: 2 }, fc.boolean()),
  region: fc.oneof(
    { arbitrary: fc.constant('open' as const), weight: 4 },
    { arbitrary: fc.constantFrom(...REGIONS, 'none' as const), weight: 1 },
  ),
  offset: fc.oneof(
    { arbitrary: fc.bigInt(0n, 1000n), weight: 4 },
    { arbitrary: fc.bigInt(-100n, 1100n), weight: 1 },
    { arbitrary: fc.constantFrom(-(1n << 32n), -(1n << 33n), -BigInt(ADDRESS) - 10n), weight: 1 },
  ),
  size: fc.oneof(
    { arbitrary: fc.nat({ max: 24 }), weight: 4 },
    { arbitrary: fc.nat({ max: 200 }), weight: 1 },
  ),
  off: fc.oneof({ arbitrary: fc.constant(0), weight: 9 }, fc.constantFrom(1, -1, 7)),
})

const address = (offset: bigint) => BigInt.asUintN(64, BigInt(ADDRESS) + offset)
const word = (value: number) => value >>> 0
/** Of no region. */
const NO_STAG = 0x0bad_0bad

/** A frame, its regions by name. */
interface Said {
  readonly wish: Wish
  readonly payload: Uint8Array
  readonly msn: number
  readonly mo: number
  readonly last: boolean
}

/** Frames whose numbers are those that are next, but for what is wished otherwise. */
function saidBy(all: readonly Wish[]): Said[] {
  const next = [1, 1, 1, 1]
  let sent = 0
  let open: Wish | null = null
  return all.map((wished, i) => {
    const splits = queueOf(wished.opcode) === 0 && wished.opcode < Opcode.immediate
    // A message that has begun goes on, mostly.
    const goesOn = splits && open !== null && wished.size % 8 !== 7
    const wish: Wish = goesOn ? { ...wished, opcode: open!.opcode, region: open!.region } : wished
    const { opcode, size, off } = wish
    const queue = queueOf(opcode)!
    const payload = payloadOf(wish, i)
    const last = wish.last || (queue >= 0 && !splits)
    if (queue === -1) return { wish, payload, msn: 0, mo: 0, last }
    // One of the two is off.
    const [msn, mo] = size % 2 === 0 || !splits ? [off, 0] : [0, off]
    const said = { wish, payload, msn: word(next[queue]! + msn), mo: word(sent + mo), last }
    if (splits) {
      sent = last ? 0 : sent + payload.length
      open = last ? null : wish
    }
    if (last) next[queue]!++
    return splits ? said : { ...said, mo: 0 }
  })
}

/** The region that a Send with Invalidate names. */
const lent = ({ region }: Wish) => (region === 'open' ? 'loan' : region)

export function segmentsOf(all: readonly Wish[], stags: ReadonlyMap<string, number>): Uint8Array[] {
  const stagOf = (region: string) => stags.get(region) ?? NO_STAG
  return saidBy(all).map(({ wish, payload, msn, mo, last }) => {
    const { opcode, region, offset } = wish
    const stag = stagOf(region)
    if (queueOf(opcode) === -1) {
      return segmentOf({ opcode, last, stag, to: address(offset), payload })
    }
    if (opcode === Opcode.readRequest || opcode === Opcode.atomicRequest) {
      // The place of the STag is the same in both, but for where each begins.
      new DataView(payload.buffer).setUint32(
        opcode === Opcode.readRequest ? ReadRequest.at.sourceStag : AtomicRequest.at.stag,
        stag,
      )
    }
    return segmentOf({ opcode, last, msn, mo, invalidateStag: stagOf(lent(wish)), payload })
  })
}

function payloadOf({ opcode, offset, size }: Wish, salt: number): Uint8Array<ArrayBuffer> {
  const stag = NO_STAG
  const to = address(offset)
  switch (opcode) {
    case Opcode.readRequest: {
      const sink = { sinkStag: 7, sinkTo: 9n, length: size }
      return encodeHeader(ReadRequest, { ...sink, sourceStag: stag, sourceTo: to })
    }
    case Opcode.atomicRequest: {
      const change = { data: 5n, mask: 0n, compare: 0n, compareMask: 0n }
      return encodeHeader(AtomicRequest, {
        operation: size % 3,
        requestId: salt,
        stag,
        to: to & ~7n,
        ...change,
      })
    }
    case Opcode.atomicResponse:
      return encodeHeader(AtomicResponse, { requestId: salt, original: 1n })
    case Opcode.immediate:
    case Opcode.immediateSolicited:
      return pattern(8, salt)
    case Opcode.terminate: {
      const ddp = pattern(size % 19, salt)
      return encodeTerminate({ error: DdpError.bounds, length: size, ddp, rdmap: NOTHING })
    }
    default:
      return pattern(size, salt)
  }
}

/** Memory with guards on both sides. */
export class Plot {
  readonly all = pattern(REGION_BYTES + 2 * GUARD_BYTES, 77)
  readonly #before = hexOf(this.all)
  readonly memory = this.all.subarray(GUARD_BYTES, GUARD_BYTES + REGION_BYTES)

  assertUntouched(): void {
    assert.equal(hexOf(this.all), this.#before)
  }

  assertGuards(): void {
    const guards = (hex: string) => hex.slice(0, 2 * GUARD_BYTES) + hex.slice(-2 * GUARD_BYTES)
    assert.equal(guards(hexOf(this.all)), guards(this.#before))
  }
}

export const RIGHTS = {
  open: ['localWrite', 'remoteRead', 'remoteWrite', 'remoteAtomic'],
  readable: ['remoteRead'],
  unreadable: [],
  loan: ['remoteInvalidate'],
  foreign: ['localWrite', 'remoteRead', 'remoteWrite', 'remoteAtomic', 'remoteInvalidate'],
} as const

/** How a connection ends, and what it leaves. */
export interface Ending {
  readonly cause: string
  readonly error: string
  readonly received: readonly string[]
  readonly open: string
}

type Send = { readonly opcode: Opcode; readonly region: string; bytes: Uint8Array }

class Model {
  readonly #plot = new Plot()
  readonly #received: string[] = []
  readonly #next = [1, 1, 1, 1]
  #loan = true
  #send: Send | null = null
  #tagged = false

  end(cause: string, error: ErrorCode | null): Ending {
    const open = hexOf(this.#plot.memory)
    return { cause, error: error?.join(' ') ?? '', received: this.#received, open }
  }

  get between(): boolean {
    return this.#send === null && !this.#tagged
  }

  /** The error of a frame; null: it has none. */
  take(said: Said): ErrorCode | null {
    const { opcode } = said.wish
    if (opcode === Opcode.write) return this.#write(said)
    if (opcode === Opcode.readResponse) return RdmapError.unexpectedOpcode
    const queue = queueOf(opcode)!
    const immediate = opcode === Opcode.immediate || opcode === Opcode.immediateSolicited
    if (immediate && this.#send !== null) return RdmapError.unexpectedOpcode
    if (said.msn !== this.#next[queue]) return DdpError.invalidMsn
    if (opcode === Opcode.atomicResponse) return RdmapError.unexpectedOpcode
    if (opcode === Opcode.terminate) return null
    return immediate ? this.#deliver(NOTHING) : this.#sent(said)
  }

  #write({ wish: { region, offset }, payload: { length }, payload, last }: Said): ErrorCode | null {
    this.#tagged = !last
    if (length === 0) return null
    if (region === 'none' || (region === 'loan' && !this.#loan)) return DdpError.invalidStag
    if (region === 'foreign') return DdpError.stagNotOfStream
    if (address(offset) + BigInt(length) > 1n << 64n) return DdpError.toWrap
    if (offset < 0n || offset + BigInt(length) > BigInt(REGION_BYTES)) return DdpError.bounds
    if (region !== 'open') return RdmapError.accessRights
    this.#plot.memory.set(payload, Number(offset))
    return null
  }

  #sent({ wish, payload, mo, last }: Said): ErrorCode | null {
    const { opcode } = wish
    const invalidates =
      opcode === Opcode.sendInvalidate || opcode === Opcode.sendSolicitedInvalidate
    const region = invalidates ? lent(wish) : ''
    const before = this.#send
    if (mo !== (before?.bytes.length ?? 0)) return DdpError.invalidMo
    if (before !== null && (before.opcode !== opcode || before.region !== region)) {
      return RdmapError.unexpectedOpcode
    }
    if (this.#received.length === RECEIVES) return DdpError.noBuffer
    const bytes = joined([before?.bytes ?? NOTHING, payload])
    if (bytes.length > RECEIVE_BYTES) return DdpError.tooLong
    this.#send = { opcode, region, bytes }
    if (!last) return null
    if (invalidates) {
      if (region === 'none' || (region === 'loan' && !this.#loan))
        return RdmapError.cannotInvalidate
      if (region !== 'loan') return RdmapError.protectionCannotInvalidate
      this.#loan = false
    }
    this.#send = null
    return this.#deliver(bytes)
  }

  #deliver(bytes: Uint8Array): ErrorCode | null {
    if (this.#received.length === RECEIVES) return DdpError.noBuffer
    const into = new Uint8Array(RECEIVE_BYTES)
    into.set(bytes)
    this.#received.push(hexOf(into))
    this.#next[0]!++
    return null
  }
}

/** What must become of a connection on which this is said, and no more. */
export function endingOf(all: readonly Wish[]): Ending {
  const model = new Model()
  for (const said of saidBy(all)) {
    const error = model.take(said)
    if (error !== null) return model.end('refused', error)
    if (said.wish.opcode === Opcode.terminate) return model.end('terminated', DdpError.bounds)
  }
  return model.end(model.between ? 'disconnected' : 'lost', null)
}
