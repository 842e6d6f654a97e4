/** A peer that says what it is told to: frames made by hand, of declared headers, in any order. */
import assert from 'node:assert/strict'
import type { ByteStream, StreamEvents, Transport } from '../../src/base/byte_stream.js'
import { FpduReader, FpduWriter } from '../../src/rdma/fpdu.js'
import {
  AtomicRequest,
  AtomicResponse,
  headerBytes,
  isTagged,
  Opcode,
  opcodeOf,
  putControl,
  queueOf,
  ReadRequest,
  TaggedHeader,
  UntaggedHeader,
} from '../../src/rdma/wire/ddp.js'
import { put64 } from '../../src/rdma/wire/header.js'
import {
  decodeMpa,
  encodeMpa,
  MpaFrame,
  mpaLength,
  type MpaSetup,
} from '../../src/rdma/wire/mpa.js'
import { errorName, TerminateControl, type ErrorCode } from '../../src/rdma/wire/terminate.js'

/** What a segment is to say; what is not said is right. */
export interface Parts {
  readonly last?: boolean
  readonly stag?: number
  /** Tagged offset: its halves. */
  readonly to?: readonly [number, number]
  readonly qn?: number
  readonly msn?: number
  readonly mo?: number
  readonly invalidate?: number
  readonly payload?: Uint8Array
  /** The first two bytes, as they are. */
  readonly ddp?: number
  readonly rdmap?: number
}

/** A ULPDU. */
export function segmentOf(opcode: number, parts: Parts = {}): Uint8Array<ArrayBuffer> {
  const { payload = new Uint8Array(0), last = true, to = [0, 0] } = parts
  const control = new DataView(new ArrayBuffer(2))
  putControl(control, 0, opcode as Opcode, last)
  const ddp = parts.ddp ?? control.getUint8(0)
  const header = headerBytes(ddp)
  const bytes = new Uint8Array(header + payload.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = ddp
  bytes[1] = parts.rdmap ?? control.getUint8(1)
  if (isTagged(ddp)) {
    view.setUint32(TaggedHeader.at.stag, parts.stag ?? 0)
    put64(view, TaggedHeader.at.to, to[0], to[1])
  } else {
    view.setUint32(UntaggedHeader.at.invalidateStag, parts.invalidate ?? 0)
    view.setUint32(UntaggedHeader.at.qn, parts.qn ?? Math.max(0, queueOf(opcode) ?? 0))
    view.setUint32(UntaggedHeader.at.msn, parts.msn ?? 1)
    view.setUint32(UntaggedHeader.at.mo, parts.mo ?? 0)
  }
  bytes.set(payload, header)
  return bytes
}

export function readRequest(
  stag: number,
  to: readonly [number, number],
  length: number,
  sink: readonly [stag: number, to: number] = [0x77, 0],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ReadRequest.size)
  const view = new DataView(bytes.buffer)
  view.setUint32(ReadRequest.at.sinkStag, sink[0])
  put64(view, ReadRequest.at.sinkTo, 0, sink[1])
  view.setUint32(ReadRequest.at.length, length)
  view.setUint32(ReadRequest.at.sourceStag, stag)
  put64(view, ReadRequest.at.sourceTo, to[0], to[1])
  return bytes
}

export function atomicRequest(
  operation: number,
  stag: number,
  to: readonly [number, number],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(AtomicRequest.size)
  const view = new DataView(bytes.buffer)
  view.setUint32(AtomicRequest.at.operation, operation)
  view.setUint32(AtomicRequest.at.requestId, 9)
  view.setUint32(AtomicRequest.at.stag, stag)
  put64(view, AtomicRequest.at.to, to[0], to[1])
  put64(view, AtomicRequest.at.data, 0, 1)
  return bytes
}

export function atomicResponse(requestId: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(AtomicResponse.size)
  new DataView(bytes.buffer).setUint32(AtomicResponse.at.requestId, requestId)
  return bytes
}

export interface Said {
  readonly error: ErrorCode
  readonly name: string
  /** M, D and R. */
  readonly bits: number
  /** The headers that it copies. */
  readonly headers: Uint8Array
}

export class RawPeer implements StreamEvents {
  readonly stream: ByteStream
  reply: MpaSetup | null = null
  /** ULPDUs that came. */
  readonly came: Uint8Array[] = []
  /** The other end has ended, or was lost. */
  ended = false
  /** Whether anything is read. */
  greedy = true
  readonly #reader = new FpduReader({ crc: true, markers: false })
  readonly #writer: FpduWriter
  #setup = new Uint8Array(0)
  #unsent: Uint8Array[] = []
  #wake: (() => void) | null = null

