/** holdfast rm: takes names away. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { ConflictOptions, FileSystem } from '../../base/filesystem.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { breathe } from '../interrupt.js'
import { conflictOptions, takesConflictOptions, type ConflictFlags } from '../conflicts.js'
import { examples } from '../options.js'
import { baseName, joinPath, onVolumes } from '../session.js'

interface Options extends ConflictFlags {
  readonly recursive?: boolean
  readonly force?: boolean
}

export function rmCommand(program: Command): Command {
  const command = program
    .command('rm')
    .summary('remove files and trees')
    .description('Removes each file, with -r each directory and all that is in it.')
    .argument('<volume:path...>', 'what to remove', parseVolumeTargets)
    .option('-r, --recursive', 'directories too')
    .option('-f, --force', 'what is not there is no failure')
    .addHelpText(...examples('holdfast rm v.hf:/a.txt', 'holdfast rm -r v.hf:/directory'))
    .action(removeAll)
  return takesConflictOptions(command)
}

async function removeAll(targets: VolumeTarget[], options: Options): Promise<void> {
  await onVolumes(targets, 'write', async (volume, path) => {
    const missing = (error: unknown) => {
      if (options.force !== true || !(error instanceof HoldfastError)) throw error
      if (error.code !== 'ENOENT') throw error
      return null
    }
    const stats = await volume.lstat(path).catch(missing)
    if (stats === null) return
    const conflicts = conflictOptions(options)
    if (stats.type !== 'directory') return volume.unlink(path, undefined, conflicts)
    if (options.recursive !== true) throw new HoldfastError('EISDIR', undefined, { path })
    await removeTree(volume, path, conflicts)
  })
}

const REMOVE_STEP = 256

/** Leaves first, with a stack of directories. */
async function removeTree(
  volume: FileSystem,
  root: Buffer,
  conflicts: ConflictOptions,
): Promise<void> {
  if (['', '.', '..'].includes(baseName(root).toString('latin1'))) {
    throw new HoldfastError('EBUSY', 'the root, . and .. are not removed', { path: root })
  }
  const stack = [root]
  for (let path = stack[0]; path !== undefined; path = stack[stack.length - 1]) {
    await breathe()
    // From the start each time: what was seen last time is gone by now.
    const entries = await volume.readdir(path, 0, REMOVE_STEP)
    if (entries.length === 0) {
      await volume.rmdir(path)
      stack.pop()
      continue
    }
    for (const { name, type } of entries) {
      const below = joinPath(path, name)
      if (type === 'directory') stack.push(below)
      else await volume.unlink(below, undefined, conflicts)
    }
  }
}
