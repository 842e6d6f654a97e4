/**
 * The story: recovery took its sizes from the machine that it ran on, so many lists for so many
 * processors, so much memory for tables. On a machine with other numbers it read past the end of an
 * array, or left records out.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SyncMode } from '../../src/volume/transaction.js'
import { assertClean, bytesOf, describe, mount, newRegion, regionOf } from './support.js'

const PAGES = [256, 300, 1024, 20_000]

for (const written of PAGES) {
  test(`what was written with ${written} cached pages is recovered with any other number`, () => {
    const region = newRegion(8192)
    const volume = mount(region, { cachePages: written })
    for (let d = 0; d < 8; d++) {
      volume.mkdir(`/d${d}`)
      for (let i = 0; i < 40; i++)
        volume.writeFile(`/d${d}/file ${i}`, bytesOf(`${d} ${i}`, i * 50))
      for (let i = 0; i < 40; i += 3) volume.rename(`/d${d}/file ${i}`, `/d${d}/moved ${i}`)
      for (let i = 1; i < 40; i += 3) volume.unlink(`/d${d}/file ${i}`)
    }
    const expected = describe(volume)
    const image = region.u8.slice()
    for (const cachePages of PAGES) {
      for (const sync of ['always', 'group'] satisfies SyncMode[]) {
        const crashed = regionOf(image)
        const again = mount(crashed, { cachePages, sync })
        assert(again.replayed > 0)
        assert.equal(describe(again), expected, `${cachePages} pages, sync=${sync}`)
        again.close()
        assertClean(crashed, `${cachePages} pages, sync=${sync}`)
        crashed.close()
      }
    }
  })
}
