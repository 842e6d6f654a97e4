/**
 * Every parser of the RNIC, shown what a hostile peer may send: valid frames, mostly, with a few
 * things changed. Whatever comes, a parser says what it found or a ProtocolError, the same however
 * the stream is cut, and keeps no more than a frame.
 *
 * SEED repeats a run; HOLDFAST_LONG makes it longer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FpduReader, fpduBytes, FpduWriter, ULPDU_MAX } from '../../src/rdma/fpdu.js'
import { ProtocolError } from '../../src/rdma/protocol_error.js'
import { Segment } from '../../src/rdma/segment.js'
import { acceptOf, concludeFrom, rejectOf, type SetupOptions } from '../../src/rdma/setup.js'
import { DdpBit, DDP_VERSION, headerBytes, RDMAP_VERSION } from '../../src/rdma/wire/ddp.js'
import {
  decodeMpa,
  encodeMpa,
  invalidMpa,
  mpaLength,
  MpaFlag,
  MpaFrame,
  PRIVATE_DATA_MAX,
  type MpaSetup,
} from '../../src/rdma/wire/mpa.js'
import {
  DdpError,
  decodeTerminate,
  encodeTerminate,
  errorName,
  MpaError,
  RdmapError,
  TerminateControl,
} from '../../src/rdma/wire/terminate.js'
import { collect } from '../native/garbage.js'
import { fieldsOf, frameOf, hexOf, joined, NOTHING, pattern, segmentOf } from './frames.js'
import { mutate, mutations, recipes, segments, streamOf } from './mutations.js'
import { framesIn, type Frames } from './plain_reader.js'
import { LONG, runs, seed } from './random.js'

/** Sizes of pieces, over and over. */
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 700 })), {
  minLength: 1,
  maxLength: 6,
})

function* pieces(stream: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < stream.length; i++) {
    const end = at + sizes[i % sizes.length]!
    yield stream.subarray(at, end)
    at = end
  }
}

/** What the reader of production finds. */
function read(
  stream: Uint8Array,
  sizes: readonly number[],
  framing: { crc: boolean; markers: boolean },
): Omit<Frames, 'ends'> {
  const reader = new FpduReader(framing)
  const ulpdus: Uint8Array[] = []
  // A frame has eight bytes at least: who finds more of them than there can be goes in circles.
  const most = stream.length / fpduBytes(0)
  try {
    let at = 0
    for (const piece of pieces(stream, sizes)) {
      // By itself, or as a part of what there is: nothing behind it may be looked at.
      if ((at & 1) === 0) reader.push(piece.slice())
      else reader.push(stream, at, at + piece.length)
      at += piece.length
      while (reader.next()) {
        ulpdus.push(reader.bytes.slice(reader.start, reader.start + reader.length))
        assert.ok(ulpdus.length <= most, 'more frames than there can be')
        // What is behind a frame may be put aside, and come again.
        if (ulpdus.length % 3 === 0) reader.push(reader.takeRest())
      }
    }
  } catch (thrown) {
    if (!(thrown instanceof ProtocolError)) throw thrown
    return { ulpdus, error: thrown.error, between: false }
  }
  return { ulpdus, error: null, between: reader.between }
}

const hexed = ({ ulpdus, error, between }: Omit<Frames, 'ends'>) => ({
  ulpdus: ulpdus.map(hexOf),
  error,
  between,
})

/** A segment is read, or there is a ProtocolError; what was read is what there is. */
function readSegment(ulpdu: Uint8Array): ProtocolError | null {
  // Others stand before it and behind it, as in a stream.
  const around = joined([pattern(7, 1), ulpdu, pattern(80, 2)])
  const segment = new Segment()
  const whole = ulpdu.length >= 2 && ulpdu.length >= headerBytes(ulpdu[0]!)
  assert.equal(segment.parse(around, 7, ulpdu.length), whole)
  try {
    segment.read(around, 7, ulpdu.length)
  } catch (thrown) {
    if (!(thrown instanceof ProtocolError)) throw thrown
    return thrown
  }
  const again = segmentOf(fieldsOf(segment))
  const bits = ulpdu.slice()
  bits[0]! &= DdpBit.tagged | DdpBit.last | DDP_VERSION
  bits[1]! &= (RDMAP_VERSION << 6) | 0x0f
  assert.equal(hexOf(again), hexOf(bits))
  return null
}

