/** Calls of the layout contract, over the small tree of programs.ts. */
import type { Iomode } from '../../src/base/layout.js'
import type { Call, Grant } from './model.js'
import { PIECES } from './programs.js'
import type { Scene } from './sharing_programs.js'

const BLOCK = 4096

const clone = (path: string, to: string): Call => ({ op: 'clone', path, to })
const append = (path: string, length: number): Call => ({ op: 'append', path, length })
const fix = (path: string): Call => ({ op: 'fix', path })
const seal = (path: string): Call => ({ op: 'sealWrites', path })
const snapshot = (path: string, to: string): Call => ({ op: 'snapshot', path, to })

const grant = (
  kind: Grant['kind'],
  path: string,
  first: number,
  count: number,
  more: Partial<Pick<Grant, 'iomode' | 'unshare' | 'revokes'>> = {},
): Grant => {
  const iomode = kind === 'lease' ? ('rw' as const) : null
  const rest = { iomode, unshare: 'self', revokes: false, ...more } as const
  return { op: 'grant', kind, path, first, count, ...rest }
}

const pin = (path: string, first: number, count: number): Grant => grant('pin', path, first, count)
const lease = (path: string, first: number, count: number, iomode: Iomode = 'rw'): Grant =>
  grant('lease', path, first, count, { iomode })

const store = (path: string, offset: number, length: number): Call => ({
  op: 'store',
  path,
  offset,
  length,
})

/** A file with holes between its blocks. */
const HOLES: readonly Call[] = [{ op: 'write', path: '/b', offset: 5 * BLOCK, length: 100 }]

/** What is in it is of every type, one file has two names, one attributes, one is a clone. */
const IN_D: readonly Call[] = [
  { op: 'setXattr', path: '/d/f', name: 'user.one', length: 30 },
  { op: 'mkdir', path: '/d/sub' },
  clone('/a', '/d/sub/c'),
  { op: 'link', path: '/d/f', to: '/d/sub/f2' },
  { op: 'symlink', path: '/d/s', length: 20 },
]

/** Calls that change what a file says of its layout, each alone. */
export const LAYOUT_SCENES: readonly Scene[] = [
  {
    name: 'of files of their own',
    steps: false,
    before: HOLES,
    calls: [
      fix('/a'),
      fix('/b'),
      { op: 'policy', path: '/a', policy: 'defer' },
      { op: 'markBad', path: '/a', block: 1 },
      { op: 'markBad', path: '', block: 0 },
      pin('/a', 0, 4),
      pin('/b', 0, 6),
      pin('/b', 2, 9),
      grant('seal', '/b', 0, 3),
      lease('/b', 0, 6),
      lease('/b', 0, 6, 'read'),
    ],
  },
  {
    name: 'of a fixed file',
    steps: false,
    before: [fix('/a')],
    calls: [
      { op: 'unfix', path: '/a' },
      seal('/a'),
      { op: 'write', path: '/a', offset: 100, length: 9000 },
      pin('/a', 0, 3),
      { op: 'remount' },
    ],
  },
  {
    name: 'of a write-sealed file',
    steps: false,
    before: [fix('/a'), seal('/a')],
    calls: [{ op: 'openWrites', path: '/a' }, clone('/a', '/c'), lease('/a', 0, 4, 'read')],
  },
  {
    name: 'of two with the same blocks',
    steps: false,
    before: [clone('/a', '/c')],
    calls: [
      fix('/a'),
      pin('/a', 1, 2),
      grant('pin', '/a', 0, 4, { unshare: 'others' }),
      grant('seal', '/c', 0, 4),
      lease('/c', 1, 9),
      lease('/c', 0, 4, 'read'),
      { op: 'markBad', path: '/a', block: 1 },
    ],
  },
  {
    name: 'of a directory with all that there is',
    steps: false,
    before: IN_D,
    calls: [snapshot('/d', '/s')],
  },
  {
    name: 'of a file that is held',
    steps: false,
    before: [pin('/a', 1, 2)],
    calls: [
      { op: 'cloneCopy', path: '/a', to: '/new' },
      { op: 'cloneCopy', path: '/a', to: '/d/f' },
      { op: 'write', path: '/a', offset: 100, length: 9000 },
    ],
  },
  {
    name: 'of a file in pieces that are held',
    steps: true,
    before: [...PIECES, pin('/a', 4, 9)],
    calls: [{ op: 'cloneCopy', path: '/a', to: '/d/f' }],
  },
  {
    name: 'of a file in pieces',
    steps: true,
    before: PIECES,
    calls: [fix('/a'), pin('/a', 0, 40), lease('/a', 3, 20)],
  },
  {
    name: 'of two in the same pieces',
    steps: true,
    before: [...PIECES, clone('/a', '/c')],
    calls: [fix('/a'), grant('pin', '/c', 2, 30, { unshare: 'others' }), lease('/a', 0, 16)],
  },
  {
    name: 'of a bad block',
    steps: false,
    before: [{ op: 'markBad', path: '/a', block: 1 }],
    calls: [
      { op: 'unlink', path: '/a' },
      { op: 'evacuate', path: '/a' },
      { op: 'write', path: '/a', offset: BLOCK, length: BLOCK },
      { op: 'remount' },
    ],
  },
]

