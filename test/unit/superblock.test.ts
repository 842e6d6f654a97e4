import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { Superblock } from '../../src/media/superblock.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { SuperblockPair } from '../../src/volume/superblock.js'
import { seeded } from './support.js'

const BYTES = 1024 * 1024

function formatted(t: TestContext): TracedRegion {
  const region = new TracedRegion(BYTES)
  t.after(() => region.close())
  formatVolume(region, {
    label: 'first',
    clock: new SteppedClock(),
    entropy: seededEntropy(3),
  })
  return region
}

function read(region: TracedRegion): SuperblockPair {
  const pair = new SuperblockPair(region)
  pair.read()
  return pair
}

/** Changes a byte of a copy. */
function damage(region: TracedRegion, copy: number, offset: number): void {
  region.u8[copy * BLOCK_BYTES + offset]! ^= 0x40
}

/**
 * A newer superblock in the copy that is not the current one, as a cut between the writes leaves
 * it.
 */
function halfUpdate(region: TracedRegion, label: string): number {
  const before = region.u8.slice(0, 2 * BLOCK_BYTES)
  const pair = read(region)
  pair.setText('label', label)
  pair.write()
  const first = writtenFirst(region, before)
  // The other copy goes back to what it was.
  const other = 1 - first
  region.u8.set(
    before.subarray(other * BLOCK_BYTES, (other + 1) * BLOCK_BYTES),
    other * BLOCK_BYTES,
  )
  return first
}

/** Which copy an update writes first: the one that was not the superblock. */
function writtenFirst(region: TracedRegion, before: Uint8Array): number {
  const shadow = new TracedRegion(BYTES)
  shadow.u8.set(region.u8)
  shadow.u8.set(before)
  let first = -1
  shadow.listener = {
    beforeStore: () => {},
    stored: (offset) => {
      if (first < 0) first = offset / BLOCK_BYTES
    },
    flushed: () => {},
    fenced: () => {},
    synced: () => {},
  }
  read(shadow).write()
  shadow.close()
  return first
}

describe('the pair of superblocks', () => {
  test('the higher sequence wins, in either place', (t) => {
    const region = formatted(t)
    for (let i = 0; i < 4; i++) {
      halfUpdate(region, `update ${i}`)
      assert.equal(read(region).text('label'), `update ${i}`)
    }
  })

  test('either copy alone will do, and none is ENODEV', (t) => {
    const region = formatted(t)
    const whole = region.u8.slice(0, 2 * BLOCK_BYTES)
    for (const copy of [0, 1]) {
      region.u8.set(whole)
      damage(region, copy, 40)
      assert.equal(read(region).text('label'), 'first')
    }
    damage(region, 0, 40)
    assert.throws(() => read(region), { code: 'ENODEV' })
  })

  test('any byte of the 512 that changes makes a copy invalid', (t) => {
    const region = formatted(t)
    damage(region, 0, 3)
    for (let offset = 0; offset < Superblock.size; offset++) {
      damage(region, 1, offset)
      assert.throws(() => read(region), { code: 'ENODEV' }, `byte ${offset}`)
      damage(region, 1, offset)
    }
    assert.equal(read(region).text('label'), 'first')
  })

  test('a cut at any line of an update leaves the old one or the new one', (t) => {
    const prng = seeded(t)
    const region = formatted(t)
    const before = region.u8.slice(0, 2 * BLOCK_BYTES)
    const pair = read(region)
    pair.setText('label', 'second')
    const stages: Uint8Array[] = [before]
    let fences = 0
    region.listener = {
      beforeStore: () => {},
      stored: () => void stages.push(region.u8.slice(0, 2 * BLOCK_BYTES)),
      flushed: () => {},
      fenced: () => void fences++,
      synced: () => {},
    }
    pair.write()
    region.listener = null
    assert.equal(stages.length, 3, 'two stores, one a copy')
    assert.equal(fences, 2, 'the first is durable before the second begins')
    const seen = new Set<string>()
    for (let stage = 1; stage < stages.length; stage++) {
      for (let i = 0; i < 256; i++) {
        // Any of the lines that the store wrote.
        const lines = prng.next() & 0xffff
        region.u8.set(stages[stage - 1]!)
        for (let line = 0; line < 16; line++) {
          if (((lines >>> line) & 1) === 0) continue
          const offset = (line >>> 3) * BLOCK_BYTES + (line & 7) * 64
          region.u8.set(stages[stage]!.subarray(offset, offset + 64), offset)
        }
        const label = read(region).text('label')
        if (stage === 2) assert.equal(label, 'second', 'the first copy was durable')
        seen.add(label)
      }
    }
    assert.deepEqual([...seen].sort(), ['first', 'second'])
  })

  test('a feature that this version does not know keeps it out', (t) => {
    const newer = formatted(t)
    const changed = read(newer)
    changed.u32[Superblock.word.featuresIncompat] = 0x10
    changed.write()
    assert.throws(
      () => read(newer),
      (error) =>
        error instanceof HoldfastError &&
        error.code === 'EOPNOTSUPP' &&
        /0x00000010/.test(error.message),
    )
    const region = formatted(t)
    const pair = read(region)
    pair.u32[Superblock.word.featuresCompat] = 0xffff
    pair.write()
    assert.equal(read(region).text('label'), 'first')
  })

  const areas = [
    'logStart',
    'logBlocks',
    'bitmapStart',
    'bitmapBlocks',
    'inodeMapStart',
    'dataStart',
    'stateBlock',
    'tailBlock',
    'blockCount',
    'blockBytes',
  ] as const
  for (const field of areas) {
    test(`an impossible ${field} is refused, its checksum right or not`, (t) => {
      for (const value of [0, 1, 5, 0x7fff_ffff, 0xffff_ffff]) {
        const region = formatted(t)
        const pair = read(region)
        if (pair.u32[Superblock.word[field]] === value) continue
        pair.u32[Superblock.word[field]] = value
        pair.write()
        assert.throws(() => read(region), { code: 'ENODEV' }, `${field} ${value}`)
      }
    })
  }

  test('a label is cut at its field, and its end is zeros', (t) => {
    const region = formatted(t)
    const pair = read(region)
    pair.setText('label', 'x'.repeat(32))
    assert.equal(pair.text('label'), 'x'.repeat(32))
    pair.setText('label', 'grün')
    assert.equal(pair.text('label'), 'grün')
    assert.ok(pair.u8.subarray(32 + 5, 64).every((byte) => byte === 0))
  })
})
