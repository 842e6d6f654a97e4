/**
 * An initiator that awaits the responses to Reads and Atomics, and a responder that answers: right,
 * in any number of segments, until he does something wrong. All that was answered right by then has
 * succeeded, in order and with its bytes; nothing else has; all of it completes, once; and nothing
 * is placed but where it was awaited.
 *
 * SEED repeats a run; HOLDFAST_LONG makes it longer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Device } from '../../src/rdma/device.js'
import { FpduWriter } from '../../src/rdma/fpdu.js'
import {
  AtomicRequest,
  AtomicResponse,
  isTagged,
  Opcode,
  ReadRequest,
  UntaggedHeader,
} from '../../src/rdma/wire/ddp.js'
import { encodeMpa, mpaLength } from '../../src/rdma/wire/mpa.js'
import { DdpError, RdmapError, type ErrorCode } from '../../src/rdma/wire/terminate.js'
import {
  decodeHeader,
  encodeHeader,
  frameOf,
  hexOf,
  joined,
  NOTHING,
  pattern,
  segmentOf,
} from './frames.js'
import { framesIn } from './plain_reader.js'
import { runs, seed } from './random.js'
import { ReplayTransport, type Replayed } from './replayed.js'

const GUARD_BYTES = 16
const UNTOUCHED = 0xaa
const ATOMIC_BYTES = 8
const FRAMING = { crc: true, markers: false }

/** Bytes of a Read; null: an Atomic. */
type Asked = number | null

const FAULTS = ['stag', 'offset', 'long', 'short', 'kind', 'id', 'stray'] as const
interface Fault {
  readonly at: number
  readonly fault: (typeof FAULTS)[number]
}

const asked = fc.array(fc.oneof(fc.nat({ max: 60 }), fc.constant(null)), {
  minLength: 1,
  maxLength: 6,
})
const faults = fc.option(fc.record({ at: fc.nat({ max: 5 }), fault: fc.constantFrom(...FAULTS) }))

/** The payload of a request as it was on the wire. */
type Request = Uint8Array

function requestsIn({ sent }: Replayed): Request[] {
  const { ulpdus } = framesIn(sent.subarray(mpaLength(sent)), FRAMING)
  // A Write of nothing follows where nothing was heard for a while.
  const untagged = ulpdus.filter((ulpdu) => !isTagged(ulpdu[0]!))
  return untagged.map((ulpdu) => ulpdu.subarray(UntaggedHeader.size))
}

/** The response of a Read, in segments of `most` bytes, with a fault in its last. */
function readResponse(
  request: Request,
  most: number,
  salt: number,
  fault: string | null,
): Uint8Array[] {
  const { sinkStag, sinkTo, length } = decodeHeader(ReadRequest, request)
  const size = Number(length) + (fault === 'long' ? 1 : fault === 'short' ? -1 : 0)
  const bytes = pattern(Number(length) + 1, salt).subarray(0, size)
  const segments: Uint8Array[] = []
  for (let at = 0; ; at += most) {
    const last = at + most >= size
    const stag = (Number(sinkStag) ^ (last && fault === 'stag' ? 1 : 0)) >>> 0
    const to = BigInt(sinkTo) + BigInt(at + (last && fault === 'offset' ? 1 : 0))
    const payload = bytes.subarray(at, at + most)
    segments.push(segmentOf({ opcode: Opcode.readResponse, last, stag, to, payload }))
    if (last) return segments
  }
}

function atomicResponse(request: Request, msn: number, original: bigint, off: number): Uint8Array {
  const requestId = Number(decodeHeader(AtomicRequest, request).requestId) + off
  const payload = encodeHeader(AtomicResponse, { requestId, original })
  return segmentOf({ opcode: Opcode.atomicResponse, msn, payload })
}

const ERRORS: Readonly<Record<Fault['fault'], ErrorCode>> = {
  stag: DdpError.invalidStag,
  offset: DdpError.bounds,
  long: DdpError.bounds,
  short: DdpError.bounds,
  kind: RdmapError.unexpectedOpcode,
  id: RdmapError.unexpectedOpcode,
  stray: RdmapError.unexpectedOpcode,
}

/** What fits a request; of an Atomic there is no place that could be wrong. */
function fitting(fault: Fault['fault'], size: Asked): Fault['fault'] {
  if (fault === 'stray') return fault
  if (size === null) return fault === 'id' ? fault : 'kind'
  // Where nothing comes, nobody looks at where it goes.
  return fault === 'id' || (size === 0 && fault !== 'long') ? 'kind' : fault
}

