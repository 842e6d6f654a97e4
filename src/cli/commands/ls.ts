/** holdfast ls: what is in a directory. */
import type { Command } from 'commander'
import type { DirectoryEntry, FileSystem, Stats } from '../../base/filesystem.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { displayName, jsonName, jsonStats, modeText, timeText } from '../display.js'
import { breathe } from '../interrupt.js'
import { print, printJson, table } from '../output.js'
import { baseName, entriesOf, joinPath, onVolumes } from '../session.js'

interface Options {
  readonly long?: boolean
  readonly all?: boolean
  readonly recursive?: boolean
  readonly json?: boolean
}

interface Item {
  readonly name: Buffer
  readonly path: Buffer
  readonly type: DirectoryEntry['type']
  readonly stats: Stats | null
}

export function lsCommand(program: Command): Command {
  return program
    .command('ls')
    .summary('list directories')
    .description(
      'Lists files and what is in directories, in the order of the bytes of their names.',
    )
    .argument('<volume:path...>', 'what to list', parseVolumeTargets)
    .option('-l, --long', 'mode, links, owner, group, size and time of each')
    .option('-a, --all', 'also names that begin with a dot')
    .option('-R, --recursive', 'and what is below')
    .option('--json', 'as JSON, with all that stat knows')
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast ls /dev/shm/v.hf:/\n  holdfast ls -lR /dev/shm/v.hf:/src',
    )
    .action(list)
}

async function list(targets: VolumeTarget[], options: Options): Promise<void> {
  const found: unknown[] = []
  let first = true
  await onVolumes(targets, async (volume, path) => {
    const stats = await volume.stat(path)
    if (stats.type === 'file') {
      const item = { name: path, path, type: stats.type, stats }
      if (options.json === true) found.push(asJson(item))
      else await show([item], options)
      first = false
      return
    }
    // Depth first, with a stack: a directory may be deeper than calls can be.
    const waiting = [path]
    for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
      const items = await read(volume, directory, options)
      if (options.json === true) found.push(...items.map(asJson))
      else {
        if (options.recursive === true || targets.length > 1) {
          await print(`${first ? '' : '\n'}${displayName(directory)}:\n`)
        }
        await show(items, options)
      }
      first = false
      if (options.recursive !== true) continue
      const below = items.filter((item) => item.type === 'directory').map((item) => item.path)
      waiting.push(...below.reverse())
    }
  })
  if (options.json === true) await printJson(found)
}

async function read(volume: FileSystem, directory: Buffer, options: Options): Promise<Item[]> {
  const items: Item[] = []
  const stats = options.long === true || options.json === true
  for await (const entry of entriesOf(volume, directory)) {
    await breathe()
    const name = Buffer.from(entry.name)
    if (name[0] === 0x2e && options.all !== true) continue
    const path = joinPath(directory, name)
    items.push({ name, path, type: entry.type, stats: stats ? await volume.stat(path) : null })
  }
  return items.sort((a, b) => a.name.compare(b.name))
}

async function show(items: readonly Item[], options: Options): Promise<void> {
  if (items.length === 0) return
  if (options.long === true) {
    const rows = items.map(({ name, stats }) => longRow(name, stats!))
    return print(table(rows, [1, 2, 3, 4]))
  }
  // A program gets the bytes, a person something that can be read.
  const terminal = process.stdout.isTTY
  const lines = items.flatMap(({ name }) => [
    terminal ? Buffer.from(displayName(name)) : name,
    Buffer.from('\n'),
  ])
  await print(Buffer.concat(lines))
}

function longRow(name: Buffer, stats: Stats): string[] {
  const { mode, nlink, uid, gid, size, mtimeMs } = stats
  const numbers = [nlink, uid, gid, size].map(String)
  return [modeText(mode), ...numbers, timeText(mtimeMs), displayName(name)]
}

function asJson(item: Item): unknown {
  return {
    ...jsonName(baseName(item.path)),
    path: jsonName(item.path).name,
    ...jsonStats(item.stats!),
  }
}
