/**
 * A client that says what it is told to: any bytes, at any time, and that reads only when it likes.
 */
import assert from 'node:assert/strict'
import type { ByteStream } from '../../src/base/byte_stream.js'
import { systemCrypto } from '../../src/base/crypto.js'
import type { Credentials } from '../../src/base/filesystem.js'
import { HoldfastError } from '../../src/base/errors.js'
import { encodePurpose } from '../../src/control/greeting.js'
import { Initiator, type KeySecret } from '../../src/control/handshake.js'
import {
  Kind,
  readNotice,
  readResult,
  writeCallHead,
  type Notice,
} from '../../src/control/message.js'
import type { SessionSecret } from '../../src/control/session_secret.js'
import type { ArgsOf, ResultOf, Verb } from '../../src/control/verb.js'
import { VERBS, type VerbName } from '../../src/control/verbs/index.js'
import { XdrReader, XdrWriter } from '../../src/control/xdr.js'
import { connectUnix } from '../../src/native/unix.js'
import { SendStream, type Device } from '../../src/rdma/index.js'

export interface RawCall {
  readonly as?: Credentials
  readonly limit?: number
  readonly id?: number
}

interface Waiting {
  readonly verb: VerbName
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** A message behind its mark. */
export function framed(message: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(4 + message.length)
  bytes.writeUInt32BE((0x8000_0000 | message.length) >>> 0)
  bytes.set(message, 4)
  return new Uint8Array(bytes)
}

export class RawClient {
  readonly stream: ByteStream
  readonly notices: Notice[] = []
  /** Messages that came, where they are not replies and notices (handshakes). */
  readonly messages: Uint8Array[] = []
  /** Replies that nobody waits for: their ids. */
  readonly strays: number[] = []
  ended = false
  secret: SessionSecret | null = null
  /** Sees every message that comes. */
  onMessage: ((message: Uint8Array) => void) | null = null
  /** What the server said to HELLO. */
  session = 0
  #raw = true
  #id = 1000
  #unsent: Uint8Array[] = []
  #came: Uint8Array = new Uint8Array(0)
  readonly #waiting = new Map<number, Waiting>()
  #wakes: (() => void)[] = []

  constructor(stream: ByteStream) {
    this.stream = stream
    stream.attach({ readable: () => this.#take(), writable: () => this.#flush() })
  }

  static async unix(path: string): Promise<RawClient> {
    const client = new RawClient(await connectUnix(path))
    client.know()
    return client
  }

  /** No handshake comes: replies and notices do. */
  know(): void {
    this.#raw = false
  }

  /** `key` null: nothing is said after the connection is there. */
  static async remote(device: Device, port: number, key: KeySecret | null): Promise<RawClient> {
    const stream = new SendStream(device, 'the server')
    const privateData = encodePurpose({ kind: 'control' })
    await device.connect(stream.qp, { host: '127.0.0.1', port, privateData })
    const client = new RawClient(stream)
    if (key !== null) await client.identify(key)
    return client
  }

  /** The handshake, as it should be. */
  async identify(key: KeySecret): Promise<void> {
    const initiator = new Initiator(key, new Uint8Array(0), systemCrypto)
    this.send(initiator.first)
    const challenge = await this.message()
    this.send(initiator.receive(challenge).send!)
    const { established } = initiator.receive(await this.message())
    this.secret = established!.secret
    this.#raw = false
  }

  /** The next message as it is, ECONNRESET when none comes. */
  async message(): Promise<Uint8Array> {
    while (this.messages.length === 0) {
      if (this.ended) throw new HoldfastError('ECONNRESET', 'no message comes')
      await this.#something()
    }
    return this.messages.shift()!
  }

  async hello(name = 'hostile'): Promise<void> {
    const args = { version: 1, versionMin: 1, capabilities: 0, name, umask: 0 }
    ;({ session: this.session } = await this.call('hello', args))
  }

  /** Calls, and waits for the answer. */
  call<V extends VerbName>(
    verb: V,
    args: ArgsOf<(typeof VERBS)[V]>,
    options: RawCall = {},
  ): Promise<ResultOf<(typeof VERBS)[V]>> {
    const id = options.id ?? ++this.#id
    const bytes = callBytes(verb, args, { ...options, id })
    const answer = this.wait<ResultOf<(typeof VERBS)[V]>>(verb, id)
    this.send(bytes)
    return answer
  }

  /** The answer to a call that is made, or was. */
  wait<T>(verb: VerbName, id: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.ended) return reject(new HoldfastError('ECONNRESET', 'it has ended'))
      this.#waiting.set(id, { verb, resolve: resolve as (value: unknown) => void, reject })
    })
  }

