/** holdfast stat: all that is known of a file. */
import type { Command } from 'commander'
import type { FileSystem, InodeFlags, Stats } from '../../base/filesystem.js'
import { ACCESS_ACL_NAME, DEFAULT_ACL_NAME } from '../../base/posix_acl.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import {
  deviceOf,
  displayName,
  isDevice,
  isoTime,
  jsonPath,
  jsonStats,
  jsonText,
  modeText,
  timesOf,
} from '../display.js'
import { flagLetters, layoutWords } from './lsattr.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson, table } from '../output.js'
import { onVolumes } from '../session.js'

interface Options extends JsonOption {
  readonly dereference?: boolean
}

export function statCommand(program: Command): Command {
  return program
    .command('stat')
    .summary('show all that is known of a file')
    .description(
      'Shows type, mode, size, links, owner, flags, number of extended attributes and times of each ' +
        'file; of a symbolic link itself unless -L is given. Times are in UTC.',
    )
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .option('-L, --dereference', 'what a symbolic link leads to')
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples('holdfast stat /dev/shm/v.hf:/a.txt', 'holdfast stat --json /dev/shm/v.hf:/'),
    )
    .action(show)
}

async function show(targets: VolumeTarget[], options: Options): Promise<void> {
  const found: unknown[] = []
  await onVolumes(targets, 'read', async (volume, path) => {
    const facts = await factsOf(volume, path, options.dereference === true)
    if (options.json === true) found.push(asJson(path, facts))
    else await print(asText(path, facts))
  })
  if (options.json === true) await printJson(found)
}

/** What is known of a file beside its stat record. */
interface Facts {
  readonly stats: Stats
  readonly target: Uint8Array | null
  readonly flags: InodeFlags | null
  readonly xattrs: readonly string[]
  readonly hasAcl: boolean
}

async function factsOf(volume: FileSystem, path: Buffer, follow: boolean): Promise<Facts> {
  const stats = await (follow ? volume.stat(path) : volume.lstat(path))
  const xattrs = await volume.listXattrs(path, { follow })
  return {
    stats,
    target: stats.type === 'symlink' ? await volume.readlink(path) : null,
    flags:
      stats.type === 'file' || stats.type === 'directory' ? await volume.inodeFlags(path) : null,
    xattrs,
    hasAcl: xattrs.includes(ACCESS_ACL_NAME) || xattrs.includes(DEFAULT_ACL_NAME),
  }
}

function asJson(path: Uint8Array, { stats, target, flags, xattrs, hasAcl }: Facts): unknown {
  return {
    ...jsonPath(path),
    ...jsonStats(stats),
    ...(target === null ? {} : jsonText('target', target)),
    flags,
    xattrs: xattrs.length,
    acl: hasAcl,
  }
}

function asText(path: Uint8Array, { stats, target, flags, xattrs, hasAcl }: Facts): string {
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0')
  const { atime, mtime, ctime, birthtime } = timesOf(stats)
  const { major, minor } = deviceOf(stats.rdev)
  const layout = flags === null ? '' : layoutWords(flags)
  return table(
    [
      ['file', `${displayName(path)}${target === null ? '' : ` -> ${displayName(target)}`}`],
      ['type', stats.type],
      ...(isDevice(stats) ? [['device', `${major}, ${minor}`]] : []),
      ['size', `${stats.size} (${stats.blocks} blocks of 512)`],
      ['inode', `${stats.ino}, generation ${stats.generation}`],
      ['links', String(stats.nlink)],
      ['mode', `${mode} ${modeText(stats.mode)}${hasAcl ? '+' : ''}`],
      ['owner', `${stats.uid}:${stats.gid}`],
      ...(flags === null ? [] : [['flags', flagLetters(flags)]]),
      ...(layout === '' ? [] : [['layout', layout]]),
      ['xattrs', String(xattrs.length)],
      ['accessed', isoTime(atime)],
      ['modified', isoTime(mtime)],
      ['changed', isoTime(ctime)],
      ['born', isoTime(birthtime)],
    ],
    [],
  )
}
