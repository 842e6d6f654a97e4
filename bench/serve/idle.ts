/**
 * Remote sessions that do nothing: a process that has many of them. Lines of its input: `connect
 * COUNT` makes sessions, `read` has each of them read a file one-sided; both are answered with the
 * memory of this process.
 */
import { createInterface } from 'node:readline'
import type { Client } from '../../src/client/index.js'
import { answer, job, memory } from '../child.js'
import { connectRemotely, type ServedPlace } from './served.js'

const place = job() as ServedPlace
const clients: Client[] = []
const into = new Uint8Array(4096)

async function readOneSided(client: Client): Promise<void> {
  const file = await client.open('/fixed', 'r')
  for (let i = 0; i < 2; i++) await file.read(into, 0)
}

for await (const line of createInterface({ input: process.stdin })) {
  const [word, count] = line.split(' ')
  if (word === 'connect') {
    for (let i = 0; i < Number(count); i++) clients.push(await connectRemotely(place))
  } else for (const client of clients) await readOneSided(client)
  answer(memory())
}
for (const client of clients) await client.close()
process.exit(0)