  /** Sends a message. */
  send(message: Uint8Array): void {
    this.raw(framed(message))
  }

  /** Sends bytes. */
  raw(bytes: Uint8Array): void {
    if (this.ended) return
    this.#unsent.push(bytes)
    if (this.#unsent.length === 1) this.#flush()
  }

  get unsent(): number {
    return this.#unsent.reduce((sum, { length }) => sum + length, 0)
  }

  /** Whether anything is read. */
  greedy(wanted: boolean): void {
    if (!this.ended) this.stream.reading(wanted)
  }

  /** Resolves when the other end has ended. */
  async gone(): Promise<void> {
    while (!this.ended) await this.#something()
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.ended) throw new HoldfastError('ECONNRESET', 'it has ended')
      await this.#something()
    }
  }

  abort(): void {
    if (this.ended) return
    this.#over()
    this.stream.abort()
  }

  #something(): Promise<void> {
    return new Promise((resolve) => this.#wakes.push(resolve))
  }

  #over(): void {
    this.ended = true
    for (const { reject } of this.#waiting.values()) {
      reject(new HoldfastError('ECONNRESET', 'the server has left'))
    }
    this.#waiting.clear()
    for (const wake of this.#wakes.splice(0)) wake()
  }

  #flush(): void {
    try {
      while (this.#unsent.length > 0 && !this.ended) {
        const first = this.#unsent[0]!
        const count = this.stream.send(first, 0, first.length)
        if (count < first.length) {
          this.#unsent[0] = first.subarray(count)
          return
        }
        this.#unsent.shift()
      }
    } catch {
      this.#lost()
    }
  }

  #take(): void {
    const bytes = new Uint8Array(65_536)
    let got: number
    try {
      got = this.stream.receive(bytes, 0, bytes.length)
    } catch {
      return this.#lost()
    }
    if (got < 0) return this.#lost()
    if (got === 0) return
    this.#came = Buffer.concat([this.#came, bytes.subarray(0, got)])
    for (;;) {
      if (this.#came.length < 4) break
      const length =
        new DataView(this.#came.buffer, this.#came.byteOffset).getUint32(0) & 0x7fff_ffff
      if (this.#came.length < 4 + length) break
      const message = this.#came.slice(4, 4 + length)
      this.#came = this.#came.subarray(4 + length)
      this.#one(new Uint8Array(message))
    }
    for (const wake of this.#wakes.splice(0)) wake()
  }

  #lost(): void {
    if (this.ended) return
    this.#over()
    this.stream.abort()
  }

  #one(message: Uint8Array): void {
    this.onMessage?.(message)
    if (this.#raw) {
      this.messages.push(message)
      return
    }
    const from = new XdrReader(message)
    const kind = from.u32()
    if (kind === Kind.notice) {
      const notice = readNotice(from)
      assert.ok(notice !== null, 'a notice that is known')
      this.notices.push(notice)
      return
    }
    assert.equal(kind, Kind.reply)
    const id = from.u32()
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) {
      this.strays.push(id)
      return
    }
    this.#waiting.delete(id)
    try {
      waiting.resolve(readResult(from, VERBS[waiting.verb].result as Verb['result']))
    } catch (error) {
      waiting.reject(error)
    }
  }
}

/** The bytes of a call. */
export function callBytes<V extends VerbName>(
  verb: V,
  args: ArgsOf<(typeof VERBS)[V]>,
  { id = 0, limit = 0, as }: RawCall = {},
): Uint8Array {
  const out = new XdrWriter()
  writeCallHead(out, id, limit, as, VERBS[verb].number)
  ;(VERBS[verb] as Verb).args.write(out, args)
  return out.bytes.slice()
}

export function cancelBytes(id: number): Uint8Array {
  const out = new XdrWriter()
  out.u32(Kind.cancel)
  out.u32(id)
  return out.bytes.slice()
}

/** The errno's name of a call that is to fail. */
export const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => (error instanceof HoldfastError ? error.code : String(error)),
  )

export const byPath = (path: string | Uint8Array, follow = true) => ({
  path: { path: typeof path === 'string' ? Buffer.from(path) : path, follow },
})
