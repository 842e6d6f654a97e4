/** holdfast mkdir: new directories. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { FileSystem } from '../../base/filesystem.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { examples } from '../options.js'
import { onVolumes, creatorOf } from '../session.js'

const SLASH = 0x2f
const DIRECTORY_MODE = 0o755

export function mkdirCommand(program: Command): Command {
  return program
    .command('mkdir')
    .summary('make directories')
    .description('Makes each directory.')
    .argument('<volume:path...>', 'directories', parseVolumeTargets)
    .option('-p, --parents', 'those above it too; one that is there is no failure')
    .addHelpText(...examples('holdfast mkdir v.hf:/a', 'holdfast mkdir -p v.hf:/a/b/c'))
    .action(make)
}

async function make(
  targets: VolumeTarget[],
  options: { readonly parents?: boolean },
): Promise<void> {
  await onVolumes(targets, 'write', async (volume, path) => {
    if (options.parents === true) await makeWithParents(volume, path)
    else await volume.mkdir(path, DIRECTORY_MODE, creatorOf(volume))
  })
}

async function makeWithParents(volume: FileSystem, path: Buffer): Promise<void> {
  for (let end = 1; end <= path.length; end++) {
    if (end < path.length && path[end] !== SLASH) continue
    if (path[end - 1] === SLASH) continue
    const upTo = path.subarray(0, end)
    try {
      await volume.mkdir(upTo, DIRECTORY_MODE, creatorOf(volume))
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'EEXIST') throw error
      if ((await volume.stat(upTo)).type !== 'directory') {
        throw new HoldfastError('ENOTDIR', undefined, { path: upTo })
      }
    }
  }
}
