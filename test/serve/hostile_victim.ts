/**
 * A well-behaved client beside hostile ones: `hostile_victim.js SOCKET`. Writes, reads what it
 * wrote and looks, again and again, until its input ends; then it says how long that took. First it
 * says which inode is its file's.
 */
import assert from 'node:assert/strict'
import { connect } from '../../src/client/index.js'

const BETWEEN_MILLISECONDS = 5

const client = await connect(process.argv[2]!)
const file = await client.open('/victim', 'w+')
const back = new Uint8Array(4096)
const took: number[] = []
let running = true
process.stdin.resume()
process.stdin.on('end', () => (running = false))
process.stdout.write(`${(await file.stat()).ino}\n`)
for (let i = 0; running; i++) {
  const begun = performance.now()
  const bytes = Buffer.alloc(4096, `turn ${i} `)
  await file.write(bytes, 4096 * (i % 7))
  await file.read(back, 4096 * (i % 7))
  assert.equal(Buffer.compare(back, bytes), 0, 'who behaves reads what it wrote')
  await client.stat('/victim')
  took.push(performance.now() - begun)
  await new Promise((resolve) => setTimeout(resolve, BETWEEN_MILLISECONDS))
}
await file.close()
await client.close()
took.sort((a, b) => a - b)
const at = (share: number) => took[Math.floor(took.length * share)]
process.stdout.write(`${JSON.stringify({ p50: at(0.5), p99: at(0.99), count: took.length })}\n`)
