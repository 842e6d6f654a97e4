/** Operations at random: what fast-check makes up, prints and shrinks. */
import fc from 'fast-check'
import type { OpenFlags } from '../../src/base/filesystem.js'
import type { Operation, Place } from './operations.js'

const FLAGS: readonly OpenFlags[] = [
  'r',
  'r+',
  'w',
  'wx',
  'w+',
  'wx+',
  'a',
  'ax',
  'a+',
  'ax+',
  'r+',
  'w+',
  'a+',
  'r+',
]
const NAMES = [
  'a',
  'b',
  'c',
  'd',
  'e',
  'f',
  'g',
  'h',
  'with space',
  '...',
  'caf\u00c3\u00a9',
  '\u00ff\u00fe',
  'n'.repeat(63),
  'n'.repeat(64),
  'n'.repeat(65),
  'n'.repeat(200),
  'x'.repeat(255),
  'y'.repeat(256),
]
const RAW = [
  '/',
  '//',
  '.',
  '..',
  '',
  './',
  '../',
  '/a/..',
  '/a/.',
  '/missing/x',
  '/a/../b',
  './a',
  'a//b',
  '/a/b/../../c',
  '/nul\0',
  'z'.repeat(256),
  `/${'p/'.repeat(2100)}`,
  `/${'./'.repeat(1000)}a`,
]
export const slots = fc.nat(5)
const name = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...NAMES.slice(0, 8)) },
  { weight: 1, arbitrary: fc.constantFrom(...NAMES) },
)
const slash = fc.nat(15).map((n) => n === 15)
const pick = fc.nat(999)
const existing = fc.record({ at: fc.constant('existing' as const), pick, slash })
const below = fc.record({ at: fc.constant('below' as const), pick, name, slash })
const raw = fc.record({ at: fc.constant('raw' as const), path: fc.constantFrom(...RAW) })
export const oldPlace: fc.Arbitrary<Place> = fc.oneof(
  { weight: 16, arbitrary: existing },
  { weight: 3, arbitrary: below },
  { weight: 1, arbitrary: raw },
)
export const newPlace: fc.Arbitrary<Place> = fc.oneof(
  { weight: 3, arbitrary: existing },
  { weight: 16, arbitrary: below },
  { weight: 1, arbitrary: raw },
)

/** Sizes and offsets where something changes: blocks, lines, pages, and odd places between. */
export const size = fc.oneof(
  { weight: 4, arbitrary: fc.nat(130) },
  { weight: 4, arbitrary: fc.nat(20_000) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.nat(6), fc.integer({ min: -2, max: 2 }))
      .map(([block, off]) => Math.max(0, block * 4096 + off)),
  },
  { weight: 1, arbitrary: fc.nat(300_000) },
)
const position = fc.oneof(
  { weight: 2, arbitrary: fc.constant(null) },
  { weight: 3, arbitrary: size },
)
const fill = fc.nat(0xffff_ffff)

function kind<T extends string>(...names: T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...names)
}

function weighted(weight: number, arbitrary: fc.Arbitrary<Operation>) {
  return { weight, arbitrary }
}

/** One operation. `mounts`: with those that close the volume and open it again. */
export function operation(mounts: boolean): fc.Arbitrary<Operation> {
  return fc.oneof(
    weighted(
      14,
      fc.record({
        do: kind('open'),
        slot: slots,
        place: fc.oneof(oldPlace, newPlace),
        flags: kind(...FLAGS),
      }),
    ),
    weighted(4, fc.record({ do: kind('close', 'fstat', 'fsync', 'extents'), slot: slots })),
    weighted(22, fc.record({ do: kind('write'), slot: slots, position, length: size, fill })),
    weighted(9, fc.record({ do: kind('read'), slot: slots, position, length: size })),
    weighted(5, fc.record({ do: kind('ftruncate'), slot: slots, size })),
    weighted(3, fc.record({ do: kind('truncate'), place: oldPlace, size })),
    weighted(8, fc.record({ do: kind('mkdir', 'create'), place: newPlace })),
    weighted(11, fc.record({ do: kind('stat', 'rmdir', 'unlink', 'readFile'), place: oldPlace })),
    weighted(
      8,
      fc.record({ do: kind('rename'), place: oldPlace, to: fc.oneof(oldPlace, newPlace) }),
    ),
    weighted(5, fc.record({ do: kind('link'), place: oldPlace, to: newPlace })),
    weighted(2, fc.record({ do: kind('crowd', 'clear'), place: oldPlace, count: fc.nat(60) })),
    weighted(
      3,
      fc.record({
        do: kind('list', 'listFirst'),
        place: oldPlace,
        limit: fc.integer({ min: 1, max: 9 }),
      }),
    ),
    weighted(3, fc.record({ do: kind('listNext'), limit: fc.integer({ min: 1, max: 9 }) })),
    weighted(
      1,
      fc.record({ do: mounts ? kind('sync', 'remount', 'reopen', 'abandon') : kind('sync') }),
    ),
  )
}
