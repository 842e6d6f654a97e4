/** Memory that the kernel takes for broken, under a region: what readers and mappings see. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { BLOCK_BYTES } from '../../../src/base/limits.js'
import { createVolume, openVolume } from '../../../src/layout/embedded.js'
import { patterned } from '../../model/pair.js'

const EIO = { code: 'EIO' }
const BLOCKS = 16

export function testPoison(directory: string): void {
  test('a broken page is EIO for readers and mappings, is listed, and out of use for good', () => {
    const path = join(directory, 'poison.hf')
    createVolume(path, 8 << 20)
    const volume = openVolume(path)
    volume.writeFile('/f', patterned(BLOCKS * BLOCK_BYTES, 1))
    const file = volume.open('/f', 'r+')
    const pin = file.pin()
    const mapping = file.map()
    const place = (block: number) => {
      const { fileBlock, regionBlock } = volume.extents('/f').extents[0]!
      return regionBlock + (block - fileBlock)
    }
    const break_ = (block: number) =>
      execFileSync('/bin/poison', [path, String(place(block) * BLOCK_BYTES)], { stdio: 'inherit' })
    break_(3)
    for (let i = 0; i < 3; i++) assert.throws(() => volume.readFile('/f'), EIO, `time ${i}`)
    assert.throws(() => file.write(new Uint8Array(10), 3 * BLOCK_BYTES), EIO, 'a write to it')
    assert.deepEqual(volume.badBlocks(), [place(3)])
    break_(5)
    const bytes = new Uint8Array(mapping.buffer)
    assert.equal(bytes[5 * BLOCK_BYTES], 0, 'zeros for who reads the mapping')
    assert.throws(() => mapping.check(), EIO)
    assert.deepEqual(volume.badBlocks(), [place(3), place(5)])
    const part = new Uint8Array(3 * BLOCK_BYTES)
    file.read(part, 0)
    assert.deepEqual(part, patterned(BLOCKS * BLOCK_BYTES, 1).subarray(0, part.length))
    assert.equal(pin.released, false)
    const bad = volume.badBlocks()
    mapping.unmap()
    file.close()
    volume.unlink('/f')
    pin.release()
    volume.writeFile('/new', patterned(4 << 20, 2))
    assert.deepEqual(volume.readFile('/new'), patterned(4 << 20, 2), 'nothing new is in them')
    volume.close()
    const again = openVolume(path)
    assert.deepEqual(again.badBlocks(), bad)
    again.close()
  })
}
