/** Segments as they come in: what is wrong with one is found in the order that peers are told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProtocolError } from '../../src/rdma/protocol_error.js'
import { Segment } from '../../src/rdma/segment.js'
import { Opcode, putControl, queueOf, UntaggedHeader } from '../../src/rdma/wire/ddp.js'
import { errorName } from '../../src/rdma/wire/terminate.js'

/** A segment with nothing wrong, and bytes of it changed. */
function segmentOf(opcode: Opcode, payload: number, change: readonly [number, number][] = []) {
  const tagged = queueOf(opcode) === -1
  const bytes = new Uint8Array((tagged ? 14 : 18) + payload)
  const view = new DataView(bytes.buffer)
  putControl(view, 0, opcode, true)
  if (!tagged) {
    view.setUint32(UntaggedHeader.at.qn, queueOf(opcode)!)
    view.setUint32(UntaggedHeader.at.msn, 0x8000_0001)
  }
  for (const [at, value] of change) bytes[at] = value
  return bytes
}

function errorOf(bytes: Uint8Array): string | null {
  const padded = new Uint8Array(bytes.length + 7)
  padded.set(bytes, 5)
  const segment = new Segment()
  try {
    segment.read(padded, 5, bytes.length)
    assert.equal(segment.payload - 5 + segment.payloadLength, bytes.length)
    return null
  } catch (error) {
    assert.ok(error instanceof ProtocolError)
    return errorName(...error.error)
  }
}

const PAYLOADS: Partial<Record<keyof typeof Opcode, number>> = {
  readRequest: 28,
  terminate: 4,
  immediate: 8,
  immediateSolicited: 8,
  atomicRequest: 52,
  atomicResponse: 12,
}

for (const [name, opcode] of Object.entries(Opcode)) {
  const payload = PAYLOADS[name as keyof typeof Opcode] ?? 100
  const fixed = name in PAYLOADS
  const tagged = queueOf(opcode) === -1

  test(`a segment of ${name} is one, and each byte less is not`, () => {
    const bytes = segmentOf(opcode, payload)
    assert.equal(errorOf(bytes), null)
    for (let length = 0; length < bytes.length; length++) {
      const found = errorOf(bytes.subarray(0, length))
      if (length < (tagged ? 14 : 18)) assert.equal(found, 'LLP markerMismatch')
      else assert.equal(found, fixed ? 'RDMAP streamCatastrophic' : null)
    }
  })

  test(`versions, opcode and queue of ${name} are checked, in this order`, () => {
    const [ddp, rdmap] = segmentOf(opcode, payload)
    const version = tagged ? 'DDP taggedVersion' : 'DDP untaggedVersion'
    const [badDdp, badRdmap] = [(ddp! & ~3) | 2, rdmap! & 0x3f]
    assert.equal(errorOf(segmentOf(opcode, payload, [[0, badDdp]])), version)
    const both: [number, number][] = [
      [0, badDdp],
      [1, badRdmap],
    ]
    assert.equal(errorOf(segmentOf(opcode, payload, both)), version)
    assert.equal(errorOf(segmentOf(opcode, payload, [[1, badRdmap]])), 'RDMAP invalidVersion')
    for (const wrong of [12, 15, tagged ? Opcode.send : Opcode.write]) {
      const control = 0x40 | wrong
      assert.equal(
        errorOf(segmentOf(opcode, payload, [[1, control]])),
        'RDMAP unexpectedOpcode',
        `opcode ${wrong}`,
      )
    }
    if (tagged) return
    const elsewhere: [number, number][] = [[UntaggedHeader.at.qn + 3, queueOf(opcode)! + 1]]
    assert.equal(errorOf(segmentOf(opcode, payload, elsewhere)), 'DDP invalidQueue')
    const far: [number, number][] = [[UntaggedHeader.at.qn, 1]]
    assert.equal(errorOf(segmentOf(opcode, payload, far)), 'DDP invalidQueue')
  })
}

test('reserved bits are not looked at', () => {
  const [ddp, rdmap] = segmentOf(Opcode.send, 3)
  const bits: [number, number][] = [
    [0, ddp! | 0x3c],
    [1, rdmap! | 0x30],
  ]
  assert.equal(errorOf(segmentOf(Opcode.send, 3, bits)), null)
})

test('a header is read as it stands, whatever its numbers', () => {
  const segment = new Segment()
  const send = segmentOf(Opcode.sendInvalidate, 2)
  new DataView(send.buffer).setUint32(UntaggedHeader.at.invalidateStag, 0xfedc_ba98)
  segment.read(send, 0, send.length)
  assert.deepEqual(
    [segment.invalidateStag, segment.qn, segment.msn, segment.mo, segment.last],
    [0xfedc_ba98, 0, 0x8000_0001, 0, true],
  )
  const write = segmentOf(Opcode.write, 0)
  const view = new DataView(write.buffer)
  for (const [at, value] of [
    [2, 0xffff_ffff],
    [6, 0x8000_0000],
    [10, 0x1234_5678],
  ] as const) {
    view.setUint32(at, value)
  }
  segment.read(write, 0, write.length)
  assert.deepEqual(
    [segment.stag, segment.toHigh, segment.toLow, segment.payloadLength],
    [0xffff_ffff, 0x8000_0000, 0x1234_5678, 0],
  )
})
