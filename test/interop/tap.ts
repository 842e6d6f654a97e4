/**
 * What goes over the streams of a device, seen from outside of it: MPA's frames, what each FPDU is,
 * whether it has a CRC, and Terminates as they stand. Read by rules of its own, that the code under
 * test has no part in; without markers, which siw does not speak.
 */
import assert from 'node:assert/strict'
import type { ByteStream, StreamListener, Transport } from '../../src/base/byte_stream.js'

const SETUP_BYTES = 20
const TAGGED = 0x80
const TAGGED_BYTES = 14
const UNTAGGED_BYTES = 18
const CRC_BYTES = 4
const TERMINATE = 7

/** CRC32c (RFC 3385), bits as iSCSI and MPA have them. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0)
  return crc
})

function crc32c(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!
  return ~crc >>> 0
}

/** One direction of a stream. */
export class Flow {
  /** The MPA Request or Reply; null: it has not come whole. */
  setup: Buffer | null = null
  /** The opcodes of the FPDUs, in their order, the first of them; and how many there are. */
  readonly opcodes: number[] = []
  frames = 0
  /** Those whose CRC is not 0, and those of them where it is not that of the frame. */
  checked = 0
  wrong = 0
  /** What a Terminate says, its headers left out; null: there was none. */
  terminate: Buffer | null = null
  #rest = Buffer.alloc(0)

  push(bytes: Uint8Array): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    if (this.setup === null && !this.#takeSetup()) return
    let at = 0
    for (let next = this.#end(at); next <= this.#rest.length; next = this.#end(at)) {
      this.#frame(this.#rest.subarray(at, next))
      at = next
    }
    this.#rest = this.#rest.subarray(at)
  }

  #takeSetup(): boolean {
    const rest = this.#rest
    if (rest.length < SETUP_BYTES) return false
    const end = SETUP_BYTES + rest.readUInt16BE(SETUP_BYTES - 2)
    if (rest.length < end) return false
    this.setup = Buffer.from(rest.subarray(0, end))
    this.#rest = rest.subarray(end)
    return true
  }

  /** Where the FPDU ends that begins there; beyond all when that cannot be known yet. */
  #end(at: number): number {
    if (at + 2 > this.#rest.length) return Infinity
    const length = 2 + this.#rest.readUInt16BE(at)
    return at + Math.ceil(length / 4) * 4 + CRC_BYTES
  }

  #frame(frame: Buffer): void {
    this.frames++
    const opcode = frame[3]! & 0x0f
    if (this.opcodes.length < 1000) this.opcodes.push(opcode)
    const crc = frame.readUInt32LE(frame.length - CRC_BYTES)
    if (crc !== 0) this.checked++
    if (crc !== 0 && crc !== crc32c(frame.subarray(0, -CRC_BYTES))) this.wrong++
    if (opcode !== TERMINATE) return
    const header = (frame[2]! & TAGGED) === 0 ? UNTAGGED_BYTES : TAGGED_BYTES
    this.terminate = Buffer.from(frame.subarray(2 + header, frame.length - CRC_BYTES))
  }
}

/** Behind the length and the first two bytes of a DDP header. */
const FLIPPED_BYTE = 6

/** Both directions of a stream, from the device's side. */
export class Tap {
  readonly sent = new Flow()
  readonly received = new Flow()
  /** Of what goes this way next, which must begin with a frame, a bit changes on the way. */
  flip: 'sent' | 'received' | null = null
  /** The frame that is sent next comes in two pieces: its last bytes when `release` is called. */
  split = false
  /** Sends what was kept of a frame. */
  release: (() => void) | null = null

  /** What arrives of these bytes. */
  arriving(way: 'sent' | 'received', bytes: Uint8Array): Uint8Array {
    if (this.flip !== way || bytes.length <= FLIPPED_BYTE) return bytes
    this.flip = null
    const changed = bytes.slice()
    changed[FLIPPED_BYTE]! ^= 0x10
    return changed
  }
}

/** Of the CRC. */
const KEPT_BYTES = 2

function tapped(stream: ByteStream, tap: Tap): ByteStream {
  const sendPiece = (frame: Uint8Array): number => {
    const kept = frame.slice(-KEPT_BYTES)
    tap.split = false
    tap.release = () => assert.equal(stream.send(kept, 0, KEPT_BYTES), KEPT_BYTES)
    assert.equal(stream.send(frame, 0, frame.length - KEPT_BYTES), frame.length - KEPT_BYTES)
    return frame.length
  }
  return {
    get peer() {
      return stream.peer
    },
    get segmentBytes() {
      return stream.segmentBytes
    },
    get room() {
      return stream.room
    },
    attach: (events) => stream.attach(events),
    reading: (wanted) => stream.reading(wanted),
    end: () => stream.end(),
    close: () => stream.close(),
    abort: () => stream.abort(),
    send(bytes, start, length) {
      const arriving = tap.arriving('sent', bytes.subarray(start, start + length))
      const count = tap.split ? sendPiece(arriving) : stream.send(arriving, 0, length)
      tap.sent.push(arriving.subarray(0, count))
      return count
    },
    receive(bytes, start, length) {
      const count = stream.receive(bytes, start, length)
      if (count <= 0) return count
      const arriving = tap.arriving('received', bytes.subarray(start, start + count))
      bytes.set(arriving, start)
      tap.received.push(arriving)
      return count
    },
  }
}

/** A transport that tells of each stream it makes. */
export class TappedTransport implements Transport {
  readonly #transport: Transport
  readonly #onStream: (stream: ByteStream, tap: Tap) => void

  constructor(transport: Transport, onStream: (stream: ByteStream, tap: Tap) => void) {
    this.#transport = transport
    this.#onStream = onStream
  }

  #tap(stream: ByteStream): ByteStream {
    const tap = new Tap()
    this.#onStream(stream, tap)
    return tapped(stream, tap)
  }

  async connect(host: string, port: number, signal?: AbortSignal): Promise<ByteStream> {
    return this.#tap(await this.#transport.connect(host, port, signal))
  }

  async listen(
    host: string,
    port: number,
    accepted: (stream: ByteStream) => void,
  ): Promise<StreamListener> {
    return await this.#transport.listen(host, port, (stream) => accepted(this.#tap(stream)))
  }
}
