/**
 * How long calls that are long keep the event loop of a server, and with it its other clients:
 * bench loop [--extents N] [--mib N] [--names N]. The server is a process of its own; delays are
 * those that a client would have seen, with collections of garbage counted apart.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connect } from '../src/client/index.js'
import { createVolume } from '../src/layout/embedded.js'
import type { Quantiles } from '../src/serve/loop_delay.js'
import { Actor } from '../test/processes/actor.js'
import { Programs } from '../test/processes/program.js'
import { longWorks } from '../test/serve/loop_load.js'
import { table } from './table.js'

const MiB = 1 << 20
const SECONDS = 3600
/** Of metadata, and for copies. */
const SPARE_MIB = 2048

export async function loop(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      extents: { type: 'string', default: '100000' },
      mib: { type: 'string', default: '1024' },
      names: { type: 'string', default: '100000' },
    },
  })
  const folder = mkdtempSync('/dev/shm/holdfast-loop-')
  const programs = new Programs()
  try {
    const region = join(folder, 'v.hf')
    const socket = join(folder, 'socket')
    const bytes = Number(values.mib) * MiB
    createVolume(region, 3 * bytes + SPARE_MIB * MiB)
    const url = new URL('../test/serve/loop_load.js', import.meta.url).href
    const server = await Actor.start(programs, url, './loop_server.js', { seconds: SECONDS })
    await server.call('start', { region, socket })
    const size = { extents: Number(values.extents), bytes, names: Number(values.names) }
    await measure(server, socket, size)
    await server.call('stop')
  } finally {
    await programs.end()
    rmSync(folder, { recursive: true })
  }
}

async function measure(
  server: Actor,
  socket: string,
  size: { extents: number; bytes: number; names: number },
): Promise<void> {
  const client = await connect(socket)
  const rows: string[][] = []
  for (const work of longWorks(client, '', size)) {
    await work.prepare?.()
    await server.call('delays')
    const begun = performance.now()
    await work.run()
    const took = performance.now() - begun
    const { delay, gc } = await server.call<{ delay: Quantiles; gc: Quantiles }>('delays')
    const times = [took, delay.p50Ms, delay.p999Ms, delay.maxMs, gc.maxMs]
    rows.push([work.name, ...times.map((ms) => ms.toFixed(1))])
  }
  await client.close()
  const head = ['call', 'took ms', 'delay p50', 'p99.9', 'longest', 'longest GC']
  console.log(table(head, rows))
}
