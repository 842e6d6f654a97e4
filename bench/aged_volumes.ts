/** The filesystems that grow old: a Holdfast volume, and ext4 in a file that is mounted. */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { BLOCK_BYTES } from '../src/base/limits.js'
import { BitmapChunk, CHUNK_BLOCKS } from '../src/media/bitmap.js'
import { openRegion } from '../src/region/file_region.js'
import { formatVolume } from '../src/volume/format.js'
import { Volume } from '../src/volume/volume.js'

export interface AgedVolume {
  readonly name: string
  mkdir(path: string): void
  create(path: string, bytes: Uint8Array): void
  append(path: string, bytes: Uint8Array): void
  remove(path: string): void
  /** What was written has its blocks when it returns. */
  settle(): void
  /** Bytes that files may have, metadata included. */
  readonly capacity: number
  /** Share of the blocks that are in use. */
  full(): number
  /** Lengths of the runs of free blocks. */
  freeRuns(): number[]
  /** Runs of blocks of each file. */
  extents(paths: readonly string[]): number[]
  /** Whether a file of so many bytes can be had in one run; it is removed again. */
  contiguous(bytes: number): boolean
  close(): void
}

function sparse(path: string, bytes: number): void {
  const fd = openSync(path, 'wx', 0o600)
  ftruncateSync(fd, bytes)
  closeSync(fd)
}

/** Lengths of the runs of clear bits, `bit(i)` being bit i of `count`. */
function runsOf(count: number, taken: (i: number) => boolean): number[] {
  const runs: number[] = []
  let run = 0
  for (let i = 0; i <= count; i++) {
    if (i < count && !taken(i)) run++
    else if (run > 0) {
      runs.push(run)
      run = 0
    }
  }
  return runs
}

export function agedHoldfast(directory: string, bytes: number): AgedVolume {
  sparse(`${directory}/volume.hf`, bytes)
  const region = openRegion(`${directory}/volume.hf`)
  formatVolume(region)
  const volume = Volume.mount(region, { sync: 'always' })
  const write = (path: string, flags: 'wx' | 'a', content: Uint8Array) => {
    const file = volume.open(path, flags)
    file.write(content)
    file.close()
  }
  return {
    name: 'holdfast',
    capacity: volume.statfs().blocksAvailable * BLOCK_BYTES,
    mkdir: (path) => volume.mkdir(path),
    create: (path, content) => write(path, 'wx', content),
    append: (path, content) => write(path, 'a', content),
    remove: (path) => volume.unlink(path),
    // Freed metadata is free once the log no longer writes it.
    settle: () => volume.core.transaction.checkpoint(),
    full() {
      const { blocks, blocksFree } = volume.statfs()
      return 1 - blocksFree / blocks
    },
    freeRuns() {
      volume.core.transaction.checkpoint()
      const { geometry } = volume.core
      const bitmap = new Uint8Array(geometry.bitmapBlocks * BLOCK_BYTES)
      region.read(geometry.bitmapStart * BLOCK_BYTES, bitmap, 0, bitmap.length)
      return runsOf(geometry.blockCount, (block) => {
        const chunk = Math.floor(block / CHUNK_BLOCKS)
        const bit = block - chunk * CHUNK_BLOCKS
        const at = chunk * BitmapChunk.size + BitmapChunk.at.bits + (bit >>> 3)
        return ((bitmap[at]! >>> (bit & 7)) & 1) !== 0
      })
    },
    extents: (paths) => paths.map((path) => volume.extents(path).extents.length),
    contiguous(length) {
      const file = volume.open('/run', 'wx')
      try {
        file.allocate(0, length, { contiguous: true })
        return file.extents().extents.length === 1
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        return false
      } finally {
        file.close()
        volume.unlink('/run')
      }
    },
    close() {
      volume.close()
      region.close()
    },
  }
}

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status !== 0) throw new Error(`${command}: ${error?.message ?? stderr}`)
  return stdout
}

/** Why there is no ext4 to compare with, or null. */
export function ext4Missing(): string | null {
  if (process.getuid?.() !== 0) return 'a loop mount needs root'
  for (const tool of ['mkfs.ext4', 'dumpe2fs', 'filefrag', 'mount']) {
    if (spawnSync(tool, ['-V'], { stdio: 'ignore' }).error) return `${tool} is not installed`
  }
  if (!/\bext4\b/.test(run('cat', '/proc/filesystems'))) return 'this kernel has no ext4'
  return null
}

export function agedExt4(directory: string, bytes: number): AgedVolume {
  const image = `${directory}/ext4.img`
  const root = `${directory}/ext4`
  sparse(image, bytes)
  run('mkfs.ext4', '-q', '-m', '0', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
  mkdirSync(root)
  run('mount', '-o', 'loop', image, root)
  const write = (path: string, flags: 'wx' | 'a', content: Uint8Array) => {
    const fd = openSync(`${root}/${path}`, flags)
    writeSync(fd, content)
    closeSync(fd)
  }
  const settle = () => void run('sync', '-f', root)
  const capacity = statfsSync(root)
  return {
    name: 'ext4',
    capacity: capacity.bavail * capacity.bsize,
    mkdir: (path) => mkdirSync(`${root}/${path}`),
    create: (path, content) => write(path, 'wx', content),
    append: (path, content) => write(path, 'a', content),
    remove: (path) => unlinkSync(`${root}/${path}`),
    settle,
    full() {
      const { blocks, bfree } = statfsSync(root)
      return 1 - bfree / blocks
    },
    freeRuns() {
      settle()
      return freeRunsOf(run('dumpe2fs', image))
    },
    extents: (paths) => extentsOf(paths.map((path) => `${root}/${path}`)),
    contiguous(length) {
      const path = `${root}/run`
      try {
        const { status } = spawnSync('fallocate', ['-l', String(length), path])
        if (status !== 0) return false
        settle()
        return extentsOf([path])[0] === 1
      } finally {
        unlinkSync(path)
        settle()
      }
    },
    close: () => void run('umount', root),
  }
}

/** The runs that dumpe2fs names, joined where a group of blocks ends within one. */
function freeRunsOf(dump: string): number[] {
  const runs: number[] = []
  let end = -1
  for (const [, list] of dump.matchAll(/^ {2}Free blocks: (.+)$/gm)) {
    for (const [, first, last] of list!.matchAll(/(\d+)(?:-(\d+))?/g)) {
      const from = Number(first)
      const to = Number(last ?? first)
      if (from === end + 1) runs[runs.length - 1]! += to - from + 1
      else runs.push(to - from + 1)
      end = to
    }
  }
  return runs
}

function extentsOf(paths: readonly string[]): number[] {
  const counts: number[] = []
  for (let i = 0; i < paths.length; i += 500) {
    const found = run('filefrag', ...paths.slice(i, i + 500))
    for (const [, count] of found.matchAll(/: (\d+) extents? found/g)) counts.push(Number(count))
  }
  return counts
}
