/** holdfast tree: a directory and what is below it, as a tree. */
import type { Command } from 'commander'
import type { FileSystem } from '../../base/filesystem.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { arrow, displayName, jsonName, jsonPath, jsonStats } from '../display.js'
import { examples, JSON_OPTION, parseNumber, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { baseName, onVolumes } from '../session.js'
import { walk, type Met } from '../walk.js'

interface Options extends JsonOption {
  readonly all?: boolean
  readonly dirsOnly?: boolean
  readonly level?: number
}

interface Branch {
  readonly children?: Branch[]
}

export function treeCommand(program: Command): Command {
  return program
    .command('tree')
    .summary('show a directory as a tree')
    .description('Shows each directory with what is below it, and how much that is.')
    .argument('<volume:path...>', 'directories', parseVolumeTargets)
    .option('-a, --all', 'also names that begin with a dot')
    .option('-d, --dirs-only', 'directories only')
    .option('-L, --level <depth>', 'only so deep', parseNumber)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast tree v.hf:/', 'holdfast tree -aL 2 v.hf:/src'))
    .action(show)
}

async function show(targets: VolumeTarget[], options: Options): Promise<void> {
  const roots: unknown[] = []
  await onVolumes(targets, 'read', async (volume, root) => {
    if (options.json === true) roots.push(await asJson(volume, root, options))
    else await printTree(volume, root, options)
  })
  if (options.json === true) await printJson(roots)
}

function branches(volume: FileSystem, root: Buffer, options: Options): AsyncGenerator<Met> {
  const { all = false, level = Infinity, dirsOnly = false } = options
  return walk(volume, root, { hidden: all, maxDepth: level, directoriesOnly: dirsOnly })
}

async function printTree(volume: FileSystem, root: Buffer, options: Options): Promise<void> {
  let directories = 0
  let files = 0
  /** Whether something follows at each depth above. */
  const lines: boolean[] = []
  for await (const { path, name, stats, depth, last } of branches(volume, root, options)) {
    if (depth > 0) {
      if (stats.type === 'directory') directories++
      else files++
    }
    lines.length = Math.max(0, depth - 1)
    const above = lines.map((more) => (more ? '│   ' : '    ')).join('')
    const joint = depth === 0 ? '' : last ? '└── ' : '├── '
    await print(`${above}${joint}${displayName(name)}${await arrow(volume, path, stats)}\n`)
    if (depth > 0) lines.push(!last)
  }
  const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`
  const dirs = count(directories, 'directory', 'directories')
  const rest = options.dirsOnly === true ? '' : `, ${count(files, 'file', 'files')}`
  await print(`\n${dirs}${rest}\n`)
}

async function asJson(volume: FileSystem, root: Buffer, options: Options): Promise<unknown> {
  const stack: Branch[] = []
  for await (const { path, stats, depth } of branches(volume, root, options)) {
    const isDirectory = stats.type === 'directory'
    const branch = {
      ...jsonName(baseName(path)),
      path: jsonPath(path).path,
      ...jsonStats(stats),
      ...(isDirectory ? { children: [] } : {}),
    }
    stack.length = depth
    stack[depth - 1]?.children!.push(branch)
    stack.push(branch)
  }
  return stack[0]
}
