/** holdfast defrag: files in one run of blocks. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { FileSystem } from '../../base/filesystem.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { displayName, jsonPath } from '../display.js'
import { CommandError, failureLine, inVolume } from '../failure.js'
import { moving } from '../moving.js'
import { examples, JSON_OPTION, RECURSIVE_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { withSession } from '../session.js'
import { eachFile, type Met } from '../walk.js'

interface Options extends JsonOption {
  readonly recursive?: boolean
}

/** What keeps blocks where they are. */
const STAYS: ReadonlySet<string> = new Set(['EPERM', 'EBUSY', 'ETXTBSY'])

export function defragCommand(program: Command): Command {
  return program
    .command('defrag')
    .summary('move files into one run of blocks each')
    .description(
      'Moves the blocks of each file into one run, where there is a run that is long enough, and shows ' +
        'its extents before and after. Blocks that it shares move for all who share them. What is held ' +
        'or fixed does not move: a failure, or with -R told of and passed over. Being interrupted ' +
        'leaves a file in one piece more or less, never its content.',
    )
    .argument('<volume:path...>', 'files', parseVolumeTargets)
    .option(...RECURSIVE_OPTION)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast defrag v.hf:/log', 'holdfast defrag -R --json v.hf:/'))
    .action(defrag)
}

async function defrag(targets: VolumeTarget[], options: Options): Promise<void> {
  const found: unknown[] = []
  let stayed = 0
  await withSession(async (session) => {
    for (const { region, path } of targets) {
      const volume = await session.volume(region, 'write')
      await inVolume(region, async () => {
        for await (const met of eachFile(volume, path, options)) {
          const moved = await inVolume(region, () => defragOne(volume, met)).catch(
            (error: unknown) => passOver(met, error),
          )
          if (moved === null) stayed++
          else if (options.json === true) found.push({ ...jsonPath(met.path), ...moved })
          else
            await print(
              `${displayName(met.path)}: ${extents(moved.before)} before, ${moved.after} after\n`,
            )
        }
      })
    }
  })
  if (options.json === true) await printJson(found)
  if (stayed > 0) {
    throw new CommandError(
      stayed === 1 ? '1 file stayed as it was' : `${stayed} files stayed as they were`,
    )
  }
}

function defragOne(volume: FileSystem, { path, stats }: Met) {
  return moving(displayName(path), stats.blocks * 512, (moves) => volume.defragment(path, moves))
}

/** In a tree what does not move is told of, and the others follow. */
function passOver({ depth }: Met, error: unknown): null {
  const stays = error instanceof HoldfastError && STAYS.has(error.code)
  if (depth === 0 || !stays) throw error
  process.stderr.write(failureLine('defrag', error))
  return null
}

const extents = (count: number) => `${count} ${count === 1 ? 'extent' : 'extents'}`
