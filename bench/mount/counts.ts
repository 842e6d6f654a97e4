/** System calls of our server for one operation, by strace: in runs of their own. */
import { mkdirSync } from 'node:fs'
import { attach, counted, detach } from '../rdma/calls.js'
import { installed } from '../rdma/process.js'
import { print } from '../rdma/rounds.js'
import type { Setting } from '../mount.js'
import { Mounted } from './scene.js'
import { embedded } from './servers.js'

const MIB = 1 << 20
const FILE_BYTES = 64 * MIB
const REGION_BYTES = 256 * MIB
const SMALL = 2000
const SIZES = [
  { size: '4 KiB', bytes: 4096, times: SMALL },
  { size: '1 MiB', bytes: MIB, times: 128 },
] as const

export async function counts(setting: Setting): Promise<void> {
  if (!installed('strace')) throw new Error('strace is not installed: apt install strace')
  const { scene, load, processors } = setting
  const mounted = await Mounted.start(
    scene,
    embedded({ ...setting, nodeOptions: [] }, REGION_BYTES, 'counts'),
    processors,
  )
  const opened = await load.open(mounted, 'file', FILE_BYTES, 'direct')
  mkdirSync(`${mounted.directory}/names`)
  const rows: string[][] = []
  const file = `${scene.directory}/calls`
  const count = async (name: string, operations: number, run: () => Promise<unknown>) => {
    const tracer = await attach(mounted.pids(), file)
    await run()
    await detach(tracer)
    rows.push([name, counted(file, operations)])
  }
  for (const operation of ['read', 'write'] as const) {
    for (const { size, bytes, times } of SIZES) {
      const transfer = { operation, bytes, count: times, seed: 7 }
      await load.transfer(opened, transfer)
      await count(`${operation} of ${size}`, times, () => load.transfer(opened, transfer))
    }
  }
  await load.check(opened)
  for (const operation of ['create', 'unlink'] as const) {
    const round = { operation, count: SMALL, seed: 3 }
    await count(operation, SMALL, () => load.names(mounted, 'names', round))
  }
  print('System calls of holdfast mount for an operation', ['', 'calls'], rows)
  await load.close(opened)
  await mounted.end()
}
