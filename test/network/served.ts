/** A served volume and its clients, each on a host of its own. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { HoldInfo } from '../../src/base/layout.js'
import { Actor } from '../processes/actor.js'
import { processTest, seedOf, type Programs } from '../processes/program.js'
import { Network, type Host } from './hosts.js'
import { noHosts } from '../../scripts/network_needs.js'

/** The long run waits as long as clients and servers do. */
export const LONG = process.env['HOLDFAST_LONG'] !== undefined
/** Milliseconds. */
export const KEEPALIVE = LONG ? 5000 : 1000
/** When a silent client has ended: three keepalives, and the server looks once a second. */
export const GONE_MILLISECONDS = 3 * KEEPALIVE + Math.min(KEEPALIVE, 1000)
const REGION_BYTES = 16 << 20
const PROGRAM_SECONDS = LONG ? 600 : 240
const PORT = 7174

/** What a file has, and how much of it. */
export function digest(
  read: (bytes: Uint8Array, at: number) => number,
  offset: number,
  length: number,
  step: number,
): string {
  const hash = createHash('sha1')
  const bytes = new Uint8Array(Math.min(step, length))
  let at = offset
  while (at < offset + length) {
    const got = read(bytes.subarray(0, Math.min(step, offset + length - at)), at)
    if (got === 0) break
    hash.update(bytes.subarray(0, got))
    at += got
  }
  return `${at - offset} bytes ${hash.digest('hex')}`
}

export const digestOf = (bytes: Uint8Array) =>
  `${bytes.length} bytes ${createHash('sha1').update(bytes).digest('hex')}`

export interface Session {
  readonly id: number
  readonly name: string
  readonly state: string
}

export interface FieldOptions {
  readonly clients?: number
  readonly keepalive?: number
  readonly bytes?: number
  readonly base?: string
  readonly seconds?: number
  /** What plain clients reach. */
  readonly plain?: string
  /** Why it is not to run. */
  readonly skip?: string | false
}

export class Field {
  readonly directory: string
  /** Where the server is. */
  readonly host: Host
  /** Where clients are. */
  readonly hosts: readonly Host[]
  readonly seed: number
  readonly programs: Programs
  readonly #options: FieldOptions
  server!: Actor
  /** Where plain clients come to. */
  plainPort = 0

  constructor(programs: Programs, network: Network, seed: number, options: FieldOptions) {
    const { base = '/dev/shm' } = options
    mkdirSync(base, { recursive: true })
    this.directory = mkdtempSync(join(base, 'holdfast-hosts-'))
    const secret = randomBytes(32).toString('base64url')
    writeFileSync(this.keys, `a ${secret} uid=0 gid=0 rw\n`, { mode: 0o600 })
    const [host, ...hosts] = network.hosts
    this.host = host!
    this.hosts = hosts
    this.seed = seed
    this.programs = programs
    this.#options = options
  }

  get keys(): string {
    return join(this.directory, 'keys')
  }

  /** The server begins, or begins again. */
  async serve(): Promise<void> {
    const { keepalive = KEEPALIVE, bytes = REGION_BYTES, seconds = PROGRAM_SECONDS } = this.#options
    const at = { place: this.host, seconds, name: 'server' }
    this.server = await Actor.start(this.programs, import.meta.url, './served_host.js', at)
    const { directory } = this
    const { plain } = this.#options
    const where = { host: this.host.ipv4, port: PORT }
    const started = { directory, ...where, bytes, keepalive, plain }
    const ports = await this.server.call<{ plain: number | null }>('start', started)
    this.plainPort = ports.plain ?? 0
  }

  /** A client that is connected, from a host, or through what it is to connect to. */
  async client(host: Host | null = this.hosts[0]!, through?: { host: string; port: number }) {
    const { seconds = PROGRAM_SECONDS } = this.#options
    const at = { seconds, name: 'client', ...(host === null ? {} : { place: host }) }
    const client = await Actor.start(this.programs, import.meta.url, './served_client.js', at)
    const to = through ?? { host: this.host.ipv4, port: PORT }
    const where = `hf://${to.host}:${to.port}`
    await client.call('connect', { where, key: this.keys, name: `client ${client.pid}` })
    return client
  }

  get place() {
    return { host: this.host.ipv4, port: PORT }
  }

  holds(): Promise<HoldInfo[]> {
    return this.server.call('holds')
  }

  sessions(): Promise<Session[]> {
    return this.server.call('sessions')
  }

  digest(path: string, length: number, offset = 0): Promise<string> {
    return this.server.call('digest', { path, offset, length })
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

const skip = noHosts()

/** A test with a server on a host, and hosts for clients. */
export function fieldTest(
  name: string,
  options: FieldOptions,
  body: (field: Field, t: TestContext) => Promise<void>,
): void {
  processTest(name, { skip: skip || (options.skip ?? false) }, async (programs, t) => {
    const seed = seedOf(t)
    const network = await Network.make(programs, 1 + (options.clients ?? 1))
    const field = new Field(programs, network, seed, options)
    t.after(() => field.remove())
    await field.serve()
    await body(field, t)
  })
}
