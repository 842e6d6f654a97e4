/** holdfast mv: another name. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { inVolume } from '../failure.js'
import { examples } from '../options.js'
import { baseName, joinPath, withSession } from '../session.js'

export function mvCommand(program: Command): Command {
  return program
    .command('mv')
    .summary('rename and move within a volume')
    .description(
      'Gives each SOURCE the name DESTINATION, or moves it into it when it is a directory. A file that ' +
        'has that name is replaced in one step.',
    )
    .argument('<volume:path...>', 'SOURCE... DESTINATION', parseVolumeTargets)
    .usage('[options] SOURCE... DESTINATION')
    .addHelpText(
      ...examples('holdfast mv v.hf:/a v.hf:/b', 'holdfast mv v.hf:/a v.hf:/b v.hf:/directory'),
    )
    .action(move)
}

async function move(paths: VolumeTarget[], _options: unknown, command: Command): Promise<void> {
  const destination = paths[paths.length - 1]!
  const sources = paths.slice(0, -1)
  if (sources.length === 0) return command.error('error: a SOURCE and a DESTINATION are wanted')
  await withSession(async (session) => {
    const volume = session.volume(destination.region, 'write')
    await inVolume(destination.region, async () => {
      const directory = await volume.stat(destination.path).then(
        (stats) => stats.type === 'directory',
        () => false,
      )
      if (sources.length > 1 && !directory) {
        const why = 'several files are moved into a directory that is there'
        throw new HoldfastError('ENOTDIR', why, { path: destination.path })
      }
      for (const { region, path } of sources) {
        if (session.volume(region, 'write') !== volume) {
          throw new HoldfastError('EXDEV', 'another volume: cp there, then rm here', { path })
        }
        const name = baseName(path)
        const into = directory && name.length > 0
        await volume.rename(path, into ? joinPath(destination.path, name) : destination.path)
      }
    })
  })
}
