/**
 * TCP as a transport: names are looked up, each address is tried in turn, and errors say which
 * address had which.
 *
 * Invariant: a socket is closed on each way that does not hand it over.
 */
import { lookup } from 'node:dns/promises'
import type { ByteStream, StreamListener, Transport } from '../base/byte_stream.js'
import { ERRNO, HoldfastError, type ErrorCode } from '../base/errors.js'
import { native } from './native.js'
import { SocketListener } from './socket_listener.js'
import { codeOf } from './socket_stream.js'
import type { PollId, Ready } from './sockets.js'
import { endpointText, TcpStream } from './tcp_stream.js'

const PORT_MAX = 0xffff

const REMEDIES: Partial<Record<ErrorCode, string>> = {
  ECONNREFUSED: 'nobody listens there: start the server, or correct the port',
  ETIMEDOUT: 'nothing answers: look at the address, and at firewalls between',
  EHOSTUNREACH: 'look at the address and the routes to it',
  ENETUNREACH: 'look at the address and the routes to it',
  ENOTFOUND: 'correct the name',
  EAI_AGAIN: 'the name server does not answer: try again, or give an address',
  EADDRINUSE: 'choose another port, or end who listens there',
  EADDRNOTAVAIL: 'give an address that this machine has',
  EACCES: 'listening below port 1024 wants privileges',
  EMFILE: 'close descriptors, or raise RLIMIT_NOFILE',
}

/** What an attempt at one address came to. */
interface Attempt {
  readonly address: string
  readonly error: unknown
}

function explained(call: string, where: string, attempts: readonly Attempt[]): unknown {
  const { error } = attempts.at(-1)!
  const code = codeOf(error)
  if (code === undefined) return error
  const each = attempts.map((one) => `${one.address}: ${codeOf(one.error) ?? String(one.error)}`)
  const tried = attempts.length > 1 ? ` (${each.join(', ')})` : ''
  const remedy = REMEDIES[code]
  const text = `cannot ${call} ${where}${tried}: ${ERRNO[code][1]}`
  return new HoldfastError(code, remedy === undefined ? text : `${text}; ${remedy}`, {
    syscall: String((error as NodeJS.ErrnoException).syscall),
    cause: error,
  })
}

function check(host: string, port: number, least: number): void {
  if (host === '') throw new HoldfastError('EINVAL', 'the host is empty; give a name or an address')
  if (Number.isInteger(port) && port >= least && port <= PORT_MAX) return
  throw new HoldfastError('EINVAL', `port ${port} is no integer in [${least}, ${PORT_MAX}]`)
}

async function addressesOf(call: string, host: string, port: number): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address)
  } catch (error) {
    throw explained(call, endpointText(host, port), [{ address: host, error }])
  }
}

/** The promise's result, or the signal's reason, whichever comes first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason as Error)
    signal.addEventListener('abort', aborted, { once: true })
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}

function connectTo(address: string, port: number, signal?: AbortSignal): Promise<TcpStream> {
  return new Promise((resolve, reject) => {
    let ready: Ready = settle
    const poll = native.connectSocket(address, port, (readable, writable) =>
      ready(readable, writable),
    )
    signal?.addEventListener('abort', abort, { once: true })
    native.watch(poll, false, true)

    function abort(): void {
      native.closeSocket(poll, true)
      reject(signal!.reason as Error)
    }
    function settle(): void {
      try {
        if (!native.connected(poll)) return
      } catch (error) {
        signal?.removeEventListener('abort', abort)
        native.closeSocket(poll, true)
        reject(error as Error)
        return
      }
      signal?.removeEventListener('abort', abort)
      native.watch(poll, false, false)
      const stream = new TcpStream(poll, endpointText(address, port))
      ready = (readable, writable) => stream.ready(readable, writable)
      resolve(stream)
    }
  })
}

async function connect(host: string, port: number, signal?: AbortSignal): Promise<ByteStream> {
  signal?.throwIfAborted()
  check(host, port, 1)
  const addresses = await unlessAborted(addressesOf('connect to', host, port), signal)
  const attempts: Attempt[] = []
  for (const address of addresses) {
    signal?.throwIfAborted()
    try {
      return await connectTo(address, port, signal)
    } catch (error) {
      signal?.throwIfAborted()
      attempts.push({ address, error })
    }
  }
  throw explained('connect to', endpointText(host, port), attempts)
}

class TcpListener extends SocketListener implements StreamListener {
  readonly host: string
  readonly port: number

  constructor(
    address: string,
    port: number,
    silence: number,
    accepted: (stream: ByteStream) => void,
  ) {
    super((ready) => native.listenSocket(address, port, silence, ready), acceptTcp, accepted)
    const bound = native.boundTo(this.poll)
    this.host = bound.host
    this.port = bound.port
  }
}

function acceptTcp(listener: PollId, ready: Ready): TcpStream | null {
  const accepted = native.acceptSocket(listener, ready)
  if (accepted === undefined) return null
  return new TcpStream(accepted.poll, endpointText(accepted.host, accepted.port))
}

/** The next address is for those that this machine has not, not for those that are taken. */
const ELSEWHERE: readonly unknown[] = ['EADDRNOTAVAIL', 'EAFNOSUPPORT']

async function listen(
  host: string,
  port: number,
  accepted: (stream: ByteStream) => void,
  silence = 0,
): Promise<StreamListener> {
  check(host, port, 0)
  const attempts: Attempt[] = []
  for (const address of await addressesOf('listen at', host, port)) {
    try {
      return new TcpListener(address, port, silence, accepted)
    } catch (error) {
      attempts.push({ address, error })
      if (!ELSEWHERE.includes(codeOf(error))) break
    }
  }
  throw explained('listen at', endpointText(host, port), attempts)
}

/** Addresses and names of both IPv4 and IPv6. */
export const tcp: Transport = { connect, listen }
