/** The worked frames: what they are, read and made again, byte for byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { native } from '../../src/native/native.js'
import { FpduReader, FpduWriter } from '../../src/rdma/fpdu.js'
import {
  AtomicRequest,
  headerBytes,
  isLast,
  isTagged,
  opcodeOf,
  Opcode,
  putControl,
  queueOf,
  ReadRequest,
  TaggedHeader,
  UntaggedHeader,
} from '../../src/rdma/wire/ddp.js'
import { put64 } from '../../src/rdma/wire/header.js'
import { decodeMpa, encodeMpa, invalidMpa, mpaLength } from '../../src/rdma/wire/mpa.js'
import {
  DdpError,
  decodeTerminate,
  encodeTerminate,
  errorName,
  RdmapError,
} from '../../src/rdma/wire/terminate.js'
import { bytesOf, frameOf, hexOf } from './frames.js'

const ascii = (text: string) => new TextEncoder().encode(text)

/** RFC 3720, B.4. */
const CRCS: Readonly<Record<string, [Uint8Array, number]>> = {
  '32 zeros': [new Uint8Array(32), 0x8a9136aa],
  '32 ones': [new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ascending: [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  descending: [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  digits: [ascii('123456789'), 0xe3069283],
  nothing: [new Uint8Array(0), 0],
}

for (const [name, [bytes, crc]] of Object.entries(CRCS)) {
  test(`the CRC32C of ${name}`, () => assert.equal(native.crc32cOf(bytes, 0, bytes.length, 0), crc))
}

/** A segment: opcode, last, the rest of its header, payload. */
function segment(opcode: Opcode, header: (view: DataView) => void, payload: Uint8Array) {
  const size = headerBytes(queueOf(opcode) === -1 ? 0x80 : 0)
  const bytes = new Uint8Array(size + payload.length)
  const view = new DataView(bytes.buffer)
  putControl(view, 0, opcode, true)
  header(view)
  bytes.set(payload, size)
  return bytes
}

const untagged =
  (qn: number, msn: number, invalidate = 0) =>
  (view: DataView) => {
    view.setUint32(UntaggedHeader.at.invalidateStag, invalidate)
    view.setUint32(UntaggedHeader.at.qn, qn)
    view.setUint32(UntaggedHeader.at.msn, msn)
  }
const tagged = (stag: number, to: number) => (view: DataView) => {
  view.setUint32(TaggedHeader.at.stag, stag)
  put64(view, TaggedHeader.at.to, 0, to)
}

function readRequest(): Uint8Array {
  const bytes = new Uint8Array(ReadRequest.size)
  const view = new DataView(bytes.buffer)
  view.setUint32(ReadRequest.at.sinkStag, 0x00777701)
  put64(view, ReadRequest.at.sinkTo, 0, 0x2000)
  view.setUint32(ReadRequest.at.length, 4096)
  view.setUint32(ReadRequest.at.sourceStag, 0x00abcd01)
  put64(view, ReadRequest.at.sourceTo, 0, 0x10000)
  return bytes
}

function atomicRequest(operation: number, id: number, to: number, words: readonly number[]) {
  const bytes = new Uint8Array(AtomicRequest.size)
  const view = new DataView(bytes.buffer)
  const { at } = AtomicRequest
  view.setUint32(at.operation, operation)
  view.setUint32(at.requestId, id)
  view.setUint32(at.stag, 0x00abcd01)
  put64(view, at.to, 0, to)
  const [data, mask, compare, compareMask] = [at.data, at.mask, at.compare, at.compareMask]
  for (const [i, offset] of [data, mask, compare, compareMask].entries()) {
    const word = words[i]!
    put64(view, offset, word < 0 ? 0xffff_ffff : 0, word < 0 ? 0xffff_ffff : word)
  }
  return bytes
}

const write16 = segment(0, tagged(0x00abcd01, 0x10000), ascii('0123456789ABCDEF'))
const request = segment(Opcode.readRequest, untagged(1, 1), readRequest())
const blamed = segment(Opcode.write, tagged(0xdeadbe01, 0x10000), new Uint8Array(0))

/** Segment and frame, CRC on and no markers. */
const FRAMES: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  'Send "Hello"': [
    segment(Opcode.send, untagged(0, 1), ascii('Hello')),
    '0017 41 43 00000000 00000000 00000001 00000000 48656c6c6f 000000 20f5b101',
  ],
  'Send with Invalidate': [
    segment(Opcode.sendInvalidate, untagged(0, 2, 0x12345601), ascii('Bye!')),
    '0016 41 44 12345601 00000000 00000002 00000000 42796521 0a3c4dd5',
  ],
  'Write of 16 bytes': [
    write16,
    '001e c1 40 00abcd01 0000000000010000 30313233343536373839414243444546 7496005a',
  ],
  'Write of nothing, an RTR': [
    segment(Opcode.write, tagged(1, 0), new Uint8Array(0)),
    '000e c1 40 00000001 0000000000000000 ebd34c5f',
  ],
  'Read Request': [
    request,
    `002e 41 41 00000000 00000001 00000001 00000000
     00777701 0000000000002000 00001000 00abcd01 0000000000010000 480e3fe1`,
  ],
  'Read Response': [
    segment(Opcode.readResponse, tagged(0x00777701, 0x2000), ascii('DATA')),
    '0012 c1 42 00777701 0000000000002000 44415441 bd02212f',
  ],
  'Immediate Data': [
    segment(Opcode.immediate, untagged(0, 3), bytesOf('1122334455667788')),
    '001a 41 48 00000000 00000000 00000003 00000000 1122334455667788 300e44f6',
  ],
  FetchAdd: [
    segment(Opcode.atomicRequest, untagged(1, 2), atomicRequest(0, 7, 0x10008, [5, 0, 0, 0])),
    `0046 41 4a 00000000 00000001 00000002 00000000 00000000 00000007 00abcd01
     0000000000010008 0000000000000005 0000000000000000 0000000000000000 0000000000000000
     901465db`,
  ],
  CmpSwap: [
    segment(
      Opcode.atomicRequest,
      untagged(1, 3),
      atomicRequest(2, 8, 0x10010, [0xaaaa, -1, 0xbbbb, -1]),
    ),
    `0046 41 4a 00000000 00000001 00000003 00000000 00000002 00000008 00abcd01
     0000000000010010 000000000000aaaa ffffffffffffffff 000000000000bbbb ffffffffffffffff
     84ce6190`,
  ],
  'Atomic Response': [
    segment(Opcode.atomicResponse, untagged(3, 1), bytesOf('00000007 000000000000002a')),
    '001e 41 4b 00000000 00000003 00000001 00000000 00000007 000000000000002a 4d18fffb',
  ],
  'Terminate of a Write': [
    segment(
      Opcode.terminate,
      untagged(2, 1),
      encodeTerminate({
        error: DdpError.invalidStag,
        length: 0x1e,
        ddp: blamed,
        rdmap: new Uint8Array(0),
      }),
    ),
    `0026 41 47 00000000 00000002 00000001 00000000 11 00 c000
     001e c140deadbe010000000000010000 5da24709`,
  ],
  'Terminate of a Read Request': [
    segment(
      Opcode.terminate,
      untagged(2, 1),
      encodeTerminate({
        error: RdmapError.accessRights,
        length: 0x2e,
        ddp: request.subarray(0, UntaggedHeader.size),
        rdmap: request.subarray(UntaggedHeader.size),
      }),
    ),
    `0046 41 47 00000000 00000002 00000001 00000000 01 02 e000 002e
     ${hexOf(request)} bd6ae28a`,
  ],
}

for (const [name, [ulpdu, hex]] of Object.entries(FRAMES)) {
  test(`the frame of a ${name} is the worked one`, () => {
    const writer = new FpduWriter({ crc: true, markers: false })
    assert.equal(hexOf(frameOf(ulpdu, writer)), hexOf(bytesOf(hex)))
  })

  test(`the worked frame of a ${name} is read, cut at each byte`, () => {
    const bytes = bytesOf(hex)
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new FpduReader({ crc: true, markers: false })
      reader.push(bytes.subarray(0, cut))
      if (cut < bytes.length) assert.equal(reader.next(), false)
      if (cut < bytes.length) reader.push(bytes.subarray(cut))
      assert.equal(reader.next(), true)
      const found = reader.bytes.subarray(reader.start, reader.start + reader.length)
      assert.equal(hexOf(found), hexOf(ulpdu))
      assert.equal(reader.next(), false)
      assert.equal(reader.between, true)
    }
  })
}

test('two frames with markers are the worked ones', () => {
  const writer = new FpduWriter({ crc: true, markers: true })
  const first = frameOf(write16, writer)
  assert.equal(
    hexOf(first),
    hexOf(
      bytesOf(
        '00000000 001e c140 00abcd01 0000000000010000 30313233343536373839414243444546 0c86b72a',
      ),
    ),
  )
  const large = segment(Opcode.write, tagged(0x00abcd01, 0x10000), new Uint8Array(600).fill(0x61))
  const second = frameOf(large, writer)
  assert.equal(hexOf(second.subarray(512 - first.length, 516 - first.length)), '000001d8')
})

test('control bytes say what a segment is', () => {
  assert.deepEqual(
    [isTagged(write16[0]!), isLast(write16[0]!), opcodeOf(write16[1]!)],
    [true, true, Opcode.write],
  )
  assert.deepEqual([isTagged(request[0]!), opcodeOf(request[1]!)], [false, Opcode.readRequest])
  for (const opcode of [12, 13, 14, 15]) assert.equal(queueOf(opcode), undefined)
})

const SETUPS = {
  request: '4d504120494420526571204672616d65 50 02 0008 0010 0010 50524956',
  reply: '4d504120494420526570204672616d65 50 02 0004 0010 0010',
} as const

for (const [kind, hex] of Object.entries(SETUPS)) {
  test(`the worked MPA ${kind} is read, and made again`, () => {
    const bytes = bytesOf(hex)
    const as = kind as 'request' | 'reply'
    for (let n = 0; n <= bytes.length; n++) assert.equal(invalidMpa(bytes, n, as), null)
    assert.equal(mpaLength(bytes), bytes.length)
    const setup = decodeMpa(bytes, as)
    assert.deepEqual(setup.enhanced, { ird: 16, ord: 16, peerToPeer: false, rtrs: [] })
    assert.deepEqual([setup.crc, setup.markers, setup.reject], [true, false, false])
    assert.equal(Buffer.from(setup.privateData).toString(), kind === 'request' ? 'PRIV' : '')
    assert.equal(hexOf(encodeMpa(setup)), hexOf(bytes))
    const other = kind === 'request' ? 'reply' : 'request'
    assert.match(invalidMpa(bytes, bytes.length, other)!, /the key is not/)
  })
}

test('a Request that offers Write and Read as RTR is the worked one', () => {
  const enhanced = { ird: 16, ord: 16, peerToPeer: true, rtrs: ['write', 'read'] as const }
  const flags = { markers: false, crc: true, reject: false, large: false }
  const setup = { kind: 'request', revision: 2, ...flags } as const
  const bytes = encodeMpa({ ...setup, enhanced, privateData: new Uint8Array(0) })
  assert.equal(hexOf(bytes.subarray(15)), '6550020004' + '8010c010')
  assert.deepEqual(decodeMpa(bytes, 'request').enhanced, enhanced)
})

test('an MPA frame that is none says why', () => {
  const bytes = bytesOf(SETUPS.request)
  const changed = (at: number, value: number) => {
    const copy = bytes.slice()
    copy[at] = value
    return invalidMpa(copy, copy.length, 'request')
  }
  assert.match(changed(4, 0x20)!, /key/)
  assert.equal(changed(17, 0), 'revision 0')
  assert.equal(changed(17, 3), 'revision 3')
  assert.equal(changed(17, 1), 'enhanced data in revision 1')
  assert.equal(changed(19, 3), 'enhanced data of 3 bytes')
  assert.match(changed(18, 3)!, /776 bytes of private data/)
})

test('a Terminate is read as the RFC has it, and as siw has it', () => {
  const named = (hex: string, settingUp = false) => decodeTerminate(bytesOf(hex), settingUp).name
  assert.equal(named('1100c000'), 'DDP invalidStag')
  assert.equal(named('0102e000'), 'RDMAP accessRights')
  // siw, the nibbles of the first byte the other way round.
  assert.equal(named('20060000'), 'RDMAP unexpectedOpcode')
  assert.equal(named('21030300'), 'DDP invalidMsn')
  assert.equal(named('21020300'), 'DDP noBuffer')
  // Its nibbles name an error either way: the bits of the third byte say that they are siw's.
  assert.equal(named('10000700'), 'RDMAP invalidStag')
  assert.equal(named('10000000'), 'DDP catastrophic')
  assert.equal(named('02020000'), 'LLP crc')
  assert.equal(named('20060000', true), 'LLP insufficientIrd')
  assert.match(named('77070000'), /no RFC names/)
  assert.equal(errorName(...RdmapError.toWrap), 'RDMAP toWrap')
})
