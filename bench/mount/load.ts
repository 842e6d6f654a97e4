/** The program that asks (mount/fuse_load.c), and what a round of it says. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Measured } from '../rdma/pair.js'
import { busySeconds, pin, processorSeconds, Worker } from '../rdma/process.js'
import type { Timed } from '../rdma/work.js'
import type { Mounted, Scene } from './scene.js'

/** From build/bench/mount/ to bench/mount/, where it is. */
const ours = (name: string): string =>
  fileURLToPath(new URL(`../../../bench/mount/${name}.c`, import.meta.url))

/** The program, below the scene. */
export function compileOurs(scene: Scene, name: string): string {
  return compile(scene, ours(name), name, ['-std=c11'])
}

/** With those arguments after the source: libraries. */
export function compile(
  scene: Scene,
  source: string,
  name: string,
  more: readonly string[],
): string {
  const program = `${scene.directory}/${name}`
  if (existsSync(program)) return program
  const { status, stderr } = spawnSync('cc', ['-O2', '-o', program, source, ...more], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${source} does not compile:\n${stderr}`)
  return program
}

/** A file of the load's, open: by O_DIRECT, or plainly. */
export interface Opened {
  readonly slot: number
  readonly mounted: Mounted
}

export interface Transfer {
  readonly operation: 'read' | 'write'
  readonly bytes: number
  readonly count: number
  /** 0: in order. */
  readonly seed: number
}

export interface Names {
  readonly operation: 'create' | 'stat' | 'unlink'
  readonly count: number
  readonly seed: number
}

export class Load {
  readonly #worker: Worker
  #slots = 0

  private constructor(worker: Worker) {
    this.#worker = worker
  }

  static async start(scene: Scene, processors: string): Promise<Load> {
    const program = compileOurs(scene, 'fuse_load')
    const worker = new Worker('fuse_load', 'taskset', ['-c', processors, program])
    await worker.answer()
    return new Load(worker)
  }

  pin(processors: string): void {
    pin([this.#worker.pid], processors)
  }

  async open(
    mounted: Mounted,
    name: string,
    bytes: number,
    flag: 'direct' | 'plain',
  ): Promise<Opened> {
    const slot = this.#slots++
    await this.#worker.ask(`open ${slot} ${bytes} ${flag} ${mounted.directory}/${name}`)
    await this.#worker.ask(`fill ${slot}`)
    return { slot, mounted }
  }

  /** One round, timed. */
  transfer({ slot, mounted }: Opened, transfer: Transfer): Promise<Measured> {
    const { operation, bytes, count, seed } = transfer
    const line = `${operation} ${slot} ${bytes} ${count} ${seed}`
    return this.#timed(line, mounted.pids(), bytes * count)
  }

  /** In `directory` of the mount; the bytes are the number of names. */
  names(mounted: Mounted, directory: string, { operation, count, seed }: Names): Promise<Measured> {
    const line = `${operation} ${count} ${seed} ${mounted.directory}/${directory}`
    return this.#timed(line, mounted.pids(), count)
  }

  async check({ slot }: Opened): Promise<void> {
    await this.#worker.ask(`check ${slot}`)
  }

  async dropPages({ slot }: Opened): Promise<void> {
    await this.#worker.ask(`drop ${slot}`)
  }

  /** Before its mount can end. */
  async close({ slot }: Opened): Promise<void> {
    await this.#worker.ask(`close ${slot}`)
  }

  end(): Promise<void> {
    return this.#worker.end()
  }

  async #timed(line: string, servers: readonly number[], bytes: number): Promise<Measured> {
    const processor = () => ({
      client: processorSeconds([this.#worker.pid]),
      server: processorSeconds(servers),
      bench: processorSeconds([process.pid]),
      all: busySeconds(),
    })
    const before = processor()
    const timed = (await this.#worker.ask(line)) as Timed
    const after = processor()
    const client = after.client - before.client
    const server = after.server - before.server
    const bench = after.bench - before.bench
    const machine = (timed.nanoseconds / 1e9) * availableParallelism()
    const others = (after.all - before.all - client - server - bench) / machine
    return { ...timed, bytes, client, server, others }
  }
}
