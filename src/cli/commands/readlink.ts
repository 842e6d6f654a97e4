/** holdfast readlink: what symbolic links lead to. */
import type { Command } from 'commander'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { jsonPath, jsonText } from '../display.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { onVolumes } from '../session.js'

export function readlinkCommand(program: Command): Command {
  return program
    .command('readlink')
    .summary('show what symbolic links lead to')
    .description('Prints the target of each symbolic link, as it is.')
    .argument('<volume:path...>', 'symbolic links', parseVolumeTargets)
    .option('-n, --no-newline', 'nothing after the last one')
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast readlink v.hf:/current'))
    .action(show)
}

async function show(
  targets: VolumeTarget[],
  options: JsonOption & { readonly newline: boolean },
): Promise<void> {
  const found: unknown[] = []
  let shown = 0
  await onVolumes(targets, 'read', async (volume, path) => {
    const target = await volume.readlink(path)
    if (options.json === true) found.push({ ...jsonPath(path), ...jsonText('target', target) })
    else {
      const end = options.newline || ++shown < targets.length ? '\n' : ''
      await print(Buffer.concat([target, Buffer.from(end)]))
    }
  })
  if (options.json === true) await printJson(found)
}
