/**
 * The exchange of rping (rdma-core, librdmacm/examples/rping.c), both sides, over a peer.
 *
 *     client                                server
 *     where the text is (Send)        →
 *                                     ←     reads it (RDMA Read), says so (Send)
 *     where it is to come back (Send) →
 *                                     ←     writes it (RDMA Write), says so (Send)
 *
 * Each message has 16 bytes: address (64 bits), STag and length (32 bits each), big-endian.
 */
import { ADVERT_BYTES, decodeAdvert, encodeAdvert } from '../rdma/advert.js'
import { HoldfastError, type MemoryRegion, type Peer } from '../rdma/index.js'

/** Buffers that rping makes: its own limits are 16 bytes and 64 KiB; ours are wider. */
export const SIZE_MIN = 16
export const SIZE_MAX = 16 << 20
export const SIZE_DEFAULT = 100

const [FIRST, LAST] = [65, 122]

/** The text of a ping: its number, and letters that begin one further each time; a zero ends it. */
export function pingText(ping: number, size: number): Uint8Array {
  const text = new Uint8Array(size)
  const head = Buffer.from(`rdma-ping-${ping}: `).subarray(0, size)
  text.set(head)
  const letters = LAST - FIRST + 1
  for (let i = head.length; i < size; i++) {
    text[i] = FIRST + ((ping + i - head.length) % letters)
  }
  text[size - 1] = 0
  return text
}

/** What stands before the zero. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return Buffer.from(bytes.subarray(0, end < 0 ? bytes.length : end)).toString('latin1')
}

export interface PingOptions {
  /** Bytes of a text. */
  readonly size: number
  /** How many; 0: until it is stopped. */
  readonly count: number
  /** Whether what comes back is compared. */
  readonly validate: boolean
  readonly signal: AbortSignal
  /** Called for each: the text that came, and the milliseconds it took. */
  ping(text: Uint8Array, milliseconds: number): Promise<void>
}

/** The client's side. Returns how many pings there were. */
export async function pingClient(peer: Peer, options: PingOptions): Promise<number> {
  const { size, count, validate, signal } = options
  const outgoing = new Uint8Array(size)
  const incoming = new Uint8Array(size)
  const source = peer.domain.register(outgoing, { access: ['remoteRead'] })
  const sink = peer.domain.register(incoming, { access: ['localWrite', 'remoteWrite'] })
  let ping = 0
  for (; count === 0 || ping < count; ping++) {
    if (signal.aborted) return ping
    outgoing.set(pingText(ping, size))
    const start = performance.now()
    await tell(peer, source)
    await tell(peer, sink)
    const time = performance.now() - start
    if (validate && Buffer.compare(outgoing, incoming) !== 0) {
      throw new HoldfastError('EIO', `ping ${ping}: what came back is not what was sent`)
    }
    await options.ping(incoming, time)
  }
  return ping
}

/** Says where a buffer is, and waits until it was used. */
async function tell(peer: Peer, region: MemoryRegion): Promise<void> {
  const { address, stag, length } = region
  await peer.send(encodeAdvert({ address, stag, length }))
  const answer = await peer.receive()
  if (answer === null) throw new HoldfastError('ECONNRESET', 'the server closed the connection')
  decodeAdvert(answer.bytes)
}

export interface ServeOptions {
  /** The longest text that is taken. */
  readonly size: number
  ping(text: Uint8Array): Promise<void>
}

/** The server's side, until the client leaves. Returns how many pings there were. */
export async function pingServer(peer: Peer, { size, ping }: ServeOptions): Promise<number> {
  const buffer = new Uint8Array(size)
  for (let count = 0; ; count++) {
    const first = await peer.receive()
    if (first === null) return count
    const source = decodeAdvert(first.bytes)
    if (source.length > size) {
      const detail = `the client has a text of ${source.length} bytes, at most ${size} are taken`
      throw new HoldfastError('E2BIG', detail)
    }
    const text = buffer.subarray(0, source.length)
    await peer.read(source.stag, source.address, text)
    await ping(text)
    await peer.send(new Uint8Array(ADVERT_BYTES))
    const second = await peer.receive()
    if (second === null) return count
    const sink = decodeAdvert(second.bytes)
    // As many bytes as rping writes: up to the zero that ends the text.
    const end = text.indexOf(0) + 1
    const length = Math.min(end === 0 ? text.length : end, sink.length)
    await peer.write(sink.stag, sink.address, text.subarray(0, length))
    await peer.send(new Uint8Array(ADVERT_BYTES))
  }
}
