/** holdfast cp: copies into a volume, out of it, within it, between two. */
import { Option, type Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { parseTargets, type Target } from '../arguments.js'
import { Copy, type CopyOptions } from '../copy.js'
import { CommandError } from '../failure.js'
import { examples } from '../options.js'
import { placeOf, type Place } from '../places.js'
import { baseName, joinPath, withSession } from '../session.js'

interface Options {
  readonly recursive?: boolean
  readonly R?: boolean
  readonly archive?: boolean
  readonly preserve?: boolean
  /** -P makes it false. */
  readonly dereference: boolean
  readonly reflink: CopyOptions['reflink']
}

export function cpCommand(program: Command): Command {
  return program
    .command('cp')
    .summary('copy files into, out of and within volumes')
    .description(
      'Copies each SOURCE to DESTINATION, or into it when it is a directory. Either is VOLUME:PATH or a ' +
        'path of the host (one with `:/` in it is always VOLUME:PATH). Modes and times are kept, and ' +
        'holes stay holes. In a tree symbolic links and special files are copied as what they are; a ' +
        'SOURCE that is a link is followed without -r or -P. With -a owners, extended attributes, ACLs ' +
        'and hard links are kept too. Within a volume files are cloned: blocks that are held or of a fixed ' +
        'file are copied, the others shared until one of the two is written to.',
    )
    .argument('<path...>', 'SOURCE... DESTINATION', parseTargets)
    .usage('[options] SOURCE... DESTINATION')
    .option('-r, --recursive', 'copy directories with all that is in them')
    .option('-R', 'the same as -r')
    .option('-a, --archive', 'the same as -r -P -p')
    .option('-p, --preserve', 'keep owners, extended attributes, ACLs and hard links')
    .option('-P, --no-dereference', 'copy a symbolic link itself')
    .addOption(
      new Option(
        '--reflink <when>',
        'clone files within a volume, which takes no space: where that can be, always or it is a ' +
          'failure, never',
      )
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .addHelpText(
      ...examples(
        'holdfast cp a.bin /dev/shm/v.hf:/    # in',
        'holdfast cp -r /dev/shm/v.hf:/models ./copy    # out',
        'holdfast cp -a /srv/data /dev/shm/v.hf:/    # as it is, with owners and ACLs',
        'holdfast cp v.hf:/a v.hf:/b    # within',
      ),
    )
    .action(copyAll)
}

async function copyAll(paths: Target[], options: Options, command: Command): Promise<void> {
  const destination = paths[paths.length - 1]!
  const sources = paths.slice(0, -1)
  if (sources.length === 0) return command.error('error: a SOURCE and a DESTINATION are wanted')
  await withSession(async (session) => {
    const to = await placeOf(session, destination, 'write')
    const directory = (await to.look(destination.path, true))?.type === 'directory'
    if (sources.length > 1 && !directory) {
      throw new HoldfastError(
        'ENOTDIR',
        'several files are copied into a directory that is there',
        {
          path: to.name(destination.path),
        },
      )
    }
    const complaints: string[] = []
    for (const source of sources) {
      const from = await placeOf(session, source, 'read')
      const complaint = await copyOne(from, source.path, to, destination.path, directory, options)
      if (complaint !== null) complaints.push(complaint)
    }
    if (complaints.length > 0) throw new CommandError(complaints.join('; '))
  })
}

async function copyOne(
  from: Place,
  path: Buffer,
  to: Place,
  destination: Buffer,
  into: boolean,
  options: Options,
): Promise<string | null> {
  const archive = options.archive === true
  const recursive = archive || options.recursive === true || options.R === true
  const entry = await from.look(path, !recursive && options.dereference)
  if (entry === null) throw new HoldfastError('ENOENT', undefined, { path: from.name(path) })
  if (entry.type === 'directory' && !recursive) {
    throw new HoldfastError('EISDIR', undefined, { path: from.name(path) })
  }
  const name = baseName(path)
  // The root, `.` and `..` have no name of their own: what is in them goes in.
  const nameless = name.length === 0 || name.equals(DOT) || name.equals(DOT_DOT)
  const target = into && !nameless ? joinPath(destination, name) : destination
  const all = archive || options.preserve === true
  const copy = new Copy(from, to, { all, reflink: options.reflink })
  // Without -r a FIFO or a device stands for the bytes that come out of it.
  const bytes = !recursive && options.dereference && entry.type !== 'file'
  await (bytes ? copy.copyBytes(path, entry, target) : copy.copy(path, entry, target))
  return copy.complaint()
}

const DOT = Buffer.from('.')
const DOT_DOT = Buffer.from('..')
