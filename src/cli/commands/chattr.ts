/** holdfast chattr: the flags append-only and immutable. */
import { InvalidArgumentError, type Command } from 'commander'
import type { AttributeFlags } from '../../base/filesystem.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { examples, RECURSIVE_OPTION } from '../options.js'
import { onVolumes } from '../session.js'
import { each } from '../walk.js'

export function chattrCommand(program: Command): Command {
  return program
    .command('chattr')
    .summary('make files append-only or immutable')
    .description(
      'Changes flags of files and directories: + sets, - clears, = sets these and clears the others. ' +
        'a: written only at its end, never removed, renamed or cut. i: not changed at all. ' +
        '`holdfast lsattr` shows them.',
    )
    .argument('<flags>', '+ai, -i, =a', parseFlags)
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .option(...RECURSIVE_OPTION)
    .allowUnknownOption() // `chattr -i`: flags that look like an option
    .addHelpText(
      ...examples(
        'holdfast chattr +i v.hf:/precious',
        'holdfast chattr -i v.hf:/precious',
        'holdfast chattr -R +a v.hf:/log',
      ),
    )
    .action(change)
}

function parseFlags(text: string): Partial<AttributeFlags> {
  const [, sign, letters = ''] = /^([-+=])([ai]*)$/.exec(text) ?? []
  if (sign === undefined || (letters === '' && sign !== '=')) {
    throw new InvalidArgumentError('flags are +, - or =, then some of a, i')
  }
  const flags = { append: letters.includes('a'), immutable: letters.includes('i') }
  if (sign === '=') return flags
  const to = sign === '+'
  return {
    ...(flags.append ? { append: to } : {}),
    ...(flags.immutable ? { immutable: to } : {}),
  }
}

async function change(
  flags: Partial<AttributeFlags>,
  targets: VolumeTarget[],
  options: { readonly recursive?: boolean },
): Promise<void> {
  await onVolumes(targets, 'write', async (volume, root) => {
    for await (const { path, stats, depth } of each(volume, root, options)) {
      // What has no flags is skipped on the way, and a failure where it is named.
      if (depth > 0 && stats.type !== 'file' && stats.type !== 'directory') continue
      await volume.setInodeFlags(path, flags)
    }
  })
}
