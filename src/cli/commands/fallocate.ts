/** holdfast fallocate: blocks of a range, given, taken, zeroed, moved. */
import { Option, type Command } from 'commander'
import type { FileHandle } from '../../base/filesystem.js'
import { parseSize, parseVolumeTarget, type VolumeTarget } from '../arguments.js'
import { newFileMode } from '../mode.js'
import { conflictOptions, takesConflictOptions, type ConflictFlags } from '../conflicts.js'
import { onFile } from '../failure.js'
import { examples } from '../options.js'
import { onVolume, creatorOf } from '../session.js'

interface Options extends ConflictFlags {
  readonly offset: number
  readonly length: number
  readonly keepSize?: boolean
  readonly contiguous?: boolean
  readonly punchHole?: boolean
  readonly zeroRange?: boolean
  readonly collapseRange?: boolean
  readonly insertRange?: boolean
}

const KINDS = ['punchHole', 'zeroRange', 'collapseRange', 'insertRange'] as const

export function fallocateCommand(program: Command): Command {
  const kind = (flags: string, text: string, also: readonly string[] = []) => {
    const name = new Option(flags).attributeName()
    const others = KINDS.filter((one) => one !== name)
    return new Option(flags, text).conflicts([...others, ...also])
  }
  const command = program
    .command('fallocate')
    .summary('allocate, punch, zero, take out or put in a range of a file')
    .description(
      'Gives the range its blocks, so that later writes to it cannot fail for want of space; a file ' +
        'that is not there is made. Or, with one of the options below, does something else to it.',
    )
    .argument('<volume:path>', 'file', parseVolumeTarget)
    .requiredOption('-l, --length <bytes>', 'length of the range', parseSize)
    .option('-o, --offset <bytes>', 'where it begins', parseSize, 0)
    .option('-n, --keep-size', 'the size of the file stays, also when the range goes beyond it')
    .addOption(new Option('--contiguous', 'one run of blocks, or ENOSPC').conflicts([...KINDS]))
    .addOption(kind('-p, --punch-hole', 'free the blocks; the range reads as zeros'))
    .addOption(kind('-z, --zero-range', 'the range reads as zeros and keeps its blocks'))
    .addOption(
      kind('-c, --collapse-range', 'take the range out; what follows moves down', ['keepSize']),
    )
    .addOption(kind('-i, --insert-range', 'put a hole in; what follows moves up', ['keepSize']))
    .addHelpText(
      ...examples(
        'holdfast fallocate -l 1G --contiguous v.hf:/weights',
        'holdfast fallocate -p -o 1M -l 64K v.hf:/sparse',
        'holdfast fallocate -c -o 4K -l 4K v.hf:/log',
      ),
    )
    .action(allocate)
  return takesConflictOptions(command)
}

async function allocate(target: VolumeTarget, options: Options): Promise<void> {
  const makes = KINDS.every((kind) => options[kind] !== true)
  await onVolume(target, 'write', async (volume, path) => {
    const flags = makes ? READ_WRITE | CREATE : READ_WRITE
    const file = await volume.open(path, flags, newFileMode(), creatorOf(volume))
    try {
      await onFile(path, () => change(file, options))
    } finally {
      await file.close()
    }
  })
}

async function change(file: FileHandle, options: Options): Promise<void> {
  const { offset, length, keepSize = false, contiguous = false } = options
  const conflicts = conflictOptions(options)
  if (options.punchHole === true) return file.punch(offset, length, conflicts)
  if (options.zeroRange === true) return file.zeroRange(offset, length, { ...conflicts, keepSize })
  if (options.collapseRange === true) return file.collapse(offset, length, conflicts)
  if (options.insertRange === true) return file.insert(offset, length, conflicts)
  return file.allocate(offset, length, { ...conflicts, keepSize, contiguous })
}

/** open(2). */
const READ_WRITE = 2
const CREATE = 0o100
