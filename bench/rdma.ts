/**
 * npm run bench -- rdma [--rounds 9] [--mebibytes 1024] [--patience 20] [--profile DIRECTORY]
 *                       [--only throughput,latency,calls]
 *
 * The software RNIC over loopback, client and server in two processes, beside the floor: bytes over
 * node:net, in the fastest of the forms that it has (rdma/raw_stream.ts, rdma/floors.ts), in the
 * same rounds. Sides take turns, the first round does not count; ratios are of rounds.
 *
 * - throughput: Reads and Writes of 1 MiB, 4 outstanding, over 64 MiB of either side, with and
 *   without CRC, a processor for each process; beside a stream whose bytes are dropped, and one
 *   whose receiver copies them to the destination and computes CRC32C. A round of Writes ends with
 *   a Read that shows their arrival.
 * - latency: Reads of 64 B, one after the other, beside a ping-pong of 64 B; Reads of 4 KiB, 16
 *   outstanding.
 * - calls: system calls for an operation, by strace (rdma/calls.ts), in a run of their own.
 * - patience: seconds that each table may take for rounds in which others had more than some per
 *   cent of the machine, and which are taken again.
 * - profile: CPU profiles of the RNIC's two processes go to that directory.
 *
 * Every object is compared with what it should be after each round; of streams that are dropped the
 * bytes are counted.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { factors } from './table.js'
import { countCalls } from './rdma/calls.js'
import { inPlace, type Place } from './rdma/content.js'
import { bestOf, PING_FORMS, rawPair, tryForms } from './rdma/floors.js'
import type { Measured, Pair } from './rdma/pair.js'
import { formName, type RawForm } from './rdma/raw_stream.js'
import { rnicPair } from './rdma/rnic_pair.js'
import {
  atLeast,
  atMost,
  fastest,
  judged,
  microseconds,
  peaks,
  print,
  processorPerGigabyte,
  rates,
  ratio,
  speeds,
  takeTurns,
  type Side,
  type Turns,
} from './rdma/rounds.js'
import type { Operation, Round } from './rdma/work.js'

interface Setting {
  readonly turns: Turns
  /** Objects of 1 MiB a round. */
  readonly mebibytes: number
  /** Of node, for the RNIC's processes. */
  readonly nodeOptions: readonly string[]
}

type Part = (place: Place, setting: Setting) => Promise<void>

const PARTS: Readonly<Record<string, Part>> = { throughput, latency, calls }

export async function rdma(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '9' },
      patience: { type: 'string', default: '20' },
      mebibytes: { type: 'string', default: '1024' },
      only: { type: 'string', default: 'throughput,latency' },
      profile: { type: 'string' },
    },
  })
  const { profile } = values
  const setting = {
    turns: { rounds: Number(values.rounds), warmUp: 1, patience: Number(values.patience) },
    mebibytes: Number(values.mebibytes),
    nodeOptions: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
  }
  const cores = availableParallelism()
  console.log(
    `node ${process.version}, ${cores} cores, loopback; median of ${values.rounds} rounds in turn ` +
      '(least to most)\n',
  )
  await inPlace(async (place) => {
    for (const name of values.only.split(',')) {
      const part = PARTS[name]
      if (part === undefined) throw new Error(`no part '${name}': ${Object.keys(PARTS).join(', ')}`)
      await part(place, setting)
    }
  })
}

// ---- throughput --------------------------------------------------------------------------------

const MIB = 1 << 20

