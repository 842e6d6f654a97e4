/**
 * What a guest needs, made once and kept in build/guest: packages, a kernel (unpacked, not
 * installed), an initial ramdisk, and a disk with node and the compiled project.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Not a failure: this machine cannot, and why. */
export class CannotRun extends Error {}

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const CACHE = resolve(ROOT, 'build/guest')
const PACKAGES = ['qemu-system-x86', 'seabios', 'cpio', 'busybox-static', 'e2fsprogs', 'kmod']
const COMMANDS = [
  'qemu-system-x86_64',
  'cpio',
  'busybox',
  'mkfs.ext4',
  'e2fsck',
  'debugfs',
  'depmod',
]
/** Modules that the guest loads, with those that they need. */
const MODULES = ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4']

export interface Guest {
  readonly kernel: string
  readonly initrd: string
  /** A disk with node and the project, for reading. */
  readonly tools: string
}

function run(command: string, args: readonly string[], options: object = {}): string {
  return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26, ...options })
}

function has(command: string): boolean {
  return spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${command}`]).status === 0
}

/** Installs what is missing, if it may. */
function installPackages(): void {
  const missing = COMMANDS.filter((command) => !has(command))
  if (missing.length === 0) return
  const list = missing.join(', ')
  if (!has('apt-get')) throw new CannotRun(`${list} missing, and apt-get, which would bring them`)
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

/** The newest Debian kernel, unpacked; returns where. */
function unpackKernel(): string {
  const folder = join(CACHE, 'kernel')
  if (existsSync(join(folder, 'complete'))) return folder
  if (!has('apt-get')) throw new CannotRun('no apt-get to bring a kernel')
  const depends = () =>
    spawnSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' })
  const find = () => /Depends: (linux-image-[0-9]\S*)/.exec(depends().stdout)?.[1]
  let name = find()
  if (name === undefined && process.getuid?.() === 0) {
    apt('update', '-qq')
    name = find()
  }
  if (name === undefined)
    throw new CannotRun('the packages of this machine have no linux-image-amd64')
  console.log(`unpacking ${name}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const downloaded = spawnSync('apt-get', ['download', '-qq', name], {
    cwd: folder,
    encoding: 'utf8',
  })
  if (downloaded.status !== 0) throw new CannotRun(`apt-get download ${name}: ${downloaded.stderr}`)
  const archive = readdirSync(folder).find((file) => file.endsWith('.deb'))!
  run('dpkg', ['-x', join(folder, archive), folder])
  rmSync(join(folder, archive))
  writeFileSync(join(folder, 'complete'), '')
  return folder
}

/** Files of the modules, in the order in which they can be loaded. */
function moduleFiles(modules: string): string[] {
  const needs = new Map<string, string[]>()
  for (const line of readFileSync(join(modules, 'modules.dep'), 'utf8').split('\n')) {
    const [file, rest] = line.split(':')
    if (file)
      needs.set(
        file,
        (rest ?? '')
          .trim()
          .split(/\s+/)
          .filter((name) => name !== ''),
      )
  }
  const order: string[] = []
  const add = (file: string) => {
    if (order.includes(file)) return
    // modules.dep lists what a module needs, what is needed last first.
    for (const needed of [...needs.get(file)!].reverse()) add(needed)
    order.push(file)
  }
  for (const name of MODULES) {
    const file = [...needs.keys()].find(
      (path) => basename(path).replace(/\.ko(\..z)?$/, '') === name,
    )
    // A module that is not a file is a part of the kernel.
    if (file !== undefined) add(file)
  }
  return order
}

function makeInitrd(kernel: string, version: string): string {
  const modules = join(kernel, 'lib/modules', version)
  run('depmod', ['-b', kernel, version], { env: withSbin() })
  const tree = join(CACHE, 'initrd.d')
  rmSync(tree, { recursive: true, force: true })
  mkdirSync(join(tree, 'bin'), { recursive: true })
  mkdirSync(join(tree, 'modules'))
  copyFileSync(run('sh', ['-c', 'command -v busybox']).trim(), join(tree, 'bin/busybox'))
  const files = moduleFiles(modules)
  for (const file of files) copyFileSync(join(modules, file), join(tree, 'modules', basename(file)))
  writeFileSync(join(tree, 'modules/order'), files.map((file) => basename(file)).join('\n'))
  writeFileSync(join(tree, 'init'), readFileSync(join(ROOT, 'test/kill/guest/init.sh')), {
    mode: 0o755,
  })
  const initrd = join(CACHE, 'initrd')
  run('sh', ['-c', `find . | cpio -o -H newc --quiet > '${initrd}'`], { cwd: tree })
  return initrd
}

/** A disk with node, its libraries, the compiled project and the operations of each round. */
function makeTools(operations: readonly string[]): string {
  const tree = join(CACHE, 'tools.d')
  rmSync(tree, { recursive: true, force: true })
  for (const folder of ['bin', 'app/build', 'mnt', 'proc', 'dev', 'tmp']) {
    mkdirSync(join(tree, folder), { recursive: true })
  }
  copyFileSync(process.execPath, join(tree, 'bin/node'))
  for (const [, library] of run('ldd', [process.execPath]).matchAll(/(\/\S+)/g)) {
    mkdirSync(join(tree, dirname(library!)), { recursive: true })
    copyFileSync(library!, join(tree, library!))
  }
  for (const part of [
    'package.json',
    'build/src',
    'build/native',
    'build/test/model',
    'build/test/kill',
  ]) {
    if (existsSync(join(ROOT, part)))
      cpSync(join(ROOT, part), join(tree, 'app', part), { recursive: true })
  }
  operations.forEach((text, i) => writeFileSync(join(tree, `app/operations-${i}.json`), text))
  return makeDisk(join(CACHE, 'tools.img'), 400, tree)
}

/** An ext4 image; `from` is what it holds. */
export function makeDisk(path: string, mib: number, from?: string): string {
  rmSync(path, { force: true })
  const content = from === undefined ? [] : ['-d', from]
  run('mkfs.ext4', ['-q', '-F', ...content, path, `${mib}M`], { env: withSbin() })
  return path
}

export function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }
}

/** Everything for guests that run these operations, one list a round. */
export function setUpGuest(operations: readonly string[]): Guest {
  if (process.arch !== 'x64') throw new CannotRun('the guest is an x64 machine, and this is not')
  installPackages()
  mkdirSync(CACHE, { recursive: true })
  const kernel = unpackKernel()
  const image = readdirSync(join(kernel, 'boot')).find((file) => file.startsWith('vmlinuz-'))!
  return {
    kernel: join(kernel, 'boot', image),
    initrd: makeInitrd(kernel, image.slice('vmlinuz-'.length)),
    tools: makeTools(operations),
  }
}
