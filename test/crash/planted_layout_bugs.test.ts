/** Bugs of holds, fixed files, snapshots and limbo that the enumeration of crash states finds. */
import { InodeFlag } from '../../src/media/inode.js'
import { OrphanKind } from '../../src/media/tree_node.js'
import type { LayoutVolume } from '../../src/layout/volume.js'
import type { Call, Grant } from './model.js'
import { planted, replace } from './planting.js'
import { BASE } from './programs.js'

const FEW = { sample: 8, exhaustive: 8 }

const pin: Grant = {
  op: 'grant',
  kind: 'pin',
  iomode: null,
  path: '/b',
  first: 0,
  count: 3,
  unshare: 'self',
  revokes: false,
}
const append: Call = { op: 'append', path: '/b', length: 9000 }
const HOLES: readonly Call[] = [...BASE, { op: 'write', path: '/b', offset: 5 * 4096, length: 100 }]

/** Nothing that a module asks for is made durable. */
function unflushed(module: string): ({ core }: LayoutVolume) => () => void {
  return ({ core }) =>
    replace(core.transaction, 'flush', (flush) => () => {
      if (!new Error().stack!.includes(module)) flush()
    })
}

const KINDS: readonly Grant[] = [
  pin,
  { ...pin, kind: 'seal' },
  { ...pin, kind: 'lease', iomode: 'rw' },
  { ...pin, kind: 'lease', iomode: 'read' },
]

for (const grant of KINDS) {
  const { kind, iomode } = grant
  planted({
    name: `a ${iomode ?? ''} ${kind} is granted before its layout is durable`.replace('  ', ' '),
    calls: [append, grant],
    setting: { sync: 'group', ...FEW, plant: unflushed('layout/grants.js') },
  })
}

planted({
  name: 'a hold has blocks whose zeros are not there yet',
  before: [
    ...HOLES,
    { op: 'create', path: '/x' },
    { op: 'append', path: '/x', length: 30_000 },
    { op: 'unlink', path: '/x' },
    { op: 'sync' },
  ],
  calls: [pin],
  setting: {
    ...FEW,
    plant: ({ core }) => replace(core.log, 'flush', (original) => () => original(false)),
  },
})

planted({
  name: 'a file is fixed, and nothing of it is durable',
  calls: [append, { op: 'fix', path: '/b' }],
  setting: { sync: 'group', ...FEW, plant: unflushed('layout/fixing.js') },
})

planted({
  name: 'a file is fixed before its blocks are there',
  before: HOLES,
  calls: [{ op: 'fix', path: '/b' }],
  setting: {
    ...FEW,
    plant: ({ arbiter, attributes, ranges }) => {
      const { fixed } = InodeFlag
      // The arbiter would refuse.
      const demand = replace(arbiter, 'demand', () => () => {})
      const own = replace(ranges, 'own', (original) => (open, offset, length) => {
        attributes.setLayoutFlags(open.number, fixed, fixed)
        original(open, offset, length)
      })
      return () => {
        own()
        demand()
      }
    },
  },
})

/** Makes a snapshot under the name that it gets in the end. */
function namedAtOnce(volume: LayoutVolume): () => void {
  const placed = <T>(path: T): T =>
    path instanceof Uint8Array
      ? (Buffer.from(Buffer.from(path).toString().replace('/.snapshot-0', '/s')) as T)
      : path
  const undo = [replace(volume, 'rename', () => () => {})]
  for (const call of ['mkdir', 'reflink', 'chown', 'chmod', 'utimes'] as const) {
    undo.push(
      replace(volume, call, (original) => (...args: unknown[]) => {
        Reflect.apply(original as (...all: unknown[]) => void, null, args.map(placed))
      }),
    )
  }
  return () => {
    for (const one of undo) one()
  }
}

planted({
  name: 'a snapshot has its name before its content',
  calls: [{ op: 'snapshot', path: '/d', to: '/s' }],
  setting: { ...FEW, plant: namedAtOnce },
})

planted({
  name: 'a commit leaves what was stored in the cache',
  calls: [
    { ...pin, kind: 'lease', iomode: 'rw' },
    { op: 'storeOnly', path: '/b', offset: 0, length: 3000 },
    { op: 'commit', path: '/b', size: 3000 },
  ],
  setting: {
    ...FEW,
    plant: (volume) =>
      replace(volume, 'commitHold', (original) => (id, size) => {
        const undo = replace(volume.holding, 'pieces', () => () => [])
        try {
          original(id, size)
        } finally {
          undo()
        }
      }),
  },
})

planted({
  name: 'zeros go where a shrink that is not durable has cut',
  calls: [
    { op: 'truncate', path: '/a', size: 100 },
    { ...pin, path: '/a', count: 1 },
  ],
  setting: {
    sync: 'group',
    ...FEW,
    plant: ({ files }) => replace(files, 'keepShrunk', () => () => {}),
  },
})

planted({
  name: 'nothing says that limbo is free after a crash',
  calls: [
    { ...pin, path: '/a' },
    { op: 'defer', path: '/a', size: 0 },
  ],
  setting: {
    ...FEW,
    plant: ({ core }) =>
      replace(core.orphans, 'add', (original) => (inode, kind, first, second) => {
        if (kind !== OrphanKind.unlinked) original(inode, kind, first, second)
      }),
  },
})

planted({
  name: 'a bad block is listed, and stays free',
  calls: [{ op: 'markBad', path: '', block: 0 }],
  setting: {
    ...FEW,
    plant: ({ core }) => replace(core.allocator, 'takeBad', () => () => {}),
  },
})
