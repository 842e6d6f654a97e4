/** A client of the layout server: it borrows layouts, and reads and writes files one-sided. */
import { connectPeer, Device, type Peer } from 'holdfast/rdma'
import { heard, say, type Asked, type Lent, type Said } from './protocol.js'

interface Pending {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** A layout that was lent. Once it was given back, or fenced, nothing is begun through it. */
export class Layout {
  readonly #client: LayoutClient
  readonly #lent: Lent
  /** Accesses that are under way: it is given back when they have ended. */
  readonly #busy = new Set<Promise<unknown>>()
  #over = false

  constructor(client: LayoutClient, lent: Lent) {
    this.#client = client
    this.#lent = lent
  }

  get over(): boolean {
    return this.#over
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.#during(this.#client.peer.read(this.#lent.stag, offset, length))
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const { peer } = this.#client
    const written = peer.write(this.#lent.stag, offset, bytes)
    // A write has ended when the last byte is in the file, not when it is on its way.
    await this.#during(Promise.all([written, peer.placed()]))
  }

  /** What was written is durable when this resolves, and the file has at least that size. */
  async commit(size: number): Promise<void> {
    await this.#client.ask({ op: 'layoutcommit', layout: this.#lent.layout, size })
  }

  async giveBack(): Promise<void> {
    if (this.#over) return
    this.#over = true
    await Promise.allSettled([...this.#busy])
    await this.#client.ask({ op: 'layoutreturn', layout: this.#lent.layout })
  }

  fenced(): void {
    this.#over = true
  }

  async #during<T>(access: Promise<T>): Promise<T> {
    this.#busy.add(access)
    try {
      return await access
    } finally {
      this.#busy.delete(access)
    }
  }
}

export class LayoutClient {
  readonly peer: Peer
  readonly #pending = new Map<number, Pending>()
  readonly #layouts = new Map<number, Layout>()
  #next = 0
  /** A layout is wanted back: gives it back, unless somebody has other plans. */
  onRecall: (layout: Layout, change: string) => void | Promise<void> = (one) => one.giveBack()
  onFenced: (layout: Layout) => void = () => {}

  private constructor(peer: Peer) {
    this.peer = peer
    void this.#listen()
  }

  static async connect(port: number): Promise<LayoutClient> {
    return new LayoutClient(await connectPeer(new Device(), { host: '127.0.0.1', port }))
  }

  async layout(path: string, offset: number, length: number, write = false): Promise<Layout> {
    const lent = await this.ask<Lent>({ op: 'layoutget', path, offset, length, write })
    const layout = new Layout(this, lent)
    this.#layouts.set(lent.layout, layout)
    return layout
  }

  ask<T>(request: Asked): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = this.#next++
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject })
      say(this.peer, { id, ...request } as Parameters<typeof say>[1]).catch(reject)
    })
  }

  async close(): Promise<void> {
    await this.peer.close()
  }

  async #listen(): Promise<void> {
    try {
      for await (const { bytes } of this.peer.messages()) this.#take(heard<Said>(bytes))
    } catch {
      // Lost: those who wait are told below.
    }
    const lost = Object.assign(new Error('the connection is over'), { code: 'ECONNRESET' })
    for (const { reject } of this.#pending.values()) reject(lost)
  }

  async #recalled(layout: Layout, change: string): Promise<void> {
    try {
      await this.onRecall(layout, change)
    } catch {
      // No answer: what is not given back in time is fenced, and that is told.
    }
  }

  #take({ id, result, error, recall, fenced }: Said): void {
    if (recall !== undefined) {
      // It may come before the answer that lends it: then it is not in use yet, and the one who
      // has it finds it fenced.
      const layout = this.#layouts.get(recall.layout)
      if (layout !== undefined) void this.#recalled(layout, recall.change)
    } else if (fenced !== undefined) {
      const layout = this.#layouts.get(fenced)
      layout?.fenced()
      if (layout !== undefined) this.onFenced(layout)
    } else {
      const pending = this.#pending.get(id!)
      this.#pending.delete(id!)
      if (error === undefined) pending?.resolve(result)
      else pending?.reject(Object.assign(new Error(error.message), { code: error.code }))
    }
  }
}
