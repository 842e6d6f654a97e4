/** holdfast resize: a larger or smaller volume. */
import type { Command } from 'commander'
import { growVolume, inspectVolume, shrinkVolume } from '../../layout/embedded.js'
import { BLOCK_BYTES } from '../../base/limits.js'
import { formatSize, parseRegion, parseSize } from '../arguments.js'
import { moving } from '../moving.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'

interface Options extends JsonOption {
  readonly size?: number
}

export function resizeCommand(program: Command): Command {
  return program
    .command('resize')
    .summary('let a volume grow or shrink')
    .description(
      'Makes the region file SIZE bytes long, every block of it there, and the volume in it as large; ' +
        'without --size the volume takes all of the region as it is (a device that became larger). ' +
        'Volumes grow up to what `holdfast mkfs --max-size` provided for. Before one shrinks, what is ' +
        'behind its new end moves: a failure when there is no room for it (ENOSPC), or when a file there ' +
        'is fixed. Devices, and the volumes on them, do not shrink. Nobody may have the volume open. A ' +
        'resize that is cut short or stopped leaves a sound volume, of the old size or the new one, ' +
        'and is finished by running it again.',
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
  const { before, after, moved } = await resized(path, options.size)
  if (options.json === true) return printJson({ region: path, before, after, moved })
  const change = after === before ? 'has' : `had ${formatSize(before)}, has`
  const moves = moved === 0 ? '' : `; ${moved} ${moved === 1 ? 'block' : 'blocks'} moved`
  await print(`${path}: the volume ${change} ${formatSize(after)}${moves}\n`)
}

async function resized(path: string, size: number | undefined) {
  if (size === undefined || size >= inspectVolume(path).blocks * BLOCK_BYTES) {
    return { ...growVolume(path, size), moved: 0 }
  }
  return moving(path, 0, (moves) => shrinkVolume(path, size, moves))
}
