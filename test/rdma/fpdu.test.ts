/** Frames in a stream: cut anywhere, with and without markers, damaged. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FpduReader, FpduWriter, ULPDU_MAX } from '../../src/rdma/fpdu.js'
import { ProtocolError } from '../../src/rdma/protocol_error.js'
import { runs, seed } from './random.js'

const content = (length: number, salt: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + salt * 17 + (i >>> 8)) & 0xff)

function streamOf(lengths: readonly number[], crc: boolean, markers: boolean): Uint8Array {
  const writer = new FpduWriter({ crc, markers })
  const frames = lengths.map((length, i) => {
    const bytes = new Uint8Array(writer.bytesFor(length)).fill(0xee)
    bytes.set(content(length, i), FpduWriter.ulpduAt)
    return bytes.subarray(0, writer.seal(bytes, 0, length))
  })
  return new Uint8Array(Buffer.concat(frames))
}

/** What a reader finds in a stream that comes in pieces of these sizes, over and over. */
function read(stream: Uint8Array, sizes: readonly number[], crc: boolean, markers: boolean) {
  const reader = new FpduReader({ crc, markers })
  const found: Uint8Array[] = []
  for (let at = 0, i = 0; at < stream.length; i++) {
    const end = Math.min(stream.length, at + Math.max(1, sizes[i % sizes.length] ?? 1))
    // What it is given is somebody else's afterwards: nothing of it may be kept by reference.
    const piece = stream.slice(at, end)
    reader.push(piece)
    while (reader.next()) found.push(reader.bytes.slice(reader.start, reader.start + reader.length))
    piece.fill(0xdd)
    at = end
  }
  return { found, between: reader.between }
}

const ulpdu = fc.oneof(
  { arbitrary: fc.integer({ min: 0, max: 80 }), weight: 3 },
  { arbitrary: fc.integer({ min: 400, max: 1600 }), weight: 2 },
  { arbitrary: fc.constantFrom(ULPDU_MAX, ULPDU_MAX - 1, 64_768), weight: 1 },
)

test(`ULPDUs come out of a stream as they went in, however it is cut (SEED=${seed})`, () => {
  const lengths = fc.array(ulpdu, { minLength: 1, maxLength: 12 })
  const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 8 })
  const run = (all: number[], pieces: number[], crc: boolean, markers: boolean) => {
    const { found, between } = read(streamOf(all, crc, markers), pieces, crc, markers)
    assert.equal(found.length, all.length)
    for (const [i, bytes] of found.entries()) {
      assert.equal(Buffer.compare(bytes, content(all[i]!, i)), 0, `ULPDU ${i}`)
    }
    assert.equal(between, true)
  }
  fc.assert(fc.property(lengths, sizes, fc.boolean(), fc.boolean(), run), runs(150))
})

test('a marker stands every 512 bytes and leads back to the length of its frame', () => {
  const lengths = [1000, 3, 508, 0, 494, 2048]
  const stream = streamOf(lengths, true, true)
  let start = 0
  const starts = lengths.map((length) => {
    const plain = 2 + length + ((4 - ((length + 2) & 3)) & 3) + 4
    if (start % 512 === 0) start += 4
    const at = start
    for (let n = 0; n < plain; n += 4) {
      if (start % 512 === 0) start += 4
      start += 4
    }
    return at
  })
  assert.equal(start, stream.length)
  for (let at = 0; at < stream.length; at += 512) {
    const pointer = (stream[at + 2]! << 8) | stream[at + 3]!
    const frame = starts.filter((first) => first < at).at(-1)
    const next = starts.includes(at + 4)
    assert.equal(pointer, next ? 0 : at - frame!, `the marker at ${at}`)
    assert.deepEqual([stream[at], stream[at + 1]], [0, 0])
  }
})

test('any bit that is flipped is found by the CRC, or announces another length', () => {
  const stream = streamOf([37], true, false)
  const whole = content(37, 0)
  for (let bit = 0; bit < stream.length * 8; bit++) {
    const bytes = stream.slice()
    bytes[bit >>> 3]! ^= 1 << (bit & 7)
    const reader = new FpduReader({ crc: true, markers: false })
    reader.push(bytes)
    let error: unknown = null
    try {
      // A longer length: the rest of it has not come.
      assert.equal(reader.next(), false)
    } catch (thrown) {
      error = thrown
    }
    if (error === null) assert.ok(bit < 16, `bit ${bit}`)
    else assert.ok(error instanceof ProtocolError && /^LLP crc/.test(error.message))
  }
  assert.equal(Buffer.compare(read(stream, [1], true, false).found[0]!, whole), 0)
})

test('a marker that leads elsewhere is an error of its own', () => {
  const stream = streamOf([1000], false, true)
  stream[512 + 3]! ^= 4
  assert.throws(() => read(stream, [600], false, true), /^ProtocolError: LLP markerMismatch/)
})

test('what is put aside is copied a few times, however often it is', () => {
  const count = 4096
  const stream = streamOf(
    Array.from({ length: count }, () => 20),
    true,
    false,
  )
  const reader = new FpduReader({ crc: true, markers: false })
  reader.push(stream)
  let copies = 0
  let rest = stream
  for (let i = 0; i < count; i++) {
    assert.ok(reader.next())
    assert.equal(reader.length, 20)
    const before = rest.buffer
    rest = reader.takeRest()
    if (rest.buffer !== before) copies++
    assert.ok(2 * rest.length >= rest.buffer.byteLength, 'no more is kept than twice of it')
    reader.push(rest)
  }
  assert.equal(rest.length, 0)
  assert.ok(copies <= 14, `${copies} copies`)
})

test('a length alone takes no memory: what is kept grows with what comes', () => {
  const reader = new FpduReader({ crc: true, markers: false })
  reader.push(new Uint8Array([0xff, 0xff, 1, 2, 3]))
  const before = process.memoryUsage().arrayBuffers
  const readers = Array.from({ length: 1000 }, () => {
    const one = new FpduReader({ crc: true, markers: false })
    one.push(new Uint8Array([0xff, 0xff]))
    assert.equal(one.next(), false)
    return one
  })
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20)
  assert.equal(readers.length, 1000)
  assert.equal(reader.next(), false)
  assert.equal(reader.between, false)
})
