/** A client on another host: over RDMA, with a key. */
import { systemCrypto, type Crypto } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'
import { systemTimers, type Timers } from '../base/timers.js'
import type { Caller } from '../control/caller.js'
import { MARK_BYTES } from '../control/channel.js'
import { encodePurpose } from '../control/greeting.js'
import { Initiator, type KeySecret } from '../control/handshake.js'
import type { SessionSecret } from '../control/session_secret.js'
import { Device, SendStream } from '../rdma/index.js'
import { Client, type ClientOptions, type Ways } from './client.js'
import { DataConnections } from './data_connections.js'
import { RemoteFile } from './remote_file.js'
import { Sizes } from './sizes.js'

export interface RemoteOptions extends ClientOptions {
  readonly key: KeySecret
  /** The RNIC of this side: one of its own unless given. */
  readonly device?: Device
  readonly crypto?: Crypto
}

/** Milliseconds that the server may take for the handshake. */
const HANDSHAKE_MILLISECONDS = 10_000
/** Milliseconds that it may take to end its connection. */
const CLOSE_MILLISECONDS = 2000

/** Connects to the server at HOST:PORT. */
export async function connectRemote(
  host: string,
  port: number,
  options: RemoteOptions,
): Promise<Client> {
  const { timers = systemTimers, crypto = systemCrypto } = options
  const { device = new Device({ timers }) } = options
  const data = new DataConnections(device, host, port)
  const sizes = new Sizes()
  const where = `hf://${host.includes(':') ? `[${host}]` : host}:${port}`
  /** Resolves when the last control connection has ended. */
  let ended: Promise<unknown> = Promise.resolve()
  const connect = async (signal: AbortSignal) => {
    const stream = new SendStream(device, where)
    const privateData = encodePurpose({ kind: 'control' })
    await device.connect(stream.qp, { host, port, privateData, signal })
    ended = stream.qp.closed
    return { stream, identify: (caller: Caller) => handshake(caller, options, crypto, timers) }
  }
  const closed = async () => {
    // It takes what was said last to the server, which then ends the rest in order.
    await within(ended, CLOSE_MILLISECONDS, timers)
    data.close()
    if (options.device === undefined) device.close()
  }
  const ways: Ways = {
    file: (client) => (opened, flags, how) =>
      new RemoteFile(client, data, sizes, opened, flags, how),
    lost: () => {
      data.close()
      sizes.forget()
    },
    closed,
    unplaced: (stag, why) => data.refused(stag, why),
    sized: (ino, size) => sizes.set(ino, size),
  }
  try {
    return await Client.connect(where, connect, ways, options)
  } catch (error) {
    await closed()
    throw error
  }
}

/** Waits for a promise, and no longer than so many milliseconds. */
async function within(promise: Promise<unknown>, milliseconds: number, timers: Timers) {
  let cancel = () => {}
  const late = new Promise<void>((resolve) => (cancel = timers.after(milliseconds, resolve)))
  await Promise.race([promise, late])
  cancel()
}

/** Both ends show that they have the key. */
function handshake(
  caller: Caller,
  { key }: RemoteOptions,
  crypto: Crypto,
  timers: { after(milliseconds: number, run: () => void): () => void },
): Promise<SessionSecret> {
  return new Promise((resolve, reject) => {
    const initiator = new Initiator(key, new Uint8Array(0), crypto)
    const late = () => finish(new HoldfastError('ETIMEDOUT', 'the server does not answer'))
    const cancel = timers.after(HANDSHAKE_MILLISECONDS, late)
    const finish = (error: unknown) => {
      cancel()
      caller.gate = null
      caller.onEnd = null
      if (error !== null) reject(error as Error)
    }
    const send = (message: Uint8Array) => {
      const marked = new Uint8Array(MARK_BYTES + message.length)
      marked.set(message, MARK_BYTES)
      caller.channel.send(marked)
    }
    // Who is not let in is told so.
    caller.onEnd = () => finish(new HoldfastError('ECONNRESET', 'the server has left'))
    caller.gate = (message) => {
      try {
        const { send: answer, established } = initiator.receive(message)
        if (answer !== null) send(answer)
        if (established === null) return
        finish(null)
        resolve(established.secret)
      } catch (error) {
        finish(error)
      }
    }
    send(initiator.first)
  })
}
