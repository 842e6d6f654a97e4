/** Reads and writes of a file by direct I/O, one after the other: ours, the floor, the peers. */
import type { Measured } from '../rdma/pair.js'
import {
  atLeast,
  inTurn,
  judged,
  microseconds,
  print,
  rates,
  ratio,
  speeds,
  type Wish,
} from '../rdma/rounds.js'
import type { Setting } from '../mount.js'
import { factors } from '../table.js'
import type { Opened, Transfer } from './load.js'
import { Mounted } from './scene.js'
import { bindfs, embedded, floor, passthrough } from './servers.js'

const MIB = 1 << 20
/** Of the region, besides the file. */
const SPARE_BYTES = 256 * MIB

interface Question {
  readonly title: string
  readonly transfer: Transfer
  /** Of the floor's rate. */
  readonly wanted: number
}

const QUESTIONS: readonly Question[] = [
  ask('Reads of 4 KiB, all over the file', 'read', 4096, 0.9),
  ask('Writes of 4 KiB, all over the file', 'write', 4096, 0.8),
  ask('Reads of 1 MiB, in order', 'read', MIB, 0.9),
  ask('Writes of 1 MiB, in order', 'write', MIB, 0.9),
]

function ask(
  title: string,
  operation: Transfer['operation'],
  bytes: number,
  wanted: number,
): Question {
  const large = bytes >= MIB
  const transfer = { operation, bytes, count: large ? 512 : 20_000, seed: large ? 0 : 7 }
  return { title, transfer, wanted }
}

/** The first is ours, the second the floor. */
export async function data(setting: Setting): Promise<void> {
  const { scene, load, processors } = setting
  const bytes = setting.mebibytes * MIB
  const servers = [
    embedded(setting, bytes + SPARE_BYTES, 'data'),
    floor(scene, bytes),
    passthrough(scene, 'never'),
    bindfs(scene, 'data'),
  ]
  const opened: Opened[] = []
  for (const [i, server] of servers.entries()) {
    const mounted = await Mounted.start(scene, server, processors)
    // The others open with direct I/O whatever they are asked for.
    opened.push(await load.open(mounted, 'file', bytes, i === 0 ? 'direct' : 'plain'))
  }
  for (const question of QUESTIONS) await compare(setting, opened, question)
  for (const one of opened) await load.close(one)
  for (const { mounted } of opened) await mounted.end()
}

async function compare(
  { load, turns, scale }: Setting,
  opened: readonly Opened[],
  { title, transfer, wanted }: Question,
): Promise<void> {
  const round = { ...transfer, count: Math.ceil(transfer.count * scale) }
  const runs = opened.map((one) => () => load.transfer(one, round))
  const found = await inTurn(runs, turns)
  for (const one of opened) await load.check(one)
  const large = transfer.bytes >= MIB
  const rows = found.map((list, i) => [
    opened[i]!.mounted.name,
    large ? speeds(list) : rates(list, round.count),
    microseconds(list.map(({ p50 }) => p50)),
    microseconds(list.map(({ p99 }) => p99)),
    ...beside(found[0]!, list, i, atLeast(i === 1 ? wanted : 1)),
    processorPerOperation(list, round.count),
  ])
  print(title, ['', large ? 'GB/s' : 'thousands/s', ...COLUMNS], rows)
}

export const COLUMNS = [
  'p50, µs',
  'p99, µs',
  'ours / its',
  'wanted',
  '',
  'by p50',
  'CPU, µs each',
] as const

/**
 * Four cells: how our rate is to that of the side at `place`, of which 0 is ours; and the same of
 * the median calls, which others on the processor disturb less.
 */
export function beside(
  ours: readonly Measured[],
  its: readonly Measured[],
  place: number,
  wish: Wish,
): string[] {
  if (place === 0) return ['', '', '', '']
  return [...judged(ratio(its, ours), wish), factors(ratio(its, ours, ({ p50 }) => p50))]
}

/** Microseconds of processor, of the load and of the server, all rounds together. */
export function processorPerOperation(found: readonly Measured[], count: number): string {
  const of = (side: 'client' | 'server') => {
    const seconds = found.reduce((sum, one) => sum + one[side], 0)
    return ((seconds / (count * found.length)) * 1e6).toFixed(1)
  }
  return `${of('client')} + ${of('server')}`
}
