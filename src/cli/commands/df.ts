/** holdfast df: how full volumes are. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { StatFs } from '../../base/filesystem.js'
import { formatSize, parseVolumes } from '../arguments.js'
import { examples, HUMAN_OPTION, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson, table } from '../output.js'
import { withSession } from '../session.js'
import { lookAt } from '../summary.js'

interface Options extends JsonOption {
  readonly humanReadable?: boolean
  readonly inodes?: boolean
}

/** Bytes, and files. */
interface Fullness {
  readonly region: string
  readonly label: string
  readonly size: number
  readonly used: number
  readonly available: number
  readonly files: number
  /** Null where only the volume's owner knows. */
  readonly filesFree: number | null
  /** As of the last checkpoint of the process that has it open. */
  readonly atCheckpoint: boolean
}

export function dfCommand(program: Command): Command {
  return program
    .command('df')
    .summary('show how full volumes are')
    .description(
      'Shows size, used and available space of each volume, in KiB: what files and their metadata ' +
        'may use, without the log and the maps. Of a volume that another process has open ' +
        'and does not serve the numbers are those of its last checkpoint, and marked with *.',
    )
    .argument('<region...>', 'paths of regions, or hf://HOST:PORT', parseVolumes)
    .option(...HUMAN_OPTION)
    .option('-i, --inodes', 'files in the place of space')
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast df -h /dev/shm/v.hf',
        'holdfast df -i --json ./disk.hf hf://10.0.0.7:7174',
      ),
    )
    .action(show)
}

async function show(regions: string[], options: Options): Promise<void> {
  const all: Fullness[] = []
  for (const region of regions) all.push(await measure(region))
  if (options.json === true) return printJson(all)
  const size = (bytes: number) =>
    options.humanReadable === true ? formatSize(bytes) : String(Math.ceil(bytes / 1024))
  const part = (used: number, free: number) =>
    used + free === 0 ? '-' : `${Math.ceil((used / (used + free)) * 100)}%`
  const rows = all.map((one) => {
    const name = `${one.region}${one.atCheckpoint ? '*' : ''}`
    if (options.inodes === true) {
      const { files, filesFree } = one
      const free = filesFree === null ? '-' : String(filesFree)
      return [name, String(files), free, filesFree === null ? '-' : part(files, filesFree)]
    }
    const { used, available } = one
    return [name, size(one.size), size(used), size(available), part(used, available)]
  })
  const unit = options.humanReadable === true ? 'size' : '1K-blocks'
  const head =
    options.inodes === true
      ? ['region', 'inodes', 'free', 'use']
      : ['region', unit, 'used', 'available', 'use']
  await print(table([head, ...rows], [1, 2, 3, 4]))
}

async function measure(region: string): Promise<Fullness> {
  const { summary, served } = await lookAt(region)
  const { label, blockSize, dataBlocks, space } = summary
  const size = dataBlocks * blockSize
  const now = (full: StatFs): Fullness => {
    const { blocksFree, blocksAvailable, files, filesFree } = full
    const used = size - blocksFree * blockSize
    const available = blocksAvailable * blockSize
    return { region, label, size, used, available, files, filesFree, atCheckpoint: false }
  }
  if (served !== null) return now(served.full)
  const found: Fullness[] = []
  try {
    await withSession(async (session) => {
      found.push(now(await (await session.volume(region, 'read')).statfs()))
    })
    return found[0]!
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'EBUSY' || space === null) throw error
    const available = space.blocksFree * blockSize
    const used = size - available
    const files = space.inodes
    return { region, label, size, used, available, files, filesFree: null, atCheckpoint: true }
  }
}
