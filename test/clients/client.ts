/** A program with several clients in it, each as it likes (roamer.ts). */
import { Prng } from '../../src/base/prng.js'
import { connect } from '../../src/client/index.js'
import { serve, tell } from '../processes/serve.js'
import { Roamer } from './roamer.js'

interface Begin {
  readonly socket: string
  readonly seed: number
  /** Numbers of the clients, each given once in a run. */
  readonly numbers: readonly number[]
}

const roamers: Roamer[] = []

async function begin({ socket, seed, numbers }: Begin): Promise<void> {
  for (const number of numbers) {
    const client = await connect(socket, { name: `client ${number}` })
    roamers.push(
      new Roamer(client, number, new Prng(seed + number), {
        durable: (what) => tell('durable', what),
        forgotten: (name) => tell('forgotten', name),
      }),
    )
  }
  for (const roamer of roamers) roamer.go()
}

/** What was wrong, and what was done. */
function said() {
  const done: Record<string, number> = {}
  for (const roamer of roamers) {
    for (const [name, count] of roamer.done) done[name] = (done[name] ?? 0) + count
  }
  return { faults: roamers.flatMap(({ faults }) => faults).slice(0, 20), done }
}

serve({
  begin,
  pause: async () => {
    await Promise.all(roamers.map((roamer) => roamer.pause()))
    // Who is asked for something gives it back, and the server knows.
    for (const { client } of roamers) await client.statfs()
    return said()
  },
  go: () => roamers.forEach((roamer) => roamer.go()),
  held: () =>
    roamers.map((roamer) => ({
      session: roamer.client.hello.session,
      holds: roamer.held(),
    })),
  /** Their sockets break. */
  disconnect: () => {
    for (const { client } of roamers) client.connection.alive?.caller.abort()
  },
  look: async () => {
    await Promise.all(roamers.map((roamer) => roamer.look()))
    return said()
  },
  leave: async () => {
    await Promise.all(roamers.map((roamer) => roamer.leave()))
    for (const { client } of roamers) await client.close()
    return said()
  },
})
