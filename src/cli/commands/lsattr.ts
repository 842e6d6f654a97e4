/** holdfast lsattr: the flags that chattr sets, and those of the layout. */
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
    .summary('show the flags of files')
    .description(
      'Shows the flags of each file, and of the files in each directory: a append-only, i immutable, ' +
        'f fixed, w write-sealed; then the policy for its pinned blocks, - for that of the volume.',
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
      else await print(`${flagLetters(flags)} ${policyText(flags)} ${displayName(path)}\n`)
    }
  })
  if (options.json === true) await printJson(found)
}

/** 'aifw', with dashes for what is not set. */
export function flagLetters({ append, immutable, fixed, writeSealed }: InodeFlags): string {
  const set = { a: append, i: immutable, f: fixed, w: writeSealed }
  return Object.entries(set)
    .map(([letter, on]) => (on ? letter : '-'))
    .join('')
}

function policyText({ policy }: InodeFlags): string {
  return (policy ?? '-').padEnd(5)
}

/** 'fixed, policy wait'; empty when nothing is said. */
export function layoutWords({ fixed, writeSealed, policy }: InodeFlags): string {
  return [
    ...(fixed ? ['fixed'] : []),
    ...(writeSealed ? ['write-sealed'] : []),
    ...(policy === null ? [] : [`policy ${policy}`]),
  ].join(', ')
}
