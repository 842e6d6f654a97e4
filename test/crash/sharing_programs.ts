/** Calls that share, move and hold blocks, over the small tree of programs.ts. */
import type { Call } from './model.js'
import { PIECES } from './programs.js'

const BLOCK = 4096

/** What stands before the calls, and the calls that are tried on it, each alone. */
export interface Scene {
  readonly name: string
  /** Whether its calls take many steps. */
  readonly steps: boolean
  readonly before: readonly Call[]
  readonly calls: readonly Call[]
}

const clone = (path: string, to: string): Call => ({ op: 'clone', path, to })

const share = (
  path: string,
  offset: number,
  to: string,
  toOffset: number,
  length: number,
): Call => ({ op: 'share', path, offset, to, toOffset, length })

/** Of two files with the same blocks, what changes one. */
const ON_SHARED: readonly Call[] = [
  { op: 'write', path: '/a', offset: 4096, length: 4096 },
  { op: 'write', path: '/c', offset: 1003, length: 6000 },
  { op: 'write', path: '/c', offset: 12_000, length: 3000 },
  { op: 'write', path: '/c', offset: 100_000, length: 3000 },
  { op: 'append', path: '/a', length: 50 },
  { op: 'append', path: '/c', length: 9000 },
  { op: 'punch', path: '/a', offset: 1000, length: 9000 },
  { op: 'punch', path: '/c', offset: 4096, length: 4096 },
  { op: 'zero', path: '/a', offset: 4000, length: 12_000 },
  { op: 'truncate', path: '/a', size: 5000 },
  { op: 'truncate', path: '/c', size: 0 },
  { op: 'truncate', path: '/c', size: 20_000 },
  { op: 'collapse', path: '/a', offset: 4096, length: 4096 },
  { op: 'insert', path: '/c', offset: 4096, length: 8192 },
  { op: 'allocate', path: '/a', offset: 0, length: 30_000 },
  { op: 'unlink', path: '/a' },
  { op: 'unlink', path: '/c' },
  { op: 'openUnlink', path: '/c' },
  { op: 'rename', path: '/b', to: '/a' },
  { op: 'rename', path: '/a', to: '/c' },
  { op: 'defragment', path: '/a' },
  { op: 'evacuate', path: '/a' },
  { op: 'unshareOthers', path: '/a' },
  { op: 'remount' },
  clone('/a', '/third'),
  clone('/d/f', '/a'),
]

/** Inodes, names, a directory, extents, shared blocks, attributes, a target that lie high. */
const HIGH: readonly Call[] = [
  { op: 'create', path: '/low' },
  { op: 'append', path: '/low', length: 58 * BLOCK },
  { op: 'mkdir', path: '/h' },
  { op: 'create', path: '/h/a' },
  { op: 'append', path: '/h/a', length: 2 * BLOCK },
  clone('/h/a', '/h/b'),
  ...Array.from({ length: 9 }, (_, i): Call => {
    return { op: 'create', path: `/h/${'n'.repeat(200)}${i}` }
  }),
  ...PIECES.slice(0, 3),
  { op: 'setXattr', path: '/h/a', name: 'user.short', length: 300 },
  { op: 'setXattr', path: '/h/a', name: 'user.long', length: 5000 },
  { op: 'symlink', path: '/h/s', length: 4090 },
  { op: 'unlink', path: '/low' },
]

