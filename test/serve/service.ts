/** A server in this process, over a region in memory, and clients of it. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { connect, type ConnectOptions } from '../../src/client/connect.js'
import type { Client } from '../../src/client/client.js'
import { createVolume } from '../../src/layout/embedded.js'
import { Log } from '../../src/serve/log.js'
import { Service, type ServiceOptions } from '../../src/serve/service.js'

const REGION_BYTES = 64 << 20

export class Served {
  service!: Service
  readonly directory: string
  readonly region: string
  readonly keys: string
  /** What the server's log said. */
  readonly log: string[] = []
  readonly #options: Partial<ServiceOptions>
  readonly #clients: Client[] = []

  constructor(options: Partial<ServiceOptions>) {
    this.directory = mkdtempSync('/dev/shm/holdfast-served-')
    this.region = join(this.directory, 'region')
    this.keys = join(this.directory, 'keys')
    this.#options = options
    const secret = () => randomBytes(32).toString('base64url')
    const lines = `root ${secret()} uid=0 gid=0 rw\nuser ${secret()} uid=1000 gid=1000 rw\n`
    writeFileSync(this.keys, lines, { mode: 0o600 })
    createVolume(this.region, REGION_BYTES)
  }

  get volume() {
    return this.service.server.files.volume
  }

  async start(more: Partial<ServiceOptions> = {}): Promise<void> {
    const write = (line: string) => void this.log.push(line)
    const log = new Log({ timers: systemTimers, format: 'text', level: 'debug', write })
    this.service = await Service.start({
      region: this.region,
      socket: join(this.directory, 'socket'),
      listen: { host: '127.0.0.1', port: 0, keys: this.keys },
      ...{ timers: systemTimers, crypto: systemCrypto, log },
      ...this.#options,
      ...more,
    })
  }

  /** A client over RDMA. */
  async remote(options: ConnectOptions = {}): Promise<Client> {
    const { host, port } = this.service.address!
    const client = await connect(`hf://${host}:${port}`, { key: `${this.keys}#root`, ...options })
    this.#clients.push(client)
    return client
  }

  /** A client through the socket. */
  async local(options: ConnectOptions = {}): Promise<Client> {
    const client = await connect(join(this.directory, 'socket'), options)
    this.#clients.push(client)
    return client
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await this.service.stop(1000)
    rmSync(this.directory, { recursive: true })
  }
}

/** A test with a server that runs. */
export function servedTest(
  name: string,
  options: Partial<ServiceOptions>,
  body: (served: Served) => Promise<void>,
): void {
  void test(name, async () => {
    const served = new Served(options)
    try {
      await served.start()
      await body(served)
    } finally {
      await served.end()
    }
  })
}
