/** What the tests with virtual machines need of the machine around them: commands and packages. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Not a failure: this machine cannot, and why. */
export class CannotRun extends Error {}

export interface Needs {
  /** Commands that a test runs or takes into the guest, each with the package that has it. */
  readonly commands: Readonly<Record<string, string>>
  /** Other files, each with the package that has it. */
  readonly files: Readonly<Record<string, string>>
}

/** Of every test that boots a machine. The firmware is a file, not a command. */
export const MACHINE_NEEDS: Needs = {
  commands: {
    'qemu-system-x86_64': 'qemu-system-x86',
    cpio: 'cpio',
    busybox: 'busybox-static',
    depmod: 'kmod',
  },
  files: { '/usr/share/seabios': 'seabios' },
}

export const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`

export function run(command: string, args: readonly string[], cwd?: string): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { ...process.env, PATH },
    ...(cwd === undefined ? {} : { cwd }),
  })
}

/** Where a command is, '' when nowhere. */
export function which(command: string): string {
  const found = spawnSync('sh', ['-c', `command -v ${command}`], {
    encoding: 'utf8',
    env: { ...process.env, PATH },
  })
  return found.stdout.trim()
}

/** Calls apt-get. Throws CannotRun. */
export function apt(args: readonly string[], cwd?: string): void {
  if (which('apt-get') === '') throw new CannotRun(`no apt-get for ${args.join(' ')}`)
  const result = spawnSync('apt-get', args, {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    ...(cwd === undefined ? {} : { cwd }),
  })
  if (result.status !== 0) {
    throw new CannotRun(`apt-get ${args[0]} failed: ${result.stderr.trim().split('\n').pop()}`)
  }
}

/** Installs what is missing, if it may. Throws CannotRun. */
export function install(...needs: readonly Needs[]): void {
  if (process.arch !== 'x64') throw new CannotRun('the guest is an x64 machine, and this is not')
  const commands = Object.assign({}, ...needs.map((need) => need.commands)) as Needs['commands']
  const files = Object.assign({}, ...needs.map((need) => need.files)) as Needs['files']
  const missing = [
    ...Object.keys(commands).filter((command) => which(command) === ''),
    ...Object.keys(files).filter((file) => !existsSync(file)),
  ]
  if (missing.length === 0) return
  const packages = missing.map((name) => commands[name] ?? files[name]!)
  const list = missing.join(', ')
  if (which('apt-get') === '') {
    throw new CannotRun(`${list} missing, and apt-get, which would bring them`)
  }
  if (process.getuid?.() !== 0) {
    throw new CannotRun(`${list} missing: needs root, or apt-get install ${packages.join(' ')}`)
  }
  console.log(`installing ${packages.join(' ')}`)
  apt(['update', '-qq'])
  apt(['install', '-y', '-qq', '--no-install-recommends', ...packages])
}

/**
 * A directory of the user's cache that is made once, and its path. Whole or not there: two runs may
 * meet here.
 */
export function cached(name: string, make: (folder: string) => void): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast/guest')
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  const making = mkdtempSync(join(cache, 'making-'))
  try {
    make(making)
    renameSync(making, folder)
  } catch (error) {
    rmSync(making, { recursive: true })
    if (!existsSync(folder)) throw error
  }
  return folder
}
