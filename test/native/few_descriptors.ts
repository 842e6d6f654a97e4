/**
 * A process that may have few descriptors listens for a hundred connections. Run by
 * tcp_connect.test.ts, with a limit.
 */
import type { ByteStream } from '../../src/base/byte_stream.js'
import { tcp } from '../../src/native/tcp.js'
import { busyPart, leastBusyPart } from './streams.js'

const held: ByteStream[] = []
let accepted = 0
let holding = true
const listener = await tcp.listen('127.0.0.1', 0, (stream) => {
  accepted++
  if (holding) held.push(stream)
  else stream.close()
  if (accepted === 100) listener.close()
})
// Loaded before there is no descriptor left.
await busyPart(1)
console.log(listener.port)
let last = -1
while (accepted === 0 || last !== accepted) {
  last = accepted
  await busyPart(150)
}
const busy = await leastBusyPart(500)
const refused = await tcp.connect('127.0.0.1', listener.port).then(
  () => 'connected',
  (error) => (error as { code: string }).code,
)
console.log(JSON.stringify({ accepted, busy, refused }))
holding = false
for (const stream of held) stream.close()
while (accepted < 100) await busyPart(20)
console.log(`all ${accepted}`)