async function throughput(place: Place, setting: Setting): Promise<void> {
  const off = await rnicPair(place, { crc: false, settled: 'round' }, setting.nodeOptions)
  const on = await rnicPair(place, { crc: true, settled: 'round' }, setting.nodeOptions)
  for (const operation of ['get', 'put'] as const) {
    const round = { operation, bytes: MIB, outstanding: 4, count: setting.mebibytes } as const
    const sides: Side[] = [
      { name: off.name, pair: off, round },
      { name: on.name, pair: on, round },
    ]
    const floors = await rawSides(place, round)
    for (const pair of [off, on, ...floors.pairs]) pair.pin('0', '1')
    const found = await takeTurns([...sides, ...floors.sides], setting.turns)
    printThroughput(operation, [...sides, ...floors.sides], found)
    for (const pair of floors.pairs) await pair.end()
  }
  for (const pair of [off, on]) await pair.end()
}

/** The best forms of either treatment, of a trial before. */
async function rawSides(place: Place, round: Round): Promise<{ sides: Side[]; pairs: Pair[] }> {
  const sides: Side[] = []
  const pairs: Pair[] = []
  for (const treat of ['dropped', 'copied with CRC32C'] as const) {
    const trial = { ...round, count: Math.max(round.count / 4, 64) }
    const tried = await tryForms(place, treat, trial)
    print(
      `Forms of a stream, ${round.operation}, ${treat}: the fastest of some rounds`,
      ['form', 'GB/s'],
      tried.map(({ form, speed }) => [formName(form), speed.toFixed(2)]),
    )
    const forms = bestOf(tried)
    const pair = await rawPair(place, forms)
    pairs.push(pair)
    forms.forEach((form, i) =>
      sides.push({ name: sideName(form), pair, round: { ...round, form: i } }),
    )
  }
  return { sides, pairs }
}

const sideName = (form: RawForm): string => `stream ${form.treat}: ${formName(form)}`

/** Of the sides: two of ours, three streams that are dropped, three that are copied. */
function printThroughput(
  operation: Operation,
  sides: readonly Side[],
  found: readonly Measured[][],
): void {
  const dropped = fastest(found, [2, 3, 4])
  const copied = fastest(found, [5, 6, 7])
  const rows = sides.map(({ name, pair }, i) => {
    const list = found[i]!
    const over = i < 2 ? judged(ratio(found[dropped]!, list), atLeast(i === 0 ? 0.9 : 0.75)) : null
    const beside = i < 2 ? judged(ratio(found[copied]!, list), atLeast(0.95)) : null
    const floor = i === dropped || i === copied ? 'the floor' : ''
    return [
      name,
      speeds(list),
      ...(over ?? [floor, '', '']),
      ...(beside ?? ['', '', '']),
      processorPerGigabyte(list),
      peaks(pair),
    ]
  })
  const wanted = ['wanted', '']
  print(
    operation === 'get' ? 'Reads of 1 MiB' : 'Writes of 1 MiB',
    [
      '',
      'GB/s',
      'x dropped',
      ...wanted,
      'x copied',
      ...wanted,
      'CPU s/GB',
      'peak, client and server',
    ],
    rows,
  )
}

// ---- latency -----------------------------------------------------------------------------------

const PING: Round = { operation: 'get', bytes: 64, outstanding: 1, count: 5000 }
const PING_4K: Round = { ...PING, bytes: 4096 }
const MANY: Round = { operation: 'get', bytes: 4096, outstanding: 16, count: 16_384 }

async function latency(place: Place, setting: Setting): Promise<void> {
  const off = await rnicPair(place, { crc: false, settled: 'round' }, setting.nodeOptions)
  const on = await rnicPair(place, { crc: true, settled: 'round' }, setting.nodeOptions)
  const raw = await rawPair(place, PING_FORMS)
  const ping = (round: Round): Side[] =>
    PING_FORMS.map((form, i) => ({
      name: `ping-pong of ${round.bytes} B, ${form.receive}`,
      pair: raw,
      round: { ...round, form: i },
    }))
  for (const [name, client, server] of placements()) {
    for (const pair of [off, on, raw]) pair.pin(client, server)
    const sides = [sideOf(off, PING), sideOf(on, PING), ...ping(PING)]
    await pings(`Reads of 64 B, one after the other, ${name}`, sides, setting.turns)
  }
  const many = [sideOf(off, MANY), sideOf(on, MANY), ...ping(PING), ...ping(PING_4K)]
  await manyReads(many, setting.turns)
  for (const pair of [off, on, raw]) await pair.end()
}

