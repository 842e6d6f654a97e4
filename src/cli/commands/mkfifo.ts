/** holdfast mkfifo: FIFOs. */
import type { Command } from 'commander'
import { Mode } from '../../base/mode.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { NEW_MODE_OPTION, newFileMode } from '../mode.js'
import { examples } from '../options.js'
import { onVolumes, creatorOf } from '../session.js'

export function mkfifoCommand(program: Command): Command {
  return program
    .command('mkfifo')
    .summary('make FIFOs')
    .description('Makes each FIFO. It is there to be copied and listed; a mount opens it.')
    .argument('<volume:path...>', 'their names', parseVolumeTargets)
    .option(...NEW_MODE_OPTION)
    .addHelpText(...examples('holdfast mkfifo -m 600 v.hf:/pipe'))
    .action(make)
}

async function make(targets: VolumeTarget[], options: { readonly mode?: number }): Promise<void> {
  const { mode = newFileMode() } = options
  await onVolumes(targets, 'write', (volume, path) =>
    volume.mknod(path, Mode.fifo | mode, 0, creatorOf(volume)),
  )
}
