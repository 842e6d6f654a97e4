/**
 * Setting a connection up: Request and Reply over a new stream (RFC 5044, 7.1; RFC 6581).
 *
 * Invariants:
 * - of the stream no byte is taken that is behind the frame that is awaited;
 * - it takes a peer's time, and no more: who says nothing, or not all, is not waited for;
 * - what cannot be agreed on is said, where the peer has agreed to hear it.
 */
import type { ByteStream, StreamEvents } from '../base/byte_stream.js'
import { HoldfastError } from '../base/errors.js'
import type { Timers } from '../base/timers.js'
import { FpduWriter } from './fpdu.js'
import { ProtocolError } from './protocol_error.js'
import { acceptOf, concludeFrom, rejectOf, requestOf } from './setup.js'
import type { Agreed, SetupOptions } from './setup.js'
import { Opcode, putUntagged, UntaggedHeader } from './wire/ddp.js'
import {
  decodeMpa,
  encodeMpa,
  invalidMpa,
  MpaFrame,
  mpaLength,
  PRIVATE_DATA_MAX,
  type MpaSetup,
} from './wire/mpa.js'
import { encodeTerminate, type ErrorCode } from './wire/terminate.js'

/** From the connection to the whole Request, and from the Request to the whole Reply. */
export const REQUEST_MILLISECONDS = 5000
export const REPLY_MILLISECONDS = 10_000

/** The peer did not want the connection, and may have said why. */
export class RejectedError extends HoldfastError {
  readonly privateData: Uint8Array

  constructor(peer: string, privateData: Uint8Array) {
    const why = privateData.length > 0 ? `, with ${privateData.length} bytes of private data` : ''
    super('ECONNREFUSED', `${peer} rejected the connection${why}`)
    this.privateData = privateData
  }
}

/** Hands a stream's events to whoever has the connection at the time. */
export class Relay implements StreamEvents {
  target: StreamEvents | null = null

  readable(): void {
    this.target?.readable()
  }

  writable(): void {
    this.target?.writable()
  }
}

/** Sends one frame, and takes one in. */
class Exchange implements StreamEvents {
  readonly #stream: ByteStream
  readonly #frame = new Uint8Array(MpaFrame.size + PRIVATE_DATA_MAX)
  #have = 0
  #unsent: Uint8Array
  #kind: MpaSetup['kind']
  #resolve!: (setup: MpaSetup) => void
  #reject!: (error: Error) => void
  readonly done: Promise<MpaSetup>

  constructor(stream: ByteStream, kind: MpaSetup['kind'], first: Uint8Array) {
    this.#stream = stream
    this.#kind = kind
    this.#unsent = first
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.writable()
  }

  writable(): void {
    try {
      this.#unsent = sendSome(this.#stream, this.#unsent)
    } catch (error) {
      this.#reject(error as Error)
    }
  }

