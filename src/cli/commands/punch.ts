/** holdfast punch: a hole in a file. */
import type { Command } from 'commander'
import { parseSize, parseVolumeTarget, type VolumeTarget } from '../arguments.js'
import { conflictOptions, takesConflictOptions, type ConflictFlags } from '../conflicts.js'
import { onFile } from '../failure.js'
import { examples } from '../options.js'
import { onVolume } from '../session.js'

export function punchCommand(program: Command): Command {
  const command = program
    .command('punch')
    .summary('free the blocks of a range of a file')
    .description(
      'Frees the blocks of a range, which reads as zeros from then on; the size stays. Parts of ' +
        'blocks at its ends are zeroed. The same as `fallocate --punch-hole`.',
    )
    .argument('<volume:path>', 'file', parseVolumeTarget)
    .argument('<offset>', 'where the range begins, as 4K, 2M', parseSize)
    .argument('<length>', 'its length', parseSize)
    .addHelpText(...examples('holdfast punch v.hf:/sparse 1M 64K'))
    .action(punch)
  return takesConflictOptions(command)
}

async function punch(
  target: VolumeTarget,
  offset: number,
  length: number,
  flags: ConflictFlags,
): Promise<void> {
  await onVolume(target, 'write', async (volume, path) => {
    const file = await volume.open(path, 'r+')
    try {
      await onFile(path, () => file.punch(offset, length, conflictOptions(flags)))
    } finally {
      await file.close()
    }
  })
}
