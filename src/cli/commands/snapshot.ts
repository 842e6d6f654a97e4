/** holdfast snapshot: a clone of a directory tree, all of it at one point in time. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { parseVolumeTarget, type VolumeTarget } from '../arguments.js'
import { inVolume } from '../failure.js'
import { untilStopped } from '../interrupt.js'
import { examples, shareOption, type ShareOption } from '../options.js'
import { withSession } from '../session.js'

export function snapshotCommand(program: Command): Command {
  return program
    .command('snapshot')
    .summary('clone a directory tree as of now')
    .description(
      'Makes NEW-DIRECTORY, which is not there yet, with everything that is in DIRECTORY: directories ' +
        'made anew, files cloned, with owners, modes, times, attributes and hard links. It is the tree ' +
        'of one point in time, appears all at once, and takes no space but for names and inodes, until ' +
        'one of the two is written to. Both are in the same volume, the new one not in the old one: ' +
        'of the root directory there is none, of each directory in it there may be. A crash in the ' +
        'middle of it leaves what was made so far beside it, as .snapshot-0 or the next number: remove that.',
    )
    .argument('<directory>', 'VOLUME:PATH of the tree', parseVolumeTarget)
    .argument('<new-directory>', 'VOLUME:PATH of the snapshot', parseVolumeTarget)
    .addOption(shareOption())
    .addHelpText(
      ...examples(
        'holdfast snapshot v.hf:/data v.hf:/data.monday',
        'holdfast snapshot --share copy v.hf:/models v.hf:/models.before',
      ),
    )
    .action(snapshot)
}

async function snapshot(
  from: VolumeTarget,
  to: VolumeTarget,
  { share }: ShareOption,
): Promise<void> {
  await withSession(async (session) => {
    const volume = await session.volume(to.region, 'write')
    await inVolume(to.region, async () => {
      const { path } = from
      if ((await session.volume(from.region, 'write')) !== volume) {
        throw new HoldfastError('EXDEV', 'another volume has other blocks: cp -a copies', { path })
      }
      await untilStopped((signal) => volume.snapshot(path, to.path, { share, signal }))
    })
  })
}
