/** holdfast ln: more names for a file, and symbolic links. */
import { realpathSync } from 'node:fs'
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { FileSystem } from '../../base/filesystem.js'
import { escapeBytes, parseTargets, unescapeBytes, type Target } from '../arguments.js'
import { inVolume } from '../failure.js'
import { examples } from '../options.js'
import { baseName, isDirectory, joinPath, parentOf, creatorOf, withSession } from '../session.js'
import { fileName, isRemote, serverKey } from '../volume_name.js'

interface Options {
  readonly symbolic?: boolean
  readonly force?: boolean
  readonly targetDirectory: boolean
}

export function lnCommand(program: Command): Command {
  return program
    .command('ln')
    .summary('give a file another name, or make a symbolic link')
    .description(
      'Gives the file TARGET the further name LINK, or with -s makes LINK a symbolic link to TARGET. ' +
        'When LINK is a directory, links to each TARGET are made in it. The TARGET of a symbolic link ' +
        'is any text; VOLUME:/PATH of the same volume stands for /PATH.',
    )
    .argument('<path...>', 'TARGET... LINK', parseTargets)
    .usage('[options] TARGET... LINK')
    .option('-s, --symbolic', 'symbolic links')
    .option('-f, --force', 'replace what has the name already')
    .option('-T, --no-target-directory', 'LINK is the name itself, also when it is a directory')
    .addHelpText(
      ...examples(
        'holdfast ln v.hf:/a v.hf:/b',
        'holdfast ln -s ../shared/lib v.hf:/app/lib',
        'holdfast ln -sf v2 v.hf:/current',
      ),
    )
    .action(make)
}

async function make(paths: Target[], options: Options, command: Command): Promise<void> {
  const link = paths[paths.length - 1]!
  const targets = paths.slice(0, -1)
  const { region } = link
  if (targets.length === 0 || region === null) {
    return command.error('error: a TARGET and a LINK are wanted; LINK is VOLUME:PATH')
  }
  await withSession(async (session) => {
    const volume = await session.volume(region, 'write')
    await inVolume(region, async () => {
      const directory = options.targetDirectory && (await isDirectory(volume, link.path))
      if (targets.length > 1 && !directory) {
        const why = 'several links are made in a directory that is there'
        throw new HoldfastError('ENOTDIR', why, { path: link.path })
      }
      for (const target of targets) {
        const path = directory ? joinPath(link.path, baseName(target.path)) : link.path
        await makeLink(volume, region, target, path, options)
      }
    })
  })
}

async function makeLink(
  volume: FileSystem,
  region: string,
  target: Target,
  path: Buffer,
  options: Options,
): Promise<void> {
  const same = target.region !== null && sameVolume(target.region, region)
  if (options.symbolic !== true && !same) {
    const why = 'a hard link leads to a file of the same volume; ln -s takes any text'
    throw new HoldfastError('EXDEV', why, { path })
  }
  const text =
    target.region === null || same
      ? target.path
      : unescapeBytes(fileName(target.region, escapeBytes(target.path)))
  const link = (at: Buffer) =>
    options.symbolic === true
      ? volume.symlink(text, at, creatorOf(volume))
      : volume.link(target.path, at, { follow: false })
  try {
    await link(path)
  } catch (error) {
    const taken = error instanceof HoldfastError && error.code === 'EEXIST'
    if (!taken || options.force !== true) throw error
    await replace(volume, path, link)
  }
}

/** Under another name first, then in one step over the old one: at no time is there neither. */
async function replace(
  volume: FileSystem,
  path: Buffer,
  link: (at: Buffer) => Promise<void>,
): Promise<void> {
  const aside = joinPath(parentOf(path), Buffer.from(`.holdfast-ln-${process.pid}`))
  await link(aside)
  try {
    await volume.rename(aside, path)
  } finally {
    // rename(2) of one name of a file to another of its names does nothing and keeps both.
    await volume.unlink(aside).catch(() => {})
  }
}

function sameVolume(one: string, other: string): boolean {
  if (isRemote(one) && isRemote(other)) return serverKey(one) === serverKey(other)
  try {
    return realpathSync(one) === realpathSync(other)
  } catch {
    return false
  }
}
