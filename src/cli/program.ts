/** All commands, and what becomes of their failures: exit codes and one line. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
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

type Loader = () => Promise<(program: Command) => Command>

/**
 * By what they are about, in the order of `--help`. One that runs is loaded, and no other: all of
 * them take longer to load than most take to run.
 */
const COMMANDS: Readonly<Record<string, Readonly<Record<string, Loader>>>> = {
  'Volumes:': {
    mkfs: async () => (await import('./commands/mkfs.js')).mkfsCommand,
    info: async () => (await import('./commands/info.js')).infoCommand,
    badblocks: async () => (await import('./commands/badblocks.js')).badblocksCommand,
    label: async () => (await import('./commands/label.js')).labelCommand,
    resize: async () => (await import('./commands/resize.js')).resizeCommand,
    evacuate: async () => (await import('./commands/evacuate.js')).evacuateCommand,
    df: async () => (await import('./commands/df.js')).dfCommand,
    doctor: async () => (await import('./commands/doctor.js')).doctorCommand,
    fsck: async () => (await import('./commands/fsck.js')).fsckCommand,
    dump: async () => (await import('./commands/dump.js')).dumpCommand,
  },
  'Files and directories:': {
    ls: async () => (await import('./commands/ls.js')).lsCommand,
    tree: async () => (await import('./commands/tree.js')).treeCommand,
    stat: async () => (await import('./commands/stat.js')).statCommand,
    du: async () => (await import('./commands/du.js')).duCommand,
    cat: async () => (await import('./commands/cat.js')).catCommand,
    cp: async () => (await import('./commands/cp.js')).cpCommand,
    reflink: async () => (await import('./commands/reflink.js')).reflinkCommand,
    snapshot: async () => (await import('./commands/snapshot.js')).snapshotCommand,
    mv: async () => (await import('./commands/mv.js')).mvCommand,
    rm: async () => (await import('./commands/rm.js')).rmCommand,
    mkdir: async () => (await import('./commands/mkdir.js')).mkdirCommand,
    rmdir: async () => (await import('./commands/rmdir.js')).rmdirCommand,
    ln: async () => (await import('./commands/ln.js')).lnCommand,
    readlink: async () => (await import('./commands/readlink.js')).readlinkCommand,
    touch: async () => (await import('./commands/touch.js')).touchCommand,
    mknod: async () => (await import('./commands/mknod.js')).mknodCommand,
    mkfifo: async () => (await import('./commands/mkfifo.js')).mkfifoCommand,
  },
  'Attributes:': {
    chmod: async () => (await import('./commands/chmod.js')).chmodCommand,
    chown: async () => (await import('./commands/chown.js')).chownCommand,
    facl: async () => (await import('./commands/facl.js')).faclCommand,
    chattr: async () => (await import('./commands/chattr.js')).chattrCommand,
    lsattr: async () => (await import('./commands/lsattr.js')).lsattrCommand,
    xattr: async () => (await import('./commands/xattr.js')).xattrCommand,
  },
  'Blocks:': {
    extents: async () => (await import('./commands/extents.js')).extentsCommand,
    truncate: async () => (await import('./commands/truncate.js')).truncateCommand,
    fallocate: async () => (await import('./commands/fallocate.js')).fallocateCommand,
    punch: async () => (await import('./commands/punch.js')).punchCommand,
    defrag: async () => (await import('./commands/defrag.js')).defragCommand,
    fix: async () => (await import('./commands/fix.js')).fixCommand,
    unfix: async () => (await import('./commands/unfix.js')).unfixCommand,
    'seal-writes': async () => (await import('./commands/seal_writes.js')).sealWritesCommand,
    policy: async () => (await import('./commands/policy.js')).policyCommand,
  },
  'Serving:': {
    serve: async () => (await import('./commands/serve.js')).serveCommand,
    mount: async () => (await import('./commands/mount.js')).mountCommand,
    keys: async () => (await import('./commands/keys.js')).keysCommand,
    sessions: async () => (await import('./commands/sessions.js')).sessionsCommand,
    evict: async () => (await import('./commands/sessions.js')).evictCommand,
    watch: async () => (await import('./commands/watch.js')).watchCommand,
    demo: async () => (await import('./commands/demo.js')).demoCommand,
  },
  'Holds:': {
    pin: async () => (await import('./commands/hold.js')).pinCommand,
    seal: async () => (await import('./commands/hold.js')).sealCommand,
    lease: async () => (await import('./commands/hold.js')).leaseCommand,
    holds: async () => (await import('./commands/holds.js')).holdsCommand,
    recall: async () => (await import('./commands/holds.js')).recallCommand,
  },
  'RDMA:': {
    'rdma-target': async () => (await import('./commands/rdma_target.js')).rdmaTargetCommand,
    rping: async () => (await import('./commands/rping.js')).rpingCommand,
  },
  'Tests:': {
    seed: async () => (await import('./commands/seed.js')).seedCommand,
    verify: async () => (await import('./commands/verify.js')).verifyCommand,
  },
  'Shells:': {
    completion: async () => (await import('./commands/completion.js')).completionCommand,
  },
}

/** It is about the others. */
const NEEDS_ALL = 'completion'

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

/** All commands, or the one that is named, if there is such a one. */
export async function buildProgram(name?: string): Promise<Command> {
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
  const one = Object.values(COMMANDS).some((commands) => Object.hasOwn(commands, name ?? ''))
  for (const [group, commands] of Object.entries(COMMANDS)) {
    program.commandsGroup(group)
    for (const [own, load] of Object.entries(commands)) {
      if (!one || own === name || name === NEEDS_ALL) finishCommand((await load())(program))
    }
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
  const program = await buildProgram(args[0])
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
