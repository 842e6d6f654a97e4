/**
 * The fire is only worth what it catches: one bug planted in each rule of the contract, by
 * replacing a method of the mounted volume. Each must be given away within a few thousand steps;
 * the same steps without it must pass.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SteppedClock, seededEntropy } from '../../src/base/clock.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Frames } from '../../src/volume/frames.js'
import { burn, upTo } from './run.js'

const SEED = 41
const STEPS = 2500

interface Bug {
  readonly name: string
  readonly plant: (volume: LayoutVolume) => void
  /** What the violation is to say. */
  readonly says: RegExp
}

/** Replaces a method on one object. */
function replace<T extends object, K extends keyof T>(
  object: T,
  key: K,
  make: (original: T[K]) => T[K],
): void {
  const original = object[key]
  const bound = typeof original === 'function' ? (original.bind(object) as T[K]) : original
  Object.defineProperty(object, key, { value: make(bound), configurable: true, writable: true })
}

/** The guard does not look at one kind of change. */
function unasked(change: string): (volume: LayoutVolume) => void {
  return ({ arbiter }) =>
    replace(arbiter, 'demand', (demand) => (asked, inode, from, to) => {
      if (asked !== change) demand(asked, inode, from, to)
    })
}

const BUGS: readonly Bug[] = [
  {
    name: 'the destination of a reflink is not checked',
    plant: unasked('shareInto'),
    says: /was taken from under it/,
  },
  {
    name: 'a punch is not checked',
    plant: unasked('punch'),
    says: /was taken from under it|fixed-hole/,
  },
  {
    name: 'a shift is not checked',
    plant: unasked('shift'),
    says: /was taken from under it|taken out of it|not at \d+ any more/,
  },
  {
    name: 'the source of a reflink is not checked',
    plant: unasked('share'),
    says: /has \d owners|is not its own/,
  },
  {
    name: 'a copying share gives held blocks a second owner',
    plant: ({ arbiter }) =>
      replace(arbiter, 'shareRun', () => (_inode, _from, end) => ({ end, copy: false })),
    says: /has \d owners|is not its own/,
  },
  {
    name: 'maintenance does not look at holds',
    plant: unasked('move'),
    says: /not at \d+ any more|taken out of it|listed otherwise/,
  },
  {
    name: 'an owner is missed in the reverse map when its blocks move',
    plant: ({ relocation }) =>
      replace(relocation, 'owners', (owners) => (start) => {
        const all = owners(start)
        return all.length > 1 ? all.slice(1) : all
      }),
    says: /is still at/,
  },
  {
    name: 'a hold is still matched by range after its blocks were deferred',
    plant: ({ arbiter }) => replace(arbiter, 'deferred', () => () => {}),
    says: /listed otherwise|has been taken out of it|only what was counted/,
  },
  {
    name: 'a registration for reading leaves blocks shared',
    plant: (volume) =>
      replace(volume.copies, 'shared', (shared) => (number, from, to) => {
        const granting = new Error().stack!.includes('grants.js')
        return granting ? 0 : shared(number, from, to)
      }),
    says: /has \d owners|in the way of a unshare/,
  },
  {
    name: 'limbo is freed at once',
    plant: ({ core }) => {
      // Whoever frees blocks, and the allocator that would refuse, see a frame table without
      // counts.
      const empty = new Frames(core.geometry.blockCount)
      Object.defineProperty(core.ownership, 'frames', { value: empty })
      core.allocator.frames = null
    },
    says: /is free|no file's and not in limbo|taken out of it/,
  },
  {
    name: 'frames are dropped as soon as a part of a hold is given back',
    plant: ({ holding, core }) =>
      replace(holding, 'giveBack', (giveBack) => (slot, from, to) => {
        for (const [, at, count] of holding.pieces(slot)) core.frames.drop(at, count)
        giveBack(slot, from, to)
      }),
    says: /only what was counted|are counted|is counted/,
  },
  {
    name: 'a fence does not wait for the drain',
    plant: ({ holding }) =>
      replace(holding.users, 'set', (set) => (slot, user) => {
        const { revoke } = user
        if (revoke === undefined) return set(slot, user)
        return set(slot, { ...user, revoke: (from, to) => void revoke(from, to) })
      }),
    says: /draining|ended by somebody else/,
  },
  {
    name: 'what is under a lease without a way to be cut off is not kept at the fence',
    plant: ({ holding }) => replace(holding, 'haunt', () => (slot) => holding.end(slot)),
    says: /ended by somebody else|are counted/,
  },
  {
    name: 'who asks does not give back its own leases before the change',
    plant: ({ arbiter }) => replace(arbiter, 'proceed', () => () => false),
    says: /taken from under it|taken out of it|has left|any more|did not get/,
  },
  {
    name: 'holds of a session outlive it',
    plant: ({ holding }) => replace(holding, 'endSession', () => () => Promise.resolve()),
    says: /are counted|is counted/,
  },
]

test('without a bug nothing is found', async () => {
  const { failure } = await burn({ seed: SEED, sync: 'always' }, upTo(STEPS))
  assert.equal(failure, null, failure?.error.stack)
})

for (const { name, plant, says } of BUGS) {
  test(`${name}: caught`, async (t) => {
    const { failure } = await burn({ seed: SEED, sync: 'always', plant }, upTo(STEPS))
    assert.ok(failure !== null, 'nothing gave it away')
    t.diagnostic(`step ${failure.step}: ${failure.error.message.split('\n')[0]!.slice(0, 160)}`)
    assert.match(failure.error.message, says)
  })
}

/** A volume that loses what was not durable, and comes back: `epoch` says which mount it is. */
function layoutIds(stale: boolean): string[] {
  const regions = [heapRegion(8 << 20), heapRegion(8 << 20)] as const
  formatVolume(regions[0], { clock: new SteppedClock(), entropy: seededEntropy(1) })
  const options = { sync: 'group', clock: new SteppedClock(), entropy: seededEntropy(2) } as const
  const first = LayoutVolume.mount(regions[0], options)
  first.writeFile('/a', new Uint8Array(4096))
  first.writeFile('/b', new Uint8Array(4096))
  first.sync()
  const durable = new Uint8Array(regions[0].byteLength)
  const ids: string[] = []
  const grow = (volume: LayoutVolume, path: string) => {
    const file = volume.open(path, 'r+')
    file.write(new Uint8Array(4096), 4096)
    const { epoch, generation } = volume.layoutOf(file.ino)
    ids.push(`${epoch}.${generation}`)
    file.close()
  }
  regions[0].read(0, durable, 0, durable.length)
  grow(first, '/a')
  regions[1].stream(0, durable, 0, durable.length)
  const again = LayoutVolume.mount(regions[1], options)
  if (stale) Object.defineProperty(again, 'epoch', { value: first.epoch })
  grow(again, '/b')
  grow(again, '/a')
  for (const volume of [first, again]) volume.close()
  for (const region of regions) region.close()
  return [ids[0]!, ids[2]!]
}

test('a layout id that is given again after a crash is caught', () => {
  const [before, after] = layoutIds(false)
  assert.notEqual(before, after, 'another layout has another id')
  const [lost, reused] = layoutIds(true)
  assert.equal(lost, reused, 'without a new epoch the generation alone comes again')
})
