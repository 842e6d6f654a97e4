/**
 * A process that is killed: `dying.js HOST PORT STAG ADDRESS BYTES` connects, and writes to that
 * memory of the other end and reads from it, over and over.
 */
import { Device } from '../../src/rdma/device.js'
import type { Work } from '../../src/rdma/work.js'

const [host, port, stag, address, bytes] = process.argv.slice(2)
const device = new Device()
const cq = device.completionQueue()
const qp = device.queuePair(device.protectionDomain(), { sendCq: cq })
const remote = { stag: Number(stag), address: BigInt(address!) }
const local = new Uint8Array(Number(bytes))
await device.connect(qp, { host: host!, port: Number(port) })
console.log('connected')
for (let i = 0; ; i++) {
  const work: Work = { op: i % 2 === 0 ? 'write' : 'read', local, remote }
  if (qp.sendRoom > 0) qp.postSend(work)
  await cq.wait()
  for (let done = cq.take(); done !== null; done = cq.take()) {
    if (done.status !== 'SUCCESS') throw new Error(`${done.op}: ${done.status}`)
    if (i < 4) console.log(`${done.op} done`)
  }
}
