/** holdfast rmdir: takes empty directories away. */
import type { Command } from 'commander'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { examples } from '../options.js'
import { onVolumes } from '../session.js'

export function rmdirCommand(program: Command): Command {
  return program
    .command('rmdir')
    .summary('remove empty directories')
    .description('Removes each directory, which must be empty.')
    .argument('<volume:path...>', 'directories', parseVolumeTargets)
    .addHelpText(...examples('holdfast rmdir v.hf:/a'))
    .action((targets: VolumeTarget[]) =>
      onVolumes(targets, 'write', (volume, path) => volume.rmdir(path)),
    )
}
