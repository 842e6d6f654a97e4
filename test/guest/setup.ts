/**
 * What a guest needs of the machine around it: packages, and a kernel, unpacked and not installed,
 * which is kept in the user's cache directory.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Not a failure: this machine cannot, and why. */
export class CannotRun extends Error {}

/** Commands that the test runs or takes into the guest, each with the package that has it. */
const COMMANDS: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  cpio: 'cpio',
  busybox: 'busybox-static',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.xfs': 'xfsprogs',
  depmod: 'kmod',
  ndctl: 'ndctl',
}
/** The firmware of the guest is a file, not a command. */
const PACKAGES = ['seabios', ...Object.values(COMMANDS)]

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

/** Installs what is missing, if it may. */
function installPackages(): void {
  const missing = Object.keys(COMMANDS).filter((command) => which(command) === '')
  if (missing.length === 0) return
  const list = missing.join(', ')
  if (which('apt-get') === '') {
    throw new CannotRun(`${list} missing, and apt-get, which would bring them`)
  }
  if (process.getuid?.() !== 0) {
    throw new CannotRun(`${list} missing: needs root, or apt-get install ${PACKAGES.join(' ')}`)
  }
  console.log(`installing ${list}`)
  apt('update', '-qq')
  apt('install', '-y', '-qq', '--no-install-recommends', ...PACKAGES)
}

function apt(...args: string[]): void {
  const result = spawnSync('apt-get', args, {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (result.status !== 0) {
    throw new CannotRun(`apt-get ${args[0]} failed: ${result.stderr.trim().split('\n').pop()}`)
  }
}

/** The name of the package with the kernel that linux-image-amd64 stands for. */
function kernelPackage(): string {
  const find = () => {
    const depends = spawnSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' })
    return /Depends: (linux-image-[0-9]\S*)/.exec(depends.stdout)?.[1]
  }
  let name = find()
  if (name === undefined && process.getuid?.() === 0) {
    apt('update', '-qq')
    name = find()
  }
  if (name !== undefined) return name
  throw new CannotRun('the packages of this machine have no linux-image-amd64')
}

/** A Debian kernel, unpacked; returns where. Whole or not there: two runs may meet here. */
function unpackKernel(): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast/guest')
  const folder = join(cache, 'kernel')
  if (existsSync(folder)) return folder
  if (which('apt-get') === '') throw new CannotRun('no apt-get to bring a kernel')
  const name = kernelPackage()
  console.log(`unpacking ${name} into ${folder}`)
  mkdirSync(cache, { recursive: true })
  const making = mkdtempSync(join(cache, 'making-'))
  const downloaded = spawnSync('apt-get', ['download', '-qq', name], {
    cwd: making,
    encoding: 'utf8',
  })
  if (downloaded.status !== 0) throw new CannotRun(`apt-get download ${name}: ${downloaded.stderr}`)
  const archive = join(
    making,
    readdirSync(making).find((file) => file.endsWith('.deb'))!,
  )
  run('dpkg', ['-x', archive, making])
  rmSync(archive)
  run('depmod', ['-b', making, name.slice('linux-image-'.length)])
  try {
    renameSync(making, folder)
  } catch (error) {
    rmSync(making, { recursive: true })
    if (!existsSync(folder)) throw error
  }
  return folder
}

/** Brings what is missing; returns the directory of the kernel. Throws CannotRun. */
export function setUp(): string {
  if (process.arch !== 'x64') throw new CannotRun('the guest is an x64 machine, and this is not')
  installPackages()
  return unpackKernel()
}
