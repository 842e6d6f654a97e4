/**
 * What the siw of a Linux kernel sent and got, and the worked frames, read by the parsers of
 * production, cut anywhere, and made again byte for byte. test/rdma/captures/README.md says what
 * each capture is, captures.ts what is in it.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { FpduReader, FpduWriter } from '../../src/rdma/fpdu.js'
import { ProtocolError } from '../../src/rdma/protocol_error.js'
import { Segment } from '../../src/rdma/segment.js'
import { Opcode, ReadRequest } from '../../src/rdma/wire/ddp.js'
import { defineHeader } from '../../src/rdma/wire/header.js'
import {
  decodeMpa,
  encodeMpa,
  invalidMpa,
  mpaLength,
  MpaFrame,
  type MpaSetup,
} from '../../src/rdma/wire/mpa.js'
import { decodeTerminate } from '../../src/rdma/wire/terminate.js'
import { CAPTURES, type Story } from './captures.js'
import {
  decodeHeader,
  fieldsOf,
  frameOf,
  hexOf,
  joined,
  NOTHING,
  remade,
  type SegmentFields,
} from './frames.js'
import { conversations, type Conversation } from './pcap.js'
import { runs, seed } from './random.js'

const FOLDER = join('test', 'rdma', 'captures')
const NAMES = Object.entries(Opcode).map(([name, opcode]) => [opcode, name] as const)

/** A direction of a connection and how its frames are made. */
interface Stream {
  readonly bytes: Uint8Array
  readonly kind: MpaSetup['kind']
  readonly crc: boolean
  readonly markers: boolean
}

interface Found {
  readonly setup: MpaSetup
  readonly ulpdus: readonly Uint8Array[]
  readonly error: ProtocolError | null
}

/** Reads a stream that comes in pieces which end at these offsets, in order. */
function read({ bytes, kind, crc, markers }: Stream, cuts: Iterable<number>): Found {
  const frames = new FpduReader({ crc, markers })
  const segment = new Segment()
  const ulpdus: Uint8Array[] = []
  let error: ProtocolError | null = null
  let begun = NOTHING
  let setup: MpaSetup | null = null
  let from = 0
  for (const end of [...cuts, bytes.length]) {
    // Overwritten afterwards: what is still wanted of it then was to be kept.
    const piece = bytes.slice(from, end)
    from = end
    let rest = piece
    if (setup === null) {
      begun = joined([begun, piece])
      assert.equal(invalidMpa(begun, begun.length, kind), null)
      if (begun.length < MpaFrame.size || begun.length < mpaLength(begun)) continue
      setup = decodeMpa(begun, kind)
      rest = begun.slice(mpaLength(begun))
    }
    try {
      frames.push(rest)
      while (frames.next()) {
        segment.read(frames.bytes, frames.start, frames.length)
        ulpdus.push(frames.bytes.slice(frames.start, frames.start + frames.length))
      }
    } catch (thrown) {
      assert.ok(thrown instanceof ProtocolError, String(thrown))
      error = thrown
      break
    }
    rest.fill(0xdd)
  }
  if (error === null) assert.equal(frames.between, true, 'the stream ends in a frame')
  return { setup: setup!, ulpdus, error }
}

function streamsOf({ initiator, responder }: Conversation): readonly [Stream, Stream] {
  const request = decodeMpa(initiator.bytes, 'request')
  const reply = decodeMpa(responder.bytes, 'reply')
  const crc = request.crc || reply.crc
  return [
    { bytes: initiator.bytes, kind: 'request', crc, markers: reply.markers },
    { bytes: responder.bytes, kind: 'reply', crc, markers: request.markers },
  ]
}

function wordsOfSetup(setup: MpaSetup): string {
  const { revision, crc, markers, reject, enhanced, privateData } = setup
  const words = [`v${revision}`]
  if (crc) words.push('crc')
  if (markers) words.push('markers')
  if (reject) words.push('reject')
  if (enhanced !== null) words.push(`${enhanced.ird}/${enhanced.ord}`)
  if (enhanced?.peerToPeer === true) words.push('peer', ...enhanced.rtrs)
  if (privateData.length > 0) words.push(JSON.stringify(Buffer.from(privateData).toString()))
  return words.join(' ')
}

function segmentIn(ulpdu: Uint8Array): Segment {
  const segment = new Segment()
  segment.read(ulpdu, 0, ulpdu.length)
  return segment
}

function wordOf(ulpdu: Uint8Array): string {
  const { opcode, payload = NOTHING } = fieldsOf(segmentIn(ulpdu))
  const name = NAMES.find(([number]) => number === opcode)![1]
  if (opcode === Opcode.readRequest) return `${name}:${decodeHeader(ReadRequest, payload).length}`
  if (opcode === Opcode.terminate) return `${name}:${hexOf(payload.subarray(0, 4))}`
  return `${name}:${payload.length}`
}

/** A stream made again of what was found in it. */
function madeAgain({ crc, markers }: Stream, { setup, ulpdus }: Found): Uint8Array {
  const writer = new FpduWriter({ crc, markers })
  const frames = ulpdus.map((ulpdu) => frameOf(remade(segmentIn(ulpdu)), writer))
  return joined([encodeMpa(setup), ...frames])
}

