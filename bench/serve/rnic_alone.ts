/**
 * The RNIC alone, as the peer of a remote client: a peer of it and plain memory of the other
 * process, with the settings that a server and its clients have.
 */
import { connectPeer, Device } from '../../src/rdma/index.js'
import { promised, type Store } from '../rdma/work.js'

interface AlonePlace {
  readonly port: number
  readonly stag: number
  /** Where the area that changes begins. */
  readonly changing: number
}

/** Work that a data connection of a server posts: none of its own. */
const DATA_SENDS = 1

export async function serveAlone(content: Buffer): Promise<AlonePlace> {
  const memory = new Uint8Array(2 * content.length)
  memory.set(content)
  const device = new Device()
  const domain = device.protectionDomain()
  const region = domain.register(memory, { access: ['localWrite', 'remoteRead', 'remoteWrite'] })
  const listener = await device.listen()
  void (async () => {
    for await (const request of listener) {
      const sendCq = device.completionQueue()
      const depth = { maxSend: DATA_SENDS, maxReceive: DATA_SENDS }
      request.accept(device.queuePair(domain, { sendCq, ...depth }))
    }
  })()
  return { port: listener.port, stag: region.stag, changing: content.length }
}

export async function connectAlone({ port, stag, changing }: AlonePlace): Promise<Store> {
  const device = new Device()
  const peer = await connectPeer(device, { host: '127.0.0.1', port, messages: 0 })
  return promised({
    get: (area, offset, into) =>
      peer.read(stag, area === 'fixed' ? offset : changing + offset, into),
    put: (offset, from) => Promise.all([peer.write(stag, changing + offset, from), peer.placed()]),
    async close() {
      await peer.close()
      device.close()
    },
  })
}
