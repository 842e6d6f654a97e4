/** holdfast cat: the bytes of files. */
import type { Command } from 'commander'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { examples } from '../options.js'
import { print } from '../output.js'
import { onVolumes } from '../session.js'

const READ_BYTES = 1 << 20

export function catCommand(program: Command): Command {
  return program
    .command('cat')
    .summary('print files')
    .description('Writes the bytes of each file to standard output.')
    .argument('<volume:path...>', 'files', parseVolumeTargets)
    .addHelpText(
      ...examples('holdfast cat /dev/shm/v.hf:/a.txt', 'holdfast cat v.hf:/a v.hf:/b > both'),
    )
    .action(printFiles)
}

async function printFiles(targets: VolumeTarget[]): Promise<void> {
  await onVolumes(targets, 'read', async (volume, path) => {
    const file = await volume.open(path, 'r')
    // Each chunk is a buffer of its own: a pipe may take what it was given later.
    for await (const chunk of file.createReadStream({ highWaterMark: READ_BYTES })) {
      await print(chunk as Uint8Array)
    }
  })
}
