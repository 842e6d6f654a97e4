/** Collapse and insert where somebody was cut off who could not be: his addresses stay behind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { assertBytes, blocksOf } from './ground.js'
import { Scene, stateOf } from './scene.js'
import { outcomeOf } from './timers.js'

for (const shift of ['collapse', 'insert'] as const) {
  test(`${shift} leaves behind what a fenced lease may still store to`, async () => {
    using s = new Scene()
    const lease = s.lease('/f', [4, 6], { iomode: 'rw' })
    const [run] = lease.runs()
    const file = s.volume.open('/f', 'r+')
    // Fenced for a punch that is not made in the end: the blocks are the file's still.
    const end = s.volume.watchHolds(({ kind }) => {
      if (kind === 'fence') queueMicrotask(() => file.close())
    })
    const punch = outcomeOf(s.volume.promises.punch(file, 4 * B, 2 * B))
    await s.timers.pass(5_000)
    end()
    assert.equal(stateOf(punch), 'EBADF')
    assert.equal(s.limbo, 0)
    s.as(null, '/f', (f) => f[shift](B, 2 * B))
    s.storeAt(run!.regionOffset, blocksOf('stale', 0, 2))
    const first = (shift === 'collapse' ? 2 : 6) * B
    const moved = s.volume.readFile('/f').subarray(first, first + 2 * B)
    assertBytes(moved, blocksOf('/f', 4, 6), 'what moved')
    assert.equal(s.limbo, 2)
    lease.release()
    assert.equal(s.limbo, 0)
    s.assertClean('after the lease')
  })
}
