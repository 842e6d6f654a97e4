/** Two queue pairs that are connected, over TCP in this process, and what their tests ask. */
import assert from 'node:assert/strict'
import type { Transport } from '../../src/base/byte_stream.js'
import type { Timers } from '../../src/base/timers.js'
import {
  Device,
  type AcceptOptions,
  type Completion,
  type CompletionQueue,
  type ConnectOptions,
  type End,
  type ProtectionDomain,
  type QueuePair,
  type QueuePairOptions,
  type Remote,
  type Status,
  type Work,
} from '../../src/rdma/index.js'
import type { ErrorCode } from '../../src/rdma/wire/terminate.js'
import { turn } from '../processes/program.js'

export { turn, until } from '../processes/program.js'

export interface SideOptions extends AcceptOptions {
  readonly transport?: Transport
  readonly timers?: Timers
  readonly qp?: Partial<QueuePairOptions>
}

export type Connect = Partial<ConnectOptions>

/** One end: a device of its own, and a queue pair with a completion queue for each direction. */
export class Side {
  readonly device: Device
  readonly domain: ProtectionDomain
  readonly sendCq: CompletionQueue
  readonly receiveCq: CompletionQueue
  readonly qp: QueuePair

  constructor({ transport, timers, qp = {} }: SideOptions = {}) {
    const device = {
      ...(transport === undefined ? {} : { transport }),
      ...(timers === undefined ? {} : { timers }),
    }
    this.device = new Device(device)
    this.domain = this.device.protectionDomain()
    this.sendCq = qp.sendCq ?? this.device.completionQueue()
    this.receiveCq = qp.receiveCq ?? this.device.completionQueue()
    this.qp = this.device.queuePair(this.domain, {
      ...qp,
      sendCq: this.sendCq,
      receiveCq: this.receiveCq,
    })
  }

  post(work: Work): void {
    this.qp.postSend(work)
  }

  /** Posts receives of so many bytes each, and returns where they go. */
  receive(...bytes: readonly number[]): Uint8Array[] {
    return bytes.map((length, i) => {
      const into = new Uint8Array(length)
      this.qp.postReceive({ id: i, into })
      return into
    })
  }

  /** What becomes of the next work that completes. */
  sent(): Promise<Completion> {
    return next(this.sendCq)
  }

  received(): Promise<Completion> {
    return next(this.receiveCq)
  }

  /** Posts work, and waits for what becomes of it: nothing else is under way. */
  async done(work: Work): Promise<Completion> {
    this.post(work)
    return this.sent()
  }
}

export async function next(cq: CompletionQueue): Promise<Completion> {
  for (;;) {
    const completion = cq.take()
    if (completion !== null) return completion
    await cq.wait()
  }
}

/** So many completions, as `id status`. */
export async function statuses(cq: CompletionQueue, count: number): Promise<string[]> {
  const all: string[] = []
  while (all.length < count) {
    const { id, status } = await next(cq)
    all.push(`${String(id)} ${status}`)
  }
  return all
}

export class Pair implements Disposable {
  readonly client: Side
  readonly server: Side

  constructor(client: Side, server: Side) {
    this.client = client
    this.server = server
  }

  /** Memory of the server that the client may reach, as `remote` names it. */
  expose(bytes: Uint8Array, address = 0) {
    const access = [
      'localWrite',
      'remoteWrite',
      'remoteRead',
      'remoteAtomic',
      'remoteInvalidate',
    ] as const
    const region = this.server.domain.register(bytes, { access, address })
    const remote = (offset: number): Remote => ({ stag: region.stag, address: address + offset })
    return { region, remote, stag: region.stag }
  }

  /** All that the client sent before has been dealt with by the server: a Read of no bytes. */
  async settle(): Promise<void> {
    const { status } = await this.client.done({ op: 'read', local: [], remote: NOWHERE })
    assert.equal(status, 'SUCCESS')
  }

  /** How both ends say that it ended. */
  async ends(): Promise<[client: End, server: End]> {
    return Promise.all([this.client.qp.closed, this.server.qp.closed])
  }

  /** The server has refused what the client did, with this error, and told it. */
  async refused(error: ErrorCode, what = ''): Promise<void> {
    const [client, server] = await this.ends()
    assert.deepEqual([server.cause, server.error], ['refused', error], `${what}: ${server.detail}`)
    assert.deepEqual(
      [client.cause, client.error],
      ['terminated', error],
      `${what}: ${client.detail}`,
    )
  }

  close(): void {
    this.client.device.close()
    this.server.device.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

export const NOWHERE: Remote = { stag: 0, address: 0 }

export function connected(
  client: SideOptions & Connect = {},
  server: SideOptions = {},
): Promise<Pair> {
  return connectSides(new Pair(new Side(client), new Side(server)), client, server)
}

export async function connectSides(
  pair: Pair,
  client: Connect = {},
  server: AcceptOptions = {},
): Promise<Pair> {
  try {
    const listener = await pair.server.device.listen()
    const { host, port } = listener
    const accepted = listener.next().then((request) => request!.accept(pair.server.qp, server))
    await Promise.all([
      pair.client.device.connect(pair.client.qp, { ...client, host, port }),
      accepted,
    ])
    listener.close()
    return pair
  } catch (error) {
    pair.close()
    throw error
  }
}

/** Bytes that differ from place to place. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

export function sameBytes(got: Uint8Array, want: Uint8Array, what: string): void {
  if (Buffer.compare(got, want) === 0) return
  assert.equal(got.length, want.length, `${what}: bytes`)
  const at = got.findIndex((byte, i) => byte !== want[i])
  assert.fail(`${what}: byte ${at} is ${got[at]}, expected ${want[at]}`)
}

/** So many turns of the event loop, for what is not to happen. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

export function assertStatus(completion: Completion, status: Status, what = ''): void {
  assert.equal(completion.status, status, `${what} ${completion.op}: ${completion.detail}`)
}
