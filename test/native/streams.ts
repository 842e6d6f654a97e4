/** What the tests of sockets share: pairs of streams, and awaiting what they call back. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { performance } from 'node:perf_hooks'
import { spawn, type StdioOptions } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import type { ByteStream, StreamEvents, StreamListener } from '../../src/base/byte_stream.js'
import { tcp } from '../../src/native/tcp.js'
import { connectUnix, listenUnix } from '../../src/native/unix.js'

/** One end of a connection. `readable` and `writable` become promises. */
export class End implements StreamEvents {
  readonly stream: ByteStream
  #readable: () => void = () => assert.fail('readable though reading(false)')
  #writable: () => void = () => assert.fail('writable though nothing was refused')

  constructor(stream: ByteStream) {
    this.stream = stream
    stream.reading(false)
    stream.attach(this)
  }

  readable(): void {
    this.stream.reading(false)
    this.#readable()
  }

  writable(): void {
    this.#writable()
  }

  canReceive(): Promise<void> {
    return new Promise((resolve) => {
      this.#readable = resolve
      this.stream.reading(true)
    })
  }

  canSend(): Promise<void> {
    return new Promise((resolve) => {
      this.#writable = resolve
    })
  }

  /** Sends all, in pieces. */
  async send(bytes: Uint8Array, piece: () => number): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(piece(), bytes.length - at)
      const taken = this.stream.send(bytes, at, length)
      assert.ok(taken >= 0 && taken <= length)
      at += taken
      if (taken < length) await this.canSend()
    }
  }

  /** Receives in pieces, until `most` bytes are here or the peer ends. */
  async receive(most: number, piece: () => number): Promise<Uint8Array> {
    const bytes = new Uint8Array(most)
    for (let at = 0; at < most;) {
      const length = Math.min(piece(), most - at)
      const got = this.stream.receive(bytes, at, length)
      if (got < 0) return bytes.subarray(0, at)
      assert.ok(got <= length)
      at += got
      if (got === 0) await this.canReceive()
    }
    return bytes
  }

  /** The next bytes, at most 64 KiB; null at the peer's end. */
  async next(): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(65536)
    for (;;) {
      const got = this.stream.receive(bytes, 0, bytes.length)
      if (got < 0) return null
      if (got > 0) return bytes.subarray(0, got)
      await this.canReceive()
    }
  }
}

export const all = (): number => 1 << 30

/** Queues what a listener accepts. */
export function queue() {
  const waiting: ByteStream[] = []
  const asking: Array<(stream: ByteStream) => void> = []
  const accepted = (stream: ByteStream): void => {
    const ask = asking.shift()
    if (ask === undefined) waiting.push(stream)
    else ask(stream)
  }
  const accept = (): Promise<ByteStream> => {
    const stream = waiting.shift()
    if (stream !== undefined) return Promise.resolve(stream)
    return new Promise((resolve) => asking.push(resolve))
  }
  return { waiting, accepted, accept }
}

/** A listener that queues what it accepts. */
export async function listening(host = '127.0.0.1') {
  const { waiting, accepted, accept } = queue()
  const listener: StreamListener = await tcp.listen(host, 0, accepted)
  return { listener, waiting, accept }
}

/** Two ends of one connection through a Unix socket that is gone again; the first connected. */
export async function unixPair(path: string): Promise<[End, End]> {
  const { accepted, accept } = queue()
  const listener = await listenUnix(path, 0o600, accepted)
  const stream = await connectUnix(path)
  const other = await accept()
  listener.close()
  return [new End(stream), new End(other)]
}

/** Two ends of one connection; the first one connected. */
export async function pair(host = '127.0.0.1'): Promise<[End, End]> {
  const { listener, accept } = await listening(host)
  const stream = await tcp.connect(listener.host, listener.port)
  const accepted = await accept()
  listener.close()
  return [new End(stream), new End(accepted)]
}

export function close(...ends: End[]): void {
  for (const { stream } of ends) stream.close()
}

/** Open descriptors of this process that are sockets. */
export function sockets(): number {
  return readdirSync('/proc/self/fd').filter((name) => linkOf(name).startsWith('socket:')).length
}

function linkOf(name: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${name}`)
  } catch {
    return 'gone'
  }
}

/** The part of some milliseconds in which the event loop was not asleep. */
export async function busyPart(milliseconds = 200): Promise<number> {
  const before = performance.eventLoopUtilization()
  await delay(milliseconds)
  return performance.eventLoopUtilization(before).utilization
}

/**
 * The same of the calmest of some such times: a process that others keep from running is not
 * asleep, one that turns in a loop is so at no time.
 */
export async function leastBusyPart(milliseconds = 200): Promise<number> {
  let least = 1
  for (let i = 0; i < 5 && least >= 0.5; i++) least = Math.min(least, await busyPart(milliseconds))
  return least
}

/**
 * A child process that runs a module beside this one; lines of its output as they come. It may be
 * limited to a number of descriptors, or keep its complaints to itself.
 */
export function child(
  script: string,
  args: string[] = [],
  { descriptors, quiet = false }: { descriptors?: number; quiet?: boolean } = {},
) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const command = ['exec "$@"', 'sh', process.execPath, path, ...args]
  if (descriptors !== undefined) command[0] = `ulimit -n ${descriptors}; ${command[0]}`
  const stdio: StdioOptions = ['ignore', 'pipe', quiet ? 'ignore' : 'inherit']
  const started = spawn('sh', ['-c', ...command], { stdio })
  const lines = createInterface({ input: started.stdout! })[Symbol.asyncIterator]()
  const exit = once(started, 'exit') as Promise<[number | null, string | null]>
  return {
    line: async (): Promise<string> => {
      const { value, done } = await lines.next()
      assert.ok(done !== true, `${script} ended before its next line`)
      return value
    },
    exit: async (): Promise<number | string | null> => {
      const [code, signal] = await exit
      return code ?? signal
    },
    kill: () => started.kill('SIGKILL'),
  }
}