  readable(): void {
    try {
      while (this.#read());
    } catch (error) {
      this.#reject(error as Error)
    }
  }

  fail(error: Error): void {
    this.#reject(error)
  }

  /** Returns whether there may be more. */
  #read(): boolean {
    const frame = this.#frame
    const wanted = this.#have < MpaFrame.size ? MpaFrame.size : mpaLength(frame)
    const count = this.#stream.receive(frame, this.#have, wanted - this.#have)
    if (count < 0) {
      const detail = `${this.#stream.peer} ended the connection before its ${this.#kind}`
      throw new HoldfastError('ECONNRESET', detail)
    }
    this.#have += count
    const why = invalidMpa(frame, this.#have, this.#kind)
    if (why !== null) {
      throw new HoldfastError('EPROTO', `${this.#stream.peer} sent no MPA ${this.#kind}: ${why}`)
    }
    if (this.#have < MpaFrame.size || this.#have < mpaLength(frame)) return count > 0
    this.#stream.reading(false)
    this.#resolve(decodeMpa(frame, this.#kind))
    return false
  }
}

function sendSome(stream: ByteStream, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes
  return bytes.subarray(stream.send(bytes, 0, bytes.length))
}

/** What ends the waiting for a peer. */
export interface Limits {
  readonly timers: Timers
  readonly signal: AbortSignal
}

/** Waits for a frame, so long and no longer. */
async function within(exchange: Exchange, { timers, signal }: Limits, limit: number, who: string) {
  const cancel = timers.after(limit, () => {
    const detail = `${who} said nothing that is whole for ${limit} ms`
    exchange.fail(new HoldfastError('ETIMEDOUT', detail))
  })
  const aborted = () => exchange.fail(signal.reason as Error)
  signal.addEventListener('abort', aborted)
  try {
    return await exchange.done
  } finally {
    signal.removeEventListener('abort', aborted)
    cancel()
  }
}

/** What an initiator says, and how long it waits for the answer. */
export interface Initiation extends Limits {
  readonly options: SetupOptions
  readonly privateData: Uint8Array
}

export interface Established {
  readonly agreed: Agreed
  /** Of the Reply. */
  readonly privateData: Uint8Array
}

/**
 * The initiator's part. ECONNREFUSED (a RejectedError) when the peer does not want it, EPROTO when
 * it speaks something else, ETIMEDOUT.
 */
export async function initiate(
  stream: ByteStream,
  relay: Relay,
  initiation: Initiation,
): Promise<Established> {
  const { options, privateData } = initiation
  const exchange = new Exchange(stream, 'reply', encodeMpa(requestOf(options, privateData)))
  relay.target = exchange
  const reply = await within(exchange, initiation, REPLY_MILLISECONDS, stream.peer)
  if (reply.reject) throw new RejectedError(stream.peer, reply.privateData)
  try {
    return { agreed: concludeFrom(options, reply), privateData: reply.privateData }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    tell(stream, error.error, reply.markers)
    throw new HoldfastError('EPROTO', `${stream.peer}: ${error.message}`)
  }
}

/** Takes the Request of an initiator. */
export async function awaitRequest(
  stream: ByteStream,
  relay: Relay,
  limits: Limits,
): Promise<MpaSetup> {
  const exchange = new Exchange(stream, 'request', new Uint8Array(0))
  relay.target = exchange
  return within(exchange, limits, REQUEST_MILLISECONDS, stream.peer)
}

/** The responder's answer. What cannot be agreed on is rejected, and an EPROTO. */
export function accept(
  stream: ByteStream,
  request: MpaSetup,
  options: SetupOptions,
  privateData: Uint8Array,
): Agreed {
  demandSilence(stream)
  try {
    const { reply, agreed } = acceptOf(options, request, privateData)
    sendAll(stream, encodeMpa(reply))
    return agreed
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    // A Request of a revision that is not spoken is answered in one that is.
    const revision = Math.min(request.revision, options.revision)
    const enhanced = revision < 2 ? null : request.enhanced
    sendAll(stream, encodeMpa(rejectOf({ ...request, revision, enhanced }, new Uint8Array(0))))
    throw new HoldfastError('EPROTO', `${stream.peer}: ${error.message}`)
  }
}

export function reject(stream: ByteStream, request: MpaSetup, privateData: Uint8Array): void {
  sendAll(stream, encodeMpa(rejectOf(request, privateData)))
}

/** The Reply is the first thing that is sent, and is short: a stream has room for it. */
function sendAll(stream: ByteStream, bytes: Uint8Array): void {
  if (sendSome(stream, bytes).length === 0) return
  throw new HoldfastError('ECONNRESET', `${stream.peer} takes nothing`)
}

/** An initiator says nothing between its Request and the Reply (RFC 5044, 7.1.2). */
function demandSilence(stream: ByteStream): void {
  const count = stream.receive(new Uint8Array(1), 0, 1)
  if (count === 0) return
  const what = count < 0 ? 'ended the connection' : 'spoke'
  const code = count < 0 ? 'ECONNRESET' : 'EPROTO'
  throw new HoldfastError(code, `${stream.peer} ${what} before it had a Reply`)
}

/** A Terminate of an initiator that cannot agree with a Reply (RFC 6581, 9). */
function tell(stream: ByteStream, error: ErrorCode, markers: boolean): void {
  const payload = encodeTerminate({
    error,
    length: null,
    ddp: new Uint8Array(0),
    rdmap: new Uint8Array(0),
  })
  const writer = new FpduWriter({ crc: true, markers })
  const bytes = new Uint8Array(writer.bytesFor(UntaggedHeader.size + payload.length))
  const at = FpduWriter.ulpduAt
  putUntagged(new DataView(bytes.buffer), at, Opcode.terminate, true, 0, 1, 0)
  bytes.set(payload, at + UntaggedHeader.size)
  const length = writer.seal(bytes, 0, UntaggedHeader.size + payload.length)
  sendSome(stream, bytes.subarray(0, length))
  stream.end()
}
