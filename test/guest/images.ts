/** What a guest starts from, made anew for each run in build/guest: initial ramdisk and disks. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { copyBusybox, copyProgram, makeInitrd } from '../machine/initrd.js'
import { unpackKernel } from '../machine/kernel.js'
import { CALLS, compileCalls } from '../suite/linux/kernel.js'
import { install, MACHINE_NEEDS, run, which, type Needs } from '../machine/needs.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const IMAGES = resolve(ROOT, 'build/guest')
/** Modules that the guest loads, with those that they need. */
const MODULES = [
  ...['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4', 'xfs'],
  ...['nfit', 'nd_pmem', 'device_dax', 'dax_pmem', 'fuse'],
]
const NEEDS: Needs = {
  commands: { 'mkfs.ext4': 'e2fsprogs', 'mkfs.xfs': 'xfsprogs', ndctl: 'ndctl' },
  files: {},
}
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
  copyBusybox(tree, BUSYBOX_TOOLS)
  for (const part of PROJECT) cpSync(join(ROOT, part), join(tree, 'app', part), { recursive: true })
  const calls = join(IMAGES, 'calls')
  compileCalls(calls)
  copyProgram(calls, tree, join('app', CALLS))
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
  install(MACHINE_NEEDS, NEEDS)
  const kernel = unpackKernel()
  mkdirSync(IMAGES, { recursive: true })
  return {
    kernel: kernel.image,
    initrd: makeInitrd({
      folder: IMAGES,
      kernel,
      modules: MODULES,
      init: readFileSync(join(ROOT, 'test/guest/init.sh'), 'utf8'),
    }),
    tools: makeTools(files),
  }
}

/** Removes what is large and can be made again. */
export function removeImage(path: string): void {
  if (existsSync(path)) rmSync(path)
}