test(`a stream is read as a plain reader reads it, however it is cut (SEED=${seed})`, () => {
  const tally = new Map<string, number>()
  fc.assert(
    fc.property(recipes, cuts, (recipe, sizes) => {
      const stream = streamOf(recipe)
      const expected = framesIn(stream, recipe.framing)
      const said = expected.error === null ? 'read' : errorName(...expected.error)!
      tally.set(said, (tally.get(said) ?? 0) + 1)
      for (const way of [sizes, [1], [stream.length + 1]]) {
        assert.deepEqual(hexed(read(stream, way, recipe.framing)), hexed(expected))
      }
    }),
    runs(1500),
  )
  for (const outcome of ['read', 'LLP crc', 'LLP markerMismatch']) {
    assert.ok(tally.get(outcome)! > 20 * LONG, `${outcome}: ${tally.get(outcome)}`)
  }
})

test(`a segment is what its bytes say, or a ProtocolError (SEED=${seed})`, () => {
  const changes = fc.array(mutations, { maxLength: 2 })
  const tally = new Map<string, number>()
  const run = (bytes: Uint8Array) => {
    const error = readSegment(bytes)
    const said = error === null ? 'read' : error.message.replace(/:.*/, '')
    tally.set(said, (tally.get(said) ?? 0) + 1)
  }
  fc.assert(
    fc.property(segments, changes, (segment, all) => run(all.reduce(mutate, segment))),
    runs(3000),
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 90 }), run), runs(2000))
  const outcomes = [
    'read',
    'LLP markerMismatch',
    'DDP taggedVersion',
    'DDP untaggedVersion',
    'DDP invalidQueue',
    'RDMAP invalidVersion',
    'RDMAP unexpectedOpcode',
    'RDMAP streamCatastrophic',
  ]
  assert.deepEqual([...tally.keys()].sort(), outcomes.sort())
})

test('any first two bytes are refused or read, with any length that means something', () => {
  const lengths = [0, 1, 2, 13, 14, 17, 18, 21, 22, 26, 30, 46, 70]
  for (const ddp of [0, 1, 2, 3].flatMap((bits) => [bits, 0x40 | bits, 0x80 | bits, 0xc0 | bits])) {
    for (let rdmap = 0; rdmap < 0x100; rdmap++) {
      for (const length of lengths)
        readSegment(Uint8Array.of(ddp, rdmap, ...pattern(70, 9)).subarray(0, length))
    }
  }
})

const setups: fc.Arbitrary<MpaSetup> = fc.record({
  kind: fc.constantFrom('request' as const, 'reply' as const),
  revision: fc.constantFrom(1, 2, 2, 2),
  markers: fc.boolean(),
  crc: fc.boolean(),
  reject: fc.boolean(),
  large: fc.boolean(),
  enhanced: fc.option(
    fc.record({
      ird: fc.nat({ max: 0x3fff }),
      ord: fc.nat({ max: 0x3fff }),
      peerToPeer: fc.boolean(),
      rtrs: fc.subarray(['send', 'write', 'read'] as const),
    }),
  ),
  privateData: fc.uint8Array({ maxLength: PRIVATE_DATA_MAX - 4 }),
})

const OPTIONS: SetupOptions = {
  revision: 2,
  crc: false,
  markers: false,
  large: true,
  ird: 16,
  ord: 16,
  peerToPeer: true,
  rtrs: ['write', 'read', 'send'],
}

/** Both ends of a connection make of it what they agree on, or a ProtocolError. */
function assertSettles(setup: MpaSetup): void {
  try {
    if (setup.kind === 'reply') concludeFrom(OPTIONS, setup)
    else {
      encodeMpa(rejectOf(setup, NOTHING))
      const { reply, agreed } = acceptOf(OPTIONS, setup, NOTHING)
      assert.ok(agreed.ird <= OPTIONS.ird && agreed.ord <= OPTIONS.ord)
      encodeMpa(reply)
    }
  } catch (thrown) {
    if (!(thrown instanceof ProtocolError)) throw thrown
  }
}