  private constructor(stream: ByteStream, markers: boolean) {
    this.stream = stream
    this.#writer = new FpduWriter({ crc: true, markers })
    stream.attach(this)
  }

  /** A stream, and a Request on it; none: nothing is said. */
  static async connect(
    transport: Transport,
    port: number,
    request: Partial<MpaSetup> | null = {},
    markers = false,
  ): Promise<RawPeer> {
    const stream = await transport.connect('127.0.0.1', port)
    const peer = new RawPeer(stream, markers)
    if (request !== null) peer.raw(encodeMpa({ ...REQUEST, ...request }))
    return peer
  }

  raw(bytes: Uint8Array): void {
    this.#unsent.push(bytes)
    this.writable()
  }

  /** A frame of a ULPDU. */
  frame(ulpdu: Uint8Array, damage?: (frame: Uint8Array) => void): Uint8Array {
    const bytes = new Uint8Array(this.#writer.bytesFor(ulpdu.length))
    bytes.set(ulpdu, FpduWriter.ulpduAt)
    const frame = bytes.subarray(0, this.#writer.seal(bytes, 0, ulpdu.length))
    damage?.(frame)
    return frame
  }

  send(...ulpdus: readonly Uint8Array[]): void {
    this.raw(new Uint8Array(Buffer.concat(ulpdus.map((ulpdu) => this.frame(ulpdu)))))
  }

  /** Bytes that the stream did not take. */
  get unsent(): number {
    return this.#unsent.reduce((sum, { length }) => sum + length, 0)
  }

  writable(): void {
    try {
      while (this.#unsent.length > 0) {
        const first = this.#unsent[0]!
        const count = this.stream.send(first, 0, first.length)
        if (count < first.length) {
          this.#unsent[0] = first.subarray(count)
          return
        }
        this.#unsent.shift()
      }
    } catch {
      this.#over()
    }
  }

  readable(): void {
    if (!this.greedy) return this.stream.reading(false)
    const bytes = new Uint8Array(65_536)
    try {
      const count = this.stream.receive(bytes, 0, bytes.length)
      if (count < 0) this.#over()
      else this.#take(bytes.subarray(0, count))
    } catch (error) {
      if ((error as { code?: unknown }).code === undefined) throw error
      this.#over()
    }
    this.#tell()
  }

  #over(): void {
    this.ended = true
    this.stream.reading(false)
    this.#tell()
  }

  #tell(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }

  /** Resolves when something holds. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  #take(bytes: Uint8Array): void {
    let rest = bytes
    if (this.reply === null) {
      const setup = new Uint8Array(Buffer.concat([this.#setup, bytes]))
      this.#setup = setup
      if (setup.length < MpaFrame.size || setup.length < mpaLength(setup)) return
      this.reply = decodeMpa(setup, 'reply')
      rest = setup.subarray(mpaLength(setup))
    }
    this.#reader.push(rest.slice())
    while (this.#reader.next()) {
      const { bytes: from, start, length } = this.#reader
      this.came.push(from.slice(start, start + length))
    }
  }

  cameOf(opcode: Opcode): Uint8Array[] {
    return this.came.filter((ulpdu) => opcodeOf(ulpdu[1]!) === opcode)
  }

  /** The Terminate that came; null: none did. */
  get said(): Said | null {
    const all = this.cameOf(Opcode.terminate)
    assert.ok(all.length <= 1, 'one Terminate is sent at most')
    const [ulpdu] = all
    if (ulpdu === undefined) return null
    assert.equal(ulpdu, this.came.at(-1), 'nothing is sent behind a Terminate')
    const payload = ulpdu.subarray(UntaggedHeader.size)
    const type = payload[TerminateControl.at.type]!
    const error = [type >>> 4, type & 15, payload[TerminateControl.at.code]!] as const
    const bits = payload[TerminateControl.at.headers]! >>> 5
    const headers = payload.subarray(TerminateControl.size + 2)
    return { error, name: errorName(...error) ?? 'unknown', bits, headers }
  }

  close(): void {
    this.stream.abort()
  }
}

const REQUEST: MpaSetup = {
  kind: 'request',
  revision: 2,
  markers: false,
  crc: true,
  reject: false,
  large: true,
  enhanced: { ird: 4, ord: 4, peerToPeer: false, rtrs: [] },
  privateData: new Uint8Array(0),
}
