/** holdfast cat: the bytes of files. */
import type { Command } from 'commander'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
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
      'after',
      '\nExamples:\n  holdfast cat /dev/shm/v.hf:/a.txt\n  holdfast cat v.hf:/a v.hf:/b > both',
    )
    .action(printFiles)
}

async function printFiles(targets: VolumeTarget[]): Promise<void> {
  await onVolumes(targets, async (volume, path) => {
    const file = await volume.open(path, 'r')
    try {
      for (;;) {
        // A buffer of its own each time: a pipe may take what it was given later.
        const bytes = new Uint8Array(READ_BYTES)
        const n = await file.read(bytes)
        if (n === 0) break
        await print(bytes.subarray(0, n))
      }
    } finally {
      await file.close()
    }
  })
}
