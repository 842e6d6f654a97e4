/**
 * The trees that programs start from, and the calls that are tried on them: one by one, in pairs,
 * in threes.
 */
import { Mode } from '../../src/base/mode.js'
import type { Prng } from '../../src/base/prng.js'
import type { Call, ModelFile, ModelNode, Tree } from './model.js'

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

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)

function isPlain(node: ModelNode | undefined): node is ModelFile {
  return node !== undefined && node !== 'directory' && (node.mode & Mode.typeMask) === Mode.file
}

/** A random call that is possible on that tree. */
export function randomCall(prng: Prng, tree: Tree): Call {
  for (;;) {
    const kind = prng.pick([
      randomNew,
      randomOnName,
      randomOnName,
      randomOnFile,
      randomOnFile,
      randomShared,
      tidy,
    ])
    const call = kind(prng, tree)
    if (call !== null && isPossible(tree, call)) return call
  }
}

function isPossible(tree: Tree, call: Call): boolean {
  const node = 'path' in call ? tree.get(call.path) : undefined
  if (call.op === 'share') {
    const target = tree.get(call.to)
    return isPlain(node) && isPlain(target) && node.content.length >= call.offset + call.length
  }
  if (call.op === 'removeXattr') return isPlain(node) && node.xattrs.has(call.name)
  if (call.op === 'insert') return isPlain(node) && call.offset < node.content.length
  if (call.op !== 'collapse') return true
  return isPlain(node) && call.offset + call.length < node.content.length
}

function newPlace(prng: Prng, tree: Tree): string {
  const used = new Set([...tree.keys()].map(nameOf))
  const directories = [...tree.keys()].filter((path) => tree.get(path) === 'directory')
  for (;;) {
    const name = `${prng.pick(['x', 'y', 'z'])}${prng.below(50)}`
    if (!used.has(name)) return `${prng.pick(['', ...directories])}/${name}`
  }
}

function randomNew(prng: Prng, tree: Tree): Call {
  const path = newPlace(prng, tree)
  return prng.pick<Call>([
    { op: 'create', path },
    { op: 'mkdir', path },
    { op: 'symlink', path, length: 1 + prng.below(4094) },
    { op: 'mknod', path, mode: 0o010600 },
    { op: 'unnamed', path, length: 1 + prng.below(9000) },
  ])
}

function randomOnName(prng: Prng, tree: Tree): Call | null {
  const names = [...tree.keys()].filter((path) => tree.get(path) !== 'directory')
  if (names.length === 0) return null
  const path = prng.pick(names)
  const other = prng.pick(names)
  const to = newPlace(prng, tree)
  return prng.pick<Call>([
    { op: 'unlink', path },
    { op: 'rename', path, to },
    { op: 'rename', path, to: other },
    { op: 'exchange', path, to: other },
    { op: 'link', path, to },
  ])
}

function randomOnFile(prng: Prng, tree: Tree): Call | null {
  const files = [...tree.keys()].filter((path) => isPlain(tree.get(path)))
  if (files.length === 0) return null
  const path = prng.pick(files)
  const [offset, length] = [prng.below(20_000), 1 + prng.below(9000)]
  const blocks = 4096 * (1 + prng.below(3))
  const name = prng.pick(['user.one', 'user.two'])
  return prng.pick<Call>([
    { op: 'append', path, length },
    { op: 'append', path, length },
    { op: 'write', path, offset, length },
    { op: 'truncate', path, size: offset },
    { op: 'punch', path, offset, length },
    { op: 'zero', path, offset, length },
    { op: 'allocate', path, offset, length },
    { op: 'insert', path, offset: 4096, length: blocks },
    { op: 'collapse', path, offset: 4096, length: blocks },
    { op: 'chmod', path, mode: 0o600 + prng.below(0o200) },
    { op: 'chown', path, uid: prng.below(9) },
    { op: 'setXattr', path, name, length: prng.pick([0, 30, 600, 5000]) },
    { op: 'removeXattr', path, name },
  ])
}

/** What makes blocks shared, moves them, and makes them a file's own again. */
function randomShared(prng: Prng, tree: Tree): Call | null {
  const files = [...tree.keys()].filter((path) => isPlain(tree.get(path)))
  if (files.length === 0) return null
  const [path, other] = [prng.pick(files), prng.pick(files)]
  // Another name of the same file would be overlapped by itself.
  const to = tree.get(other) === tree.get(path) ? newPlace(prng, tree) : other
  const [offset, toOffset] = [4096 * prng.below(2), 4096 * prng.below(4)]
  return prng.pick<Call>([
    { op: 'clone', path, to: newPlace(prng, tree) },
    { op: 'clone', path, to },
    { op: 'share', path, offset, to, toOffset, length: 4096 * (1 + prng.below(2)) },
    { op: 'defragment', path },
    { op: 'evacuate', path },
    { op: 'unshareOthers', path },
  ])
}

function tidy(prng: Prng, tree: Tree): Call {
  const paths = [...tree.keys()]
  const empty = paths.filter(
    (path) => tree.get(path) === 'directory' && !paths.some((one) => one.startsWith(`${path}/`)),
  )
  return empty.length === 0 ? { op: 'checkpoint' } : { op: 'rmdir', path: prng.pick(empty) }
}