export const SCENES: readonly Scene[] = [
  {
    name: 'of files of their own',
    steps: false,
    before: [],
    calls: [
      clone('/a', '/new'),
      clone('/a', '/b'),
      clone('/a', '/d/f'),
      clone('/b', '/a'),
      clone('/d/f', '/a'),
      share('/a', 0, '/a', 8 * BLOCK, 2 * BLOCK),
      share('/a', BLOCK, '/a', 0, BLOCK),
      share('/a', 0, '/d/f', BLOCK, 2 * BLOCK),
      share('/a', 2 * BLOCK, '/d/f', 2 * BLOCK, 0),
      share('/a', 0, '/b', 5 * BLOCK, 0),
      { op: 'defragment', path: '/a' },
      { op: 'evacuate', path: '/a' },
    ],
  },
  {
    name: 'of two with the same blocks',
    steps: false,
    before: [clone('/a', '/c')],
    calls: ON_SHARED,
  },
  {
    name: 'of three that overlap',
    steps: false,
    before: [
      clone('/a', '/c'),
      share('/a', BLOCK, '/d/f', 0, 2 * BLOCK),
      share('/c', 0, '/c', 6 * BLOCK, 3 * BLOCK),
    ],
    calls: ON_SHARED,
  },
  {
    name: 'of a file in pieces',
    steps: true,
    before: PIECES,
    calls: [
      clone('/a', '/new'),
      clone('/a', '/d/f'),
      share('/a', 0, '/b', BLOCK, 0),
      share('/a', BLOCK, '/d/f', 0, 30 * BLOCK),
      { op: 'defragment', path: '/a' },
      { op: 'evacuate', path: '/a' },
    ],
  },
  {
    name: 'of a file in pieces, over one with content',
    steps: true,
    before: [...PIECES, { op: 'append', path: '/d/f', length: 10 * BLOCK }],
    calls: [
      clone('/a', '/d/f'),
      share('/a', 0, '/d/f', 0, 0),
      share('/a', BLOCK, '/d/f', 3 * BLOCK, 12 * BLOCK),
      share('/d/f', 0, '/a', BLOCK, 10 * BLOCK),
      clone('/d/f', '/a'),
    ],
  },
  {
    name: 'of two in the same pieces',
    steps: true,
    before: [...PIECES, clone('/a', '/c')],
    calls: [
      { op: 'write', path: '/c', offset: 1000, length: 12 * BLOCK },
      { op: 'punch', path: '/a', offset: 1000, length: 24 * BLOCK },
      { op: 'collapse', path: '/a', offset: BLOCK, length: 8 * BLOCK },
      { op: 'insert', path: '/c', offset: BLOCK, length: 3 * BLOCK },
      { op: 'truncate', path: '/c', size: 5000 },
      { op: 'unlink', path: '/a' },
      { op: 'openUnlink', path: '/c' },
      clone('/a', '/third'),
      clone('/b', '/c'),
      { op: 'defragment', path: '/c' },
      { op: 'evacuate', path: '/c' },
      { op: 'unshareOthers', path: '/c' },
    ],
  },
  {
    name: 'of what lies behind the new end',
    steps: true,
    before: HIGH,
    calls: [{ op: 'shrink', blocks: 108 }],
  },
  {
    name: 'of blocks that are held',
    steps: false,
    before: [{ op: 'hold', path: '/a', first: 1, count: 2 }],
    calls: [
      { op: 'truncate', path: '/a', size: 0 },
      { op: 'truncate', path: '/a', size: 5000 },
      { op: 'punch', path: '/a', offset: 1000, length: 9000 },
      { op: 'zero', path: '/a', offset: 4000, length: 12_000 },
      { op: 'collapse', path: '/a', offset: 0, length: 8192 },
      { op: 'insert', path: '/a', offset: 4096, length: 8192 },
      { op: 'unlink', path: '/a' },
      { op: 'openUnlink', path: '/a' },
      { op: 'rename', path: '/b', to: '/a' },
      share('/d/f', 0, '/a', BLOCK, BLOCK),
      clone('/d/f', '/a'),
      { op: 'letGo' },
      { op: 'remount' },
    ],
  },
  {
    name: 'of a file in pieces that are held',
    steps: true,
    before: [...PIECES, { op: 'hold', path: '/a', first: 1, count: 30 }],
    calls: [
      { op: 'truncate', path: '/a', size: 5000 },
      { op: 'punch', path: '/a', offset: 4096, length: 24 * BLOCK },
      { op: 'collapse', path: '/a', offset: 4096, length: 8 * BLOCK },
      { op: 'unlink', path: '/a' },
    ],
  },
]

/** Calls that need one before them. */
export const SHARING_SEQUENCES: ReadonlyArray<readonly Call[]> = [
  [clone('/a', '/c'), { op: 'write', path: '/a', offset: 100, length: 9000 }],
  [clone('/a', '/c'), { op: 'unlink', path: '/a' }, { op: 'append', path: '/b', length: 20_000 }],
  [
    clone('/a', '/c'),
    { op: 'truncate', path: '/c', size: 100 },
    { op: 'append', path: '/c', length: 5000 },
  ],
  [
    { op: 'hold', path: '/a', first: 0, count: 4 },
    { op: 'truncate', path: '/a', size: 0 },
    { op: 'append', path: '/b', length: 20_000 },
    { op: 'letGo' },
    { op: 'append', path: '/b', length: 20_000 },
  ],
  [
    { op: 'hold', path: '/a', first: 1, count: 1 },
    { op: 'punch', path: '/a', offset: 0, length: 3 * BLOCK },
    { op: 'append', path: '/a', length: 9000 },
    { op: 'checkpoint' },
    { op: 'letGo' },
  ],
  [
    { op: 'hold', path: '/a', first: 0, count: 9 },
    { op: 'openUnlink', path: '/a' },
    { op: 'closeAll' },
    { op: 'letGo' },
  ],
]
