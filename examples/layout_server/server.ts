/**
 * A file server of its own protocol, which lends layouts: the volume says who may change what and
 * when, the RNIC moves the bytes, and this file is all that is between them.
 *
 * What a server like this must hold to:
 * - a range is registered only while the client holds a lease on it, and by blocks of that lease;
 * - when the volume asks a lease back, the client is told; a return deregisters first, and gives
 *   the lease back then, never the other way round;
 * - when the client does not answer, `revoke` deregisters: nothing reaches the blocks any more when
 *   it returns, and then the volume moves or frees them;
 * - a client that is gone takes its session with it.
 */
import { openVolume, type Hold, type LayoutFile, type Session, type Volume } from 'holdfast'
import { acceptPeer, Device, Fault, type ConnectionRequest, type Peer } from 'holdfast/rdma'
import type { MemoryRegion, MemorySource, Pieces, ProtectionDomain } from 'holdfast/rdma'
import { heard, say, type Lent, type Request } from './protocol.js'

type Get = Extract<Request, { op: 'layoutget' }>

/** Blocks of a lease, where they are in the memory of the region; offsets are those of the file. */
class LentBlocks implements MemorySource {
  readonly length: number
  readonly #memory: NonNullable<Volume['region']['memory']>
  readonly #runs: readonly { offset: number; end: number; place: number }[]

  constructor(volume: Volume, hold: Hold) {
    const { memory } = volume.region
    if (memory === null) throw new Error('the region is no memory of this process')
    this.#memory = memory
    // They stay where they are as long as the lease is there: it is enough to look once.
    this.#runs = hold.runs().map(({ offset, regionOffset, length }) => {
      return { offset: offset!, end: offset! + length, place: regionOffset }
    })
    this.length = this.#runs.at(-1)?.end ?? 0
  }

  translate(offset: number, length: number, _store: boolean, pieces: Pieces): Fault {
    const end = offset + length
    let at = offset
    for (const run of this.#runs) {
      if (at === end || run.offset > at) break
      if (run.end <= at) continue
      const count = Math.min(end, run.end) - at
      pieces.add(this.#memory, run.place + (at - run.offset), count)
      at += count
    }
    return at === end ? Fault.none : Fault.bounds
  }
}

interface Loan {
  readonly hold: Hold
  readonly region: MemoryRegion
  readonly file: LayoutFile
}

type Wish = Pick<Get, 'write' | 'offset' | 'length'>

/** One client: a session of the volume, a protection domain of the RNIC, and its layouts. */
class ServedClient {
  readonly #volume: Volume
  readonly #session: Session
  readonly #peer: Peer
  readonly #domain: ProtectionDomain
  readonly #loans = new Map<number, Loan>()

  constructor(volume: Volume, device: Device, request: ConnectionRequest) {
    this.#volume = volume
    this.#session = volume.session({ name: request.peer })
    this.#domain = device.protectionDomain()
    this.#peer = acceptPeer(device, request, { domain: this.#domain })
  }

  async serve(): Promise<void> {
    try {
      for await (const { bytes } of this.#peer.messages()) {
        // Not awaited: a return of a layout never waits for another request of its client.
        void this.#answer(heard<Request>(bytes))
      }
    } finally {
      for (const { region, file } of this.#loans.values()) {
        region.invalidate()
        file.close()
      }
      this.#session.end()
      await this.#session.over
    }
  }

  async #answer(request: Request): Promise<void> {
    const { id } = request
    try {
      await say(this.#peer, { id, result: (await this.#carryOut(request)) ?? null })
    } catch (error) {
      const { code = 'EIO', message } = error as NodeJS.ErrnoException
      await say(this.#peer, { id, error: { code, message } }).catch(() => {})
    }
  }

  #carryOut(request: Request): unknown {
    switch (request.op) {
      case 'layoutget':
        return this.#lend(request)
      case 'layoutcommit':
        return this.#loan(request.layout).hold.commit(request.size)
      case 'layoutreturn':
        return this.#giveBack(request.layout)
      case 'size':
        return this.#volume.stat(request.path).size
    }
  }

  async #lend({ path, write, offset, length }: Get): Promise<Lent> {
    const file = this.#volume.openAs(this.#session, path, write ? 0o102 : 0o0, 0o644)
    try {
      return await this.#lendOf(file, { write, offset, length })
    } catch (error) {
      file.close()
      throw error
    }
  }

  async #lendOf(file: LayoutFile, { write, offset, length }: Wish): Promise<Lent> {
    let loan: Loan | null = null
    const hold = await this.#volume.promises.lease(file, {
      iomode: write ? 'rw' : 'read',
      offset,
      length,
      reason: `a layout of ${this.#session.name}`,
      onRecall: (layout, { change, deadline }) => {
        void say(this.#peer, { recall: { layout, change, deadline } }).catch(() => {})
      },
      revoke: () => {
        loan?.region.invalidate()
        if (loan !== null) void say(this.#peer, { fenced: loan.hold.id }).catch(() => {})
      },
    })
    const access = write
      ? (['localWrite', 'remoteRead', 'remoteWrite'] as const)
      : ['remoteRead' as const]
    const region = this.#domain.register(new LentBlocks(this.#volume, hold), { access })
    loan = { hold, region, file }
    this.#loans.set(hold.id, loan)
    return { layout: hold.id, stag: region.stag, offset, length }
  }

  #loan(layout: number): Loan {
    const loan = this.#loans.get(layout)
    if (loan !== undefined) return loan
    throw Object.assign(new Error(`there is no layout ${layout}`), { code: 'ESTALE' })
  }

  #giveBack(layout: number): void {
    const { hold, region, file } = this.#loan(layout)
    region.invalidate()
    hold.release()
    file.close()
    this.#loans.delete(layout)
  }
}

export class LayoutServer {
  readonly volume: Volume
  readonly #device = new Device()
  #end = () => {}

  constructor(region: string) {
    this.volume = openVolume(region)
  }

  /** Listens; its port. */
  async listen(): Promise<number> {
    const listener = await this.#device.listen({ port: 0 })
    this.#end = () => listener.close()
    const accept = async () => {
      for (let one = await listener.next(); one !== null; one = await listener.next()) {
        const client = new ServedClient(this.volume, this.#device, one)
        client.serve().catch((error: Error) => console.log(`a client is gone: ${error.message}`))
      }
    }
    void accept()
    return listener.port
  }

  close(): void {
    this.#end()
    this.#device.close()
    this.volume.close()
  }
}
