/**
 * npm run bench:peers [-- --count 20000] [--rounds 7] [--large] [--disk DIRECTORY]
 *
 * Objects of 1 KiB put, got, listed, deleted and the store opened again: Holdfast against LMDB and
 * SQLite (peer_stores.ts has the form of each), at equal durability:
 *
 * - tmpfs, each by itself: a put or delete is committed when the call returns; it survives the
 *   process, not the machine. Nobody flushes.
 * - tmpfs, 1000 together: the same, of 1000 at a time.
 * - disk, 1000 together: durable on an ordinary file when the 1000 return.
 *
 * The same names in the same shuffled order on all sides. The stores take turns, phase by phase, in
 * rounds of new stores; the first round does not count. `--large`: a million, one round.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Prng } from '../src/base/prng.js'
import {
  holdfastStore,
  lmdbStore,
  loadPeers,
  sqliteStore,
  VALUE_BYTES,
  type Peers,
  type Store,
  type StoreSetting,
} from './peer_stores.js'
import { durations, factors, spread, table } from './table.js'

const BATCH = 1000
const PHASES = ['put', 'get', 'list', 'open again', 'delete'] as const
type Phase = (typeof PHASES)[number]

interface Run {
  readonly title: string
  readonly directory: string
  readonly durable: boolean
  readonly grouped: boolean
}

interface Work {
  /** In the order of putting, of getting, of deleting. */
  readonly orders: readonly [Int32Array, Int32Array, Int32Array]
  readonly names: readonly string[]
  readonly value: Uint8Array
}

export async function peers(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      count: { type: 'string', default: '20000' },
      rounds: { type: 'string', default: '7' },
      large: { type: 'boolean', default: false },
      disk: { type: 'string', default: '/var/tmp' },
    },
  })
  const found = loadPeers()
  if (found === null) {
    console.error('bench: the peers are not installed; npm run bench:peers installs them')
    process.exitCode = 2
    return
  }
  const count = values.large ? 1_000_000 : Number(values.count)
  const rounds = values.large ? 1 : Number(values.rounds)
  const runs: Run[] = [
    { title: 'tmpfs, each by itself', directory: '/dev/shm', durable: false, grouped: false },
    { title: `tmpfs, ${BATCH} together`, directory: '/dev/shm', durable: false, grouped: true },
    { title: `disk, ${BATCH} together`, directory: values.disk, durable: true, grouped: true },
  ]
  console.log(
    `node ${process.version}; ${count} objects of ${VALUE_BYTES} bytes, shuffled; nanoseconds an ` +
      `object, milliseconds to open; ${rounds} interleaved rounds (least to most)\n`,
  )
  const work = workOf(count)
  for (const run of runs) await measure(found, run, work, count, rounds)
}

function workOf(count: number): Work {
  const prng = new Prng(count)
  const shuffled = () => {
    const order = Int32Array.from({ length: count }, (_, i) => i)
    for (let i = count - 1; i > 0; i--) {
      const j = prng.below(i + 1)
      const swapped = order[i]!
      order[i] = order[j]!
      order[j] = swapped
    }
    return order
  }
  const value = new Uint8Array(VALUE_BYTES)
  prng.fill(value)
  const names = Array.from({ length: count }, (_, i) => `object${String(i).padStart(8, '0')}`)
  return { orders: [shuffled(), shuffled(), shuffled()], names, value }
}

/** Times by phase and store, one for each round. */
type Times = Record<Phase, number[][]>

async function measure(
  found: Peers,
  run: Run,
  work: Work,
  count: number,
  rounds: number,
): Promise<void> {
  const times = Object.fromEntries(PHASES.map((phase) => [phase, [[], [], []]])) as unknown as Times
  const warmUp = rounds === 1 ? 0 : 1
  for (let round = -warmUp; round < rounds; round++) {
    const directory = mkdtempSync(`${run.directory}/holdfast-peers-`)
    try {
      const stores = makeStores(found, run, { directory, count, durable: run.durable })
      for (const phase of PHASES) {
        for (const [i, store] of stores.entries()) {
          const ns = await timePhase(phase, store, work, run.grouped)
          if (round >= 0) times[phase][i]!.push(phase === 'open again' ? ns : ns / count)
        }
      }
      for (const store of stores) await store.close()
    } finally {
      rmSync(directory, { recursive: true })
    }
    process.stderr.write('.')
  }
  process.stderr.write('\n')
  const ratio = (phase: Phase, peer: number) =>
    factors(spread(times[phase][peer]!.map((ns, i) => ns / times[phase][0]![i]!)))
  const rows = PHASES.map((phase) => [
    phase,
    ...times[phase].map((list) => durations(spread(list))),
    ratio(phase, 1),
    ratio(phase, 2),
  ])
  const head = [run.title, 'holdfast', 'LMDB', 'SQLite', 'LMDB / holdfast', 'SQLite / holdfast']
  console.log(`${table(head, rows)}\n`)
}

function makeStores(found: Peers, run: Run, setting: StoreSetting): Store[] {
  const below = (name: string) => {
    const directory = `${setting.directory}/${name}`
    mkdirSync(directory)
    return { ...setting, directory }
  }
  return [
    holdfastStore(below('holdfast'), run.grouped),
    lmdbStore(found, below('lmdb')),
    sqliteStore(found, below('sqlite')),
  ]
}

async function timePhase(
  phase: Phase,
  store: Store,
  work: Work,
  grouped: boolean,
): Promise<number> {
  const [putting, getting, deleting] = work.orders
  const start = process.hrtime.bigint()
  switch (phase) {
    case 'put':
      inBatches(store, grouped, putting, (i) => {
        work.value[0] = i
        work.value[1] = i >>> 8
        work.value[2] = i >>> 16
        store.put(work.names[i]!, work.value)
      })
      break
    case 'get':
      for (const i of getting) {
        if (store.get(work.names[i]!) !== (i & 0xff_ffff))
          throw new Error(`${store.name}: object ${i}`)
      }
      break
    case 'list':
      if (store.list() !== work.names.length) throw new Error(`${store.name} lists another number`)
      break
    case 'open again':
      await store.reopen()
      store.get(work.names[0]!)
      break
    case 'delete':
      inBatches(store, grouped, deleting, (i) => store.remove(work.names[i]!))
      break
  }
  return Number(process.hrtime.bigint() - start)
}

function inBatches(
  store: Store,
  grouped: boolean,
  order: Int32Array,
  each: (i: number) => void,
): void {
  if (!grouped) {
    for (const i of order) each(i)
    return
  }
  for (let from = 0; from < order.length; from += BATCH) {
    store.together(() => {
      for (const i of order.subarray(from, from + BATCH)) each(i)
    })
  }
}
