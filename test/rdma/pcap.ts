/**
 * Captures of Ethernet, read (the pcap format of libpcap, version 2.4): packets, and of them the
 * bytes that went each way over each TCP connection.
 *
 * A connection begins with its SYN, or, in a capture that has none, with its first packet. Bytes
 * are put where their sequence number says: what was sent twice is there once, and what is missing
 * is an error, for a test that compares bytes must not pass because they are not there.
 */

const MAGIC = 0xa1b2c3d4
const FILE_HEADER_BYTES = 24
const PACKET_HEADER_BYTES = 16
const ETHERNET = 1
const ETHERNET_HEADER_BYTES = 14
const IPV4 = 0x0800
const TCP = 6
const Flag = { fin: 0x01, syn: 0x02, rst: 0x04, ack: 0x10 } as const

/** What one end sent. */
export interface Direction {
  /** '10.0.2.15:7174'. */
  readonly from: string
  readonly bytes: Uint8Array
  /** It said that there is no more. */
  readonly ended: boolean
}

export interface Conversation {
  readonly initiator: Direction
  readonly responder: Direction
}

interface TcpPacket {
  readonly from: string
  readonly to: string
  readonly sequence: number
  readonly flags: number
  readonly payload: Uint8Array
}

/** The packets of a capture, each as it was on the wire. */
export function readPcap(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const little = view.getUint32(0, true) === MAGIC
  if (!little && view.getUint32(0) !== MAGIC) throw new Error('this is no pcap file')
  const linkType = view.getUint32(20, little)
  if (linkType !== ETHERNET) throw new Error(`link type ${linkType}, only Ethernet is read`)
  const packets: Uint8Array[] = []
  for (let at = FILE_HEADER_BYTES; at < file.length;) {
    const [kept, length] = [view.getUint32(at + 8, little), view.getUint32(at + 12, little)]
    if (kept !== length) throw new Error(`packet ${packets.length}: ${kept} bytes of ${length}`)
    at += PACKET_HEADER_BYTES
    packets.push(file.subarray(at, at + kept))
    at += kept
  }
  return packets
}

/** What a packet has of TCP over IPv4; null: it is something else. */
function tcpOf(packet: Uint8Array): TcpPacket | null {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
  if (view.getUint16(ETHERNET_HEADER_BYTES - 2) !== IPV4) return null
  const ip = ETHERNET_HEADER_BYTES
  if (view.getUint8(ip + 9) !== TCP) return null
  const tcp = ip + 4 * (view.getUint8(ip) & 0x0f)
  // Not the end of the packet: Ethernet pads short ones.
  const end = ip + view.getUint16(ip + 2)
  const address = (at: number) => packet.subarray(at, at + 4).join('.')
  return {
    from: `${address(ip + 12)}:${view.getUint16(tcp)}`,
    to: `${address(ip + 16)}:${view.getUint16(tcp + 2)}`,
    sequence: view.getUint32(tcp + 4),
    flags: view.getUint8(tcp + 13),
    payload: packet.subarray(tcp + 4 * (view.getUint8(tcp + 12) >>> 4), end),
  }
}

/** What one end of a connection sends, as it is put together. */
class Sent {
  readonly from: string
  ended = false
  /** Sequence number of its first byte; null: it sent nothing yet. */
  #first: number | null = null
  readonly #parts: { readonly at: number; readonly payload: Uint8Array }[] = []

  constructor(from: string) {
    this.from = from
  }

  take({ sequence, flags, payload }: TcpPacket): void {
    const syn = (flags & Flag.syn) !== 0 ? 1 : 0
    this.#first ??= (sequence + syn) >>> 0
    if ((flags & Flag.fin) !== 0) this.ended = true
    if (payload.length === 0) return
    // One less than the first is what a keepalive has: as a signed number it is -1.
    this.#parts.push({ at: (sequence + syn - this.#first) | 0, payload })
  }

  whole(): Direction {
    const length = Math.max(0, ...this.#parts.map(({ at, payload }) => at + payload.length))
    const bytes = new Uint8Array(length)
    const here = new Uint8Array(length)
    for (const { at, payload } of this.#parts) {
      const known = Math.max(0, -at)
      bytes.set(payload.subarray(known), at + known)
      here.fill(1, at + known, at + payload.length)
    }
    const hole = here.indexOf(0)
    if (hole >= 0) throw new Error(`byte ${hole} of what ${this.from} sent is not in the capture`)
    return { from: this.from, bytes, ended: this.ended }
  }
}

/** The connections of a capture in the order in which they began. */
export function conversations(file: Uint8Array): Conversation[] {
  const all: [Sent, Sent][] = []
  const open = new Map<string, [Sent, Sent]>()
  for (const packet of readPcap(file)) {
    const tcp = tcpOf(packet)
    if (tcp === null) continue
    const key = [tcp.from, tcp.to].sort().join(' ')
    const begins = (tcp.flags & (Flag.syn | Flag.ack)) === Flag.syn
    let ends = open.get(key)
    if (begins || ends === undefined) {
      ends = [new Sent(tcp.from), new Sent(tcp.to)]
      all.push(ends)
      open.set(key, ends)
    }
    const end = ends.find(({ from }) => from === tcp.from)!
    end.take(tcp)
  }
  return all.map(([initiator, responder]) => ({
    initiator: initiator.whole(),
    responder: responder.whole(),
  }))
}
