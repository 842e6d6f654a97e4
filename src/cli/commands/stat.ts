/** holdfast stat: all that is known of a file. */
import type { Command } from 'commander'
import type { Stats } from '../../base/filesystem.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { displayName, jsonName, jsonStats, modeText } from '../display.js'
import { print, printJson, table } from '../output.js'
import { onVolumes } from '../session.js'

export function statCommand(program: Command): Command {
  return program
    .command('stat')
    .summary('show all that is known of a file')
    .description('Shows type, mode, size, links, owner and times of each file.')
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast stat /dev/shm/v.hf:/a.txt\n  holdfast stat --json /dev/shm/v.hf:/',
    )
    .action(show)
}

async function show(targets: VolumeTarget[], options: { readonly json?: boolean }): Promise<void> {
  const found: unknown[] = []
  await onVolumes(targets, async (volume, path) => {
    const stats = await volume.stat(path)
    if (options.json === true) found.push({ path: jsonName(path).name, ...jsonStats(stats) })
    else await print(asText(path, stats))
  })
  if (options.json === true) await printJson(found)
}

function asText(path: Uint8Array, stats: Stats): string {
  const time = (ms: number) => new Date(ms).toISOString()
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0')
  return table(
    [
      ['file', displayName(path)],
      ['type', stats.type],
      ['size', `${stats.size} (${stats.blocks} blocks of 512)`],
      ['inode', `${stats.ino}, generation ${stats.generation}`],
      ['links', String(stats.nlink)],
      ['mode', `${mode} ${modeText(stats.mode)}`],
      ['owner', `${stats.uid}:${stats.gid}`],
      ['accessed', time(stats.atimeMs)],
      ['modified', time(stats.mtimeMs)],
      ['changed', time(stats.ctimeMs)],
      ['born', time(stats.birthtimeMs)],
    ],
    [],
  )
}
