/** holdfast ls: what is in a directory. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { FileSystem, FileType, Stats } from '../../base/filesystem.js'
import { ACCESS_ACL_NAME, DEFAULT_ACL_NAME } from '../../base/posix_acl.js'
import { escapeBytes, formatSize, parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import {
  deviceOf,
  displayName,
  isDevice,
  jsonName,
  jsonPath,
  jsonStats,
  jsonText,
  modeText,
  timeText,
} from '../display.js'
import { parseGlob } from '../glob.js'
import { breathe } from '../interrupt.js'
import { examples, HUMAN_OPTION, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson, table } from '../output.js'
import { baseName, entriesOf, joinPath, onVolumes } from '../session.js'

interface Options extends JsonOption {
  readonly long?: boolean
  readonly all?: boolean
  readonly recursive?: boolean
  readonly directory?: boolean
  readonly humanReadable?: boolean
  readonly type?: FileType
  readonly name?: RegExp
}

interface Item {
  readonly name: Buffer
  readonly path: Buffer
  readonly type: FileType
  /** With -l and --json. */
  readonly details: Details | null
}

interface Details {
  readonly stats: Stats
  readonly target: Uint8Array | null
  readonly hasAcl: boolean
}

const TYPES: Readonly<Record<string, FileType>> = {
  f: 'file',
  d: 'directory',
  l: 'symlink',
  p: 'fifo',
  s: 'socket',
  c: 'character',
  b: 'block',
}

export function lsCommand(program: Command): Command {
  return program
    .command('ls')
    .summary('list directories, find files')
    .description(
      'Lists files and what is in directories, in the order of the bytes of their names. With -R, ' +
        '--type and --name it finds. -l marks with + what has an ACL.',
    )
    .argument('<volume:path...>', 'what to list', parseVolumeTargets)
    .option('-l, --long', 'mode, links, owner, group, size or device, and time of each')
    .option('-a, --all', 'also names that begin with a dot')
    .option('-R, --recursive', 'and what is below')
    .option('-d, --directory', 'a directory itself, not what is in it')
    .option(...HUMAN_OPTION)
    .addOption(
      new Option('--type <letter>', 'only of one type')
        .choices(Object.keys(TYPES))
        .argParser(parseType),
    )
    .option('--name <glob>', 'only names that match; * ? and [a-z] as in a shell', parseGlob)
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast ls /dev/shm/v.hf:/',
        'holdfast ls -lR /dev/shm/v.hf:/src',
        "holdfast ls -R --json --type f --name '*.ts' v.hf:/",
      ),
    )
    .action(list)
}

function parseType(letter: string): FileType {
  const type = TYPES[letter]
  if (type !== undefined) return type
  throw new InvalidArgumentError(`a type is one of ${Object.keys(TYPES).join(', ')}`)
}

async function list(targets: VolumeTarget[], options: Options): Promise<void> {
  const listing = new Listing(options, targets.length > 1)
  await onVolumes(targets, 'read', (volume, path) => listing.list(volume, path))
  if (options.json === true) await printJson(listing.found)
}

class Listing {
  readonly found: unknown[] = []
  readonly #options: Options
  /** Directories are listed one under another, each with its name. */
  readonly #titled: boolean
  /** Whole paths, as find(1) shows what it found. */
  readonly #finds: boolean
  #first = true

  constructor(options: Options, several: boolean) {
    this.#options = options
    const filtered = options.type !== undefined || options.name !== undefined
    this.#finds = filtered && options.recursive === true
    this.#titled = !this.#finds && (several || options.recursive === true)
  }

