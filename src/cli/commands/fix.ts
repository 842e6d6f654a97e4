/** holdfast fix: a file whose blocks stay where they are, for good. */
import type { Command } from 'commander'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { displayName } from '../display.js'
import { moving } from '../moving.js'
import { examples, RECURSIVE_OPTION } from '../options.js'
import { onVolumes } from '../session.js'
import { eachFile } from '../walk.js'

export function fixCommand(program: Command): Command {
  return program
    .command('fix')
    .summary('keep the layout of files as it is')
    .description(
      'Fixes files: from then on their blocks stay where they are, and their size what it is, also ' +
        'after a crash or a restart; data is written in place as before. First every hole gets its ' +
        'blocks, shared blocks are replaced by blocks of its own, and all of that is made durable. What ' +
        'would change the layout is EPERM until `holdfast unfix`. Nothing of the file may be held. Being ' +
        'interrupted leaves a file as it was, but for blocks in its holes.',
    )
    .argument('<volume:path...>', 'files', parseVolumeTargets)
    .option(...RECURSIVE_OPTION)
    .addHelpText(...examples('holdfast fix v.hf:/weights.bin', 'holdfast fix -R v.hf:/models'))
    .action(fix)
}

async function fix(
  targets: VolumeTarget[],
  options: { readonly recursive?: boolean },
): Promise<void> {
  await onVolumes(targets, 'write', async (volume, root) => {
    for await (const { path, stats } of eachFile(volume, root, options)) {
      await moving(displayName(path), stats.size, (moves) => volume.fix(path, moves))
    }
  })
}
