/**
 * What monitors ask a server over HTTP, GET and HEAD alone:
 *
 *     /metrics   numbers, in Prometheus' text format
 *     /healthz   200 while it serves, else 503 with the reason: restart it
 *     /readyz    200 when it takes new sessions, else 503 with the reason: send them elsewhere
 *
 * Nobody is asked who they are, so it listens on this machine alone unless it is told. Everything
 * is bounded: connections, bytes of a request, its time, and the time of an answer that nobody
 * reads.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemError } from '../base/system_call.js'
import { METRICS_TYPE } from './metrics.js'

const CONNECTIONS_MAX = 64
const HEADER_BYTES_MAX = 8 * 1024
const HEADERS_MAX = 64
const HEADERS_MS = 5_000
const REQUEST_MS = 10_000
/** Of a connection on which nothing moves, also because nobody reads. */
const IDLE_MS = 10_000
const CHECK_MS = 1_000

export interface MonitorOptions {
  /** 127.0.0.1 unless given. */
  readonly host?: string
  /** 0: one that is free. */
  readonly port: number
  metrics(): string
  /** Why it does not serve, null: it does. */
  unhealthy(): string | null
  /** Why it takes no sessions, null: it does. */
  unready(): string | null
  /** A bug in making an answer; the asker is told nothing of it. */
  failed(error: unknown): void
}

export interface Monitor {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

export async function serveMonitor(options: MonitorOptions): Promise<Monitor> {
  const { host: name = '127.0.0.1', port: wanted } = options
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: CHECK_MS,
    },
    (request, response) => answer(request, response, options),
  )
  server.maxConnections = CONNECTIONS_MAX
  server.maxHeadersCount = HEADERS_MAX
  server.setTimeout(IDLE_MS)
  await listening(server, name, wanted)
  const { address: host, port } = server.address() as AddressInfo
  return { host, port, close: () => closed(server) }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      reject(systemError(error, { syscall: 'listen', path: `${host}:${port}` }))
    }
    server.once('error', failed)
    server.listen({ host, port }, () => {
      server.off('error', failed)
      // Out of descriptors it cannot accept: that is another one's, and passes.
      server.on('error', () => {})
      resolve()
    })
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly type?: string
}

function answer(request: IncomingMessage, response: ServerResponse, options: MonitorOptions): void {
  const { method, headers } = request
  // A body would have to be read to its end before the next request: nobody sends one.
  const body =
    headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
  if (body) response.setHeader('Connection', 'close')
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    return send(response, { status: 405, text: 'GET and HEAD alone\n' })
  }
  if (body) return send(response, { status: 400, text: 'a request without a body is wanted\n' })
  let made: Answer
  try {
    made = answerTo(request.url ?? '', options)
  } catch (error) {
    options.failed(error)
    made = { status: 500, text: 'this failed; the log of the server says why\n' }
  }
  send(response, made)
}

function answerTo(url: string, options: MonitorOptions): Answer {
  const path = url.split('?', 1)[0]
  if (path === '/metrics') return { status: 200, text: options.metrics(), type: METRICS_TYPE }
  if (path === '/healthz') return state(options.unhealthy())
  if (path === '/readyz') return state(options.unready())
  return { status: 404, text: 'here are /metrics, /healthz and /readyz\n' }
}

const state = (why: string | null): Answer =>
  why === null ? { status: 200, text: 'ok\n' } : { status: 503, text: `${why}\n` }

function send(response: ServerResponse, { status, text, type }: Answer): void {
  response.writeHead(status, {
    'Content-Type': type ?? 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(text)
}
