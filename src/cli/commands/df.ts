/** holdfast df: how full volumes are. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { inspectVolume } from '../../layout/embedded.js'
import { formatSize, parseRegion } from '../arguments.js'
import { examples, HUMAN_OPTION, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson, table } from '../output.js'
import { withSession } from '../session.js'

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
        'may use, without the log and the maps. Of a volume that another process has open the ' +
        'numbers are those of its last checkpoint, and marked with *.',
    )
    .argument('<region...>', 'paths of regions', (text, before: string[] | undefined) => [
      ...(before ?? []),
      parseRegion(text),
    ])
    .option(...HUMAN_OPTION)
    .option('-i, --inodes', 'files in the place of space')
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast df -h /dev/shm/v.hf', 'holdfast df -i --json ./disk.hf'))
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
  const summary = inspectVolume(region)
  const { label, blockSize, dataBlocks, space } = summary
  const size = dataBlocks * blockSize
  const found: Fullness[] = []
  try {
    await withSession(async (session) => {
      const { blocksFree, blocksAvailable, files, filesFree } = await session
        .volume(region, 'read')
        .statfs()
      const used = size - blocksFree * blockSize
      const available = blocksAvailable * blockSize
      found.push({ region, label, size, used, available, files, filesFree, atCheckpoint: false })
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