  async list(volume: FileSystem, path: Buffer): Promise<void> {
    const { directory = false, long = false } = this.#options
    // A link that is named is shown itself where all is told of it or it leads nowhere.
    const own = await volume.lstat(path)
    const stats =
      own.type === 'symlink' && !long && !directory ? await volume.stat(path).catch(() => own) : own
    if (stats.type !== 'directory' || directory) {
      return this.#show([await this.#item(volume, path, path, stats.type)])
    }
    // Depth first, with a stack: a directory may be deeper than calls can be.
    const waiting = [path]
    for (let below = waiting.pop(); below !== undefined; below = waiting.pop()) {
      const { items, directories } = await this.#read(volume, below)
      if (this.#titled && this.#options.json !== true) {
        await print(`${this.#first ? '' : '\n'}${displayName(below)}:\n`)
      }
      await this.#show(items)
      if (this.#options.recursive === true) waiting.push(...directories.reverse())
    }
  }

  async #read(volume: FileSystem, path: Buffer): Promise<{ items: Item[]; directories: Buffer[] }> {
    const names: { name: Buffer; type: FileType }[] = []
    for await (const { name, type } of entriesOf(volume, path)) {
      await breathe()
      if (name[0] === DOT && this.#options.all !== true) continue
      names.push({ name: Buffer.from(name), type })
    }
    names.sort((a, b) => a.name.compare(b.name))
    const items: Item[] = []
    const directories: Buffer[] = []
    for (const { name, type } of names) {
      await breathe()
      const below = joinPath(path, name)
      if (type === 'directory') directories.push(below)
      if (!this.#wants(name, type)) continue
      items.push(await this.#item(volume, below, this.#finds ? below : name, type))
    }
    return { items, directories }
  }

  #wants(name: Buffer, type: FileType): boolean {
    const { type: wanted, name: pattern } = this.#options
    return (wanted ?? type) === type && (pattern === undefined || pattern.test(escapeBytes(name)))
  }

  async #item(volume: FileSystem, path: Buffer, name: Buffer, type: FileType): Promise<Item> {
    const told = this.#options.long === true || this.#options.json === true
    return { name, path, type, details: told ? await detailsOf(volume, path) : null }
  }

  async #show(items: readonly Item[]): Promise<void> {
    this.#first = false
    if (this.#options.json === true) this.found.push(...items.map(asJson))
    else if (this.#options.long === true) {
      const human = this.#options.humanReadable === true
      await print(
        table(
          items.map((item) => longRow(item.name, item.details!, human)),
          [1, 2, 3, 4],
        ),
      )
    } else {
      // A program gets the bytes, a person something that can be read.
      const terminal = process.stdout.isTTY
      const lines = items.flatMap(({ name }) => [
        terminal ? Buffer.from(displayName(name)) : name,
        Buffer.from('\n'),
      ])
      await print(Buffer.concat(lines))
    }
  }
}

const DOT = 0x2e

async function detailsOf(volume: FileSystem, path: Buffer): Promise<Details> {
  const stats = await volume.lstat(path)
  const isLink = stats.type === 'symlink'
  const xattrs = isLink ? [] : await volume.listXattrs(path)
  return {
    stats,
    target: isLink ? await volume.readlink(path) : null,
    hasAcl: xattrs.includes(ACCESS_ACL_NAME) || xattrs.includes(DEFAULT_ACL_NAME),
  }
}

function longRow(name: Buffer, { stats, target, hasAcl }: Details, human: boolean): string[] {
  const { mode, nlink, uid, gid, rdev, mtimeMs } = stats
  const { major, minor } = deviceOf(rdev)
  const bytes = human ? formatSize(stats.size) : String(stats.size)
  const size = isDevice(stats) ? `${major}, ${minor}` : bytes
  const arrow = target === null ? '' : ` -> ${displayName(target)}`
  return [
    `${modeText(mode)}${hasAcl ? '+' : ''}`,
    ...[nlink, uid, gid].map(String),
    size,
    timeText(mtimeMs),
    `${displayName(name)}${arrow}`,
  ]
}

function asJson({ path, details }: Item): unknown {
  const { stats, target, hasAcl } = details!
  return {
    ...jsonName(baseName(path)),
    ...jsonPath(path),
    ...jsonStats(stats),
    ...(target === null ? {} : jsonText('target', target)),
    acl: hasAcl,
  }
}
