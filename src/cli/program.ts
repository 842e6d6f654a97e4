/** All commands, and what becomes of their failures: exit codes and one line. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { badblocksCommand } from './commands/badblocks.js'
import { catCommand } from './commands/cat.js'
import { chattrCommand } from './commands/chattr.js'
import { chmodCommand } from './commands/chmod.js'
import { chownCommand } from './commands/chown.js'
import { completionCommand } from './commands/completion.js'
import { cpCommand } from './commands/cp.js'
import { defragCommand } from './commands/defrag.js'
import { demoCommand } from './commands/demo.js'
import { dfCommand } from './commands/df.js'
import { doctorCommand } from './commands/doctor.js'
import { duCommand } from './commands/du.js'
import { dumpCommand } from './commands/dump.js'
import { evacuateCommand } from './commands/evacuate.js'
import { extentsCommand } from './commands/extents.js'
import { faclCommand } from './commands/facl.js'
import { fallocateCommand } from './commands/fallocate.js'
import { fixCommand } from './commands/fix.js'
import { fsckCommand } from './commands/fsck.js'
import { leaseCommand, pinCommand, sealCommand } from './commands/hold.js'
import { holdsCommand, recallCommand } from './commands/holds.js'
import { infoCommand } from './commands/info.js'
import { keysCommand } from './commands/keys.js'
import { labelCommand } from './commands/label.js'
import { lnCommand } from './commands/ln.js'
import { lsCommand } from './commands/ls.js'
import { lsattrCommand } from './commands/lsattr.js'
import { mkdirCommand } from './commands/mkdir.js'
import { mkfifoCommand } from './commands/mkfifo.js'
import { mkfsCommand } from './commands/mkfs.js'
import { mknodCommand } from './commands/mknod.js'
import { mvCommand } from './commands/mv.js'
import { policyCommand } from './commands/policy.js'
import { punchCommand } from './commands/punch.js'
import { rdmaTargetCommand } from './commands/rdma_target.js'
import { readlinkCommand } from './commands/readlink.js'
import { reflinkCommand } from './commands/reflink.js'
import { resizeCommand } from './commands/resize.js'
import { rmCommand } from './commands/rm.js'
import { rmdirCommand } from './commands/rmdir.js'
import { rpingCommand } from './commands/rping.js'
import { sealWritesCommand } from './commands/seal_writes.js'
import { seedCommand } from './commands/seed.js'
import { serveCommand } from './commands/serve.js'
import { evictCommand, sessionsCommand } from './commands/sessions.js'
import { snapshotCommand } from './commands/snapshot.js'
import { statCommand } from './commands/stat.js'
import { touchCommand } from './commands/touch.js'
import { treeCommand } from './commands/tree.js'
import { truncateCommand } from './commands/truncate.js'
import { unfixCommand } from './commands/unfix.js'
import { verifyCommand } from './commands/verify.js'
import { watchCommand } from './commands/watch.js'
import { xattrCommand } from './commands/xattr.js'
import { HoldfastError } from '../base/errors.js'
import { reachesServers } from './arguments.js'
import { connectFor } from './connection.js'
import { failureLine } from './failure.js'
import { Stopped, stoppedWith } from './interrupt.js'
import { KEY_OPTION, type KeyOption } from './options.js'
import { flushOutput } from './output.js'

const EXIT_FAILED = 1
const EXIT_USAGE = 2
/** fsck that could not check (e2fsck(8)). */
const EXIT_NOT_CHECKED = 8

