/** holdfast truncate: the sizes of files. */
import { InvalidArgumentError, type Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { FileSystem } from '../../base/filesystem.js'
import {
  parseSize,
  parseVolumeTarget,
  parseVolumeTargets,
  type VolumeTarget,
} from '../arguments.js'
import { inVolume } from '../failure.js'
import { newFileMode } from '../mode.js'
import { conflictOptions, takesConflictOptions, type ConflictFlags } from '../conflicts.js'
import { examples } from '../options.js'
import { creatorOf, withSession } from '../session.js'

/** The size that a file of `size` bytes gets. */
type SizeChange = (size: number) => number

interface Options extends ConflictFlags {
  readonly size?: SizeChange
  readonly reference?: VolumeTarget
  /** `-c` makes it false. */
  readonly create: boolean
}

export function truncateCommand(program: Command): Command {
  const command = program
    .command('truncate')
    .summary('make files shorter or longer')
    .description(
      'Gives each file the SIZE; what is beyond it goes, what is added is a hole that reads as zeros. ' +
        'A file that is not there is made. SIZE may begin with + or - (so much more or less), < or > ' +
        '(at most, at least), / or % (round down or up to a multiple of it).',
    )
    .argument('<volume:path...>', 'files', parseVolumeTargets)
    .option(
      '-s, --size <size>',
      'bytes, as 4K, 2M, 1G, with a sign before it: see above',
      parseChange,
    )
    .option('-r, --reference <file>', 'the size of this file', parseVolumeTarget)
    .option('-c, --no-create', 'make no files')
    .addHelpText(
      ...examples(
        'holdfast truncate -s 1G v.hf:/sparse',
        'holdfast truncate -s -512 v.hf:/log',
        'holdfast truncate -s %4K v.hf:/padded',
      ),
    )
    .action(truncate)
  return takesConflictOptions(command)
}

function parseChange(text: string): SizeChange {
  const sign = /^[-+<>/%]/.exec(text)?.[0] ?? ''
  const value = parseSize(text.slice(sign.length))
  if (value === 0 && (sign === '/' || sign === '%')) {
    throw new InvalidArgumentError('a multiple of 0 is no size')
  }
  const changes: Readonly<Record<string, SizeChange>> = {
    '': () => value,
    '+': (size) => size + value,
    '-': (size) => Math.max(0, size - value),
    '<': (size) => Math.min(size, value),
    '>': (size) => Math.max(size, value),
    '/': (size) => Math.floor(size / value) * value,
    '%': (size) => Math.ceil(size / value) * value,
  }
  return changes[sign]!
}

async function truncate(
  targets: VolumeTarget[],
  options: Options,
  command: Command,
): Promise<void> {
  const { size, reference } = options
  if ((size === undefined) === (reference === undefined)) {
    return command.error('error: one of --size and --reference is wanted')
  }
  await withSession(async (session) => {
    const change = size ?? (await sizeOf())
    for (const { region, path } of targets) {
      const volume = await session.volume(region, 'write')
      await inVolume(region, () => cut(volume, path, change, options))
    }

    async function sizeOf(): Promise<SizeChange> {
      const { region, path } = reference!
      const written = targets.some((target) => target.region === region)
      const volume = await session.volume(region, written ? 'write' : 'read')
      const stats = await inVolume(region, () => volume.stat(path))
      return () => stats.size
    }
  })
}

async function cut(
  volume: FileSystem,
  path: Buffer,
  change: SizeChange,
  options: Options,
): Promise<void> {
  const missing = (error: unknown) => {
    if (error instanceof HoldfastError && error.code === 'ENOENT') return null
    throw error
  }
  const stats = await volume.stat(path).catch(missing)
  if (stats !== null) {
    return volume.truncate(path, change(stats.size), undefined, conflictOptions(options))
  }
  if (!options.create) return
  const file = await volume.open(path, 'a', newFileMode(), creatorOf(volume))
  try {
    await file.truncate(change(0))
  } finally {
    await file.close()
  }
}
