/** holdfast unfix: the layout of a fixed file may change again. */
import type { Command } from 'commander'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { examples, RECURSIVE_OPTION } from '../options.js'
import { onVolumes } from '../session.js'
import { eachFile } from '../walk.js'

export function unfixCommand(program: Command): Command {
  return program
    .command('unfix')
    .summary('let the layout of fixed files change again')
    .description(
      'Takes back what `holdfast fix` did: the files may be cut, shared, moved and removed again. ' +
        'A write-sealed file is EPERM: first `holdfast seal-writes --off`.',
    )
    .argument('<volume:path...>', 'files', parseVolumeTargets)
    .option(...RECURSIVE_OPTION)
    .addHelpText(...examples('holdfast unfix v.hf:/weights.bin'))
    .action(unfix)
}

async function unfix(
  targets: VolumeTarget[],
  options: { readonly recursive?: boolean },
): Promise<void> {
  await onVolumes(targets, 'write', async (volume, root) => {
    for await (const { path } of eachFile(volume, root, options)) await volume.unfix(path)
  })
}