const CUT: Call = { op: 'truncate', path: '/a', size: 100 }

/** Calls that need one before them. What comes before a grant is durable with it. */
export const LAYOUT_SEQUENCES: ReadonlyArray<readonly Call[]> = [
  // Written, held, and stored to at the addresses.
  [append('/b', 9000), pin('/b', 0, 3), store('/b', 100, 6000), append('/a', 50)],
  [
    { op: 'write', path: '/b', offset: 3 * BLOCK, length: 50 },
    grant('seal', '/b', 0, 4),
    store('/b', 0, 3 * BLOCK),
    { op: 'create', path: '/x' },
    store('/b', BLOCK, BLOCK),
  ],
  [
    clone('/a', '/c'),
    lease('/a', 0, 3),
    store('/a', 1000, 5000),
    { op: 'unlink', path: '/c' },
    store('/a', 2000, 1000),
  ],
  [clone('/a', '/c'), grant('pin', '/a', 0, 3, { unshare: 'others' }), store('/a', 5, 9000)],
  [append('/a', 9000), lease('/a', 0, 3, 'read'), { op: 'create', path: '/x' }],
  [
    { op: 'create', path: '/x' },
    append('/x', 20_000),
    { op: 'rename', path: '/x', to: '/y' },
    pin('/y', 0, 5),
    store('/y', 0, 20_000),
  ],
  // The size, and what was stored past it.
  [lease('/b', 0, 3), store('/b', 0, 9000), { op: 'commit', path: '/b', size: 9000 }],
  [
    lease('/b', 0, 3),
    { op: 'storeOnly', path: '/b', offset: 0, length: 9000 },
    { op: 'commit', path: '/b', size: 9000 },
    append('/a', 50),
  ],
  [pin('/b', 0, 2), store('/b', 0, 5000), { op: 'truncate', path: '/b', size: 4000 }],
  [
    pin('/b', 0, 2),
    store('/b', 0, 5000),
    { op: 'release', path: '/b' },
    { op: 'truncate', path: '/b', size: 4000 },
  ],
  // A shrink that is not durable yet, and the zeros past the new end.
  [CUT, pin('/a', 0, 1)],
  [pin('/a', 0, 1), CUT, { op: 'release', path: '/a' }, append('/b', 50)],
  [
    lease('/a', 0, 3),
    { op: 'storeOnly', path: '/a', offset: 100, length: 3000 },
    { op: 'commit', path: '/a', size: 0 },
    { op: 'release', path: '/a' },
  ],
  // Fixed, for good.
  [append('/b', 9000), fix('/b'), { op: 'write', path: '/b', offset: 50, length: 5000 }],
  [clone('/a', '/c'), fix('/a'), { op: 'unlink', path: '/c' }, seal('/a'), clone('/a', '/e/a')],
  [fix('/a'), { op: 'unfix', path: '/a' }, { op: 'truncate', path: '/a', size: 5000 }],
  [fix('/a'), pin('/a', 0, 4), store('/a', 0, 3 * BLOCK), { op: 'remount' }, append('/b', 9000)],
  // A snapshot, and then one of the two changes.
  [snapshot('/d', '/s'), { op: 'write', path: '/d/f', offset: 100, length: 3000 }],
  [snapshot('/d', '/e/s'), { op: 'unlink', path: '/d/f' }, { op: 'rmdir', path: '/d' }],
  // Limbo, until its holder ends.
  [
    pin('/a', 0, 4),
    { op: 'defer', path: '/a', size: 0 },
    store('/a', 0, 9000),
    append('/b', 20_000),
    { op: 'endSession', path: '/a' },
    append('/b', 20_000),
  ],
  [
    grant('seal', '/a', 1, 2),
    { op: 'unlink', path: '/a' },
    store('/a', BLOCK, 5000),
    { op: 'checkpoint' },
    { op: 'endSession', path: '/a' },
    append('/b', 20_000),
  ],
]

/** The same, where somebody does not give back what is asked for. */
export const LATE_SEQUENCES: ReadonlyArray<readonly Call[]> = [
  [
    lease('/a', 0, 4),
    { op: 'fence', path: '/a', size: 5000 },
    store('/a', 0, 3 * BLOCK),
    append('/b', 9000),
    { op: 'endSession', path: '/a' },
    append('/b', 9000),
  ],
  [
    grant('lease', '/a', 0, 4, { revokes: true }),
    { op: 'fence', path: '/a', size: 0 },
    append('/b', 20_000),
  ],
  // Blocks that a reader may still use are copied before their other owner writes.
  [
    clone('/a', '/c'),
    lease('/a', 0, 3, 'read'),
    { op: 'fence', path: '/a', size: 0 },
    { op: 'write', path: '/c', offset: 100, length: 9000 },
    { op: 'endSession', path: '/a' },
  ],
  // The file moves away from what is in use before it is shared.
  [
    lease('/a', 0, 3),
    { op: 'fenceClone', path: '/a', to: '/c' },
    store('/a', 0, 9000),
    append('/b', 9000),
    { op: 'endSession', path: '/a' },
    append('/b', 9000),
  ],
]
