/** holdfast mkfs: an empty volume. */
import { existsSync, unlinkSync } from 'node:fs'
import { Option, type Command } from 'commander'
import type { LayoutPolicy } from '../../base/layout.js'
import { LAYOUT_POLICIES } from '../../media/superblock.js'
import { fillRegion } from '../../region/fill.js'
import { createVolume, inspectVolume, refuseContent } from '../../layout/embedded.js'
import { formatSize, parseRegion, parseSize } from '../arguments.js'
import { breatheDeep } from '../interrupt.js'
import { examples } from '../options.js'
import { formatProgress, print, ProgressLine } from '../output.js'
import { USER } from '../session.js'

interface Options {
  readonly size?: number
  readonly maxSize?: number
  readonly label?: string
  readonly sync?: 'always' | 'group'
  readonly static?: boolean
  readonly policy?: LayoutPolicy
  readonly unlink?: 'busy' | 'defer'
  readonly force?: boolean
}

export function mkfsCommand(program: Command): Command {
  return program
    .command('mkfs')
    .summary('make an empty volume')
    .description(
      'Makes an empty volume in REGION. A file that is not there is made; every block of it is there ' +
        'before the volume is, so that no later store runs out of space.',
    )
    .argument('<region>', 'path of a file or of a device-DAX node', parseRegion)
    .option(
      '--size <bytes>',
      'size of the region, as 512K, 256M, 1G (default: as it is)',
      parseSize,
    )
    .option(
      '--max-size <bytes>',
      'what the volume may grow to by `holdfast resize` (default: eight times its size)',
      parseSize,
    )
    .option('--label <text>', 'name of the volume, at most 32 bytes')
    .addOption(
      new Option(
        '--sync <when>',
        'when an operation is durable: when it returns, or in groups',
      ).choices(['always', 'group']),
    )
    .option(
      '--static',
      'files keep their blocks: no reflink, defragmentation, punch, collapse, insert',
    )
    .addOption(
      new Option(
        '--policy <policy>',
        'what truncate and punch do to pinned blocks: refuse, wait for the pins to end, or let them ' +
          'leave the file and free them later (default: busy)',
      ).choices(LAYOUT_POLICIES),
    )
    .addOption(
      new Option(
        '--unlink <when>',
        'the last name of a pinned file: stays, or goes at once and the file after the last pin ' +
          '(default: defer)',
      ).choices(['busy', 'defer']),
    )
    .option('--force', 'overwrite a volume, or a file with other content')
    .addHelpText(
      ...examples(
        'holdfast mkfs --size 1G /dev/shm/v.hf',
        'holdfast mkfs --size 64M --label scratch --sync always ./disk.hf',
        'holdfast mkfs --static --size 4G /dev/shm/rdma.hf',
        'holdfast mkfs /dev/dax0.0',
      ),
    )
    .action(makeVolume)
}

async function makeVolume(path: string, options: Options): Promise<void> {
  const { size = 0, maxSize, force = false, ...rest } = options
  if (!force) refuseContent(path)
  const existed = existsSync(path)
  try {
    await fill(path, size)
    createVolume(path, size, {
      force,
      filled: true,
      ...(maxSize === undefined ? {} : { maxBytes: maxSize }),
      ...rest,
      uid: USER.uid,
      gid: USER.gid,
    })
    // Told to stop while it was being made: then it was not made.
    await breatheDeep()
  } catch (error) {
    if (!existed && existsSync(path)) unlinkSync(path)
    throw error
  }
  const made = inspectVolume(path)
  const name = made.label === '' ? made.uuid : `'${made.label}' (${made.uuid})`
  await print(
    `${path}: volume ${name}, ${formatSize(made.blocks * made.blockSize)} on ${made.regionKind}, ` +
      `sync ${made.sync}${made.static ? ', static' : ''}\n`,
  )
}

async function fill(path: string, size: number): Promise<void> {
  const progress = new ProgressLine()
  try {
    for (const done of fillRegion(path, size)) {
      progress.show((seconds) => `filling ${path}: ${formatProgress(done, size, seconds)}`)
      await breatheDeep()
    }
  } finally {
    progress.clear()
  }
}
