/** Reads of 1 MiB of a remote mount: ours of a served volume, beside sshfs; on all processors. */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { Daemon, freePort } from '../rdma/process.js'
import { atLeast, inTurn, microseconds, print, speeds } from '../rdma/rounds.js'
import type { Setting } from '../mount.js'
import { beside, COLUMNS, processorPerOperation } from './data.js'
import type { Opened, Transfer } from './load.js'
import { Mounted, type Server } from './scene.js'
import { holdfast, makeVolume } from './servers.js'
import { sshfs, sshfsDirectly, startSftpServer, startSshd, whySshfsMissing } from './sshfs.js'

const MIB = 1 << 20
const SPARE_BYTES = 256 * MIB
const COUNT = 128
/** Of the rate of sshfs. */
const WANTED = 2

interface Served {
  readonly server: Server
  end(): Promise<void>
}

/** A volume, its server, and how it is mounted. */
async function served({ scene, mode, nodeOptions }: Setting, bytes: number): Promise<Served> {
  const region = makeVolume(scene, 'remote', bytes)
  const keys = `${scene.directory}/keys`
  const [node, ...args] = holdfast([], 'keys', 'make', '--id', 'bench', '--uid', '0', keys)
  const { status, stderr } = spawnSync(node!, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`holdfast keys: ${stderr}`)
  const port = await freePort()
  const place = `127.0.0.1:${port}`
  const serving = ['serve', '--listen', place, '--keys', keys, region]
  const [command, ...more] = holdfast(nodeOptions, ...serving)
  const daemon = new Daemon(command!, more, `${scene.directory}/serve.log`)
  await daemon.listening(port)
  return {
    server: {
      name: 'holdfast mount (remote)',
      command: (directory) =>
        holdfast(nodeOptions, 'mount', '-o', mode, '--key', keys, `hf://${place}/`, directory),
      behind: () => daemon.pids(),
    },
    end: () => daemon.end(),
  }
}

export async function remote(setting: Setting): Promise<void> {
  const missing = whySshfsMissing()
  if (missing !== null) throw new Error(`there is nothing to compare with: ${missing}`)
  const { scene, load, turns, scale } = setting
  const bytes = setting.mebibytes * MIB
  const all = `0-${availableParallelism() - 1}`
  load.pin(all)
  const ours = await served(setting, bytes + SPARE_BYTES)
  const sshd = await startSshd(scene)
  const sftp = await startSftpServer()
  const opened: Opened[] = []
  for (const server of [ours.server, sshfs(scene, sshd), sshfsDirectly(scene, sftp)]) {
    const mounted = await Mounted.start(scene, server, all)
    const flag = server === ours.server ? 'direct' : 'plain'
    opened.push(await load.open(mounted, 'file', bytes, flag))
  }
  const count = Math.ceil(COUNT * scale)
  const transfer: Transfer = { operation: 'read', bytes: MIB, count, seed: 0 }
  const found = await inTurn(
    opened.map((one) => () => load.transfer(one, transfer)),
    turns,
  )
  for (const one of opened) await load.check(one)
  const rows = found.map((list, i) => [
    opened[i]!.mounted.name,
    speeds(list),
    microseconds(list.map(({ p50 }) => p50)),
    microseconds(list.map(({ p99 }) => p99)),
    ...beside(found[0]!, list, i, atLeast(i === 1 ? WANTED : 1)),
    processorPerOperation(list, count),
  ])
  print('Reads of 1 MiB, in order, over loopback', ['', 'GB/s', ...COLUMNS], rows)
  for (const one of opened) await load.close(one)
  for (const { mounted } of opened) await mounted.end()
  load.pin(setting.processors)
  await ours.end()
  await sshd.end()
  await sftp.end()
}
