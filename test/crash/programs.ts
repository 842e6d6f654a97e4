/**
 * The trees that programs start from, and the calls that are tried on them: one by one, in pairs,
 * in threes.
 */
import type { Prng } from '../../src/base/prng.js'
import type { Call } from './model.js'

/**
 * /a of three blocks and a bit, /b small with a second name, a directory with a file, an empty one.
 */
export const BASE: readonly Call[] = [
  { op: 'create', path: '/a' },
  { op: 'append', path: '/a', length: 3 * 4096 + 100 },
  { op: 'create', path: '/b' },
  { op: 'append', path: '/b', length: 77 },
  { op: 'link', path: '/b', to: '/b2' },
  { op: 'mkdir', path: '/d' },
  { op: 'create', path: '/d/f' },
  { op: 'append', path: '/d/f', length: 5000 },
  { op: 'mkdir', path: '/e' },
]

/** Each mutating call in the forms that matter; all are possible on BASE. */
export const CALLS: readonly Call[] = [
  { op: 'create', path: '/new' },
  { op: 'create', path: `/d/${'n'.repeat(200)}` },
  { op: 'mkdir', path: '/d/sub' },
  { op: 'append', path: '/a', length: 50 },
  { op: 'append', path: '/a', length: 4096 },
  { op: 'append', path: '/d/f', length: 3 * 4096 },
  { op: 'append', path: '/b', length: 8 * 4096 + 1 },
  { op: 'write', path: '/a', offset: 4096, length: 4096 },
  { op: 'write', path: '/a', offset: 1003, length: 6000 },
  { op: 'write', path: '/a', offset: 12_000, length: 3000 },
  { op: 'write', path: '/b', offset: 9 * 4096, length: 100 },
  { op: 'write', path: '/b', offset: 20_001, length: 9000 },
  { op: 'truncate', path: '/a', size: 0 },
  { op: 'truncate', path: '/a', size: 5000 },
  { op: 'truncate', path: '/a', size: 8192 },
  { op: 'truncate', path: '/b', size: 40_000 },
  { op: 'unlink', path: '/a' },
  { op: 'unlink', path: '/b2' },
  { op: 'openUnlink', path: '/d/f' },
  { op: 'rmdir', path: '/e' },
  { op: 'rename', path: '/a', to: '/moved' },
  { op: 'rename', path: '/a', to: '/d/a' },
  { op: 'rename', path: '/a', to: '/d/f' },
  { op: 'rename', path: '/d/f', to: '/b' },
  { op: 'rename', path: '/d', to: '/e' },
  { op: 'rename', path: '/d', to: '/e/d' },
  { op: 'link', path: '/a', to: '/e/a' },
  { op: 'exchange', path: '/a', to: '/d/f' },
  { op: 'exchange', path: '/a', to: '/e' },
  { op: 'symlink', path: '/s', length: 20 },
  { op: 'symlink', path: '/s', length: 4090 },
  { op: 'mknod', path: '/fifo', mode: 0o010644 },
  { op: 'unnamed', path: '/d/u', length: 5000 },
  { op: 'chmod', path: '/a', mode: 0o4711 },
  { op: 'chown', path: '/a', uid: 5 },
  { op: 'setXattr', path: '/a', name: 'user.short', length: 30 },
  { op: 'setXattr', path: '/a', name: 'user.empty', length: 0 },
  { op: 'setXattr', path: '/b', name: 'user.long', length: 9000 },
  { op: 'punch', path: '/a', offset: 4096, length: 4096 },
  { op: 'punch', path: '/a', offset: 1000, length: 9000 },
  { op: 'zero', path: '/a', offset: 4000, length: 12_000 },
  { op: 'zero', path: '/b', offset: 8192, length: 5000 },
  { op: 'allocate', path: '/b', offset: 5000, length: 20_000 },
  { op: 'collapse', path: '/a', offset: 4096, length: 8192 },
  { op: 'insert', path: '/a', offset: 4096, length: 8192 },
  { op: 'checkpoint' },
  { op: 'remount' },
  { op: 'sync' },
]

