/**
 * A client's process. Its job says what it is a client of; lines of words on standard input say
 * what to do, each is answered with one of JSON: `prepare OPERATION BYTES OUTSTANDING COUNT
 * FORM`, `run`, `verify`. The end of the input is its end.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { answer, job } from '../child.js'
import type { ClientJob } from './pair.js'
import { RawClient } from './raw.js'
import type { RawForm } from './raw_stream.js'
import { Objects, timeRound, type Operation, type Round, type Store, type Worker } from './work.js'

type Connect = (job: ClientJob, content: Buffer) => Promise<Worker>

/** Modules are loaded when they are needed: each process has only what it is measured with. */
const CLIENTS: Readonly<Record<string, Connect>> = {
  raw: ({ options, place }, content) =>
    RawClient.connect(options as RawForm[], place as number[], content),
  rnic: objects(async ({ options, place }) => {
    const { connectRnic } = await import('./rnic.js')
    return connectRnic(place as never, options as never)
  }),
  ioredis: objects(async ({ place }) => (await import('./redis.js')).connectIoredis(Number(place))),
  'node-redis': objects(async ({ place }) =>
    (await import('./redis.js')).connectNodeRedis(Number(place)),
  ),
  http: objects(async ({ options, place }) =>
    (await import('./http.js')).connectUndici(Number(place), Number(options)),
  ),
  grpc: objects(async ({ place }) => (await import('./grpc.js')).connectGrpc(Number(place))),
  served: objects(async ({ place, options }) =>
    (await import('../serve/served.js')).connectServed(place as never, options as never),
  ),
  alone: objects(async ({ place }) =>
    (await import('../serve/rnic_alone.js')).connectAlone(place as never),
  ),
  calls: async ({ place }, content) =>
    (await import('../serve/control.js')).connectCalls(place as never, content),
  ping: async ({ place }) => (await import('../serve/control.js')).connectPing(String(place)),
  mapped: async ({ place }, content) =>
    (await import('../serve/mapped.js')).connectMapped(place as never, content),
  opening: async ({ place }, content) =>
    (await import('../serve/opening.js')).connectOpening(place as never, content),
  shrinking: async ({ place }) =>
    (await import('../serve/recalls.js')).connectShrinking(place as never),
  holding: async ({ place }) =>
    (await import('../serve/recalls.js')).connectHolding(place as never),
}

function objects(connect: (job: ClientJob) => Promise<Store>): Connect {
  return async (job, content) => new Objects(await connect(job), content)
}

const given = job() as ClientJob
const client = await CLIENTS[given.kind]!(given, readFileSync(given.content))
answer({ connected: true })

let round: Round | null = null
for await (const line of createInterface({ input: process.stdin })) {
  const [word, operation, bytes, outstanding, count, form] = line.split(' ')
  if (word === 'prepare') {
    round = {
      operation: operation as Operation,
      bytes: Number(bytes),
      outstanding: Number(outstanding),
      count: Number(count),
      form: Number(form),
    }
    await client.prepare(round)
    answer({ prepared: true })
  } else if (word === 'run') answer(await timeRound(client, round!))
  else {
    await client.verify(round!)
    answer({ verified: true })
  }
}
await client.close()
