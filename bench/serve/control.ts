/**
 * Calls of a client on the Unix socket, one after the other, and the floor of each: a ping-pong of
 * as many bytes there and back over the same kind of stream, by callbacks.
 */
import type { ByteStream } from '../../src/base/byte_stream.js'
import { Stats } from '../../src/base/stats.js'
import { MARK_BYTES } from '../../src/control/channel.js'
import { writeCallHead, writeReply } from '../../src/control/message.js'
import { VERBS } from '../../src/control/verbs/index.js'
import type { Verb } from '../../src/control/verb.js'
import { XdrWriter } from '../../src/control/xdr.js'
import { connectUnix, listenUnix } from '../../src/native/unix.js'
import type { Round, Worker } from '../rdma/work.js'
import { connectLocally, type ServedPlace } from './served.js'

const READ_BYTES = 4096
/** The calls that are measured, by their `form`. */
export const CALLS = ['NULL', 'STAT', 'READ of 4 KiB'] as const

interface Sizes {
  readonly request: number
  readonly reply: number
}

/** Bytes of a call and of its reply, marks and all. */
function sizesOf<A, R>(verb: Verb<A, R>, args: A, result: R): Sizes {
  const out = new XdrWriter()
  out.reset(MARK_BYTES)
  writeCallHead(out, 1, 0, undefined, verb.number)
  verb.args.write(out, args)
  const request = out.length
  out.reset(MARK_BYTES)
  writeReply(out, 1, verb.result, result)
  return { request, reply: out.length }
}

export const SIZES: readonly Sizes[] = [
  sizesOf(VERBS.ping, {}, {}),
  sizesOf(VERBS.stat, { target: { handle: 1 } }, new Stats()),
  sizesOf(
    VERBS.read,
    { handle: 1, position: 0, length: READ_BYTES },
    { data: new Uint8Array(READ_BYTES) },
  ),
]

/** A client that makes them. */
export async function connectCalls(place: ServedPlace, content: Buffer): Promise<Worker> {
  const client = await connectLocally(place)
  const file = await client.open('/fixed', 'r')
  const into = new Uint8Array(READ_BYTES)
  const { connection } = client
  let size = 0
  const calls: readonly (() => Promise<unknown>)[] = [
    () => connection.call(VERBS.ping, {}),
    () => file.stat().then((found) => (size = found.size)),
    () => file.read(into, 0),
  ]
  return {
    prepare: () => Promise.resolve(void into.fill((size = 0))),
    async run({ form = 0, count }: Round, each: Float64Array) {
      const call = calls[form]!
      for (let i = 0; i < count; i++) {
        const start = performance.now()
        await call()
        each[i] = (performance.now() - start) * 1e6
      }
      return true
    },
    verify({ form = 0 }: Round) {
      const good =
        form === 0 ||
        (form === 1
          ? size === content.length
          : content.compare(into, 0, READ_BYTES, 0, READ_BYTES) === 0)
      return good
        ? Promise.resolve()
        : Promise.reject(new Error(`a wrong answer to ${CALLS[form]}`))
    },
    close: () => client.close(),
  }
}

// ---- the floor ---------------------------------------------------------------------------------

const HEADER_BYTES = 8

/** Receives so many bytes, again and again. */
function whenever(stream: ByteStream, bytes: () => number, run: () => void): () => void {
  const stage = new Uint8Array(2 * READ_BYTES)
  let got = 0
  return () => {
    const came = stream.receive(stage, 0, bytes() - got)
    if (came < 0) return stream.close()
    got += came
    if (got < bytes()) return
    got = 0
    run()
  }
}

function sendAll(stream: ByteStream, bytes: Uint8Array): void {
  if (stream.send(bytes, 0, bytes.length) !== bytes.length) throw new Error('the socket is full')
}

/** Answers each request of the size that a connection's first bytes say. Gives its path. */
export async function servePong({ directory }: { directory: string }): Promise<string> {
  const path = `${directory}/pong`
  await listenUnix(path, 0o600, (stream) => {
    const header = new Uint8Array(HEADER_BYTES)
    const view = new DataView(header.buffer)
    stream.attach({
      readable: () => {
        if (stream.receive(header, 0, HEADER_BYTES) !== HEADER_BYTES) return stream.close()
        const reply = new Uint8Array(view.getUint32(4))
        const answer = () => sendAll(stream, reply)
        const readable = whenever(stream, () => view.getUint32(0), answer)
        stream.attach({ readable, writable: () => {} })
      },
      writable: () => {},
    })
  })
  return path
}

export async function connectPing(path: string): Promise<Worker> {
  const pings = await Promise.all(SIZES.map((sizes) => pingOf(path, sizes)))
  return {
    prepare: () => Promise.resolve(),
    async run({ form = 0, count }: Round, each: Float64Array) {
      await pings[form]!.run(count, each)
      return true
    },
    verify: () => Promise.resolve(),
    close: () => Promise.resolve(pings.forEach(({ close }) => close())),
  }
}

async function pingOf(path: string, { request, reply }: Sizes) {
  const stream = await connectUnix(path)
  const bytes = new Uint8Array(request)
  let pong = () => {}
  const readable = whenever(
    stream,
    () => reply,
    () => pong(),
  )
  stream.attach({ readable, writable: () => {} })
  const header = new DataView(new ArrayBuffer(HEADER_BYTES))
  header.setUint32(0, request)
  header.setUint32(4, reply)
  sendAll(stream, new Uint8Array(header.buffer))
  const run = (count: number, each: Float64Array) =>
    new Promise<void>((resolve) => {
      let done = 0
      let start = performance.now()
      pong = () => {
        each[done] = (performance.now() - start) * 1e6
        if (++done === count) return resolve()
        start = performance.now()
        sendAll(stream, bytes)
      }
      sendAll(stream, bytes)
    })
  return { run, close: () => stream.close() }
}
