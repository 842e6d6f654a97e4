/** holdfast seal-writes: a fixed file whose data does not change either. */
import type { Command } from 'commander'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { examples, RECURSIVE_OPTION } from '../options.js'
import { onVolumes } from '../session.js'
import { eachFile } from '../walk.js'

interface Options {
  readonly recursive?: boolean
  readonly off?: boolean
}

export function sealWritesCommand(program: Command): Command {
  return program
    .command('seal-writes')
    .summary('keep the data of fixed files as it is')
    .description(
      'Seals files that are fixed: nothing of their data changes any more, so that they may be cloned ' +
        'and stay where they are all the same. EBUSY while somebody could write past the calls, being ' +
        'a pin, a direct mapping, or a lease for writing. --off takes the seal away, unless blocks of ' +
        'the file have other owners by now.',
    )
    .argument('<volume:path...>', 'fixed files', parseVolumeTargets)
    .option('--off', 'take the seal away')
    .option(...RECURSIVE_OPTION)
    .addHelpText(
      ...examples(
        'holdfast fix v.hf:/weights.bin && holdfast seal-writes v.hf:/weights.bin',
        'holdfast seal-writes --off v.hf:/weights.bin',
      ),
    )
    .action(seal)
}

async function seal(targets: VolumeTarget[], options: Options): Promise<void> {
  const { off = false } = options
  await onVolumes(targets, 'write', async (volume, root) => {
    for await (const { path } of eachFile(volume, root, options)) {
      await volume.sealWrites(path, { off })
    }
  })
}
