/**
 * Our RNIC, by its verbs: one region of the server with both areas, the one that is got and the one
 * that changes; RDMA Reads into the client's memory, RDMA Writes from it.
 *
 * A Write is complete for who posted it when TCP has taken it; a Read behind it shows that it has
 * arrived. `settled` says who pays for that: 'round', one Read of 8 bytes after the last Write of a
 * round, in its time; 'each', one after every Write, posted with it: a put is done when that is,
 * as it is with stores whose server answers each.
 */
import { Completion, Device } from '../../src/rdma/index.js'
import { memoryFor, type MemoryKind } from './memory.js'
import type { Done, Store } from './work.js'

export interface RnicOptions {
  readonly crc: boolean
  readonly settled: 'round' | 'each'
  /** What the server's region is of; 'plain' unless given. */
  readonly memory?: MemoryKind
}

interface RnicPlace {
  readonly port: number
  readonly stag: number
  /** Where the area that changes begins. */
  readonly changing: number
}

export async function serveRnic(content: Buffer, options: RnicOptions): Promise<RnicPlace> {
  const { crc, memory: kind = 'plain' } = options
  const memory = memoryFor(kind, content)
  const device = new Device()
  const domain = device.protectionDomain()
  const region = domain.register(memory, { access: ['localWrite', 'remoteRead', 'remoteWrite'] })
  const sendCq = device.completionQueue()
  const listener = await device.listen()
  void (async () => {
    for await (const request of listener)
      request.accept(device.queuePair(domain, { sendCq }), { crc })
  })()
  return { port: listener.port, stag: region.stag, changing: content.length }
}

export async function connectRnic(place: RnicPlace, options: RnicOptions): Promise<Store> {
  const { port, stag, changing } = place
  const device = new Device()
  const sendCq = device.completionQueue()
  const qp = device.queuePair(device.protectionDomain(), { sendCq })
  await device.connect(qp, { host: '127.0.0.1', port, crc: options.crc })
  const completions = Array.from({ length: 32 }, () => new Completion())
  sendCq.listener = (queue) => {
    for (let count = queue.poll(completions); count > 0; count = queue.poll(completions)) {
      for (let i = 0; i < count; i++) {
        const { id, status, detail } = completions[i]!
        ;(id as Done)(status === 'SUCCESS' ? null : new Error(`${status} ${detail}`))
      }
    }
  }
  const seen = Buffer.alloc(8)
  const each = options.settled === 'each'
  return {
    get(area, offset, into, done) {
      const address = area === 'fixed' ? offset : changing + offset
      qp.postSend({ op: 'read', id: done, local: into, remote: { stag, address } })
    },
    put(offset, from, done) {
      const address = changing + offset
      const write = { op: 'write', local: from, remote: { stag, address } } as const
      if (!each) return qp.postSend({ ...write, id: done })
      qp.postSend({ ...write, signaled: false })
      qp.postSend({ op: 'read', id: done, local: seen, remote: { stag, address } })
    },
    settle(done) {
      if (each) return done(null)
      qp.postSend({ op: 'read', id: done, local: seen, remote: { stag, address: changing } })
    },
    async close() {
      await qp.disconnect()
      device.close()
    },
  }
}
