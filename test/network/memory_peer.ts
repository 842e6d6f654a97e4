/**
 * A program of the network tests: one end of an RDMA connection. As server it has memory that
 * others read and write; as client it does work there, and has a model of what it must be.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Prng } from '../../src/base/prng.js'
import { connectPeer, acceptPeer, Device, type Peer } from '../../src/rdma/index.js'
import { serve, tell } from '../processes/serve.js'

/** Writes that are on their way at a time. */
const AHEAD = 8

const device = new Device()
/** Of the server: its memory. Of the client: what the memory must be. */
let memory = new Uint8Array(0)
let stag = 0
let peer: Peer | null = null

function contentOf(seed: number, bytes: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(bytes)
  new Prng(seed).fill(content)
  return content
}

/** Tells the test when a connection ends, and of what. */
function watch(one: Peer): void {
  const began = performance.now()
  void one.closed.then(({ cause, detail }) => {
    tell('ended', { cause, detail, seconds: (performance.now() - began) / 1000 })
  })
}

async function listen(args: { host: string; bytes: number; seed: number; port?: number }) {
  memory = contentOf(args.seed, args.bytes)
  const domain = device.protectionDomain()
  const region = domain.register(memory, { access: ['localWrite', 'remoteRead', 'remoteWrite'] })
  const listener = await device.listen({ host: args.host, port: args.port ?? 0 })
  void (async () => {
    for (let one = await listener.next(); one !== null; one = await listener.next()) {
      const accepted = acceptPeer(device, one, { domain })
      tell('accepted')
      watch(accepted)
    }
  })()
  return { port: listener.port, stag: region.stag }
}

interface Connect {
  readonly host: string
  readonly port: number
  readonly stag: number
  readonly bytes: number
  readonly seed: number
}

async function connect({ host, port, stag: key, bytes, seed }: Connect): Promise<void> {
  peer = await connectPeer(device, { host, port })
  memory = contentOf(seed, bytes)
  stag = key
  watch(peer)
}

/** Random reads, each compared with what was written before it, and writes. */
async function work(args: { seed: number; operations: number; longest: number }) {
  const one = peer!
  const prng = new Prng(args.seed)
  const counts = { reads: 0, writes: 0, bytes: 0, written: 0 }
  const ahead: Promise<void>[] = []
  for (let i = 0; i < args.operations; i++) {
    const length = 1 + prng.below(args.longest)
    const at = prng.below(memory.length - length + 1)
    counts.bytes += length
    if (prng.chance(1, 2)) {
      const bytes = contentOf(prng.next(), length)
      memory.set(bytes, at)
      const write = one.write(stag, at, bytes)
      // Told when it is awaited, or by what fails before.
      write.catch(() => {})
      ahead.push(write)
      counts.writes++
      counts.written += length
      if (ahead.length >= AHEAD) await ahead.shift()
    } else {
      const got = await one.read(stag, at, length)
      const same = Buffer.compare(got, memory.subarray(at, at + length)) === 0
      assert.ok(
        same,
        `seed ${args.seed}: read ${i}, ${length} bytes at ${at}, is not what is there`,
      )
      counts.reads++
    }
  }
  await Promise.all(ahead)
  await one.placed()
  return counts
}

/** Works until the connection ends; how many rounds that were. */
async function workOn({ seed, longest }: { seed: number; longest: number }): Promise<number> {
  for (let round = 0; ; round++) {
    try {
      await work({ seed: seed + round, operations: 20, longest })
      if (round === 0) tell('working')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
      return round
    }
  }
}

/** Writes more than anything between holds, until the connection ends. */
async function flood({ seed }: { seed: number }): Promise<void> {
  const bytes = contentOf(seed, memory.length)
  try {
    for (;;) await peer!.write(stag, 0, bytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
  }
}

serve({
  listen,
  connect,
  work,
  workOn,
  flood,
  hash: () => createHash('sha256').update(memory).digest('hex'),
  placed: () => peer!.placed(),
  close: async () => (await peer!.close()).cause,
})
