/**
 * What initiators said to the siw of a Linux kernel, good and bad, said to a responder of ours: it
 * finds the same faults, and names each of them as the RFCs do.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { FpduReader } from '../../src/rdma/fpdu.js'
import { Device } from '../../src/rdma/device.js'
import { Segment } from '../../src/rdma/segment.js'
import { Opcode } from '../../src/rdma/wire/ddp.js'
import { decodeMpa, mpaLength } from '../../src/rdma/wire/mpa.js'
import { decodeTerminate, RdmapError, type ErrorCode } from '../../src/rdma/wire/terminate.js'
import { CAPTURES, type Story } from './captures.js'
import { fieldsOf, hexOf, NOTHING } from './frames.js'
import { conversations } from './pcap.js'
import { ReplayTransport } from './replayed.js'

/** As rping's server has them. */
const RECEIVE_BYTES = 16

interface Outcome {
  readonly cause: string
  readonly error: ErrorCode | null
  /** Terminates that were sent. */
  readonly told: readonly ErrorCode[]
  /** Messages that were received whole. */
  readonly received: readonly string[]
}

async function replay(bytes: Uint8Array, piece: number): Promise<Outcome> {
  const transport = new ReplayTransport()
  using device = new Device({ transport })
  const listener = await device.listen()
  const cq = device.completionQueue()
  const qp = device.queuePair(device.protectionDomain(), { sendCq: cq })
  const buffers = Array.from({ length: 8 }, () => new Uint8Array(RECEIVE_BYTES))
  for (const into of buffers) qp.postReceive({ id: into, into })
  const stream = transport.arrive()
  const begin = mpaLength(bytes)
  stream.feed(bytes.subarray(0, begin), piece)
  const request = (await listener.next())!
  request.accept(qp, { crc: false, rtrs: ['write', 'read'] })
  stream.feed(bytes.subarray(begin), piece)
  stream.finish()
  const { cause, error } = await qp.closed
  const received: string[] = []
  for (let one = cq.take(); one !== null; one = cq.take()) {
    if (one.status === 'SUCCESS') received.push(hexOf(one.id as Uint8Array))
  }
  return { cause, error, told: toldIn(stream.sent, decodeMpa(bytes, 'request').crc), received }
}

function toldIn(sent: Uint8Array, crc: boolean): ErrorCode[] {
  const reader = new FpduReader({ crc, markers: false })
  const segment = new Segment()
  const told: ErrorCode[] = []
  reader.push(sent, mpaLength(sent))
  while (reader.next()) {
    segment.read(reader.bytes, reader.start, reader.length)
    const { opcode, payload = NOTHING } = fieldsOf(segment)
    if (opcode === Opcode.terminate) told.push(decodeTerminate(payload, false).error)
  }
  return told
}

/** What becomes of a connection whose responder is ours. */
function expectedOf({ initiator, error, above, told }: Story): Omit<Outcome, 'received'> {
  if (/terminate/.test(initiator)) return { cause: 'terminated', error: told!, told: [] }
  // The recorded answer to a Read that a responder of ours did not send.
  const stray = /readResponse/.test(initiator) ? RdmapError.unexpectedOpcode : undefined
  const fault = error ?? above ?? stray
  if (fault === undefined) return { cause: 'disconnected', error: null, told: [] }
  return { cause: 'refused', error: fault, told: [fault] }
}

for (const name of ['host-initiator', 'host-initiator-bad']) {
  describe(`what was said to siw in ${name}, said to a responder of ours`, () => {
    const all = conversations(readFileSync(join('test', 'rdma', 'captures', `${name}.pcap`)))
    for (const [i, story] of CAPTURES[name]!.entries()) {
      // Markers siw refuses, and so nothing was said; an RTR that was not offered we refuse.
      if (/markers|peer$/.test(story.request)) continue
      test(`${i}: ${story.request}, ${story.initiator || (story.error ? 'a bad frame' : 'nothing')}`, async () => {
        for (const piece of [1, 7, 1 << 20]) {
          const { received, ...outcome } = await replay(all[i]!.initiator.bytes, piece)
          assert.deepEqual(outcome, expectedOf(story), `in pieces of ${piece}`)
          const sends = /^(write:0 |readRequest:0 )?send:16/.test(story.initiator) ? 1 : 0
          assert.equal(received.length, story.above === undefined ? sends : 0)
          if (received.length > 0) assert.match(received[0]!, /^0{12}1000/)
        }
      })
    }
  })
}
