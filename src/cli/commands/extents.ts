/** holdfast extents: where the blocks of a file are. */
import type { Command } from 'commander'
import { parseVolumeTarget, type VolumeTarget } from '../arguments.js'
import { jsonPath } from '../display.js'
import { examples, JSON_OPTION } from '../options.js'
import { print, printJson, table } from '../output.js'
import { onVolume } from '../session.js'
import { layoutWords } from './lsattr.js'

export function extentsCommand(program: Command): Command {
  return program
    .command('extents')
    .summary('show where the blocks of a file are')
    .description(
      'Shows the layout of a file: runs of blocks of 4096 bytes, and the layout id (epoch and ' +
        'generation), which changes whenever a block moves; and whether it is fixed, write-sealed, or has ' +
        'a policy of its own.',
    )
    .argument('<volume:path>', 'file', parseVolumeTarget)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast extents /dev/shm/v.hf:/a.bin'))
    .action(show)
}

async function show(target: VolumeTarget, options: { readonly json?: boolean }): Promise<void> {
  await onVolume(target, 'read', async (volume, path) => {
    const layout = await volume.extents(path)
    const flags = await volume.inodeFlags(path)
    if (options.json === true) {
      const { fixed, writeSealed, policy } = flags
      return printJson({ ...jsonPath(path), ...layout, fixed, writeSealed, policy })
    }
    const { epoch, generation, extents } = layout
    const rows = extents.map((extent) =>
      [extent.fileBlock, extent.regionBlock, extent.count].map(String),
    )
    const blocks = extents.reduce((sum, extent) => sum + extent.count, 0)
    const runs = `${extents.length} ${extents.length === 1 ? 'extent' : 'extents'}`
    const words = layoutWords(flags)
    const what = `${runs}, ${blocks} blocks${words === '' ? '' : `, ${words}`}`
    await print(`layout ${epoch}.${generation}: ${what}\n`)
    if (rows.length > 0) {
      await print(table([['file block', 'region block', 'blocks'], ...rows], [0, 1, 2]))
    }
  })
}
