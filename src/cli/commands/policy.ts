/** holdfast policy: what becomes of the pinned blocks of a file. */
import { Argument, type Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { LayoutPolicy } from '../../base/layout.js'
import { LAYOUT_POLICIES } from '../../media/superblock.js'
import { parseVolumeTarget, type VolumeTarget } from '../arguments.js'
import { jsonPath } from '../display.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { onVolume } from '../session.js'

type Word = LayoutPolicy | 'default'

export function policyCommand(program: Command): Command {
  return program
    .command('policy')
    .summary('show or set what becomes of the pinned blocks of a file')
    .description(
      'Shows, or sets, what truncate, punch and being the destination of a clone do to pinned blocks of ' +
        'a file. busy: refused at once. wait: it waits for the pins to end. defer: done at once, and ' +
        'the pinned blocks leave the file but are not used again before their pins end. default: what ' +
        '`holdfast mkfs --policy` chose for the volume.',
    )
    .argument('<volume:path>', 'file', parseVolumeTarget)
    .addArgument(
      new Argument('[policy]', 'the new policy: busy, wait, defer or default').choices([
        ...LAYOUT_POLICIES,
        'default',
      ]),
    )
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples('holdfast policy v.hf:/ring.buf', 'holdfast policy v.hf:/ring.buf defer'),
    )
    .action(policy)
}

async function policy(
  target: VolumeTarget,
  word: Word | undefined,
  options: JsonOption,
): Promise<void> {
  await onVolume(target, word === undefined ? 'read' : 'write', async (volume, path) => {
    if (word !== undefined) await volume.setPolicy(path, word === 'default' ? null : word)
    const { type } = await volume.stat(path)
    if (type !== 'file') throw new HoldfastError('EINVAL', 'only a file has a layout', { path })
    const now = (await volume.inodeFlags(path)).policy
    if (options.json === true) await printJson({ ...jsonPath(path), policy: now })
    else if (word === undefined) await print(`${now ?? 'default'}\n`)
  })
}
