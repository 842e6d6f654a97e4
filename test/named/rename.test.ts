/**
 * The story: a rename that took the old name away in one store and made the new one in another. A
 * crash between the two, and the file had no name at all, or two; with a file in the new place,
 * both were gone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Volume } from '../../src/volume/volume.js'
import { atEveryStore, bytesOf, describe, mount, newRegion } from './support.js'

interface Case {
  readonly name: string
  readonly from: string
  readonly to: string
  /** Files held open during the rename. */
  readonly open?: readonly string[]
}

function prepare(volume: Volume): void {
  for (const path of ['/a', '/b', '/a/full', '/b/empty', '/a/deep']) volume.mkdir(path)
  volume.writeFile('/a/one', bytesOf('one', 100))
  volume.writeFile('/a/two', bytesOf('two', 5000))
  volume.writeFile('/b/three', bytesOf('three', 300))
  volume.writeFile('/a/full/inside', bytesOf('inside', 10))
  volume.link('/a/one', '/b/uno')
}

const CASES: readonly Case[] = [
  { name: 'within a directory', from: '/a/one', to: '/a/new' },
  { name: 'to another directory', from: '/a/one', to: '/b/new' },
  { name: 'over a file', from: '/a/one', to: '/a/two' },
  { name: 'over a file in another directory', from: '/a/two', to: '/b/three' },
  { name: 'over a file that is open', from: '/a/one', to: '/b/three', open: ['/b/three'] },
  { name: 'over one of two links', from: '/a/two', to: '/b/uno' },
  { name: 'of a link over a file', from: '/b/uno', to: '/b/three' },
  { name: 'of a directory, to another directory', from: '/a/full', to: '/b/full' },
  { name: 'of a directory over an empty one', from: '/a/full', to: '/b/empty' },
  { name: 'of a directory upwards', from: '/a/full', to: '/full' },
  { name: 'over an empty directory next to it', from: '/a/full', to: '/a/deep' },
]

for (const { name, from, to, open = [] } of CASES) {
  test(`a rename ${name} has either name at every store, and never none`, () => {
    const region = newRegion(512)
    const volume = mount(region)
    prepare(volume)
    for (const path of open) volume.open(path, 'r')
    const before = describe(volume)
    const seen = new Set<string>()
    const stores = atEveryStore(
      region,
      () => volume.rename(from, to),
      (crashed) => seen.add(describe(crashed)),
    )
    const after = describe(volume)
    assert.notEqual(after, before)
    assert(stores >= 1)
    assert.deepEqual([...seen].sort(), [before, after].sort())
  })
}

test('a rename to another name of the same file changes nothing, and stores nothing', () => {
  const region = newRegion(512)
  const volume = mount(region)
  prepare(volume)
  const before = describe(volume)
  const stores = atEveryStore(
    region,
    () => volume.rename('/a/one', '/b/uno'),
    (crashed, when) => assert.equal(describe(crashed), before, when),
  )
  assert.equal(stores, 0)
})
