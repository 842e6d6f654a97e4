/** Initial ramdisks of guests, and the programs and modules that are taken into them. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Kernel } from './kernel.js'
import { run, which } from './needs.js'

/** Files of the modules, in the order in which they can be loaded. */
function moduleFiles(modules: string, names: readonly string[]): string[] {
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
  for (const name of names) {
    const file = [...needs.keys()].find(
      (path) => basename(path).replace(/\.ko(\..z)?$/, '') === name,
    )
    // A module that is not a file is a part of the kernel.
    if (file !== undefined) add(file)
  }
  return order
}

/** A program or library, and the libraries that it needs, at the same place as here. */
export function copyProgram(from: string, tree: string, to: string): void {
  mkdirSync(join(tree, dirname(to)), { recursive: true })
  copyFileSync(from, join(tree, to))
  for (const [, library] of run('ldd', [from]).matchAll(/(\/\S+)/g)) {
    mkdirSync(join(tree, dirname(library!)), { recursive: true })
    copyFileSync(library!, join(tree, library!))
  }
}

/** busybox as these commands. */
export function copyBusybox(tree: string, commands: readonly string[]): void {
  copyFileSync(which('busybox'), join(tree, 'bin/busybox'))
  for (const command of commands) symlinkSync('busybox', join(tree, 'bin', command))
}

export interface InitrdParts {
  /** The tree is made here, and the archive of it beside it. */
  readonly folder: string
  readonly kernel: Kernel
  /** Modules of the kernel, by name; then files of other modules. */
  readonly modules: readonly string[]
  readonly moreModules?: readonly string[]
  /** What busybox is called by, besides its own name. */
  readonly commands?: readonly string[]
  /** The text of the first process: busybox is in /bin, modules and modules/order in /modules. */
  readonly init: string
  /** What else there is in the tree. */
  readonly fill?: (tree: string) => void
}

export function makeInitrd(parts: InitrdParts): string {
  const { folder, kernel, init, fill } = parts
  const tree = join(folder, 'initrd.d')
  rmSync(tree, { recursive: true, force: true })
  mkdirSync(join(tree, 'bin'), { recursive: true })
  mkdirSync(join(tree, 'modules'))
  copyBusybox(tree, parts.commands ?? [])
  const files = [
    ...moduleFiles(kernel.modules, parts.modules).map((file) => join(kernel.modules, file)),
    ...(parts.moreModules ?? []),
  ]
  for (const file of files) copyFileSync(file, join(tree, 'modules', basename(file)))
  writeFileSync(join(tree, 'modules/order'), files.map((file) => basename(file)).join('\n'))
  writeFileSync(join(tree, 'init'), init, { mode: 0o755 })
  fill?.(tree)
  const initrd = join(folder, 'initrd')
  run('sh', ['-c', `find . | cpio -o -H newc --quiet > '${initrd}'`], tree)
  return initrd
}
