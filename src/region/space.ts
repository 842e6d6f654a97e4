/**
 * Whether what a region is to have is there, asked before any of it is taken: a file that does not
 * fit is refused at once, and one in memory does not drive the machine out of it first.
 */
import { fstatSync, readFileSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { native } from '../native/native.js'
import { HUGETLBFS_MAGIC, TMPFS_MAGIC } from './kind.js'

/** The unit of st_blocks, stat(2). */
const STAT_BLOCK_BYTES = 512

/** ENOSPC when the filesystem of a file, or the memory that it is in, has too little left. */
export function requireSpace(fd: number, path: string, byteLength: number): void {
  const needed = byteLength - fstatSync(fd).blocks * STAT_BLOCK_BYTES
  const { type, blockSize, blocks, blocksFree } = native.statfs(fd)
  if (type === TMPFS_MAGIC) requireMemory(path, needed)
  // A tmpfs without a limit says 0 blocks; of huge pages fallocate takes those that are there.
  if (type === HUGETLBFS_MAGIC || blocks === 0) return
  const free = blocksFree * blockSize
  if (needed > free) throw noSpace(path, needed, free, 'on its filesystem')
}

/** ENOSPC when the machine has not this much memory to give. */
export function requireMemory(path: string, byteLength: number): void {
  const meminfo = readFileSync('/proc/meminfo', 'utf8')
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? NaN) * 1024
  const free = field('MemAvailable') + field('SwapFree')
  // A kernel that does not say is not second-guessed.
  if (byteLength > free) throw noSpace(path, byteLength, free, 'of memory')
}

function noSpace(path: string, needed: number, free: number, where: string): HoldfastError {
  return new HoldfastError(
    'ENOSPC',
    `${path} needs ${needed} bytes more, and ${free} are left ${where}: choose a smaller size`,
  )
}
