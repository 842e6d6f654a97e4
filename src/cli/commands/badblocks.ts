/** holdfast badblocks: the blocks that are kept out of use. */
import { InvalidArgumentError, type Command } from 'commander'
import { openVolume } from '../../layout/embedded.js'
import { parseRegion } from '../arguments.js'
import { inVolume } from '../failure.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'

const BLOCK_BYTES = 4096

interface Options extends JsonOption {
  readonly add?: readonly number[]
}

export function badblocksCommand(program: Command): Command {
  return program
    .command('badblocks')
    .summary('list the bad blocks of a volume, and add to them')
    .description(
      'Lists the blocks that are kept out of use for good. With --add one more is: at once when it is ' +
        'free, from when its file gives it back when it is not (`holdfast extents` tells where files ' +
        'are). A block is 4096 bytes; 0x before the number says that it is an offset in bytes, as the ' +
        'kernel reports errors. What is listed stays listed until mkfs.',
    )
    .argument('<region>', 'path of the region', parseRegion)
    .option('--add <block>', 'a block that is bad; may be given several times', collect)
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast badblocks v.hf',
        'holdfast badblocks --add 70000 --add 0x1a2b3000 v.hf',
      ),
    )
    .action(badblocks)
}

function collect(text: string, before: readonly number[] = []): number[] {
  if (!/^(0x[0-9a-f]+|[0-9]+)$/i.test(text)) {
    throw new InvalidArgumentError('a block number, or an offset in bytes with 0x before it')
  }
  const number = Number(text)
  return [...before, /^0x/i.test(text) ? Math.floor(number / BLOCK_BYTES) : number]
}

async function badblocks(region: string, options: Options): Promise<void> {
  const add = options.add ?? []
  const blocks = await inVolume(region, async () => {
    using volume = openVolume(region, { readOnly: add.length === 0 })
    for (const block of add) volume.markBad(block)
    return volume.badBlocks()
  })
  if (options.json === true) return printJson({ region, blocks })
  for (const block of blocks) await print(`${block}\t0x${(block * BLOCK_BYTES).toString(16)}\n`)
}