const sideOf = (pair: Pair, round: Round): Side => ({ name: pair.name, pair, round })

/**
 * Who waits sleeps: where each process has a processor of its own, most of a round trip is waking
 * it up; on one they hand it to each other. Left alone, the kernel does now this, now that. The
 * last is how it was before.
 */
function placements(): (readonly [string, string, string])[] {
  const all = `0-${availableParallelism() - 1}`
  return [
    ['a processor for each', '0', '1'],
    ['both on one processor', '0', '0'],
    ['as the kernel likes', all, all],
  ]
}

const p50 = ({ p50 }: Measured) => p50

/** Two of ours, two of the floor. */
async function pings(title: string, sides: readonly Side[], turns: Turns): Promise<void> {
  const found = await takeTurns(sides, turns)
  const floor = fastest(found, [2, 3], p50)
  const rows = sides.map(({ name }, i) => {
    const over = ratio(found[i]!, found[floor]!, p50)
    return [
      name,
      microseconds(found[i]!.map(p50)),
      microseconds(found[i]!.map((one) => one.p99)),
      ...(i < 2 ? judged(over, atMost(1.3)) : [factors(over), '', '']),
    ]
  })
  print(title, ['', 'p50, µs', 'p99, µs', 'p50 x ping-pong', 'wanted', ''], rows)
}

/** Two of ours, two of ping-pongs of 64 B, two of 4 KiB. */
async function manyReads(sides: readonly Side[], turns: Turns): Promise<void> {
  const found = await takeTurns(sides, turns)
  const small = fastest(found, [2, 3])
  const large = fastest(found, [4, 5])
  const rows = sides.map(({ name, round }, i) => {
    const list = found[i]!
    const each = (one: Measured) => one.nanoseconds / (one.bytes / round.bytes)
    const rateOver = (floor: number) => {
      const { bytes } = sides[floor]!.round
      return ratio(
        found[floor]!.map((one) => ({
          ...one,
          nanoseconds: one.nanoseconds / (one.bytes / bytes),
        })),
        list.map((one) => ({ ...one, nanoseconds: each(one) })),
        ({ nanoseconds }) => nanoseconds,
      )
    }
    return [
      name,
      rates(list, round.count),
      ...(i < 2 ? judged(rateOver(small), atLeast(3)) : ['', '', '']),
      i < 2 ? factors(rateOver(large)) : '',
      microseconds(list.map((one) => one.p50)),
      microseconds(list.map((one) => one.p99)),
    ]
  })
  print(
    'Reads of 4 KiB, 16 outstanding',
    ['', 'thousands/s', 'x ping-pong of 64 B', 'wanted', '', 'x of 4 KiB', 'p50, µs', 'p99, µs'],
    rows,
  )
}

// ---- calls -------------------------------------------------------------------------------------

const CALLS: readonly Round[] = [
  { operation: 'get', bytes: MIB, outstanding: 4, count: 256 },
  { operation: 'put', bytes: MIB, outstanding: 4, count: 256 },
  { operation: 'get', bytes: 4096, outstanding: 16, count: 4096 },
  { operation: 'get', bytes: 64, outstanding: 1, count: 1000 },
]

async function calls(place: Place): Promise<void> {
  const pair = await rnicPair(place, { crc: true, settled: 'round' })
  for (const round of CALLS) {
    await pair.round(round)
    const { client, server } = await countCalls(pair, round, place.directory)
    const { operation, bytes, outstanding } = round
    console.log(`${operation} of ${bytes} B, ${outstanding} outstanding, an operation:`)
    console.log(`  client: ${client}\n  server: ${server}`)
  }
  await pair.end()
}
