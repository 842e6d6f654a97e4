/** The parts of `bench -- serve` that are rounds of sides in turn. */
import type { Setting } from '../serve.js'
import { nodeServer, Pair, type Measured } from '../rdma/pair.js'
import {
  atLeast,
  atMost,
  judged,
  microseconds,
  print,
  processorPerGigabyte,
  ratio,
  speeds,
  takeTurns,
  type Side,
  type Wish,
} from '../rdma/rounds.js'
import type { Round } from '../rdma/work.js'
import { factors, spread } from '../table.js'
import { CALLS, SIZES } from './control.js'
import { MEMORIES, SHUFFLED } from './mapped.js'
import { OPENINGS } from './opening.js'
import { HOLDERS } from './recalls.js'
import { WAYS } from './served.js'

const MIB = 1 << 20
const PING: Round = { operation: 'get', bytes: 4096, outstanding: 1, count: 3000 }
const RATIO = 0.95

const p50 = (one: Measured) => one.p50
const p99 = (one: Measured) => one.p99

/** A client of the daemon. */
export async function served(
  { place, daemon, nodeOptions }: Setting,
  kind: string,
  options?: unknown,
): Promise<Pair> {
  const job = { kind, content: place.content, options, place: daemon.place }
  const name = typeof options === 'string' ? options : kind
  return Pair.start(name, daemon.shared, () => Pair.nodeClient(job, nodeOptions))
}

/** A peer: a server of its own, and a client. */
async function peer({ place }: Setting, serves: string, kind: string): Promise<Pair> {
  const server = await nodeServer({ kind: serves, content: place.content, options: place })
  const job = { kind, content: place.content, place: server.place }
  return Pair.start(kind, server, () => Pair.nodeClient(job))
}

// ---- remote ------------------------------------------------------------------------------------

/** The RNIC alone first, then each way of a client. */
async function remotePairs(setting: Setting): Promise<Pair[]> {
  const pairs = [await peer(setting, 'alone', 'alone')]
  for (const way of WAYS) pairs.push(await served(setting, 'served', way))
  for (const pair of pairs) pair.pin('0', '1')
  return pairs
}

export async function remote(setting: Setting): Promise<void> {
  const pairs = await remotePairs(setting)
  const sides = (round: Round): Side[] => pairs.map((pair) => ({ name: pair.name, pair, round }))
  const found = await takeTurns(sides(PING), setting.turns)
  const rows = found.map((list, i) => [
    i === 0 ? 'RNIC alone' : pairs[i]!.name,
    ...compared(list, found[0]!, i, p50),
    ...compared(list, found[0]!, i, p99),
  ])
  const head = ['x alone', 'wanted', '']
  print('Reads of 4 KiB, one after the other', ['', 'p50, µs', ...head, 'p99, µs', ...head], rows)
  await throughput(setting, pairs, 'get')
  for (const pair of pairs) await pair.end()
}

function compared(
  list: readonly Measured[],
  alone: readonly Measured[],
  i: number,
  of: (one: Measured) => number,
): string[] {
  const shown = microseconds(list.map(of))
  return [shown, ...(i === 0 ? ['', '', ''] : judged(ratio(alone, list, of), atLeast(RATIO)))]
}

export async function writes(setting: Setting): Promise<void> {
  const pairs = await remotePairs(setting)
  await throughput(setting, pairs, 'put')
  for (const pair of pairs) await pair.end()
}

async function throughput(
  { turns, mebibytes }: Setting,
  pairs: readonly Pair[],
  operation: 'get' | 'put',
): Promise<void> {
  const round: Round = { operation, bytes: MIB, outstanding: 4, count: mebibytes }
  const found = await takeTurns(
    pairs.map((pair) => ({ name: pair.name, pair, round })),
    turns,
  )
  const rows = found.map((list, i) => [
    i === 0 ? 'RNIC alone' : pairs[i]!.name,
    speeds(list),
    ...(i === 0 ? ['', '', ''] : judged(ratio(found[0]!, list), atLeast(RATIO))),
    processorPerGigabyte(list),
  ])
  const title = `${operation === 'get' ? 'Reads' : 'Writes'} of 1 MiB, 4 outstanding`
  print(title, ['', 'GB/s', 'x alone', 'wanted', '', 'CPU s/GB, client and server'], rows)
}

// ---- on the same machine -----------------------------------------------------------------------

