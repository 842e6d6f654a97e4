/** A program with several clients in it, each as it likes (roamer.ts). */
import { Prng } from '../../src/base/prng.js'
import { connect } from '../../src/client/index.js'
import { serve, tell } from '../processes/serve.js'
import { Roamer } from './roamer.js'

interface Begin {
  /** Where the server is: a socket, or hf://HOST:PORT. */
  readonly where: string
  /** Of remote clients. */
  readonly key?: string
  readonly seed: number
  /** Numbers of the clients, each given once in a run. */
  readonly numbers: readonly number[]
}

const roamers: Roamer[] = []
/** Those that were evicted. */
const former: Roamer[] = []
/** What one that comes for another is ahead of its number. */
const NEXT = 4096
let how!: Begin

async function roamer(number: number): Promise<Roamer> {
  const { where, key } = how
  const client = await connect(where, { name: `client ${number}`, ...(key && { key }) })
  return new Roamer(client, number, new Prng(how.seed + number), {
    durable: (what) => tell('durable', what),
    forgotten: (name) => tell('forgotten', name),
  })
}

async function begin(options: Begin): Promise<void> {
  how = options
  for (const number of how.numbers) roamers.push(await roamer(number))
  for (const one of roamers) one.go()
}

/** Others come for those that were evicted. */
async function replace(): Promise<void> {
  for (const [i, one] of roamers.entries()) {
    try {
      // Who is asked for something gives it back, and the server knows after this.
      await one.client.statfs()
    } catch (error) {
      if (!String((error as Error).message).includes('evicted')) throw error
      await one.leave()
      former.push(one)
      roamers[i] = await roamer(one.number + NEXT)
    }
  }
}

/** What was wrong, and what was done. */
function said() {
  const done: Record<string, number> = {}
  const all = [...former, ...roamers]
  for (const one of all) {
    for (const [name, count] of one.done) done[name] = (done[name] ?? 0) + count
  }
  return { faults: all.flatMap(({ faults }) => faults).slice(0, 20), done }
}

serve({
  begin,
  pause: async () => {
    await Promise.all(roamers.map((one) => one.pause()))
    await replace()
    return said()
  },
  go: () => roamers.forEach((one) => one.go()),
  held: () =>
    roamers.map((one) => ({
      session: one.client.hello.session,
      holds: one.held(),
    })),
  statfs: () => Promise.all(roamers.map(({ client }) => client.statfs())),
  /** Their sockets break. */
  disconnect: () => {
    for (const { client } of roamers) client.connection.alive?.caller.abort()
  },
  look: async () => {
    await Promise.all(roamers.map((one) => one.look()))
    return said()
  },
  leave: async () => {
    await Promise.all(roamers.map((one) => one.leave()))
    for (const { client } of roamers) await client.close()
    return said()
  },
})
