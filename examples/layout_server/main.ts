/**
 * A file server that lends layouts, and two clients in processes of their own: one answers recalls,
 * the other does not.
 *
 *     node build/examples/layout_server/main.js REGION
 */
import { fork, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { LayoutClient } from './client.js'
import { LayoutServer } from './server.js'

const BYTES = 4 << 20
const DEADLINE_MS = 300
const GOOD = '/good.bin'
const LAZY = '/lazy.bin'

const content = (seed: number) =>
  Buffer.alloc(BYTES, createHash('sha512').update(`${seed}`).digest())

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(`it is not so: ${what}`)
}

/** Writes, commits, gives back when it is asked, and reads again where the file is then. */
async function goodClient(port: number): Promise<void> {
  const client = await LayoutClient.connect(port)
  const layout = await client.layout(GOOD, 0, BYTES, true)
  await layout.write(0, content(1))
  await layout.commit(BYTES)
  demand((await client.ask<number>({ op: 'size', path: GOOD })) === BYTES, 'the size was committed')
  const recalled = new Promise<string>((resolve) => {
    client.onRecall = async (one, change) => {
      await one.giveBack()
      resolve(change)
    }
  })
  process.send!('ready')
  const change = await recalled
  await new Promise((resolve) => process.once('message', resolve))
  const again = await client.layout(GOOD, 0, BYTES)
  const same = content(1).equals(await again.read(0, BYTES))
  demand(same, 'the bytes are the same in their new place')
  process.send!(`gave its layout back for a ${change}, and read the same bytes after it`)
  await client.close()
}

/** Hears the recall, goes on reading, and is fenced. */
async function lazyClient(port: number): Promise<void> {
  const client = await LayoutClient.connect(port)
  const layout = await client.layout(LAZY, 0, BYTES, true)
  await layout.write(0, content(2))
  await layout.commit(BYTES)
  client.onRecall = () => {}
  const fenced = new Promise<void>((resolve) => (client.onFenced = () => resolve()))
  process.send!('ready')
  let reads = 0
  for (; !layout.over; reads++) {
    const read = await layout.read(0, 4096).catch((error: NodeJS.ErrnoException) => error.code!)
    if (typeof read === 'string') break
  }
  await fenced
  const code = await layout.read(0, 4096).then(
    () => 'read on',
    (error: NodeJS.ErrnoException) => error.code!,
  )
  demand(code !== 'read on', 'what is fenced is not reached')
  process.send!(`did not answer, read on ${reads > 0 ? 'until' : 'and'} it was fenced: ${code}`)
}

const start = (role: string, port: number): ChildProcess =>
  fork(fileURLToPath(import.meta.url), [role, `${port}`])

async function said(child: ChildProcess): Promise<string> {
  const [message] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) =>
      Promise.reject(new Error(`a client ended: ${String(code)}`)),
    ),
  ])) as [string]
  return message
}

async function main(region: string): Promise<void> {
  const server = new LayoutServer(region)
  const { volume } = server
  // A file in pieces, so that there is something to put in order.
  const [good, hole] = [volume.open(GOOD, 'w+'), volume.open('/between', 'w+')]
  for (let at = 0; at < BYTES; at += 64 << 10) {
    good.write(new Uint8Array(64 << 10), at)
    hole.write(new Uint8Array(4096), at)
  }
  good.truncate(BYTES)
  good.close()
  hole.close()
  const port = await server.listen()
  const [answering, lazy] = [start('good', port), start('lazy', port)]
  await Promise.all([said(answering), said(lazy)])
  console.log(`two clients have layouts: ${volume.holds().length} leases`)
  const { before, after } = await volume.promises.defragment(GOOD)
  console.log(`${GOOD} was defragmented: ${before} extents, then ${after}`)
  answering.send('go on')
  console.log(`the first client ${await said(answering)}`)
  const begin = performance.now()
  await volume.promises.truncate(LAZY, 0, { deadline: DEADLINE_MS })
  const waited = Math.round(performance.now() - begin)
  demand(waited >= DEADLINE_MS, 'the deadline was kept')
  console.log(`${LAZY} was truncated, after ${waited} ms`)
  console.log(`the second client ${await said(lazy)}`)
  lazy.kill()
  server.close()
}

const [first, port] = process.argv.slice(2)
if (first === 'good') await goodClient(Number(port))
else if (first === 'lazy') await lazyClient(Number(port))
else if (first !== undefined) await main(first)
else {
  console.error('usage: node build/examples/layout_server/main.js REGION')
  process.exitCode = 2
}
if (process.connected) process.disconnect()
