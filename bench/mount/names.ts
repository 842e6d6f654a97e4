/**
 * Creates, cold stats and unlinks in one directory: ours, the two peers with names, and the first
 * of them as it is when nobody asks who may.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { atLeast, inTurn, microseconds, print, rates } from '../rdma/rounds.js'
import type { Measured } from '../rdma/pair.js'
import type { Setting } from '../mount.js'
import { beside, COLUMNS, processorPerOperation } from './data.js'
import type { Load, Names } from './load.js'
import { Mounted, type Server } from './scene.js'
import { bindfs, embedded, passthrough } from './servers.js'

const REGION_BYTES = 256 << 20
const DIRECTORY = 'names'
/** For servers to take the FORGETs that follow. */
const SETTLE_MILLISECONDS = 150
const SEEDS = { create: 3, stat: 5, unlink: 11 } as const

export async function names(setting: Setting): Promise<void> {
  const { scene, processors } = setting
  const servers: Server[] = [
    embedded(setting, REGION_BYTES, 'names'),
    passthrough(scene, 'always', true),
    bindfs(scene, 'names'),
    passthrough(scene, 'always'),
  ]
  const mounts: Mounted[] = []
  for (const server of servers) {
    const mounted = await Mounted.start(scene, server, processors)
    mkdirSync(`${mounted.directory}/${DIRECTORY}`)
    mounts.push(mounted)
  }
  for (const operation of ['create', 'stat', 'unlink'] as const) {
    await compare(setting, mounts, operation)
  }
  for (const mounted of mounts) await mounted.end()
}

/** Names are there before a round when they are to be looked at, and gone after it. */
export async function namesRound(
  load: Load,
  mounted: Mounted,
  operation: Names['operation'],
  count: number,
): Promise<Measured> {
  const ask = (verb: Names['operation']) =>
    load.names(mounted, DIRECTORY, { operation: verb, count, seed: SEEDS[verb] })
  if (operation !== 'create') await ask('create')
  if (operation === 'stat') await forgetNames()
  const measured = await ask(operation)
  if (operation !== 'unlink') await ask('unlink')
  return measured
}

/** The kernel has no entry and no inode that nobody uses any more. */
async function forgetNames(): Promise<void> {
  writeFileSync('/proc/sys/vm/drop_caches', '2\n')
  await setTimeout(SETTLE_MILLISECONDS)
}

async function compare(
  { load, turns, count }: Setting,
  mounts: readonly Mounted[],
  operation: Names['operation'],
): Promise<void> {
  const runs = mounts.map((mounted) => () => namesRound(load, mounted, operation, count))
  const found = await inTurn(runs, turns)
  const rows = found.map((list, i) => [
    mounts[i]!.name,
    rates(list, count),
    microseconds(list.map(({ p50 }) => p50)),
    microseconds(list.map(({ p99 }) => p99)),
    ...beside(found[0]!, list, i, atLeast(1)),
    processorPerOperation(list, count),
  ])
  const title = { create: 'Creates', stat: 'Stats, nothing in the kernel', unlink: 'Unlinks' }
  print(`${title[operation]}, ${count} names`, ['', 'thousands/s', ...COLUMNS], rows)
}
