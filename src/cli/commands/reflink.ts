/** holdfast reflink: a clone of a file, without a copy. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { parseVolumeTarget, type VolumeTarget } from '../arguments.js'
import { inVolume } from '../failure.js'
import { untilStopped } from '../interrupt.js'
import { conflictOptions, takesConflictOptions, type ConflictFlags } from '../conflicts.js'
import { examples, shareOption, type ShareOption } from '../options.js'
import { baseName, creatorOf, isDirectory, joinPath, withSession } from '../session.js'

export function reflinkCommand(program: Command): Command {
  const command = program
    .command('reflink')
    .summary('clone a file without copying it')
    .description(
      'Makes DESTINATION, or SOURCE in it when it is a directory, a clone of the file SOURCE of the ' +
        'same volume: at once, whatever its size, and without taking space. Both have the same blocks ' +
        'until one of them is written to. A DESTINATION that is there becomes the clone and keeps its ' +
        'mode and owner.',
    )
    .argument('<source>', 'VOLUME:PATH of the file', parseVolumeTarget)
    .argument('<destination>', 'VOLUME:PATH of the clone', parseVolumeTarget)
    .addOption(shareOption())
    .addHelpText(
      ...examples(
        'holdfast reflink v.hf:/disk.img v.hf:/disk.before',
        'holdfast reflink --share copy v.hf:/pinned.bin v.hf:/copy.bin',
      ),
    )
    .action(reflink)
  return takesConflictOptions(command)
}

async function reflink(
  from: VolumeTarget,
  to: VolumeTarget,
  { share, ...flags }: ShareOption & ConflictFlags,
): Promise<void> {
  await withSession(async (session) => {
    const volume = await session.volume(to.region, 'write')
    await inVolume(to.region, async () => {
      const { path } = from
      if ((await session.volume(from.region, 'write')) !== volume) {
        throw new HoldfastError('EXDEV', 'another volume has other blocks: cp copies', { path })
      }
      const into = await isDirectory(volume, to.path)
      const target = into ? joinPath(to.path, baseName(path)) : to.path
      const there = await volume.lstat(target).catch(missing)
      await untilStopped((signal) =>
        volume.reflink(path, target, { ...conflictOptions(flags), share, signal }),
      )
      const creator = there === null ? creatorOf(volume) : undefined
      if (creator !== undefined) await volume.chown(target, creator.uid, creator.gid)
    })
  })
}

function missing(error: unknown): null {
  if (error instanceof HoldfastError && error.code === 'ENOENT') return null
  throw error
}
