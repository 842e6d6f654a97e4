/** holdfast lsattr: the flags that chattr sets. */
import type { Command } from 'commander'
import type { InodeFlags } from '../../base/filesystem.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { displayName, jsonPath } from '../display.js'
import { examples, JSON_OPTION, RECURSIVE_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { onVolumes } from '../session.js'
import { walk } from '../walk.js'

interface Options extends JsonOption {
  readonly recursive?: boolean
  readonly directory?: boolean
}

export function lsattrCommand(program: Command): Command {
  return program
    .command('lsattr')
    .summary('show the flags append-only and immutable')
    .description(
      'Shows the flags of each file, and of the files in each directory: a append-only, i immutable.',
    )
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .option('-d, --directory', 'a directory itself, not what is in it')
    .option(...RECURSIVE_OPTION)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast lsattr v.hf:/', 'holdfast lsattr -d v.hf:/log'))
    .action(list)
}

async function list(targets: VolumeTarget[], options: Options): Promise<void> {
  const found: unknown[] = []
  await onVolumes(targets, 'read', async (volume, root) => {
    const recursive = options.recursive === true && options.directory !== true
    const maxDepth = options.directory === true ? 0 : recursive ? Infinity : 1
    for await (const { path, stats, depth } of walk(volume, root, { maxDepth })) {
      const has = stats.type === 'file' || stats.type === 'directory'
      if (depth === 0 ? stats.type === 'directory' && options.directory !== true : !has) continue
      const flags = await volume.inodeFlags(path)
      if (options.json === true) found.push({ ...jsonPath(path), ...flags })
      else await print(`${flagLetters(flags)} ${displayName(path)}\n`)
    }
  })
  if (options.json === true) await printJson(found)
}

/** 'ai', with dashes for what is not set. */
export function flagLetters({ append, immutable }: InodeFlags): string {
  return `${append ? 'a' : '-'}${immutable ? 'i' : '-'}`
}