/** By what they are about, in the order of `--help`. */
const COMMANDS = {
  'Volumes:': [
    mkfsCommand,
    infoCommand,
    badblocksCommand,
    labelCommand,
    resizeCommand,
    evacuateCommand,
    dfCommand,
    doctorCommand,
    fsckCommand,
    dumpCommand,
  ],
  'Files and directories:': [
    lsCommand,
    treeCommand,
    statCommand,
    duCommand,
    catCommand,
    cpCommand,
    reflinkCommand,
    snapshotCommand,
    mvCommand,
    rmCommand,
    mkdirCommand,
    rmdirCommand,
    lnCommand,
    readlinkCommand,
    touchCommand,
    mknodCommand,
    mkfifoCommand,
  ],
  'Attributes:': [
    chmodCommand,
    chownCommand,
    faclCommand,
    chattrCommand,
    lsattrCommand,
    xattrCommand,
  ],
  'Blocks:': [
    extentsCommand,
    truncateCommand,
    fallocateCommand,
    punchCommand,
    defragCommand,
    fixCommand,
    unfixCommand,
    sealWritesCommand,
    policyCommand,
  ],
  'Serving:': [serveCommand, keysCommand, sessionsCommand, evictCommand, watchCommand, demoCommand],
  'Holds:': [pinCommand, sealCommand, leaseCommand, holdsCommand, recallCommand],
  'RDMA:': [rdmaTargetCommand, rpingCommand],
  'Tests:': [seedCommand, verifyCommand],
  'Shells:': [completionCommand],
} as const

const ABOUT = `A filesystem in memory that you own: files that stay put.

REGION is the path of a region: a file in /dev/shm, on hugetlbfs or on a disk, a device-DAX node.
VOLUME:PATH is a file in the volume of a region: /dev/shm/v.hf:/models/a.bin
hf://HOST:PORT/PATH is a file of a volume that another host serves (--key or HOLDFAST_KEY).`

const EXAMPLES = `
Examples:
  holdfast mkfs --size 1G /dev/shm/v.hf     # make a volume
  holdfast cp -r src /dev/shm/v.hf:/        # copy a tree in
  holdfast ls -l /dev/shm/v.hf:/src         # look at it
  holdfast fsck /dev/shm/v.hf               # check it

Exit codes: 0 done, 1 failed, 2 usage; fsck: 0 clean, 4 errors left, 8 could not check.`

export function buildProgram(): Command {
  const program = new Command('holdfast')
    .description(ABOUT)
    .version(packageVersion())
    .usage('COMMAND [options] [arguments]')
    .addHelpText('after', EXAMPLES)
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .showHelpAfterError('(holdfast --help shows the commands)')
    .enablePositionalOptions() // what comes after the command's name is the command's
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`holdfast: ${plainUsageError(text)}`),
    })
  for (const [group, commands] of Object.entries(COMMANDS)) {
    program.commandsGroup(group)
    for (const add of commands) finishCommand(add(program))
  }
  return program
}

/** The words after `holdfast` that lead to a command: 'ls', 'xattr get'. */
export function commandPath(command: Command): string {
  const { parent } = command
  return parent === null ? '' : `${commandPath(parent)} ${command.name()}`.trim()
}

function finishCommand(command: Command): void {
  const reaches = command.registeredArguments.some(({ parseArg }) => reachesServers(parseArg))
  if (reaches) command.option(...KEY_OPTION)
  command.showHelpAfterError(`(holdfast ${commandPath(command)} --help shows how)`)
  for (const below of command.commands) finishCommand(below)
}

/** Commander's sentence, shorter: the value, and what is wrong with it. */
function plainUsageError(text: string): string {
  return text
    .replace(/^error: /, '')
    .replace(/^command-argument value ('.*') is invalid for argument '.*?'\. /s, '$1: ')
    .replace(/^option '(?:-\w, )?(--[\w-]+).*?' argument ('.*') is invalid\. /s, '$1 $2: ')
}

function packageVersion(): string {
  const manifest = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

/** Calls to a server that end because the command was told to stop. */
const givenUp = (error: unknown): boolean =>
  error instanceof HoldfastError && (error.code === 'EINTR' || error.code === 'ECONNRESET')

/** Runs one command line and returns the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const program = buildProgram()
  let name = ''
  program.hook('preAction', (_program, command) => {
    name = commandPath(command)
    connectFor(name, command.opts<KeyOption>().key)
  })
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
    if (stoppedWith() !== 0 && givenUp(error)) return stoppedWith()
    process.stderr.write(failureLine(name, error))
    return name === 'fsck' ? EXIT_NOT_CHECKED : EXIT_FAILED
  }
}
