/**
 * Captures of TCP connections that were on no network: what both ends sent, in Ethernet frames
 * with IPv4 and TCP headers and true sequence numbers, in a pcap file of version 2.4. Checksums are
 * zero, as in a capture of a machine whose network card computes them.
 */
import { joined, NOTHING } from '../rdma/frames.js'

export type Side = 'initiator' | 'responder'

const MAGIC = 0xa1b2c3d4
const ETHERNET = 1
const SNAP_BYTES = 0x4_0000
const HEADERS_BYTES = 14 + 20 + 20
/** A packet has a length of 16 bits, headers of IP and TCP among it. */
export const SEGMENT_MAX = 0xffff - 40
const Flag = { fin: 0x01, syn: 0x02, push: 0x08, ack: 0x10 } as const
const IPV4 = 0x0800
const TCP = 6
const WINDOW = 0xffff

/** Ports of the first connection; those of the others follow. Far from what tshark knows. */
const PORTS = { initiator: 40_000, responder: 20_000 } as const
const ADDRESSES = { initiator: [10, 0, 0, 1], responder: [10, 0, 0, 2] } as const

const otherThan = (side: Side): Side => (side === 'initiator' ? 'responder' : 'initiator')

export class PcapWriter {
  readonly #parts: Uint8Array[] = [fileHeader()]
  #packets = 0
  #connections = 0

  connection(): PcapConnection {
    return new PcapConnection(this, this.#connections++)
  }

  add(packet: Uint8Array): void {
    this.#parts.push(packetHeader(this.#packets++, packet.length), packet)
  }

  file(): Uint8Array {
    return joined(this.#parts)
  }
}

/** The connection that a packet belongs to, and who sent it, from its ports. */
export function whoseIs(source: number): { readonly connection: number; readonly from: Side } {
  const from = source >= PORTS.initiator ? 'initiator' : 'responder'
  return { connection: source - PORTS[from], from }
}

export class PcapConnection {
  readonly #file: PcapWriter
  readonly #index: number
  readonly #sequences = { initiator: 1000, responder: 5000 }

  constructor(file: PcapWriter, index: number) {
    this.#file = file
    this.#index = index
    this.#packet('initiator', Flag.syn, NOTHING)
    this.#packet('responder', Flag.syn | Flag.ack, NOTHING)
    this.#packet('initiator', Flag.ack, NOTHING)
  }

  send(from: Side, bytes: Uint8Array): void {
    this.#packet(from, Flag.push | Flag.ack, bytes)
  }

  end(from: Side): void {
    this.#packet(from, Flag.fin | Flag.ack, NOTHING)
  }

  #packet(from: Side, flags: number, payload: Uint8Array): void {
    const to = otherThan(from)
    const packet = new Uint8Array(HEADERS_BYTES + payload.length)
    const view = new DataView(packet.buffer)
    packet.set([2, 0, 0, 0, 0, ADDRESSES[to][3]], 0)
    packet.set([2, 0, 0, 0, 0, ADDRESSES[from][3]], 6)
    view.setUint16(12, IPV4)
    view.setUint8(14, 0x45)
    view.setUint16(16, packet.length - 14)
    view.setUint8(22, 64)
    view.setUint8(23, TCP)
    packet.set(ADDRESSES[from], 26)
    packet.set(ADDRESSES[to], 30)
    view.setUint16(34, PORTS[from] + this.#index)
    view.setUint16(36, PORTS[to] + this.#index)
    view.setUint32(38, this.#sequences[from])
    view.setUint32(42, (flags & Flag.ack) === 0 ? 0 : this.#sequences[to])
    view.setUint8(46, 0x50)
    view.setUint8(47, flags)
    view.setUint16(48, WINDOW)
    packet.set(payload, HEADERS_BYTES)
    const one = (flags & (Flag.syn | Flag.fin)) === 0 ? 0 : 1
    this.#sequences[from] = (this.#sequences[from] + payload.length + one) >>> 0
    this.#file.add(packet)
  }
}

function fileHeader(): Uint8Array {
  const bytes = new Uint8Array(24)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint16(4, 2)
  view.setUint16(6, 4)
  view.setUint32(16, SNAP_BYTES)
  view.setUint32(20, ETHERNET)
  return bytes
}

/** A packet every millisecond. */
function packetHeader(index: number, length: number): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, Math.floor(index / 1000))
  view.setUint32(4, (index % 1000) * 1000)
  view.setUint32(8, length)
  view.setUint32(12, length)
  return bytes
}
