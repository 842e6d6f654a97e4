/** What may be done with a region that processes of its last owner still map. */
import assert from 'node:assert/strict'
import { closeSync, rmSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import {
  createVolume,
  growVolume,
  inspectVolume,
  openVolume,
  relabelVolume,
  shrinkVolume,
} from '../../src/layout/embedded.js'
import { openRegion } from '../../src/region/file_region.js'
import { grantDescriptor } from '../../src/region/survivor_locks.js'

const MIB = 1 << 20

/** A volume whose owner is gone, and a descriptor that it had passed. */
function survived(t: TestContext): { path: string; leave: () => void } {
  const path = `/dev/shm/holdfast-survived-${process.pid}.hf`
  t.after(() => rmSync(path, { force: true }))
  createVolume(path, 8 * MIB)
  const region = openRegion(path)
  const fd = grantDescriptor(region, 3)
  region.close()
  return { path, leave: () => closeSync(fd) }
}

test('nothing opens it to write but who sees to the survivors', async (t) => {
  const { path, leave } = survived(t)
  const busy = { code: 'EBUSY', message: /still mapped by .* holdfast serve/ }
  try {
    assert.throws(() => openVolume(path), busy)
    assert.throws(() => createVolume(path, 8 * MIB, { force: true }), busy)
    assert.throws(() => growVolume(path, 16 * MIB), busy)
    assert.throws(() => relabelVolume(path, 'other'), busy)
    await assert.rejects(shrinkVolume(path, 6 * MIB), busy)
    assert.equal(inspectVolume(path).label, '')
    openVolume(path, { readOnly: true }).close()

    const volume = openVolume(path, { survivors: 'grace' })
    assert.equal(volume.inGrace, true)
    assert.throws(() => volume.mkdir('/d'), { code: 'EBUSY' })
    volume.close()
  } finally {
    leave()
  }
  const volume = openVolume(path)
  assert.equal(volume.inGrace, false)
  volume.mkdir('/d')
  volume.close()
})
