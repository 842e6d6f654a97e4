/**
 * Every public call that changes a layout: which change it makes, of which blocks, and what the
 * files have in them afterwards.
 *
 * The file is /f, twelve blocks, or as its layout says; /g is another one of twelve. The range of a
 * change is file blocks [from, to).
 */
import { BLOCK_BYTES } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { WaitOptions } from '../../src/base/layout.js'
import type { Policy, Row } from './contract_table.js'
import { blocksOf, type Ground } from './ground.js'

export const FILE_BLOCKS = 12
const B = BLOCK_BYTES

/**
 * How /f lies: in one run; with a hole in blocks 6 and 7; with all blocks shared with /h; in two
 * runs.
 */
export type Shape = 'full' | 'holed' | 'shared' | 'split'

export interface Options {
  readonly policy?: Policy
  readonly share?: 'strict' | 'copy'
}

export interface Contents {
  f: Uint8Array
  g: Uint8Array
  /** Of a file that the call makes. */
  made: Uint8Array | null
}

export interface Place {
  readonly ground: Ground
  readonly f: LayoutFile
  readonly g: LayoutFile
}

export interface Call {
  readonly name: string
  readonly row: Row
  readonly shape: Shape
  readonly from: number
  /** Infinity: all that comes. */
  readonly to: number
  /** The synchronous form takes a policy of its own. */
  readonly takesPolicy?: boolean
  /** It writes data: a write-sealed file refuses it whatever the table says. */
  readonly writes?: boolean
  run(place: Place, options: Options): void
  /** The promise form, where it has one of its own. */
  promise?(place: Place, options: Options & WaitOptions): Promise<unknown>
  effect(contents: Contents): void
}

export function makeFiles(ground: Ground, shape: Shape): Place {
  const { volume } = ground
  const fill = (path: string, tag: string) => {
    const file = volume.open(path, 'wx+')
    file.write(blocksOf(tag, 0, FILE_BLOCKS), 0)
    return file
  }
  const g = fill('/g', 'g')
  if (shape !== 'split') {
    const f = fill('/f', 'f')
    if (shape === 'holed') f.punch(6 * B, 2 * B)
    if (shape === 'shared') volume.reflink('/f', '/h')
    return { ground, f, g }
  }
  const f = volume.open('/f', 'wx+')
  f.write(blocksOf('f', 0, 6), 0)
  const between = volume.open('/between', 'wx')
  between.write(blocksOf('b', 0, 1), 0)
  f.write(blocksOf('f', 6, FILE_BLOCKS), 6 * B)
  between.close()
  return { ground, f, g }
}

export function contentsAtFirst(shape: Shape): Contents {
  const f = blocksOf('f', 0, FILE_BLOCKS)
  if (shape === 'holed') f.fill(0, 6 * B, 8 * B)
  return { f, g: blocksOf('g', 0, FILE_BLOCKS), made: null }
}

const DATA = blocksOf('new', 0, 2)

/** The file with bytes written at an offset. */
function written(file: Uint8Array, bytes: Uint8Array, offset: number): Uint8Array {
  const all = new Uint8Array(Math.max(file.length, offset + bytes.length))
  all.set(file)
  all.set(bytes, offset)
  return all
}

function resized(file: Uint8Array, size: number): Uint8Array {
  const all = new Uint8Array(size)
  all.set(file.subarray(0, size))
  return all
}

const HOLE = { shape: 'holed', from: 6, to: 8, row: 'grow' } as const
const PAST = { shape: 'full', from: FILE_BLOCKS, to: FILE_BLOCKS + 2, row: 'grow' } as const
const END = FILE_BLOCKS * B

