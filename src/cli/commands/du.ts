/** holdfast du: what space trees take. */
import type { Command } from 'commander'
import type { FileSystem, Stats } from '../../base/filesystem.js'
import { formatSize, parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { displayName, jsonPath } from '../display.js'
import { examples, HUMAN_OPTION, JSON_OPTION, parseNumber, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { onVolumes } from '../session.js'
import { walk } from '../walk.js'

interface Options extends JsonOption {
  readonly all?: boolean
  readonly summarize?: boolean
  readonly bytes?: boolean
  readonly humanReadable?: boolean
  readonly maxDepth?: number
}

/** A tree, or a file, and what it comes to. */
interface Total {
  readonly path: Buffer
  readonly depth: number
  /** Bytes of blocks that are taken. */
  space: number
  /** Bytes of the files' sizes. */
  size: number
  files: number
}

export function duCommand(program: Command): Command {
  return program
    .command('du')
    .summary('show what space trees take')
    .description(
      'Adds up the blocks of the files in each directory, in KiB, what is below it included. A file ' +
        'with several names counts once. Metadata (inodes, names, maps) is not counted.',
    )
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .option('-a, --all', 'each file, not only directories')
    .option('-s, --summarize', 'only what is named')
    .option('-d, --max-depth <levels>', 'only down to this depth', parseNumber)
    .option('-b, --bytes', 'sizes of files in bytes, holes included, in the place of blocks')
    .option(...HUMAN_OPTION)
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples('holdfast du -sh v.hf:/', 'holdfast du -ah v.hf:/src', 'holdfast du -d1 v.hf:/'),
    )
    .action(show)
}

async function show(targets: VolumeTarget[], options: Options): Promise<void> {
  const found: unknown[] = []
  const seen = new Set<string>()
  await onVolumes(targets, 'read', async (volume, root) => {
    for await (const total of totals(volume, root, options, seen)) {
      const { path, space, size, files } = total
      if (options.json === true) found.push({ ...jsonPath(path), space, size, files })
      else await print(`${amount(total, options)}\t${displayName(path)}\n`)
    }
  })
  if (options.json === true) await printJson(found)
}

function amount({ space, size }: Total, options: Options): string {
  const bytes = options.bytes === true ? size : space
  if (options.humanReadable === true) return formatSize(bytes)
  return String(options.bytes === true ? bytes : Math.ceil(bytes / 1024))
}

/** Leaves before what they are in. */
async function* totals(
  volume: FileSystem,
  root: Buffer,
  options: Options,
  seen: Set<string>,
): AsyncGenerator<Total> {
  const maxDepth = options.summarize === true ? 0 : (options.maxDepth ?? Infinity)
  const shown = ({ depth }: Total) => depth <= maxDepth
  const open: Total[] = []
  const leave = (): Total => {
    const done = open.pop()!
    const above = open[open.length - 1]
    if (above !== undefined) add(above, done)
    return done
  }
  for await (const { path, stats, depth } of walk(volume, root, { follow: false })) {
    while (open.length > depth) {
      const done = leave()
      if (shown(done)) yield done
    }
    const one = { path, depth, ...measure(stats, seen) }
    if (stats.type === 'directory') open.push(one)
    else {
      const above = open[open.length - 1]
      if (above !== undefined) add(above, one)
      if (shown(one) && (options.all === true || depth === 0)) yield one
    }
  }
  while (open.length > 0) {
    const done = leave()
    if (shown(done)) yield done
  }
}

function add(to: Total, { space, size, files }: Total): void {
  to.space += space
  to.size += size
  to.files += files
}

function measure(
  { ino, generation, nlink, type, blocks, size }: Stats,
  seen: Set<string>,
): Pick<Total, 'space' | 'size' | 'files'> {
  if (type === 'directory') return { space: blocks * 512, size: 0, files: 1 }
  if (nlink > 1) {
    const id = `${ino}.${generation}`
    if (seen.has(id)) return { space: 0, size: 0, files: 0 }
    seen.add(id)
  }
  return { space: blocks * 512, size, files: 1 }
}
