/**
 * npm run bench -- rdma-peers [--rounds 7] [--patience 20] [--only ioredis,gRPC] [--skip NFS]
 *
 * Objects on another process, over loopback: the software RNIC against what a user would take. A
 * client gets objects into a buffer of its own, and puts them from one; the same objects in the
 * same order on all sides, as many outstanding, each compared after each round. Sides take turns,
 * the first round does not count. What form each peer has is said where it is:
 *
 * - Redis with ioredis and with node-redis: rdma/redis.ts
 * - HTTP, nginx and undici: rdma/http.ts
 * - gRPC, @grpc/grpc-js on both sides: rdma/grpc.ts
 * - NFS, Ganesha and libnfs: rdma/nfs.ts
 *
 * Ours is the RNIC with CRC, by its verbs (rdma/rnic.ts): a get is a Read; a put is a Write with a
 * Read behind it, so that it has arrived when it is done, as with all the others.
 */
import { parseArgs } from 'node:util'
import { factors } from './table.js'
import { inPlace, type Place } from './rdma/content.js'
import type { Pair } from './rdma/pair.js'
import { PEERS, whyMissing, type Peer } from './rdma/peers.js'
import { rnicPair } from './rdma/rnic_pair.js'
import {
  microseconds,
  peaks,
  print,
  processorPerGigabyte,
  rates,
  ratio,
  speeds,
  takeTurns,
  type Turns,
} from './rdma/rounds.js'
import type { Round } from './rdma/work.js'

const MIB = 1 << 20

const ROUNDS: readonly Round[] = [
  { operation: 'get', bytes: MIB, outstanding: 4, count: 256 },
  { operation: 'put', bytes: MIB, outstanding: 4, count: 256 },
  { operation: 'get', bytes: 4096, outstanding: 16, count: 8192 },
  { operation: 'put', bytes: 4096, outstanding: 16, count: 8192 },
  { operation: 'get', bytes: 4096, outstanding: 1, count: 2000 },
  { operation: 'put', bytes: 4096, outstanding: 1, count: 2000 },
]

export async function rdmaPeers(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '7' },
      patience: { type: 'string', default: '20' },
      only: { type: 'string', default: '' },
      skip: { type: 'string' },
    },
  })
  const named = (list: string, { name }: Peer) => list.split(',').some((one) => name.includes(one))
  const peers = PEERS.filter(
    (peer) => named(values.only, peer) && !(values.skip !== undefined && named(values.skip, peer)),
  )
  const missing = peers
    .map((peer) => [peer.name, whyMissing(peer)])
    .filter(([, why]) => why !== null)
  if (missing.length > 0) {
    for (const [name, why] of missing) console.error(`bench: ${name}: ${why}; or --skip it`)
    process.exitCode = 2
    return
  }
  const turns = { rounds: Number(values.rounds), warmUp: 1, patience: Number(values.patience) }
  await inPlace((place) => measure(place, peers, turns))
}

async function measure(place: Place, peers: readonly Peer[], turns: Turns): Promise<void> {
  const pairs = [await rnicPair(place, { crc: true, settled: 'each' })]
  for (const peer of peers) {
    pairs.push(await peer.start(place, { sizes: [4096, MIB], outstanding: 16 }))
  }
  console.log(
    `node ${process.version}; median of ${turns.rounds} rounds in turn (least to most); above 1 the RNIC ` +
      'is faster\n',
  )
  for (const round of ROUNDS) await compare(pairs, round, turns)
  print(
    'Most memory at a time',
    ['', 'client, server'],
    pairs.map((pair) => [pair.name, peaks(pair)]),
  )
  for (const pair of pairs) await pair.end()
}

async function compare(pairs: readonly Pair[], round: Round, turns: Turns): Promise<void> {
  const { operation, bytes, outstanding, count } = round
  const sides = pairs.map((pair) => ({ name: pair.name, pair, round }))
  const found = await takeTurns(sides, turns)
  const large = bytes >= MIB
  const rows = found.map((list, i) => [
    pairs[i]!.name,
    large ? speeds(list) : rates(list, count),
    i === 0 ? '' : factors(ratio(list, found[0]!)),
    microseconds(list.map((one) => one.p50)),
    microseconds(list.map((one) => one.p99)),
    processorPerGigabyte(list),
  ])
  const unit = large ? 'GB/s' : 'thousands/s'
  print(
    `${operation} of ${large ? '1 MiB' : '4 KiB'}, ${outstanding} outstanding`,
    ['', unit, 'its time / ours', 'p50, µs', 'p99, µs', 'CPU s/GB'],
    rows,
  )
}
