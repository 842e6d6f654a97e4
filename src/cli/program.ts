/** All commands, and what becomes of their failures: exit codes and one line. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { catCommand } from './commands/cat.js'
import { cpCommand } from './commands/cp.js'
import { extentsCommand } from './commands/extents.js'
import { fsckCommand } from './commands/fsck.js'
import { infoCommand } from './commands/info.js'
import { lsCommand } from './commands/ls.js'
import { mkdirCommand } from './commands/mkdir.js'
import { mkfsCommand } from './commands/mkfs.js'
import { mvCommand } from './commands/mv.js'
import { rmCommand } from './commands/rm.js'
import { rmdirCommand } from './commands/rmdir.js'
import { seedCommand } from './commands/seed.js'
import { statCommand } from './commands/stat.js'
import { verifyCommand } from './commands/verify.js'
import { failureLine } from './failure.js'
import { Stopped } from './interrupt.js'
import { flushOutput } from './output.js'

const EXIT_FAILED = 1
const EXIT_USAGE = 2
/** fsck that could not check (e2fsck(8)). */
const EXIT_NOT_CHECKED = 8

const COMMANDS = [
  mkfsCommand,
  infoCommand,
  fsckCommand,
  lsCommand,
  statCommand,
  catCommand,
  cpCommand,
  mvCommand,
  rmCommand,
  mkdirCommand,
  rmdirCommand,
  extentsCommand,
  seedCommand,
  verifyCommand,
]

const ABOUT = `A filesystem in memory that you own: files that stay put.

REGION is the path of a region: a file in /dev/shm, on hugetlbfs or on a disk, a device-DAX node.
VOLUME:PATH is a file in the volume of a region: /dev/shm/v.hf:/models/a.bin`

const EXAMPLES = `
Examples:
  holdfast mkfs --size 1G /dev/shm/v.hf     make a volume
  holdfast cp -r src /dev/shm/v.hf:/        copy a tree in
  holdfast ls -l /dev/shm/v.hf:/src         look at it
  holdfast fsck /dev/shm/v.hf               check it

Exit codes: 0 done, 1 failed, 2 usage; fsck: 0 clean, 4 errors left, 8 could not check.`

export function buildProgram(): Command {
  const program = new Command('holdfast')
    .description(ABOUT)
    .version(packageVersion())
    .usage('COMMAND [options] [arguments]')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(holdfast --help shows the commands)')
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`holdfast: ${plainUsageError(text)}`),
    })
  for (const add of COMMANDS) {
    const command = add(program)
    command.showHelpAfterError(`(holdfast ${command.name()} --help shows how)`)
  }
  return program
}

/** Commander's sentence, shorter: the value, and what is wrong with it. */
function plainUsageError(text: string): string {
  return text
    .replace(/^error: /, '')
    .replace(/^command-argument value ('.*') is invalid for argument '.*?'\. /s, '$1: ')
    .replace(/^option '(?:-\w, )?(--\w+).*?' argument ('.*') is invalid\. /s, '$1 $2: ')
}

function packageVersion(): string {
  const manifest = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

/** Runs one command line and returns the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const program = buildProgram()
  let name = ''
  program.hook('preAction', (_program, command) => void (name = command.name()))
  try {
    if (args.length === 0) {
      program.outputHelp({ error: true })
      return EXIT_USAGE
    }
    await program.parseAsync(args, { from: 'user' })
    await flushOutput()
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
    if (error instanceof Stopped) return error.exitCode
    process.stderr.write(failureLine(name, error))
    return name === 'fsck' ? EXIT_NOT_CHECKED : EXIT_FAILED
  }
}