/** What a responder answers to all requests, one of them wrong; `fault` null: none. */
function answers(
  requests: readonly Request[],
  all: readonly Asked[],
  at: number,
  fault: Fault['fault'] | null,
  most: number,
): Uint8Array[] {
  let msn = 1
  const stray = segmentOf({ opcode: Opcode.readResponse, stag: 9, to: 9n })
  const segments = requests.flatMap((request, i) => {
    const wrong = i === at && fault !== 'stray' ? fault : null
    if (all[i] === null) {
      if (wrong === 'kind') return [stray]
      return [atomicResponse(request, msn++, BigInt(i), wrong === 'id' ? 1 : 0)]
    }
    if (wrong !== 'kind') return readResponse(request, most, i, wrong)
    return [segmentOf({ opcode: Opcode.atomicResponse, msn, payload: new Uint8Array(12) })]
  })
  return fault === 'stray' ? [...segments, stray] : segments
}

/** Memory of a response, with guards on both sides. */
class Land {
  readonly #all: Uint8Array
  readonly bytes: Uint8Array

  constructor(size: number) {
    this.#all = new Uint8Array(size + 2 * GUARD_BYTES).fill(UNTOUCHED)
    this.bytes = this.#all.subarray(GUARD_BYTES, GUARD_BYTES + size)
  }

  assertGuards(): void {
    this.bytes.fill(UNTOUCHED)
    assert.ok(this.#all.every((byte) => byte === UNTOUCHED))
  }
}

/** Connects, and posts a piece of work for each. */
async function ask(
  all: readonly Asked[],
  lands: readonly Land[],
  device: Device,
  stream: Replayed,
) {
  const cq = device.completionQueue()
  const qp = device.queuePair(device.protectionDomain(), { sendCq: cq })
  const connecting = device.connect(qp, { host: 'there', port: 1, revision: 1, crc: true })
  const setup = { revision: 1, markers: false, crc: true, reject: false, large: false } as const
  const reply = { ...setup, kind: 'reply', enhanced: null, privateData: NOTHING } as const
  stream.feed(encodeMpa(reply), 1000)
  await connecting
  const remote = { stag: 1, address: 8 }
  for (const [id, size] of all.entries()) {
    const local = lands[id]!.bytes
    if (size === null) qp.postSend({ id, op: 'fetchAdd', local, remote, add: 1 })
    else qp.postSend({ id, op: 'read', local, remote })
  }
  // They go out together, when this turn is over.
  await new Promise((resolve) => setImmediate(resolve))
  return { qp, cq }
}

test(`responses are taken up to the first that is wrong (SEED=${seed})`, async () => {
  const run = async (all: Asked[], wrong: Fault | null, most: number, cuts: number[]) => {
    const transport = new ReplayTransport()
    using device = new Device({ transport })
    const lands = all.map((size) => new Land(size ?? ATOMIC_BYTES))
    const stream = transport.connected
    const { qp, cq } = await ask(all, lands, device, stream)
    const requests = requestsIn(stream)
    assert.equal(requests.length, all.length)
    const at = wrong === null ? all.length : Math.min(wrong.at, all.length - 1)
    const fault = wrong === null ? null : fitting(wrong.fault, all[at]!)
    const good = fault === 'stray' ? all.length : at
    const writer = new FpduWriter(FRAMING)
    const frames = answers(requests, all, at, fault, most).map((one) => frameOf(one, writer))
    stream.feed(joined(frames), ...cuts)
    stream.finish()
    const { cause, error } = await qp.closed
    const end = fault === null ? ['disconnected', null] : ['refused', ERRORS[fault]]
    assert.deepEqual([cause, error], end)
    const ended: [unknown, boolean][] = []
    for (let one = cq.take(); one !== null; one = cq.take()) {
      ended.push([one.id, one.status === 'SUCCESS'])
    }
    assert.deepEqual(
      ended,
      all.map((_, id) => [id, id < good]),
    )
    for (const [i, land] of lands.entries()) {
      const got = Buffer.from(land.bytes)
      land.assertGuards()
      const size = all[i]!
      if (i > at && i >= good)
        assert.ok(
          got.every((byte) => byte === UNTOUCHED),
          `response ${i}`,
        )
      else if (i < good && size === null) assert.equal(got.readBigUInt64LE(), BigInt(i))
      else if (i < good) assert.equal(hexOf(got), hexOf(pattern(size!, i)))
    }
  }
  const most = fc.integer({ min: 1, max: 70 })
  const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 3 })
  await fc.assert(fc.asyncProperty(asked, faults, most, cuts, run), runs(400))
})
