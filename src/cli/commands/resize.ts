/** holdfast resize: a larger volume. */
import type { Command } from 'commander'
import { growVolume } from '../../layout/embedded.js'
import { formatSize, parseRegion, parseSize } from '../arguments.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'

interface Options extends JsonOption {
  readonly size?: number
}

export function resizeCommand(program: Command): Command {
  return program
    .command('resize')
    .summary('let a volume grow')
    .description(
      'Makes the region file SIZE bytes long, every block of it there, and lets the volume in it take ' +
        'the rest; without --size the volume takes all of the region as it is (a device that became ' +
        'larger). Volumes do not shrink, and grow up to what `holdfast mkfs --max-size` provided for. ' +
        'Nobody may have the volume open. A resize that is cut short is finished by running it again.',
    )
    .argument('<region>', 'path of the region', parseRegion)
    .option('--size <bytes>', 'new size of the region, as 512M, 2G', parseSize)
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples('holdfast resize --size 2G /dev/shm/v.hf', 'holdfast resize /dev/dax0.0'),
    )
    .action(resize)
}

async function resize(path: string, options: Options): Promise<void> {
  const { before, after } = growVolume(path, options.size)
  if (options.json === true) return printJson({ region: path, before, after })
  const change = after === before ? 'has' : `had ${formatSize(before)}, has`
  await print(`${path}: the volume ${change} ${formatSize(after)}\n`)
}