const GROW: readonly Call[] = [
  {
    ...HOLE,
    name: 'write into a hole',
    writes: true,
    run: ({ f }) => void f.write(DATA, 6 * B),
    promise: ({ ground, f }, o) => ground.volume.promises.write(f, DATA, 6 * B, o),
    effect: (all) => void (all.f = written(all.f, DATA, 6 * B)),
  },
  {
    ...HOLE,
    name: 'allocate in a hole',
    writes: true,
    run: ({ f }) => f.allocate(6 * B, 2 * B),
    effect: () => {},
  },
  {
    ...HOLE,
    name: 'zero a hole',
    writes: true,
    run: ({ f }) => f.zeroRange(6 * B, 2 * B),
    effect: () => {},
  },
  {
    ...PAST,
    name: 'write past the end',
    writes: true,
    run: ({ f }) => void f.write(DATA, END),
    promise: ({ ground, f }, o) => ground.volume.promises.write(f, DATA, END, o),
    effect: (all) => void (all.f = written(all.f, DATA, END)),
  },
  {
    ...PAST,
    name: 'allocate past the end',
    writes: true,
    run: ({ f }) => f.allocate(END, 2 * B),
    effect: (all) => void (all.f = resized(all.f, END + 2 * B)),
  },
  {
    ...PAST,
    name: 'allocate past the end, and keep the size',
    writes: true,
    run: ({ f }) => f.allocate(END, 2 * B, { keepSize: true }),
    effect: () => {},
  },
  {
    ...PAST,
    name: 'zero past the end',
    writes: true,
    run: ({ f }) => f.zeroRange(END, 2 * B),
    effect: (all) => void (all.f = resized(all.f, END + 2 * B)),
  },
]

const CUT = { shape: 'full', from: 6, to: Infinity, row: 'shrink' } as const

const SHRINK: readonly Call[] = [
  {
    ...CUT,
    name: 'truncate',
    takesPolicy: true,
    run: ({ ground }, o) => ground.volume.truncate('/f', 6 * B, undefined, o),
    promise: ({ ground }, o) => ground.volume.promises.truncate('/f', 6 * B, o),
    effect: (all) => void (all.f = resized(all.f, 6 * B)),
  },
  {
    ...CUT,
    name: 'ftruncate',
    takesPolicy: true,
    run: ({ f }, o) => f.truncate(6 * B, o),
    promise: ({ ground, f }, o) => ground.volume.promises.resize(f, 6 * B, o),
    effect: (all) => void (all.f = resized(all.f, 6 * B)),
  },
  {
    ...CUT,
    name: 'open with O_TRUNC',
    from: 0,
    run: ({ ground }) => ground.volume.open('/f', 'w').close(),
    effect: (all) => void (all.f = resized(all.f, 0)),
  },
]

const TAKEN_OUT = { shape: 'full', from: 6, to: 8, row: 'punch, share as destination' } as const
const G_IN_F = (all: Contents) => {
  all.f = written(all.f, blocksOf('g', 2, 4), 6 * B)
}

const PUNCH: readonly Call[] = [
  {
    ...TAKEN_OUT,
    name: 'punch',
    takesPolicy: true,
    run: ({ f }, o) => f.punch(6 * B, 2 * B, o),
    promise: ({ ground, f }, o) => ground.volume.promises.punch(f, 6 * B, 2 * B, o),
    effect: (all) => void (all.f = written(all.f, new Uint8Array(2 * B), 6 * B)),
  },
  {
    ...TAKEN_OUT,
    name: 'reflink a range onto it',
    takesPolicy: true,
    run: ({ f, g }, o) => g.reflinkRange(2 * B, f, 6 * B, 2 * B, o),
    promise: ({ ground, f, g }, o) =>
      ground.volume.promises.reflinkRange(g, 2 * B, f, 6 * B, 2 * B, o),
    effect: G_IN_F,
  },
  {
    ...TAKEN_OUT,
    name: 'reflink a range of the same file onto it',
    takesPolicy: true,
    from: 9,
    to: 10,
    run: ({ f }, o) => f.reflinkRange(2 * B, f, 9 * B, B, o),
    effect: (all) => void (all.f = written(all.f, blocksOf('f', 2, 3), 9 * B)),
  },
  {
    ...TAKEN_OUT,
    name: 'make it a clone',
    takesPolicy: true,
    from: 0,
    to: FILE_BLOCKS,
    run: ({ ground }, o) => ground.volume.reflink('/g', '/f', o),
    promise: ({ ground }, o) => ground.volume.promises.reflink('/g', '/f', o),
    effect: (all) => void (all.f = blocksOf('g', 0, FILE_BLOCKS)),
  },
]

const GIVEN = { shape: 'full', from: 6, to: 8, row: 'share, as source' } as const

