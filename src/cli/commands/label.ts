/** holdfast label: the name of a volume. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { relabelVolume } from '../../layout/embedded.js'
import { parseVolume } from '../arguments.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { lookAt } from '../summary.js'
import { isRemote } from '../volume_name.js'

export function labelCommand(program: Command): Command {
  return program
    .command('label')
    .summary('show or change the label of a volume')
    .description(
      'Shows the label of the volume in REGION, or gives it the label TEXT: at most 32 bytes of ' +
        'UTF-8, the empty one to have none. To change it nobody may have the volume open.',
    )
    .argument('<region>', 'path of the region, or hf://HOST:PORT', parseVolume)
    .argument('[text]', 'the new label')
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples('holdfast label v.hf', 'holdfast label v.hf models', "holdfast label v.hf ''"),
    )
    .action(label)
}

async function label(path: string, text: string | undefined, options: JsonOption): Promise<void> {
  if (text !== undefined && isRemote(path)) {
    const detail = 'the label is changed where the region is, and while nobody has it open'
    throw new HoldfastError('EOPNOTSUPP', detail, { path })
  }
  if (text !== undefined) relabelVolume(path, text)
  const { summary: now } = await lookAt(path)
  if (options.json === true) await printJson({ region: path, label: now.label, uuid: now.uuid })
  else if (text === undefined) await print(`${now.label}\n`)
}
