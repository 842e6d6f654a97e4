/** Bugs of sharing, copy-on-write and limbo that the enumeration of crash states finds. */
import { OrphanKind } from '../../src/media/tree_node.js'
import type { Call } from './model.js'
import { planted, replace } from './planting.js'
import { BASE, PIECES } from './programs.js'

const CLONED: readonly Call[] = [...BASE, { op: 'clone', path: '/a', to: '/c' }]
const IN_PIECES: readonly Call[] = [
  ...BASE,
  ...PIECES,
  { op: 'append', path: '/d/f', length: 5 * 4096 },
]
const OVER: Call = { op: 'share', path: '/a', offset: 0, to: '/d/f', toOffset: 4096, length: 0 }

planted({
  name: 'a second owner is not counted',
  calls: [{ op: 'clone', path: '/a', to: '/c' }],
  setting: { plant: ({ core }) => replace(core.shares, 'add', () => () => {}) },
})

planted({
  name: 'blocks are freed although another file owns them',
  before: CLONED,
  calls: [{ op: 'unlink', path: '/a' }],
  setting: {
    plant: ({ core }) =>
      replace(core.shares, 'drop', (original) => (start, count, alone) => {
        original(start, count, () => {})
        alone(start, count)
      }),
  },
})

planted({
  name: 'a destination keeps what stood where it receives',
  before: IN_PIECES,
  calls: [OVER],
  setting: {
    sample: 20,
    plant: ({ core, work }) =>
      replace(work, 'receiveStep', (original) => (...args) => {
        const undo = replace(core.extents, 'cutLast', () => () => false)
        try {
          return original(...args)
        } finally {
          undo()
        }
      }),
  },
})

planted({
  name: 'nothing says that what a file without a name has is promised',
  // It gets the lowest number that is free, so that it is looked at before who receives.
  before: [{ op: 'create', path: '/x' }, ...IN_PIECES, { op: 'unlink', path: '/x' }],
  calls: [OVER],
  setting: {
    sample: 20,
    plant: ({ core }) =>
      replace(core.orphans, 'add', (original) => (inode, kind, first, second) => {
        if (kind !== OrphanKind.giver) original(inode, kind, first, second)
      }),
  },
})

planted({
  name: 'a copy of a shared block is mapped before its content is there',
  before: CLONED,
  calls: [{ op: 'write', path: '/c', offset: 4096, length: 4096 }],
  setting: { plant: ({ core }) => replace(core.transaction, 'wroteData', () => () => {}) },
})

planted({
  name: 'a held block is freed with its file',
  calls: [
    { op: 'hold', path: '/a', first: 0, count: 3 },
    { op: 'truncate', path: '/a', size: 0 },
  ],
  setting: {
    plant: ({ core }) => {
      core.allocator.frames = null
      return replace(core.limbo, 'take', () => (start, count) => {
        core.allocator.release(start, count, false)
      })
    },
  },
})
