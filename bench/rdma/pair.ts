/** A client and a server in two processes, and rounds of theirs that are timed and checked. */
import { availableParallelism } from 'node:os'
import { busySeconds, peakMemory, pin, processorSeconds, Worker } from './process.js'
import type { Round, Timed } from './work.js'

/** What serves: a process of ours, or a daemon. */
export interface Server {
  /** How the client reaches it. */
  readonly place: unknown
  pids(): number[]
  end(): Promise<void>
}

export interface Measured extends Timed {
  /** Bytes of objects. */
  readonly bytes: number
  /** Seconds of processor, in ticks of 10 ms. */
  readonly client: number
  readonly server: number
  /** The share of the machine that others had meanwhile. */
  readonly others: number
}

export interface ServerJob {
  readonly kind: string
  readonly content: string
  readonly options?: unknown
}

export interface ClientJob extends ServerJob {
  readonly place: unknown
}

/** One of server.ts; its first line is its place. */
export async function nodeServer(job: ServerJob, options: readonly string[] = []): Promise<Server> {
  const worker = Worker.node('server.js', job, options)
  const place = await worker.answer()
  return { place, pids: () => [worker.pid], end: () => worker.end() }
}

export class Pair {
  readonly name: string
  readonly server: Server
  readonly client: Worker

  private constructor(name: string, server: Server, client: Worker) {
    this.name = name
    this.server = server
    this.client = client
  }

  /** `client` is started when the server is ready; its first line says that it is connected. */
  static async start(name: string, server: Server, client: () => Worker): Promise<Pair> {
    const worker = client()
    try {
      await worker.answer()
    } catch (error) {
      await server.end()
      throw error
    }
    return new Pair(name, server, worker)
  }

  static nodeClient(job: ClientJob, options: readonly string[] = []): Worker {
    return Worker.node('client.js', job, options)
  }

  async round(round: Round): Promise<Measured> {
    await this.prepare(round)
    const before = this.#processor()
    const timed = await this.run()
    const after = this.#processor()
    await this.verify()
    const client = after.client - before.client
    const server = after.server - before.server
    const bench = after.bench - before.bench
    const machine = (timed.nanoseconds / 1e9) * availableParallelism()
    const others = (after.all - before.all - client - server - bench) / machine
    return { ...timed, bytes: round.bytes * round.count, client, server, others }
  }

  #processor(): { client: number; server: number; bench: number; all: number } {
    return {
      client: processorSeconds([this.client.pid]),
      server: processorSeconds(this.server.pids()),
      bench: processorSeconds([process.pid]),
      all: busySeconds(),
    }
  }

  async prepare({ operation, bytes, outstanding, count, form = 0 }: Round): Promise<void> {
    await this.client.ask(`prepare ${operation} ${bytes} ${outstanding} ${count} ${form}`)
  }

  async run(): Promise<Timed> {
    return (await this.client.ask('run')) as Timed
  }

  async verify(): Promise<void> {
    await this.client.ask('verify')
  }

  /** Which processors each runs on. */
  pin(client: string, server: string): void {
    pin([this.client.pid], client)
    pin(this.server.pids(), server)
  }

  /** Bytes. */
  peaks(): { client: number; server: number } {
    return { client: peakMemory([this.client.pid]), server: peakMemory(this.server.pids()) }
  }

  async end(): Promise<void> {
    await this.client.end()
    await this.server.end()
  }
}
