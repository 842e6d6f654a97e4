/** The daemon as the bench has it, and the ways of its clients to the objects. */
import { connect, type Client, type FileHandle, type RemoteFile } from '../../src/client/index.js'
import type { Memory } from '../child.js'
import type { RegionCounters } from '../../src/region/region.js'
import type { Server } from '../rdma/pair.js'
import { Worker } from '../rdma/process.js'
import { promised, type Area, type Store } from '../rdma/work.js'

export interface DaemonJob {
  readonly directory: string
  readonly content: string
  /** Bytes of the region for more files. */
  readonly spare?: number
}

/** Where its clients find it. */
export interface ServedPlace {
  readonly socket: string
  readonly port: number
  readonly keys: string
}

export class Daemon implements Server {
  readonly place: ServedPlace
  readonly #worker: Worker

  private constructor(worker: Worker, place: ServedPlace) {
    this.#worker = worker
    this.place = place
  }

  static async start(given: DaemonJob, options: readonly string[] = []): Promise<Daemon> {
    const worker = Worker.node('../serve/daemon.js', given, ['--expose-gc', ...options])
    return new Daemon(worker, (await worker.answer()) as ServedPlace)
  }

  pids(): number[] {
    return [this.#worker.pid]
  }

  async memory(): Promise<Memory> {
    return (await this.#worker.ask('memory')) as Memory
  }

  async counters(): Promise<RegionCounters> {
    return (await this.#worker.ask('counters')) as RegionCounters
  }

  /** For pairs that share it: it lives on when one of them ends. */
  get shared(): Server {
    return { place: this.place, pids: () => this.pids(), end: () => Promise.resolve() }
  }

  end(): Promise<void> {
    return this.#worker.end()
  }
}

export const connectRemotely = ({ port, keys }: ServedPlace): Promise<Client> =>
  connect(`hf://127.0.0.1:${port}`, { key: keys, name: 'bench' })

export const connectLocally = ({ socket }: ServedPlace): Promise<Client> =>
  connect(socket, { name: 'bench' })

/** How a remote client reaches bytes: a file, a layout of it, a file on demand. */
export const WAYS = ['file', 'layout', 'on demand'] as const
export type Way = (typeof WAYS)[number]

export async function connectServed(place: ServedPlace, way: Way): Promise<Store> {
  const client = await connectRemotely(place)
  const fault = way === 'on demand'
  const open = (path: string) => client.open(path, 'r+', 0, undefined, { fault })
  const files: Record<Area, FileHandle> = {
    fixed: await open('/fixed'),
    changing: await open('/changing'),
  }
  const close = () => client.close()
  if (way !== 'layout') {
    return promised({
      get: (area, offset, into) => files[area].read(into, offset),
      put: (offset, from) => files.changing.write(from, offset),
      close,
    })
  }
  const layouts = {
    fixed: await (files.fixed as RemoteFile).layout(),
    changing: await (files.changing as RemoteFile).layout({ iomode: 'rw' }),
  }
  return promised({
    get: (area, offset, into) => layouts[area].readInto(offset, into),
    put: (offset, from) => layouts.changing.write(offset, from),
    close,
  })
}