export async function control(setting: Setting): Promise<void> {
  const ours = await served(setting, 'calls')
  const floor = await peer(setting, 'pong', 'ping')
  for (const pair of [ours, floor]) pair.pin('0', '1')
  const sides = CALLS.flatMap((name, form): Side[] =>
    [ours, floor].map((pair) => ({ name, pair, round: { ...PING, bytes: 1, form } })),
  )
  const found = await takeTurns(sides, setting.turns)
  const rows = CALLS.map((name, form) => {
    const [list, raw] = [found[2 * form]!, found[2 * form + 1]!]
    const { request, reply } = SIZES[form]!
    return [
      name,
      `${request} and ${reply} B`,
      microseconds(list.map(p50)),
      microseconds(raw.map(p50)),
      ...judged(ratio(list, raw, p50), atMost(1.5)),
      microseconds(list.map(p99)),
      microseconds(raw.map(p99)),
    ]
  })
  const columns = ['p50, µs', 'ping-pong', 'x ping-pong', 'wanted', '', 'p99, µs', 'ping-pong']
  print('Calls on the Unix socket, one after the other', ['', 'there and back', ...columns], rows)
  for (const pair of [ours, floor]) await pair.end()
}

export async function mapped(setting: Setting): Promise<void> {
  const pair = await served(setting, 'mapped')
  const rows: string[][] = []
  for (const [size, bytes, count, order] of [
    ['4 KiB, shuffled', 4096, 1 << 16, SHUFFLED],
    ['4 KiB, in order', 4096, 1 << 16, 0],
    ['1 MiB, in order', MIB, 1 << 10, 0],
  ] as const) {
    const sides = MEMORIES.map((name, i): Side => {
      const round: Round = { operation: 'get', bytes, outstanding: 1, count, form: order + i }
      return { name, pair, round }
    })
    const [file, heap, plain] = await takeTurns(sides, setting.turns)
    rows.push([
      size,
      speeds(file!),
      speeds(heap!),
      ...judged(ratio(heap!, file!), atLeast(RATIO)),
      speeds(plain!),
      factors(ratio(plain!, file!)),
    ])
  }
  const heads = ['', 'mapped, GB/s', 'heap, GB/s', 'x heap', 'wanted', '', 'memfd, GB/s', 'x memfd']
  print('Copied, over 64 MiB', heads, rows)
  await pair.end()
}

// ---- opening -----------------------------------------------------------------------------------

export async function opening(setting: Setting): Promise<void> {
  const pair = await served(setting, 'opening')
  pair.pin('0', '1')
  const sides = OPENINGS.map((name, form): Side => {
    return { name, pair, round: { ...PING, bytes: 1, count: 100, form } }
  })
  const found = await takeTurns(sides, setting.turns)
  const rows = sides.map(({ name }, i) => [
    name,
    microseconds(found[i]!.map(p50)),
    microseconds(found[i]!.map(p99)),
    i === 1 ? '' : factors(ratio(found[i]!, found[1]!, p50)),
  ])
  print('Until the first remote bytes', ['', 'p50, µs', 'p99, µs', 'x two round trips'], rows)
  await pair.end()
}

// ---- recalls -----------------------------------------------------------------------------------

const RECALLS = 200
const A_MILLISECOND: Wish = { text: '<= 1 ms', met: ({ median }) => median <= 1e6 }

/** Round by round the same: who has it lent makes it so before, and says afterwards that it was. */
export async function recalls(setting: Setting): Promise<void> {
  const shrinks = await served(setting, 'shrinking')
  const holds = await served(setting, 'holding')
  const took = HOLDERS.map(() => [] as number[])
  const warmUp = RECALLS / 10
  for (let i = -warmUp; i < RECALLS; i++) {
    for (const form of HOLDERS.keys()) {
      const round: Round = { operation: 'get', bytes: 1, outstanding: 1, count: 1, form }
      await shrinks.prepare(round)
      await holds.prepare(round)
      const { p50: nanoseconds } = await shrinks.run()
      await shrinks.verify()
      await holds.verify()
      if (i >= 0) took[form]!.push(nanoseconds)
    }
  }
  const rows = HOLDERS.map((name, form) => {
    const times = took[form]!.toSorted((a, b) => a - b)
    const over = spread(times.map((_, i) => took[form]![i]! - took[0]![i]!))
    const whole = spread(times)
    return [
      name,
      microseconds(times),
      (times[Math.floor(times.length * 0.99)]! / 1000).toFixed(1),
      form === 0 ? '' : (over.median / 1000).toFixed(1),
      ...(form === 0
        ? ['', '']
        : [A_MILLISECOND.text, A_MILLISECOND.met(whole) ? 'met' : '**missed**']),
    ]
  })
  const head = ['lent by', 'p50, µs', 'p99, µs', 'more than by nobody', 'wanted', '']
  print(`truncate(0) of 64 KiB, ${RECALLS} times`, head, rows)
  await holds.end()
  await shrinks.end()
}
