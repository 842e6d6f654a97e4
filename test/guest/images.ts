/** What a guest starts from, made anew for each run in build/guest: initial ramdisk and disks. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, setUp, which } from './setup.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const IMAGES = resolve(ROOT, 'build/guest')
/** Modules that the guest loads, with those that they need. */
const MODULES = [
  ...['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4', 'xfs'],
  ...['nfit', 'nd_pmem', 'device_dax', 'dax_pmem'],
]
const TOOLS = ['ndctl', 'mkfs.ext4', 'mkfs.xfs']
const BUSYBOX_TOOLS = ['sh', 'mount', 'umount', 'mknod']
const PROJECT = [
  ...['package.json', 'build/src', 'build/native', 'build/test'],
  ...['commander', 'fast-check', 'pure-rand'].map((name) => join('node_modules', name)),
]

export interface Guest {
  readonly kernel: string
  readonly initrd: string
  /** A disk with node, tools and the project, for reading. */
  readonly tools: string
}

/** Files of the modules, in the order in which they can be loaded. */
function moduleFiles(modules: string): string[] {
  const needs = new Map<string, string[]>()
  for (const line of readFileSync(join(modules, 'modules.dep'), 'utf8').split('\n')) {
    const [file, rest = ''] = line.split(':')
    if (file) needs.set(file, rest.split(/\s+/).filter(Boolean))
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
  const tree = join(IMAGES, 'initrd.d')
  rmSync(tree, { recursive: true, force: true })
  mkdirSync(join(tree, 'bin'), { recursive: true })
  mkdirSync(join(tree, 'modules'))
  copyFileSync(which('busybox'), join(tree, 'bin/busybox'))
  const files = moduleFiles(modules)
  for (const file of files) copyFileSync(join(modules, file), join(tree, 'modules', basename(file)))
  writeFileSync(join(tree, 'modules/order'), files.map((file) => basename(file)).join('\n'))
  writeFileSync(join(tree, 'init'), readFileSync(join(ROOT, 'test/guest/init.sh')), { mode: 0o755 })
  const initrd = join(IMAGES, 'initrd')
  run('sh', ['-c', `find . | cpio -o -H newc --quiet > '${initrd}'`], tree)
  return initrd
}

/** A program and the libraries that it needs, at the same place as here. */
function copyProgram(from: string, tree: string, to: string): void {
  copyFileSync(from, join(tree, to))
  for (const [, library] of run('ldd', [from]).matchAll(/(\/\S+)/g)) {
    mkdirSync(join(tree, dirname(library!)), { recursive: true })
    copyFileSync(library!, join(tree, library!))
  }
}

/** A disk with node, tools, the compiled project, and `files` by name in /app. */
function makeTools(files: ReadonlyMap<string, string>): string {
  const tree = join(IMAGES, 'tools.d')
  rmSync(tree, { recursive: true, force: true })
  for (const folder of ['bin', 'app', 'mnt', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc']) {
    mkdirSync(join(tree, folder), { recursive: true })
  }
  copyProgram(process.execPath, tree, 'bin/node')
  for (const tool of TOOLS) copyProgram(which(tool), tree, join('bin', tool))
  const poison = join(IMAGES, 'poison')
  run('cc', ['-O1', '-o', poison, join(ROOT, 'test/guest/poison.c')])
  copyProgram(poison, tree, 'bin/poison')
  copyFileSync(which('busybox'), join(tree, 'bin/busybox'))
  for (const tool of BUSYBOX_TOOLS) symlinkSync('busybox', join(tree, 'bin', tool))
  for (const part of PROJECT) cpSync(join(ROOT, part), join(tree, 'app', part), { recursive: true })
  for (const [name, text] of files) writeFileSync(join(tree, 'app', name), text)
  return makeDisk('tools.img', 500, tree)
}

/** An ext4 image; `from` is what it holds. */
export function makeDisk(name: string, mib: number, from?: string): string {
  const path = join(IMAGES, name)
  rmSync(path, { force: true })
  const content = from === undefined ? [] : ['-d', from]
  run('mkfs.ext4', ['-q', '-F', ...content, path, `${mib}M`])
  return path
}

/** The file behind persistent memory that nobody has written yet. */
export function makeMemory(name: string, bytes: number): string {
  const path = join(IMAGES, name)
  rmSync(path, { force: true })
  writeFileSync(path, '')
  truncateSync(path, bytes)
  return path
}

/** Everything for guests that find these files in /app. Throws CannotRun. */
export function makeGuest(files: ReadonlyMap<string, string>): Guest {
  const kernel = setUp()
  mkdirSync(IMAGES, { recursive: true })
  const image = readdirSync(join(kernel, 'boot')).find((file) => file.startsWith('vmlinuz-'))!
  return {
    kernel: join(kernel, 'boot', image),
    initrd: makeInitrd(kernel, image.slice('vmlinuz-'.length)),
    tools: makeTools(files),
  }
}

/** Removes what is large and can be made again. */
export function removeImage(path: string): void {
  if (existsSync(path)) rmSync(path)
}
