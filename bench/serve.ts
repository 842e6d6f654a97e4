/**
 * npm run bench -- serve [--rounds 9] [--mebibytes 512] [--patience 20] [--profile DIRECTORY]
 *                        [--only remote,writes,control,mapped,opening,recalls,idle,counts]
 *
 * What clients of a daemon pay, each number beside its peer in the same rounds: sides take turns,
 * the first round does not count, ratios are of rounds. The daemon is a process of its own, and so
 * is each client and each peer's server and client; client and server have a processor each.
 *
 * - remote: Reads of 4 KiB one after the other (p50, p99) and of 1 MiB, 4 outstanding, of a file,
 *   of a layout and on demand, beside the RNIC alone: plain memory of another process, with the
 *   same settings (serve/rnic_alone.ts). `writes` is the same for Writes of 1 MiB, each of which
 *   has arrived when it is done.
 * - control: NULL, STAT and READ of 4 KiB on the Unix socket, beside a ping-pong of as many bytes
 *   there and back over the same kind of stream (serve/control.ts).
 * - mapped: 4 KiB and 1 MiB copied out of a mapped file, beside the same out of the heap.
 * - opening: from open() to the first remote bytes, beside two round trips of NULL.
 * - recalls: a truncate of what a client of another process has lent, who gives it back at once.
 * - idle: what the daemon grows by for 1000 remote sessions that do nothing, from four processes.
 * - counts: system calls, fences and flushed lines of an operation (in runs of their own).
 * - patience: as of `rdma`. profile: CPU profiles of daemon and clients go to that directory.
 *
 * Every object is compared with what it should be after each round.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { inPlace, type Place } from './rdma/content.js'
import type { Turns } from './rdma/rounds.js'
import { counts } from './serve/counts.js'
import { idle } from './serve/idle_sessions.js'
import { control, mapped, opening, recalls, remote, writes } from './serve/parts.js'
import { Daemon } from './serve/served.js'

export interface Setting {
  readonly place: Place
  readonly daemon: Daemon
  readonly turns: Turns
  /** Objects of 1 MiB a round. */
  readonly mebibytes: number
  /** Of node, for the clients. */
  readonly nodeOptions: readonly string[]
}

const PARTS: Readonly<Record<string, (setting: Setting) => Promise<void>>> = {
  remote,
  writes,
  control,
  mapped,
  opening,
  recalls,
  idle,
  counts,
}

export async function serve(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '9' },
      patience: { type: 'string', default: '20' },
      mebibytes: { type: 'string', default: '512' },
      only: { type: 'string', default: Object.keys(PARTS).join(',') },
      profile: { type: 'string' },
    },
  })
  const { profile } = values
  const nodeOptions = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  console.log(
    `node ${process.version}, ${availableParallelism()} cores, loopback; median of ` +
      `${values.rounds} rounds in turn (least to most)\n`,
  )
  await inPlace(async (place) => {
    const daemon = await Daemon.start(place, nodeOptions)
    const turns = { rounds: Number(values.rounds), warmUp: 1, patience: Number(values.patience) }
    const setting = { place, daemon, turns, mebibytes: Number(values.mebibytes), nodeOptions }
    for (const name of values.only.split(',')) {
      const part = PARTS[name]
      if (part === undefined) throw new Error(`no part '${name}': ${Object.keys(PARTS).join(', ')}`)
      await part(setting)
    }
    await daemon.end()
  })
}