test(`a Request or Reply is found bad with its first bad byte, or read whole (SEED=${seed})`, () => {
  const changes = fc.array(mutations, { maxLength: 2 })
  let good = 0
  const run = (bytes: Uint8Array, kind: MpaSetup['kind']) => {
    let why: string | null = null
    for (let length = 0; length <= bytes.length; length++) {
      const now = invalidMpa(bytes, length, kind)
      if (why !== null) assert.equal(now, why, 'what was bad stays bad, for the same reason')
      why = now
      // What is not there yet is not looked at.
      assert.equal(invalidMpa(bytes.subarray(0, length), length, kind), now)
    }
    if (why !== null || bytes.length < MpaFrame.size) return
    const length = mpaLength(bytes)
    assert.ok(length <= MpaFrame.size + PRIVATE_DATA_MAX)
    if (bytes.length < length) return
    good++
    const setup = decodeMpa(bytes, kind)
    const kept = bytes.slice(0, length)
    const { flags } = MpaFrame.at
    kept[flags]! &=
      MpaFlag.markers | MpaFlag.crc | MpaFlag.reject | MpaFlag.enhanced | MpaFlag.large
    assert.equal(hexOf(encodeMpa(setup)), hexOf(kept))
    assertSettles(setup)
  }
  fc.assert(
    fc.property(setups, changes, fc.uint8Array({ maxLength: 8 }), (setup, all, behind) => {
      const bytes = joined([encodeMpa(setup), behind])
      run(all.reduce(mutate, bytes), setup.kind)
    }),
    runs(600),
  )
  assert.ok(good > 100 * LONG, `only ${good} were read`)
})

test(`a Terminate is read whatever it says, and as it was meant (SEED=${seed})`, () => {
  const errors = [RdmapError, DdpError, MpaError].flatMap((table) => Object.values(table))
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 70 }), fc.boolean(), (bytes, early) => {
      const { error, name, blamed } = decodeTerminate(bytes, early)
      const [layer, type] = error
      const first = bytes[0]!
      assert.ok([(layer << 4) | type, (type << 4) | layer].includes(first))
      assert.equal(error[2], bytes[1])
      assert.ok(name === errorName(...error) || /no RFC names/.test(name))
      assert.ok(blamed.length === 0 || hexOf(bytes).endsWith(hexOf(blamed)))
    }),
    runs(2000),
  )
  for (const error of errors) {
    const ddp = pattern(14, 3)
    for (const [length, header] of [[30, ddp] as const, [null, NOTHING] as const]) {
      const bytes = encodeTerminate({ error, length, ddp: header, rdmap: NOTHING })
      assert.ok(bytes.length >= TerminateControl.size)
      assert.deepEqual(decodeTerminate(bytes, true).error, error)
      assert.equal(hexOf(decodeTerminate(bytes, true).blamed), hexOf(header))
      // Set up, nobody speaks of the setup: what looks like it is siw's, with another meaning.
      if (error[0] !== 2) assert.deepEqual(decodeTerminate(bytes, false).error, error)
    }
  }
})

/** Bytes of memory outside of the heap that are in use. */
function buffersInUse(): number {
  collect()
  // What the first found is given back by another thread; the second waits for that.
  collect()
  return process.memoryUsage().arrayBuffers
}

/** Of the longest frame there is, its markers among it. */
const FRAME_MAX = new FpduWriter({ crc: true, markers: true }).bytesFor(ULPDU_MAX)

for (const markers of [false, true]) {
  const kept = markers ? 'a frame, with its markers and without' : 'one frame'
  test(`a reader keeps ${kept}, whatever comes and however (SEED=${seed})`, () => {
    const writer = new FpduWriter({ crc: true, markers })
    const lengths = [100, ULPDU_MAX, 3, ULPDU_MAX - 6, ULPDU_MAX, 40_000, ULPDU_MAX]
    const stream = joined(lengths.map((length) => frameOf(pattern(length, length), writer)))
    const sizes = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 6 })
    // As they come when somebody wants the memory to grow past a frame by doubling it.
    const examples: [number[]][] = [[[FRAME_MAX - 600, 4]], [[33_000, 1]], [[1460]]]
    const run = (all: readonly number[]) => {
      const before = buffersInUse()
      const readers = Array.from({ length: 16 }, () => new FpduReader({ crc: true, markers }))
      for (const reader of readers) {
        let found = 0
        // The last byte does not come: a frame is kept.
        for (const piece of pieces(stream.subarray(0, stream.length - 1), all)) {
          reader.push(piece)
          while (reader.next()) found++
        }
        assert.equal(found, lengths.length - 1)
        reader.push(NOTHING)
      }
      const each = (buffersInUse() - before) / readers.length
      const most = (markers ? 2 : 1) * FRAME_MAX
      assert.ok(each < most + 1024, `${Math.round(each)} bytes a reader, at most ${most}`)
      assert.ok(readers.every((reader) => !reader.between))
    }
    fc.assert(fc.property(sizes, run), { ...runs(8), examples })
  })
}
