/**
 * The story: the list of files to be deleted after a crash was replayed in the order in which it
 * lay there. An inode number on it had been used again since, and the new file was deleted; or the
 * crash came in the middle of the replay, which then began again with what was freed already.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TracedRegion } from '../../src/region/traced_region.js'
import type { Volume } from '../../src/volume/volume.js'
import { deleteAll } from '../model/compare.js'
import {
  assertClean,
  atEveryStore,
  bytesOf,
  describe,
  mount,
  newRegion,
  regionOf,
} from './support.js'

const ORDERS: readonly (readonly number[])[] = [
  [0, 1, 2, 3, 4],
  [4, 3, 2, 1, 0],
  [2, 0, 4, 1, 3],
]

/** Five files, unlinked in this order while they are open; then the process is gone. */
function crashWithOrphans(order: readonly number[]): { region: TracedRegion; free: number } {
  const region = newRegion(512)
  const volume = mount(region)
  const free = volume.statfs().blocksFree
  for (let i = 0; i < 5; i++) volume.writeFile(`/f${i}`, bytesOf(`f${i}`, 4096 * (i + 1)))
  volume.writeFile('/living', bytesOf('living', 5000))
  for (let i = 0; i < 5; i++) volume.open(`/f${i}`, 'r')
  for (const i of order) volume.unlink(`/f${i}`)
  return { region, free }
}

function finish(volume: Volume): void {
  // Some of it at each call: until nothing is left to do, for as many calls as there are blocks.
  for (let i = 0; i < volume.statfs().blocks; i++) volume.statfs()
}

function assertOnlyLiving(volume: Volume, free: number, when: string): void {
  finish(volume)
  assert.deepEqual(volume.readFile('/living'), bytesOf('living', 5000), when)
  assert.deepEqual(volume.statfs().files, 2, `${when}: inodes`)
  deleteAll(volume)
  volume.sync()
  assert.equal(volume.statfs().blocksFree, free, `${when}: free blocks`)
}

for (const order of ORDERS) {
  test(`files unlinked in the order ${order.join(' ')} while open are gone after a crash`, () => {
    const { region, free } = crashWithOrphans(order)
    const crashed = regionOf(region.u8)
    assertClean(crashed, 'of what the crash left')
    assertOnlyLiving(mount(crashed), free, 'after the crash')
  })
}

test('a crash at any store of the replay, and the next replay does the rest', () => {
  const { region, free } = crashWithOrphans(ORDERS[2]!)
  let again: Volume | undefined
  const stores = atEveryStore(
    region,
    () => {
      again = mount(region)
      finish(again)
    },
    (crashed, when) => assertOnlyLiving(crashed, free, when),
  )
  assert(stores > 5)
  assertOnlyLiving(again!, free, 'without a second crash')
})

test('an inode number that is used again is not taken for the orphan that it was', () => {
  const region = newRegion(512)
  const volume = mount(region)
  volume.writeFile('/f', bytesOf('f', 9000))
  const file = volume.open('/f', 'r')
  const { ino, generation } = file.stat()
  volume.unlink('/f')
  file.close()
  const made: string[] = []
  // Numbers are used again: the new file gets that of the old one, at the latest with the next few.
  for (let i = 0; made.length === 0 && i < 64; i++) {
    volume.writeFile(`/new${i}`, bytesOf(`new${i}`, 3000))
    if (volume.stat(`/new${i}`).ino === ino) made.push(`/new${i}`)
  }
  assert.equal(made.length, 1, 'the number was used again')
  assert.notEqual(volume.stat(made[0]!).generation, generation)
  const expected = describe(volume)
  const crashed = mount(regionOf(region.u8))
  finish(crashed)
  assert.equal(describe(crashed), expected)
})

test('a truncate that a crash left unfinished and an unlinked file beside it are both finished', () => {
  const region = newRegion(4096)
  const volume = mount(region)
  const free = volume.statfs().blocksFree
  volume.writeFile('/living', bytesOf('living', 5000))
  const long = volume.open('/long', 'w')
  const spacer = volume.open('/spacer', 'w')
  for (let i = 0; i < 300; i++) {
    // One block of each two: every block is an extent of its own.
    long.write(bytesOf('long', 4096), i * 8192)
    spacer.write(bytesOf('spacer', 4096), i * 8192)
  }
  volume.unlink('/spacer')
  const images: Uint8Array[] = []
  region.listener = {
    beforeStore: () => {},
    stored: () => {},
    flushed: () => {},
    fenced: () => images.push(region.u8.slice()),
    synced: () => {},
  }
  long.truncate(4096)
  region.listener = null
  assert(images.length > 1, 'the truncate took more than one transaction')
  for (const [i, image] of images.entries()) {
    const when = `at fence ${i}`
    const crashed = regionOf(image)
    assertClean(crashed, when)
    const again = mount(crashed)
    finish(again)
    const { size } = again.stat('/long')
    assert(size === 4096 || size === 299 * 8192 + 4096, `${when}: size ${size}`)
    again.unlink('/long')
    assertOnlyLiving(again, free, when)
    crashed.close()
  }
})
