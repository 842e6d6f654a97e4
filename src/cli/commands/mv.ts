/** holdfast mv: another name. */
import { Option, type Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { inVolume } from '../failure.js'
import { conflictOptions, takesConflictOptions, type ConflictFlags } from '../conflicts.js'
import { examples } from '../options.js'
import { baseName, isDirectory, joinPath, withSession } from '../session.js'

interface Options extends ConflictFlags {
  /** `-n` makes it false. */
  readonly clobber: boolean
  readonly exchange?: boolean
}

export function mvCommand(program: Command): Command {
  const command = program
    .command('mv')
    .summary('rename and move within a volume')
    .description(
      'Gives each SOURCE the name DESTINATION, or moves it into it when it is a directory. A file that ' +
        'has that name is replaced in one step.',
    )
    .argument('<volume:path...>', 'SOURCE... DESTINATION', parseVolumeTargets)
    .usage('[options] SOURCE... DESTINATION')
    .option('-n, --no-clobber', 'replace nothing: EEXIST when the name is taken')
    .addOption(new Option('--exchange', 'trade places: both must be there').conflicts('clobber'))
    .addHelpText(
      ...examples(
        'holdfast mv v.hf:/a v.hf:/b',
        'holdfast mv v.hf:/a v.hf:/b v.hf:/directory',
        'holdfast mv --exchange v.hf:/new v.hf:/current',
      ),
    )
    .action(move)
  return takesConflictOptions(command)
}

async function move(paths: VolumeTarget[], options: Options, command: Command): Promise<void> {
  const destination = paths[paths.length - 1]!
  const sources = paths.slice(0, -1)
  if (sources.length === 0) return command.error('error: a SOURCE and a DESTINATION are wanted')
  await withSession(async (session) => {
    const volume = await session.volume(destination.region, 'write')
    await inVolume(destination.region, async () => {
      const { exchange = false } = options
      const directory = !exchange && (await isDirectory(volume, destination.path))
      if (sources.length > 1 && !directory) {
        const why = exchange
          ? 'two names trade places, no more'
          : 'several files are moved into a directory that is there'
        throw new HoldfastError('ENOTDIR', why, { path: destination.path })
      }
      for (const { region, path } of sources) {
        if ((await session.volume(region, 'write')) !== volume) {
          throw new HoldfastError('EXDEV', 'another volume: cp there, then rm here', { path })
        }
        const name = baseName(path)
        const into = directory && name.length > 0
        const to = into ? joinPath(destination.path, name) : destination.path
        await volume.rename(path, to, {
          ...conflictOptions(options),
          noReplace: !options.clobber,
          exchange,
        })
      }
    })
  })
}
