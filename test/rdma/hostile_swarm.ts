/**
 * Hostile peers, many at a time, in a process of their own: `hostile_swarm.js PORT STAG`. It says
 * when all of them are there, and goes on until it is ended.
 */
import { Prng } from '../../src/base/prng.js'
import { systemTimers } from '../../src/base/timers.js'
import { tcp } from '../../src/native/tcp.js'
import { Opcode } from '../../src/rdma/wire/ddp.js'
import { RawPeer, readRequest, segmentOf } from './raw_peer.js'

const READ_BYTES = 64 << 10
const BETWEEN_MILLISECONDS = 50

const [port, stag] = process.argv.slice(2).map(Number) as [number, number]
const random = new Prng(3)

const many = (count: number, request: object | null) =>
  Promise.all(Array.from({ length: count }, () => RawPeer.connect(tcp, port, request)))

async function guess(): Promise<void> {
  const peer = await RawPeer.connect(tcp, port, {})
  await peer.until(() => peer.reply !== null || peer.ended)
  const payload = new Uint8Array(8)
  peer.send(segmentOf(Opcode.write, { stag: random.next(), to: [0, 0], payload }))
  await peer.until(() => peer.ended)
  peer.close()
}

const announcing = await many(100, {})
const greedless = await many(20, {})
const dribbling = await many(20, {})
for (const peer of [...announcing, ...greedless, ...dribbling]) {
  await peer.until(() => peer.reply !== null)
}
for (const peer of announcing) peer.raw(new Uint8Array([0xff, 0xff]))
for (const peer of greedless) {
  peer.greedy = false
  const payload = readRequest(stag, [0, 0], READ_BYTES)
  for (let msn = 1; msn <= 4; msn++) peer.send(segmentOf(Opcode.readRequest, { msn, payload }))
}
const frames = dribbling.map((peer) => peer.frame(segmentOf(Opcode.write, { stag: 1 })))
let at = 0

function go(): void {
  for (const [i, peer] of dribbling.entries()) {
    const frame = frames[i]!
    const byte = at % frame.length
    peer.raw(frame.slice(byte, byte + 1))
  }
  at++
  void guess()
  systemTimers.after(BETWEEN_MILLISECONDS, go)
}

go()
// Last: they are ended when they have said nothing for a few seconds.
await many(100, null)
process.stdout.write('here\n')
