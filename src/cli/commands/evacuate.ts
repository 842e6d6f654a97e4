/** holdfast evacuate: no file has blocks in a range of the region any more. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { parseRange, parseVolume, type Range } from '../arguments.js'
import { inVolume } from '../failure.js'
import { moving } from '../moving.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { withSession } from '../session.js'

interface Options extends JsonOption {
  readonly range: Range
}

export function evacuateCommand(program: Command): Command {
  return program
    .command('evacuate')
    .summary('move all files out of a range of the region')
    .description(
      'Moves what files have in a range of the region elsewhere, as before a part of the memory is ' +
        'replaced, and shows how many blocks of 4096 bytes were moved and how many are still in use: ' +
        'metadata, which does not move, and bad blocks. What cannot be read stays, the rest moves, and ' +
        'in the end that is a failure, which names the inodes. Blocks that are held or of a fixed ' +
        'file are a failure before anything moves. `holdfast badblocks --add` keeps blocks from being used again.',
    )
    .argument('<region>', 'path of the region, or hf://HOST:PORT', parseVolume)
    .requiredOption(
      '--range <offset:length>',
      'bytes of the region, as 1G:2M or 0x40000000:0x200000; whole blocks are moved',
      parseRange,
    )
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast evacuate --range 1G:2M v.hf',
        'holdfast evacuate --range 0x1a2b3000:4K v.hf',
      ),
    )
    .action(evacuate)
}

async function evacuate(region: string, options: Options): Promise<void> {
  const { offset, length } = options.range
  await withSession(async (session) => {
    const volume = await session.volume(region, 'write')
    const { moved, left, unreadable, unreadableOf } = await inVolume(region, () =>
      moving(region, 0, (moves) => volume.evacuate(offset, offset + length, moves)),
    )
    const rest = left === 0 ? 'none is in use' : `${left} still in use by metadata, or bad`
    if (options.json === true) {
      await printJson({ region, offset, length, moved, left, unreadable, unreadableOf })
    } else await print(`${region}: ${moved} ${moved === 1 ? 'block' : 'blocks'} moved, ${rest}\n`)
    if (unreadable === 0) return
    throw new HoldfastError(
      'EIO',
      `${unreadable} of them cannot be read, of inode ${unreadableOf.join(', ')}; ` +
        'restore or remove what has them: ls -R --json shows inodes',
      { path: region },
    )
  })
}
