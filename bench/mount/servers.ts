/**
 * What is mounted beside each other, each in its best public form:
 *
 * - the floor: mount/fuse_loop.c, one thread, a file in memory that it answers READ from in place.
 * - passthrough_ll of libfuse 3: Debian's libfuse3-dev has its source, which is compiled for the
 *   run, with -O2; `-s`, one thread. `cache=never` for data: it opens with direct I/O;
 *   `cache=always` for names: they are good for a day. Its inodes are in one list, which each
 *   look-up walks. For names also with `default_permissions`, as all the others: without it nobody
 *   asks who may, and the kernel not for the directory's attributes after each change. Each READ
 *   has a new buffer: malloc is told to keep those of a mebibyte, or it maps and clears each anew
 *   and has 1.0 GB/s for 2.7.
 * - bindfs, one thread as it is: `-o direct_io` for data; for names and programs entries and
 *   attributes are good for a minute, as nobody changes what is behind it.
 * - ours: a volume of its own in a region on tmpfs, `holdfast mount` in the mode that is asked for.
 *
 * Behind passthrough_ll and bindfs is a directory of the same tmpfs.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Setting } from '../mount.js'
import { installed } from '../rdma/process.js'
import { compile, compileOurs } from './load.js'
import type { Scene, Server } from './scene.js'

const PASSTHROUGH_SOURCE = '/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c'
/** The command, from build/bench/mount/. */
const HOLDFAST = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

const PROGRAMS: Readonly<Record<string, string>> = {
  cc: 'gcc libc6-dev',
  bindfs: 'bindfs',
  'pkg-config': 'pkg-config',
  taskset: 'util-linux',
}

/** Why nothing can be compared here, or null. */
export function whyMissing(): string | null {
  if (process.getuid?.() !== 0) return 'a mount of its own needs root'
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse'
  if (!existsSync(PASSTHROUGH_SOURCE)) return 'apt install libfuse3-dev'
  for (const [program, debian] of Object.entries(PROGRAMS)) {
    if (!installed(program)) return `${program} is not installed: apt install ${debian}`
  }
  return null
}

export function floor(scene: Scene, bytes: number): Server {
  const program = compileOurs(scene, 'fuse_loop')
  return { name: 'C loop', command: (directory) => [program, directory, String(bytes)] }
}

const KEPT_BYTES = 32 << 20
const KEEPING = [
  `MALLOC_MMAP_THRESHOLD_=${KEPT_BYTES}`,
  `MALLOC_TRIM_THRESHOLD_=${KEPT_BYTES}`,
  `MALLOC_TOP_PAD_=${KEPT_BYTES}`,
]

export function passthrough(scene: Scene, cache: 'never' | 'always', checked = false): Server {
  const { stdout } = spawnSync('pkg-config', ['--cflags', '--libs', 'fuse3'], { encoding: 'utf8' })
  const flags = stdout.trim().split(/\s+/)
  const program = compile(scene, PASSTHROUGH_SOURCE, 'passthrough_ll', flags)
  const use = checked ? `${cache}-checked` : cache
  const behind = scene.below(`behind-passthrough-${use}`)
  const permissions = checked ? ',default_permissions' : ''
  const options = `source=${behind},cache=${cache},allow_other${permissions}`
  return {
    name: `passthrough_ll -s, cache=${cache}${permissions}`,
    command: (directory) => ['env', ...KEEPING, program, '-f', '-s', '-o', options, directory],
  }
}

const MINUTE = 'entry_timeout=60,attr_timeout=60,negative_timeout=60,ac_attr_timeout=60'
export const BINDFS = { data: 'direct_io', names: MINUTE } as const

export function bindfs(scene: Scene, use: keyof typeof BINDFS): Server {
  const behind = scene.below(`behind-bindfs-${use}`)
  return {
    name: `bindfs (${use})`,
    command: (directory) => ['bindfs', '-f', '-o', BINDFS[use], behind, directory],
  }
}

/** The command of this tree, in a process of node. */
export function holdfast(nodeOptions: readonly string[], ...args: readonly string[]): string[] {
  return [process.execPath, ...nodeOptions, HOLDFAST, ...args]
}

/** A volume in a file of the scene. */
export function makeVolume(scene: Scene, name: string, bytes: number): string {
  const region = `${scene.directory}/${name}.hf`
  const [command, ...args] = holdfast([], 'mkfs', '--size', String(bytes), region)
  const { status, stderr } = spawnSync(command!, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mkfs ${region}: ${stderr}`)
  return region
}

/** Ours, a volume of its own in this process. */
export function embedded(
  { scene, mode, nodeOptions }: Pick<Setting, 'scene' | 'mode' | 'nodeOptions'>,
  bytes: number,
  use: string,
): Server {
  const region = makeVolume(scene, use, bytes)
  return {
    name: `holdfast mount (${use})`,
    command: (directory) => holdfast(nodeOptions, 'mount', '-o', mode, region, directory),
  }
}
