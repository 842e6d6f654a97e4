/**
 * npm run bench -- mount [--rounds 9] [--mebibytes 256] [--count 4000] [--scale 1] [--patience 20]
 *                        [--processors 0] [--mode direct] [--profile DIRECTORY]
 *                        [--only data,names,commands,remote,counts]
 *
 * What a mount costs, beside peers: sides take turns, the first three rounds do not count, ratios
 * are of rounds. One program of C asks (mount/fuse_load.c), the same in the same order of each;
 * mount/servers.ts says what form each peer has. As root.
 *
 * - data: pread and pwrite of 4 KiB all over a file and of 1 MiB in order, one after the other, by
 *   direct I/O; beside the floor (mount/fuse_loop.c), passthrough_ll and bindfs. The program and
 *   the server share the processors of `--processors`: on one, neither waits for another to wake.
 * - names: creates, stats that find nothing in the kernel, unlinks, of `--count` names; beside
 *   passthrough_ll and bindfs; the same processors.
 * - commands: a warm `git status` and an offline `npm ci`, beside bindfs (mount/commands.ts).
 * - remote: reads of 1 MiB of a served volume, beside sshfs (mount/sshfs.ts).
 * - counts: system calls of our server for an operation.
 * - scale: of the operations of a round, 20 000 of 4 KiB, 512 of 1 MiB, 128 of remote ones.
 * - mode: of ours, a word after -o: direct (as it is without), cache, exclusive.
 * - patience: as of `rdma`. profile: CPU profiles of our servers go to that directory.
 *
 * Each read shows where it is from, and every byte of a file is compared after its rounds.
 *
 * apt install libfuse3-dev bindfs sshfs openssh-server strace git
 */
import { availableParallelism, release } from 'node:os'
import { parseArgs } from 'node:util'
import { commands } from './mount/commands.js'
import { counts } from './mount/counts.js'
import { data } from './mount/data.js'
import { Load } from './mount/load.js'
import { names } from './mount/names.js'
import { remote } from './mount/remote.js'
import { onScene, type Scene } from './mount/scene.js'
import { whyMissing } from './mount/servers.js'
import type { Turns } from './rdma/rounds.js'

export interface Setting {
  readonly scene: Scene
  readonly load: Load
  readonly turns: Turns
  /** Of the load, and of the servers that share them. */
  readonly processors: string
  /** Of a file. */
  readonly mebibytes: number
  /** Names, files. */
  readonly count: number
  readonly scale: number
  /** Of `holdfast mount`: direct, cache, exclusive. */
  readonly mode: string
  /** Of node, for our servers. */
  readonly nodeOptions: readonly string[]
}

/** Rounds that do not count: the engine compiles what is called often. */
const WARM_UP = 3

const PARTS: Readonly<Record<string, (setting: Setting) => Promise<void>>> = {
  data,
  names,
  commands,
  remote,
  counts,
}

export async function mount(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '9' },
      mebibytes: { type: 'string', default: '256' },
      count: { type: 'string', default: '4000' },
      scale: { type: 'string', default: '1' },
      patience: { type: 'string', default: '20' },
      processors: { type: 'string', default: '0' },
      mode: { type: 'string', default: 'direct' },
      only: { type: 'string', default: Object.keys(PARTS).join(',') },
      profile: { type: 'string' },
    },
  })
  const missing = whyMissing()
  if (missing !== null) {
    console.error(`bench: ${missing}`)
    process.exitCode = 2
    return
  }
  const { profile, processors, mode } = values
  console.log(
    `node ${process.version}, Linux ${release()}, ${availableParallelism()} cores, load and server ` +
      `on ${processors}, ours -o ${mode}; median of ${values.rounds} rounds in turn (least to most)\n`,
  )
  await onScene(async (scene) => {
    const load = await Load.start(scene, processors)
    const setting: Setting = {
      scene,
      load,
      processors,
      mode,
      turns: { rounds: Number(values.rounds), warmUp: WARM_UP, patience: Number(values.patience) },
      mebibytes: Number(values.mebibytes),
      count: Number(values.count),
      scale: Number(values.scale),
      nodeOptions: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
    }
    for (const name of values.only.split(',')) {
      const part = PARTS[name]
      if (part === undefined) throw new Error(`no part '${name}': ${Object.keys(PARTS).join(', ')}`)
      await part(setting)
    }
    await load.end()
  })
}