function assertStory(story: Story, streams: readonly [Stream, Stream]): void {
  const [first, second] = streams.map((stream) => read(stream, [])) as [Found, Found]
  assert.deepEqual(
    {
      request: wordsOfSetup(first.setup),
      reply: wordsOfSetup(second.setup),
      initiator: first.ulpdus.map(wordOf).join(' '),
      responder: second.ulpdus.map(wordOf).join(' '),
      error: first.error?.error,
    },
    {
      request: story.request,
      reply: story.reply,
      initiator: story.initiator,
      responder: story.responder,
      error: story.error,
    },
  )
  assert.equal(second.error, null)
  const told = [...first.ulpdus, ...second.ulpdus]
    .map((ulpdu) => fieldsOf(segmentIn(ulpdu)))
    .filter(({ opcode }) => opcode === Opcode.terminate)
    .map(({ payload = NOTHING }) => decodeTerminate(payload, false).error)
  if (story.told !== undefined) assert.deepEqual(told, [story.told])
}

/** A buffer, as rping's client announces it. */
const Buffer16 = defineHeader('rping buffer', 16, 'rdma-core, rping.c', {
  to: [0, 8, 'address'],
  stag: [8, 4, 'rkey'],
  length: [12, 4, 'bytes'],
})

/** Each round of an rping, from what both sides sent; returns how many there were. */
function assertPings(streams: readonly [Stream, Stream]): number {
  const [client, server] = streams.map((stream) =>
    read(stream, []).ulpdus.map((ulpdu) => fieldsOf(segmentIn(ulpdu))),
  ) as [SegmentFields[], SegmentFields[]]
  const sent = (by: SegmentFields[], opcode: Opcode) =>
    by.filter((one) => one.opcode === opcode && (one.payload ?? NOTHING).length > 0)
  const buffers = sent(client, Opcode.send).map(({ payload }) => decodeHeader(Buffer16, payload!))
  const requests = sent(server, Opcode.readRequest).map((one) =>
    decodeHeader(ReadRequest, one.payload!),
  )
  const responses = sent(client, Opcode.readResponse)
  const writes = sent(server, Opcode.write)
  for (const [round, request] of requests.entries()) {
    const [source, sink] = [buffers[2 * round]!, buffers[2 * round + 1]!]
    const [response, write] = [responses[round]!, writes[round]!]
    assert.deepEqual(
      [request.sourceStag, request.sourceTo, request.length],
      [source.stag, source.to, source.length],
    )
    assert.ok('stag' in response && 'stag' in write)
    assert.deepEqual([response.stag, response.to], [request.sinkStag, request.sinkTo])
    assert.deepEqual([write.stag, write.to], [sink.stag, sink.to])
    assert.equal(hexOf(write.payload!), hexOf(response.payload!))
    const text = Buffer.from(response.payload!).toString('latin1')
    // What it says is of the round: it begins with another letter each time, and goes on from it.
    assert.match(text, new RegExp(`^rdma-ping-${round}: ${'ABC'[round]}`))
  }
  return requests.length
}

/** Both as they are, one after the other, however the stream was cut. */
function assertSame(found: Found, whole: Found, how: string): void {
  assert.equal(found.ulpdus.length, whole.ulpdus.length, how)
  for (const [i, ulpdu] of found.ulpdus.entries()) {
    assert.equal(Buffer.compare(ulpdu, whole.ulpdus[i]!), 0, `${how}: ULPDU ${i}`)
  }
  assert.deepEqual(found.error?.message, whole.error?.message, how)
  assert.deepEqual(found.setup, whole.setup, how)
}

test('every capture has its story', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.pcap'))
  assert.deepEqual(
    files.sort(),
    Object.keys(CAPTURES)
      .map((name) => `${name}.pcap`)
      .sort(),
  )
})

for (const [name, stories] of Object.entries(CAPTURES)) {
  describe(`the capture ${name}`, () => {
    const found = conversations(readFileSync(join(FOLDER, `${name}.pcap`)))
    const all = found.map(streamsOf)

    test('holds the connections that it is said to hold', () => {
      assert.equal(all.length, stories.length)
      for (const [i, streams] of all.entries()) assertStory(stories[i]!, streams)
    })

    test("has rping's server read where its client says, and write back what it read", () => {
      let rounds = 0
      for (const [i, streams] of all.entries()) {
        if (/readRequest:64/.test(stories[i]!.responder)) rounds += assertPings(streams)
      }
      const told = stories.map(({ responder }) => responder.match(/readRequest:64/g)?.length ?? 0)
      assert.equal(
        rounds,
        told.reduce((sum, one) => sum + one, 0),
      )
    })

    test('is made again byte for byte of what was read', () => {
      for (const [i, stream] of all.flat().entries()) {
        const whole = read(stream, [])
        const again = madeAgain(stream, whole)
        const { length } = again
        assert.equal(hexOf(again), hexOf(stream.bytes.subarray(0, length)), `stream ${i}`)
        assert.equal(length === stream.bytes.length, whole.error === null)
      }
    })

    test('is the same in two pieces, wherever it is cut, and byte by byte', () => {
      for (const [i, stream] of all.flat().entries()) {
        const whole = read(stream, [])
        for (let cut = 0; cut <= stream.bytes.length; cut++) {
          assertSame(read(stream, [cut]), whole, `stream ${i} cut at ${cut}`)
        }
        assertSame(read(stream, stream.bytes.keys()), whole, `stream ${i} byte by byte`)
      }
    })

    test(`is the same in pieces of any size (SEED=${seed})`, () => {
      const cuts = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 24 })
      const run = (offsets: readonly number[]) => {
        for (const [i, stream] of all.flat().entries()) {
          const within = offsets.filter((at) => at < stream.bytes.length).sort((a, b) => a - b)
          assertSame(read(stream, within), read(stream, []), `stream ${i}`)
        }
      }
      fc.assert(fc.property(cuts, run), runs(40))
    })
  })
}
