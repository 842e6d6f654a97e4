/** Two ends of an RDMA connection on two hosts, and what tests ask of them. */
import assert from 'node:assert/strict'
import { Actor } from '../processes/actor.js'
import { compileLibrary } from '../processes/compile.js'
import type { Programs } from '../processes/program.js'
import type { Host } from './hosts.js'

/** A minute without an answer is two seconds, when a test asks for it, but not in the long run. */
const SOONER = 30
const WAITS = process.env['HOLDFAST_LONG'] !== undefined
/** What TCP needs to find that nobody answers, and what a busy machine adds to it. */
export const GONE_SECONDS = WAITS ? 100 : 30
const PROGRAM_SECONDS = 240

let library: string | null = null

/** The environment in which TCP loses its patience sooner. */
export function impatient(): Record<string, string> {
  if (WAITS) return {}
  library ??= compileLibrary('test/network/sooner.c')
  return { LD_PRELOAD: library, HOLDFAST_SOONER: String(SOONER) }
}

export interface Ended {
  readonly cause: string
  readonly detail: string
  readonly seconds: number
}

interface Worked {
  readonly reads: number
  readonly writes: number
  readonly bytes: number
  /** Of them those of writes. */
  readonly written: number
}

/** What a client connects to, and what it finds there. */
interface Target {
  readonly host: string
  readonly port: number
  readonly stag: number
  readonly bytes: number
  readonly seed: number
}

export interface EndsOptions {
  readonly seed: number
  readonly bytes?: number
  readonly env?: Readonly<Record<string, string>>
  readonly ipv6?: boolean
  /** Where the client connects to, when that is not the server itself. */
  readonly through?: (server: { host: string; port: number }) => Promise<{
    readonly host: string
    readonly port: number
  }>
}

const MEMORY_BYTES = 1 << 20

export class Ends {
  readonly client: Actor
  readonly server: Actor
  readonly #target: Target

  constructor(client: Actor, server: Actor, target: Target) {
    this.client = client
    this.server = server
    this.#target = target
  }

  /** The client connects; what it thought of the memory it forgets. */
  async connect(): Promise<void> {
    await this.client.call('connect', this.#target)
    await this.server.event('accepted')
  }

  /** Reads and writes at random; what they were. */
  work(seed: number, operations: number, longest: number) {
    const args = { seed, operations, longest }
    return this.client.call<Worked>('work', args)
  }

  /** The memory of the server is what the client has made of it. */
  async same(): Promise<void> {
    await this.client.call('placed')
    const [want, got] = await Promise.all([this.client.call('hash'), this.server.call('hash')])
    assert.equal(got, want, 'the memory of the server')
  }

  async close(): Promise<void> {
    assert.equal(await this.client.call('close'), 'disconnected')
    assert.equal((await this.server.event<Ended>('ended')).cause, 'disconnected')
  }
}

/** Connects two ends, on two hosts or (null) on this machine. */
export async function connectedEnds(
  programs: Programs,
  hosts: readonly [Host, Host] | null,
  options: EndsOptions,
): Promise<Ends> {
  const { seed, bytes = MEMORY_BYTES, env = {}, ipv6 = false, through } = options
  const program = (name: string, place: Host | undefined) => {
    const at = { name, env, seconds: PROGRAM_SECONDS, ...(place === undefined ? {} : { place }) }
    return Actor.start(programs, import.meta.url, './memory_peer.js', at)
  }
  const [client, server] = await Promise.all([
    program('client', hosts?.[0]),
    program('server', hosts?.[1]),
  ])
  const host = hosts === null ? '127.0.0.1' : ipv6 ? hosts[1].ipv6 : hosts[1].ipv4
  const { port, stag } = await server.call<{ port: number; stag: number }>('listen', {
    host,
    bytes,
    seed,
  })
  const to = through === undefined ? { host, port } : await through({ host, port })
  const ends = new Ends(client, server, { ...to, stag, bytes, seed })
  await ends.connect()
  return ends
}
