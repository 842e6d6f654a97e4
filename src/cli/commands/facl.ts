/** holdfast facl: access control lists. */
import { Option, type Command } from 'commander'
import { formatAcl } from '../../base/acl_text.js'
import { HoldfastError } from '../../base/errors.js'
import type { FileSystem, Stats } from '../../base/filesystem.js'
import {
  ACCESS_ACL_NAME,
  aclFromMode,
  decodeAcl,
  DEFAULT_ACL_NAME,
  encodeAcl,
  type Acl,
} from '../../base/posix_acl.js'
import { changedAcls, type Acls, type AclWish } from '../acl_change.js'
import { numberedAcl } from '../accounts.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { displayName, jsonPath } from '../display.js'
import { examples, JSON_OPTION, RECURSIVE_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { onVolumes } from '../session.js'
import { each } from '../walk.js'

interface Options extends JsonOption {
  readonly modify?: string
  readonly remove?: string
  readonly set?: string
  readonly removeAll?: boolean
  readonly removeDefault?: boolean
  readonly default?: boolean
  readonly recursive?: boolean
  /** `-n` makes it false. */
  readonly mask: boolean
}

export function faclCommand(program: Command): Command {
  return program
    .command('facl')
    .summary('show and change access control lists')
    .description(
      'Shows the ACL of each file, or changes it. An ACL is entries with commas between them: ' +
        'u:USER:rwx, g:GROUP:r-x, m::rwx (the mask) and, for owner, group and others, u::, g::, o::; ' +
        'with d: before it an entry of the default ACL, which what is made in a directory gets. ' +
        'Users and groups are names of this host or numbers. The mask is made to let through what ' +
        'the entries allow, unless one is given or -n.',
    )
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .addOption(
      new Option('-m, --modify <acl>', 'add these entries, or change them').argParser(numbered),
    )
    .addOption(
      new Option('-x, --remove <acl>', 'remove these entries, as u:USER').argParser(numbered),
    )
    .addOption(
      new Option('--set <acl>', 'these entries in the place of all others')
        .argParser(numbered)
        .conflicts(['modify', 'remove']),
    )
    .option('-b, --remove-all', 'remove all but owner, group and others, and the default ACL')
    .option('-k, --remove-default', 'remove the default ACL')
    .option('-d, --default', 'entries of -m, -x and --set are of the default ACL')
    .option('-n, --no-mask', 'leave the mask as it is')
    .option(...RECURSIVE_OPTION)
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast facl v.hf:/shared',
        'holdfast facl -m u:1000:rw,g:users:r v.hf:/a.txt',
        'holdfast facl -R -m u:backup:rX v.hf:/home',
        'holdfast facl -d -m g:users:rwx v.hf:/shared',
        'holdfast facl -x u:1000 v.hf:/a.txt',
        'holdfast facl -b v.hf:/a.txt',
      ),
    )
    .action(run)
}

/** Names become numbers where the option is read, so that a wrong one is an error of usage. */
const numbered = (text: string): string => numberedAcl(text)

async function run(targets: VolumeTarget[], options: Options): Promise<void> {
  const wish = wishOf(options)
  if (wish === null) return show(targets, options)
  await onVolumes(targets, 'write', async (volume, root) => {
    const follow = options.recursive !== true
    for await (const { path, stats } of each(volume, root, { ...options, follow })) {
      if (stats.type !== 'symlink') await change(volume, path, stats, wish)
    }
  })
}

function wishOf(options: Options): AclWish | null {
  const { modify, remove, set, removeAll = false, removeDefault = false } = options
  const asked = [modify, remove, set].some((text) => text !== undefined)
  if (!asked && !removeAll && !removeDefault) return null
  const parse = (text: string | undefined) => {
    if (text === undefined) return null
    return options.default === true ? text.replace(/(^|[,\n])\s*(?!\s*d(efault)?:)/g, '$1d:') : text
  }
  return {
    modify: parse(modify),
    remove: parse(remove),
    set: parse(set),
    removeAll,
    removeDefault,
    keepMask: !options.mask,
  }
}

async function change(
  volume: FileSystem,
  path: Buffer,
  stats: Stats,
  wish: AclWish,
): Promise<void> {
  const before = await aclsOf(volume, path, stats)
  const after = changedAcls(before, wish, stats)
  if (after.access !== before.access) {
    await volume.setXattr(path, ACCESS_ACL_NAME, encodeAcl(after.access))
  }
  if (after.default === before.default) return
  if (after.default !== null) {
    await volume.setXattr(path, DEFAULT_ACL_NAME, encodeAcl(after.default))
  } else await volume.removeXattr(path, DEFAULT_ACL_NAME)
}

async function aclsOf(volume: FileSystem, path: Buffer, stats: Stats): Promise<Acls> {
  const access = await aclOf(volume, path, ACCESS_ACL_NAME)
  return {
    access: access ?? aclFromMode(stats.mode),
    default: stats.type === 'directory' ? await aclOf(volume, path, DEFAULT_ACL_NAME) : null,
  }
}

async function aclOf(volume: FileSystem, path: Buffer, name: string): Promise<Acl | null> {
  try {
    return decodeAcl(await volume.getXattr(path, name))
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'ENODATA') return null
    throw error
  }
}

async function show(targets: VolumeTarget[], options: Options): Promise<void> {
  const found: unknown[] = []
  let first = true
  await onVolumes(targets, 'read', async (volume, root) => {
    const follow = options.recursive !== true
    for await (const { path, stats } of each(volume, root, { ...options, follow })) {
      if (stats.type === 'symlink') continue
      const acls = await aclsOf(volume, path, stats)
      if (options.json === true) found.push(asJson(path, stats, acls))
      else await print(`${first ? '' : '\n'}${asText(path, stats, acls)}`)
      first = false
    }
  })
  if (options.json === true) await printJson(found)
}

function asText(path: Buffer, { uid, gid }: Stats, acls: Acls): string {
  const lines = [`# file: ${displayName(path)}`, `# owner: ${uid}`, `# group: ${gid}`]
  lines.push(...formatAcl(acls.access).split(','))
  if (acls.default !== null) lines.push(...formatAcl(acls.default, 'd:').split(','))
  return `${lines.join('\n')}\n`
}

function asJson(path: Buffer, { uid, gid }: Stats, acls: Acls): unknown {
  return {
    ...jsonPath(path),
    uid,
    gid,
    access: formatAcl(acls.access).split(','),
    default: acls.default === null ? null : formatAcl(acls.default).split(','),
  }
}
