/**
 * Walks over the trees of a volume: depth first, a directory before what is in it, names in the
 * order of their bytes. Symbolic links that are met are told of and not followed.
 */
import type { FileSystem, Stats } from '../base/filesystem.js'
import { breathe } from './interrupt.js'
import { entriesOf, joinPath } from './session.js'

export interface Met {
  readonly path: Buffer
  readonly name: Buffer
  readonly stats: Stats
  /** 0 is where the walk began. */
  readonly depth: number
  /** Nothing comes after it in its directory. */
  readonly last: boolean
}

export interface WalkOptions {
  /** Follow a symbolic link that the walk begins at; by default it is followed. */
  readonly follow?: boolean
  /** Directories are entered above this depth; all of them when left out. */
  readonly maxDepth?: number
  /** Whether names that begin with a dot are met. */
  readonly hidden?: boolean
  /** Nothing but directories is met. */
  readonly directoriesOnly?: boolean
}

export async function* walk(
  volume: FileSystem,
  root: Buffer,
  options: WalkOptions = {},
): AsyncGenerator<Met> {
  const { follow = true, maxDepth = Infinity } = options
  const stats = follow ? await volume.stat(root) : await volume.lstat(root)
  yield { path: root, name: root, stats, depth: 0, last: true }
  if (stats.type !== 'directory' || maxDepth < 1) return
  // A stack of what is left, not calls: a directory may be deeper than calls can be.
  const levels = [await below(volume, root, options)]
  for (let level = levels[0]; level !== undefined; level = levels[levels.length - 1]) {
    await breathe()
    const name = level.names.pop()
    if (name === undefined) {
      levels.pop()
      continue
    }
    const path = joinPath(level.path, name)
    const found = await volume.lstat(path)
    const depth = levels.length
    yield { path, name, stats: found, depth, last: level.names.length === 0 }
    if (found.type === 'directory' && depth < maxDepth) {
      levels.push(await below(volume, path, options))
    }
  }
}

/** Names in a directory, the first one last. */
async function below(
  volume: FileSystem,
  path: Buffer,
  { hidden = true, directoriesOnly = false }: WalkOptions,
): Promise<{ path: Buffer; names: Buffer[] }> {
  const names: Buffer[] = []
  for await (const { name, type } of entriesOf(volume, path)) {
    if (directoriesOnly && type !== 'directory') continue
    if (hidden || name[0] !== 0x2e) names.push(Buffer.from(name))
  }
  return { path, names: names.sort((a, b) => b.compare(a)) }
}

/** Each of `root` alone or, `recursive`, of the whole tree below it. */
export function each(
  volume: FileSystem,
  root: Buffer,
  options: { readonly recursive?: boolean; readonly follow?: boolean },
): AsyncGenerator<Met> {
  const maxDepth = options.recursive === true ? Infinity : 0
  return walk(volume, root, { maxDepth, follow: options.follow ?? true })
}

/** As `each`, and only files; what is named itself is met whatever it is. */
export async function* eachFile(
  volume: FileSystem,
  root: Buffer,
  options: { readonly recursive?: boolean },
): AsyncGenerator<Met> {
  for await (const met of each(volume, root, options)) {
    const wanted = met.depth > 0 || (options.recursive === true && met.stats.type === 'directory')
    if (!wanted || met.stats.type === 'file') yield met
  }
}
