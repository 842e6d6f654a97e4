/**
 * npm run bench -- cache [--rounds 9] [--scale 1]
 *
 * The cache of tensors of examples/kv_cache beside Redis and memcached: four processes get and put
 * values of 4 KiB and of 1 MiB, the same keys in the same order with every store (cache/client.ts;
 * cache/stores.ts says what form each has). Nothing is durable in any of them. Sides take turns,
 * the first round does not count; ratios are of rounds.
 *
 * - Each process has one operation under way, or eight; ours is done when its call returns.
 * - scale: of the operations of a round for each process, 2000 of 4 KiB and 200 of 1 MiB.
 *
 * npm ci --prefix bench; apt install redis-server memcached
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { KEYS, PROCESSES, type CacheRound, type CacheTimes } from './cache/rounds.js'
import { startServers, whyMissing, type CacheServer } from './cache/servers.js'
import { STORE_NAMES, type StoreName } from './cache/stores.js'
import { inPlace } from './rdma/content.js'
import { processorSeconds, Worker } from './rdma/process.js'
import { microseconds, print } from './rdma/rounds.js'
import { factors, spread } from './table.js'

const MIB = 1 << 20

/** Four processes with a store, and its server. */
interface Side {
  readonly name: StoreName
  readonly server: CacheServer
  readonly workers: readonly Worker[]
}

interface Measured {
  /** Of all processes. */
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Nanoseconds of processor an operation, of the server and its clients. */
  readonly processor: number
}

export async function cache(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '9' },
      scale: { type: 'string', default: '1' },
    },
  })
  const missing = whyMissing()
  if (missing !== null) {
    console.error(`bench: ${missing}`)
    process.exitCode = 2
    return
  }
  console.log(
    `node ${process.version}, ${availableParallelism()} cores, ${PROCESSES} processes; median of ` +
      `${values.rounds} rounds in turn (least to most); above 1 holdfast is faster\n`,
  )
  await inPlace(async (place) => {
    const servers = await startServers(place)
    const sides: Side[] = []
    for (const name of STORE_NAMES) sides.push(await sideOf(name, servers.get(name)!))
    for (const bytes of [4096, MIB]) {
      const count = Math.ceil((bytes === MIB ? 200 : 2000) * Number(values.scale))
      for (const side of sides) await fill(side, bytes)
      for (const operation of ['get', 'put'] as const) {
        for (const outstanding of [1, 8]) {
          await compare(sides, { operation, bytes, count, outstanding }, Number(values.rounds))
        }
      }
    }
    for (const { workers } of sides) for (const worker of workers) await worker.end()
    for (const server of new Set(servers.values())) await server.end()
  })
}

async function sideOf(name: StoreName, server: CacheServer): Promise<Side> {
  const workers: Worker[] = []
  for (let process = 0; process < PROCESSES; process++) {
    const given = { store: name, place: server.place, process }
    const worker = Worker.node('../cache/client.js', given)
    await worker.answer()
    workers.push(worker)
  }
  return { name, server, workers }
}

async function fill({ workers }: Side, bytes: number): Promise<void> {
  const round: CacheRound = { operation: 'fill', bytes, count: KEYS, outstanding: 1 }
  await workers[0]!.ask(JSON.stringify(round))
}

async function run({ workers, server }: Side, round: CacheRound): Promise<Measured> {
  const pids = [...server.pids(), ...workers.map(({ pid }) => pid)]
  const before = processorSeconds(pids)
  const question = JSON.stringify(round)
  const times = (await Promise.all(workers.map((one) => one.ask(question)))) as CacheTimes[]
  const operations = round.count * PROCESSES
  const processor = ((processorSeconds(pids) - before) / operations) * 1e9
  const longest = Math.max(...times.map(({ nanoseconds }) => nanoseconds))
  const median = (of: (one: CacheTimes) => number) => spread(times.map(of)).median
  return {
    perSecond: (operations / longest) * 1e9,
    p50: median(({ p50 }) => p50),
    p99: median(({ p99 }) => p99),
    processor,
  }
}

async function compare(sides: readonly Side[], round: CacheRound, rounds: number): Promise<void> {
  const found = sides.map(() => [] as Measured[])
  for (let i = -1; i < rounds; i++) {
    for (const [at, side] of sides.entries()) {
      const measured = await run(side, round)
      if (i >= 0) found[at]!.push(measured)
    }
    process.stderr.write('.')
  }
  process.stderr.write('\n')
  const ours = found[0]!
  const rows = found.map((list, at) => {
    const speeds = spread(list.map(({ perSecond }) => perSecond / 1000))
    const ratios = spread(list.map(({ perSecond }, i) => ours[i]!.perSecond / perSecond))
    return [
      sides[at]!.name,
      factors(speeds),
      at === 0 ? '' : factors(ratios),
      microseconds(list.map(({ p50 }) => p50)),
      microseconds(list.map(({ p99 }) => p99)),
      microseconds(list.map(({ processor }) => processor)),
    ]
  })
  const { operation, bytes, outstanding } = round
  const size = bytes === MIB ? '1 MiB' : '4 KiB'
  const head = ['', 'thousands/s', 'ours / its', 'p50, µs', 'p99, µs', 'CPU, µs an operation']
  print(`${operation} of ${size}, ${outstanding} outstanding in each process`, head, rows)
}