/** Every other block of /a written, so that it has more extents than its inode holds. */
export const PIECES: readonly Call[] = Array.from({ length: 14 }, (_, i) => ({
  op: 'write',
  path: '/a',
  offset: (5 + 2 * i) * 4096,
  length: 100,
}))

/** Calls on that file. */
export const ON_PIECES: readonly Call[] = [
  { op: 'punch', path: '/a', offset: 4096, length: 24 * 4096 },
  { op: 'collapse', path: '/a', offset: 4096, length: 8 * 4096 },
  { op: 'insert', path: '/a', offset: 4096, length: 3 * 4096 },
  { op: 'allocate', path: '/a', offset: 4096, length: 30 * 4096 },
]

/** Calls that need one before them. */
export const SEQUENCES: ReadonlyArray<readonly Call[]> = [
  [
    { op: 'setXattr', path: '/a', name: 'user.one', length: 5000 },
    { op: 'setXattr', path: '/a', name: 'user.one', length: 40 },
    { op: 'removeXattr', path: '/a', name: 'user.one' },
  ],
  [
    { op: 'setXattr', path: '/a', name: 'user.one', length: 600 },
    { op: 'setXattr', path: '/a', name: 'user.two', length: 40 },
    { op: 'unlink', path: '/a' },
  ],
  [
    { op: 'symlink', path: '/s', length: 500 },
    { op: 'rename', path: '/s', to: '/a' },
    { op: 'unlink', path: '/a' },
  ],
  [
    { op: 'collapse', path: '/a', offset: 0, length: 4096 },
    { op: 'write', path: '/a', offset: 100, length: 3000 },
  ],
  [
    { op: 'punch', path: '/a', offset: 4096, length: 8192 },
    { op: 'append', path: '/b', length: 9000 },
  ],
  [{ op: 'openUnlink', path: '/a' }, { op: 'closeAll' }],
  [{ op: 'openUnlink', path: '/a' }, { op: 'remount' }],
  [
    { op: 'truncate', path: '/a', size: 100 },
    { op: 'truncate', path: '/a', size: 9000 },
  ],
  [
    { op: 'truncate', path: '/a', size: 100 },
    { op: 'append', path: '/a', length: 500 },
  ],
  [
    { op: 'unlink', path: '/a' },
    { op: 'create', path: '/c' },
    { op: 'append', path: '/c', length: 9000 },
  ],
  [
    { op: 'write', path: '/b', offset: 30 * 4096, length: 10 },
    { op: 'truncate', path: '/b', size: 50 },
  ],
]

/** A random call that is possible on the tree that `paths` stand for, or null. */
export function randomCall(
  prng: Prng,
  files: readonly string[],
  directories: readonly string[],
  isEmpty: (directory: string) => boolean,
  fresh: () => string,
): Call | null {
  const file = files.length > 0 ? prng.pick(files) : undefined
  const place = () => `${prng.pick(['', ...directories])}/${fresh()}`
  switch (prng.below(12)) {
    case 0:
    case 1:
      return { op: 'create', path: place() }
    case 2:
      return { op: 'mkdir', path: place() }
    case 3:
    case 4:
      return file === undefined ? null : { op: 'append', path: file, length: 1 + prng.below(9000) }
    case 5:
      if (file === undefined) return null
      return { op: 'write', path: file, offset: prng.below(20_000), length: 1 + prng.below(5000) }
    case 6:
      return file === undefined ? null : { op: 'truncate', path: file, size: prng.below(16_000) }
    case 7:
      return file === undefined ? null : { op: 'unlink', path: file }
    case 8:
      return file === undefined ? null : { op: 'rename', path: file, to: place() }
    case 9:
      return file === undefined ? null : { op: 'rename', path: file, to: prng.pick(files) }
    case 10:
      return file === undefined ? null : { op: 'link', path: file, to: place() }
    default: {
      const empty = directories.filter(isEmpty)
      return empty.length === 0 ? { op: 'checkpoint' } : { op: 'rmdir', path: prng.pick(empty) }
    }
  }
}
