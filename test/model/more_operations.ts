/** Operations beyond names and bytes, as data and at random: see operations.ts. */
import fc from 'fast-check'
import type { Credentials } from '../../src/base/filesystem.js'
import { newPlace, oldPlace, size, slots } from './arbitraries.js'
import type { RangeKind } from './content.js'
import type { Place } from './operations.js'

/** Who asks: root, an owner, and one who is in the owner's group. */
export const USERS: readonly Credentials[] = [
  { uid: 0, gid: 0 },
  { uid: 1, gid: 1 },
  { uid: 2, gid: 2, groups: [1, 3] },
]

export type NameCall = 'mkdir' | 'rmdir' | 'unlink' | 'create' | 'stat' | 'readFile' | 'empty'

export type MoreOperation =
  | { readonly do: 'symlink'; readonly target: string; readonly place: Place }
  | { readonly do: 'readlink' | 'lstat'; readonly place: Place }
  | { readonly do: 'chmod'; readonly user: number; readonly place: Place; readonly mode: number }
  | {
      readonly do: 'chown'
      readonly user: number
      readonly place: Place
      readonly uid: number
      readonly gid: number
      readonly follow: boolean
    }
  | {
      readonly do: 'setXattr'
      readonly place: Place
      readonly name: string
      readonly length: number
      readonly mode: 'create' | 'replace' | 'either'
    }
  | { readonly do: 'removeXattr'; readonly place: Place; readonly name: string }
  | {
      readonly do: 'range'
      readonly slot: number
      readonly kind: RangeKind
      readonly offset: number
      readonly length: number
    }
  | {
      readonly do: 'copy'
      readonly slot: number
      readonly to: number
      readonly offset: number
      readonly toOffset: number
      readonly length: number
    }
  | {
      readonly do: 'share'
      readonly slot: number
      readonly to: number
      readonly offset: number
      readonly toOffset: number
      readonly length: number
    }
  | { readonly do: 'clone'; readonly user: number; readonly place: Place; readonly to: Place }
  | { readonly do: 'defragment' | 'evacuate' | 'unshareOthers'; readonly slot: number }
  | {
      readonly do: 'renameAs'
      readonly user: number
      readonly how: 'replace' | 'noReplace' | 'exchange'
      readonly place: Place
      readonly to: Place
    }
  | { readonly do: 'linkAs'; readonly user: number; readonly place: Place; readonly to: Place }
  | { readonly do: 'openUnnamed'; readonly slot: number; readonly place: Place }
  | { readonly do: 'linkHandle'; readonly slot: number; readonly to: Place }
  | {
      readonly do: 'nameAs'
      readonly user: number
      readonly call: NameCall
      readonly place: Place
    }

const TARGETS = ['a', 'b', '/a', '/c', '.', '..', '../a', '/', 'd/', '/missing', 'a/b', '../../f']
const long = fc.integer({ min: 100, max: 4095 }).map((n) => 'l'.repeat(n))
const MODES = [0o777, 0o755, 0o700, 0o1777, 0o2777, 0o644, 0o600, 0o070, 0o007, 0o711, 0]
const user = fc.nat(USERS.length - 1)
const id = fc.constantFrom(-1, 0, 1, 2, 3)
const name = fc.constantFrom('user.a', 'user.b', 'trusted.c', `user.${'n'.repeat(250)}`)
const block = fc.nat(8).map((n) => n * 4096)
const offset = fc.oneof({ weight: 2, arbitrary: block }, { weight: 3, arbitrary: size })
/** Mostly whole blocks, of which there may be many. */
const shared = fc.oneof(
  { weight: 8, arbitrary: fc.nat(2).map((n) => n * 4096) },
  { weight: 2, arbitrary: fc.nat(70).map((n) => n * 4096) },
  { weight: 1, arbitrary: size },
)
const place = fc.oneof(oldPlace, newPlace)
const KINDS = ['allocate', 'keep', 'punch', 'zero', 'zeroKeep', 'collapse', 'insert'] as const
const CALLS = ['mkdir', 'rmdir', 'unlink', 'create', 'stat', 'readFile', 'empty'] as const

function is<T extends string>(...names: T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...names)
}

function weighted(weight: number, arbitrary: fc.Arbitrary<MoreOperation>) {
  return { weight, arbitrary }
}

export function moreOperation(): fc.Arbitrary<MoreOperation> {
  const target = fc.oneof({ weight: 9, arbitrary: is(...TARGETS) }, { weight: 1, arbitrary: long })
  return fc.oneof(
    weighted(5, fc.record({ do: is('symlink'), target, place: newPlace })),
    weighted(3, fc.record({ do: is('readlink', 'lstat'), place: oldPlace })),
    weighted(
      6,
      fc.record({ do: is('chmod'), user, place: oldPlace, mode: fc.constantFrom(...MODES) }),
    ),
    weighted(
      5,
      fc.record({
        do: is('chown'),
        user,
        place: oldPlace,
        uid: id,
        gid: id,
        follow: fc.boolean(),
      }),
    ),
    weighted(
      6,
      fc.record({
        do: is('setXattr'),
        place: oldPlace,
        name,
        length: fc.oneof(fc.nat(100), fc.nat(6000)),
        mode: is('create', 'replace', 'either', 'either'),
      }),
    ),
    weighted(2, fc.record({ do: is('removeXattr'), place: oldPlace, name })),
    weighted(
      14,
      fc.record({
        do: is('range'),
        slot: slots,
        kind: fc.constantFrom(...KINDS),
        offset,
        length: offset,
      }),
    ),
    weighted(
      5,
      fc.record({
        do: is('copy'),
        slot: slots,
        to: slots,
        offset,
        toOffset: offset,
        length: size,
      }),
    ),
    { weight: 20, arbitrary: sharing() },
    weighted(
      8,
      fc.record({
        do: is('renameAs'),
        user,
        how: is('replace', 'noReplace', 'exchange'),
        place: oldPlace,
        to: place,
      }),
    ),
    weighted(3, fc.record({ do: is('linkAs'), user, place: oldPlace, to: newPlace })),
    weighted(3, fc.record({ do: is('openUnnamed'), slot: slots, place: oldPlace })),
    weighted(3, fc.record({ do: is('linkHandle'), slot: slots, to: newPlace })),
    weighted(12, fc.record({ do: is('nameAs'), user, call: fc.constantFrom(...CALLS), place })),
  )
}

/** Blocks get other owners, other places, and are a file's own again. */
function sharing(): fc.Arbitrary<MoreOperation> {
  return fc.oneof(
    weighted(
      8,
      fc.record({
        do: is('share'),
        slot: slots,
        to: slots,
        offset: shared,
        toOffset: shared,
        length: fc.oneof({ weight: 3, arbitrary: shared }, { weight: 1, arbitrary: size }),
      }),
    ),
    weighted(8, fc.record({ do: is('clone'), user, place: oldPlace, to: place })),
    weighted(4, fc.record({ do: is('defragment', 'evacuate', 'unshareOthers'), slot: slots })),
  )
}