const SHARE: readonly Call[] = [
  {
    ...GIVEN,
    name: 'reflink a range of it',
    run: ({ f, g }, o) => f.reflinkRange(6 * B, g, 2 * B, 2 * B, o),
    promise: ({ ground, f, g }, o) =>
      ground.volume.promises.reflinkRange(f, 6 * B, g, 2 * B, 2 * B, o),
    effect: (all) => void (all.g = written(all.g, blocksOf('f', 6, 8), 2 * B)),
  },
  {
    ...GIVEN,
    name: 'clone it',
    from: 0,
    to: FILE_BLOCKS,
    run: ({ ground }, o) => ground.volume.reflink('/f', '/made', o),
    promise: ({ ground }, o) => ground.volume.promises.reflink('/f', '/made', o),
    effect: (all) => void (all.made = all.f),
  },
  {
    ...GIVEN,
    name: 'clone it onto another file',
    from: 0,
    to: FILE_BLOCKS,
    run: ({ ground }, o) => ground.volume.reflink('/f', '/g', o),
    promise: ({ ground }, o) => ground.volume.promises.reflink('/f', '/g', o),
    effect: (all) => void (all.g = all.f),
  },
]

const COPIED = { shape: 'shared', from: 6, to: 8, row: 'unshare' } as const

const UNSHARE: readonly Call[] = [
  {
    ...COPIED,
    name: 'write to shared blocks',
    writes: true,
    run: ({ f }) => void f.write(DATA, 6 * B),
    promise: ({ ground, f }, o) => ground.volume.promises.write(f, DATA, 6 * B, o),
    effect: (all) => void (all.f = written(all.f, DATA, 6 * B)),
  },
  {
    ...COPIED,
    name: 'write to parts of shared blocks',
    writes: true,
    run: ({ f }) => void f.write(DATA.subarray(0, B), 6 * B + 100),
    effect: (all) => void (all.f = written(all.f, DATA.subarray(0, B), 6 * B + 100)),
  },
  {
    ...COPIED,
    name: 'zero shared blocks',
    writes: true,
    run: ({ f }) => f.zeroRange(6 * B, 2 * B),
    effect: (all) => void (all.f = written(all.f, new Uint8Array(2 * B), 6 * B)),
  },
  {
    ...COPIED,
    name: 'unshare the file',
    from: 0,
    to: FILE_BLOCKS,
    run: ({ f }) => f.unshare('self'),
    promise: ({ ground, f }, o) => ground.volume.promises.unshare(f, o),
    effect: () => {},
  },
]

const MOVE: readonly Call[] = [
  {
    name: 'defragment',
    row: 'move',
    shape: 'split',
    from: 0,
    to: FILE_BLOCKS,
    run: ({ ground }) => {
      for (const _ of ground.volume.defragment('/f')) void _
    },
    promise: ({ ground }, o) => ground.volume.promises.defragment('/f', o),
    effect: () => {},
  },
  {
    name: 'evacuate',
    row: 'move',
    shape: 'full',
    from: 6,
    to: 8,
    run: ({ ground }) => {
      const at = ground.place('/f', 6)! * B
      for (const _ of ground.volume.evacuate(at, at + 2 * B)) void _
    },
    promise: ({ ground }, o) => {
      const at = ground.place('/f', 6)! * B
      return ground.volume.promises.evacuate(at, at + 2 * B, o)
    },
    effect: () => {},
  },
]

const SHIFT: readonly Call[] = [
  {
    name: 'collapse a range',
    row: 'shift',
    shape: 'full',
    from: 6,
    to: Infinity,
    run: ({ f }) => f.collapse(6 * B, 2 * B),
    promise: ({ ground, f }, o) => ground.volume.promises.collapse(f, 6 * B, 2 * B, o),
    effect: (all) => {
      const f = resized(all.f, END - 2 * B)
      f.set(all.f.subarray(8 * B), 6 * B)
      all.f = f
    },
  },
  {
    name: 'insert a range',
    row: 'shift',
    shape: 'full',
    from: 6,
    to: Infinity,
    run: ({ f }) => f.insert(6 * B, 2 * B),
    promise: ({ ground, f }, o) => ground.volume.promises.insert(f, 6 * B, 2 * B, o),
    effect: (all) => {
      const f = resized(all.f, END + 2 * B)
      f.fill(0, 6 * B, 8 * B)
      f.set(all.f.subarray(6 * B), 8 * B)
      all.f = f
    },
  },
]

export const CALLS: readonly Call[] = [
  ...GROW,
  ...SHRINK,
  ...PUNCH,
  ...SHARE,
  ...UNSHARE,
  ...MOVE,
  ...SHIFT,
]
