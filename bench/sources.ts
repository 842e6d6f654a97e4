/**
 * npm run bench -- sources [--rounds 9] [--mebibytes 1024] [--patience 20]
 *
 * What it costs that a peer is led to a file of a volume (in memory, memfd): the RNIC over memory
 * of the server's process, over a pinned file, and over one that is looked up at each access, by
 * turns, client and server in two processes, a processor for each; the first round does not count.
 * Ratios are of rounds.
 *
 * - Reads of 4 KiB, one after the other: p50 and p99. Reads of 1 MiB and Writes of 1 MiB, 4
 *   outstanding, without CRC (and Reads with it).
 * - patience: as of `rdma`.
 *
 * Every object is compared with what it should be after each round.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { inPlace, type Place } from './rdma/content.js'
import type { MemoryKind } from './rdma/memory.js'
import type { Measured } from './rdma/pair.js'
import { rnicPair } from './rdma/rnic_pair.js'
import {
  atLeast,
  judged,
  microseconds,
  print,
  ratio,
  speeds,
  takeTurns,
  type Turns,
} from './rdma/rounds.js'
import type { Round } from './rdma/work.js'

const KINDS: readonly MemoryKind[] = ['plain', 'held', 'on demand']
const MIB = 1 << 20
const PING: Round = { operation: 'get', bytes: 4096, outstanding: 1, count: 5000 }

export async function sources(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '9' },
      patience: { type: 'string', default: '20' },
      mebibytes: { type: 'string', default: '1024' },
    },
  })
  const turns = { rounds: Number(values.rounds), warmUp: 1, patience: Number(values.patience) }
  const cores = availableParallelism()
  console.log(
    `node ${process.version}, ${cores} cores, loopback; median of ${values.rounds} rounds in turn ` +
      '(least to most)\n',
  )
  const long = { bytes: MIB, outstanding: 4, count: Number(values.mebibytes) }
  await inPlace(async (place) => {
    await compared(place, 'Reads of 4 KiB, one after the other', PING, false, turns)
    await compared(place, 'Reads of 1 MiB', { ...long, operation: 'get' }, false, turns)
    await compared(place, 'Reads of 1 MiB, CRC', { ...long, operation: 'get' }, true, turns)
    await compared(place, 'Writes of 1 MiB', { ...long, operation: 'put' }, false, turns)
  })
}

async function compared(
  place: Place,
  title: string,
  round: Round,
  crc: boolean,
  turns: Turns,
): Promise<void> {
  const pairs = []
  for (const memory of KINDS) {
    const pair = await rnicPair(place, { crc, settled: 'round', memory })
    pair.pin('0', '1')
    pairs.push(pair)
  }
  const found = await takeTurns(
    pairs.map((pair) => ({ name: pair.name, pair, round })),
    turns,
  )
  const plain = found[0]!
  const wish = atLeast(0.95)
  if (round.outstanding === 1) {
    const p50 = (one: Measured) => one.p50
    const p99 = (one: Measured) => one.p99
    const rows = found.map((list, i) => [
      KINDS[i]!,
      microseconds(list.map(p50)),
      ...(i === 0 ? ['', '', ''] : judged(ratio(plain, list, p50), wish)),
      microseconds(list.map(p99)),
      ...(i === 0 ? ['', '', ''] : judged(ratio(plain, list, p99), wish)),
    ])
    const times = ['x plain', 'wanted', '']
    print(title, ['', 'p50, µs', ...times, 'p99, µs', ...times], rows)
  } else {
    const rows = found.map((list, i) => [
      KINDS[i]!,
      speeds(list),
      ...(i === 0 ? ['', '', ''] : judged(ratio(plain, list), wish)),
    ])
    print(title, ['', 'GB/s', 'x plain', 'wanted', ''], rows)
  }
  for (const pair of pairs) await pair.end()
}
