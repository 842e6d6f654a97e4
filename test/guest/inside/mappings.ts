/** Mapped files on persistent memory, as tests: pages of 4 KiB on fsdax, of 2 MiB on device-DAX. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { createRegion } from '../../../src/region/file_region.js'
import { createVolume, openVolume } from '../../../src/layout/embedded.js'
import { formatVolume } from '../../../src/volume/format.js'
import { Volume } from '../../../src/volume/volume.js'
import { sameBytes } from '../../model/compare.js'
import { MappingPair, mappingOperation } from '../../model/mapping_pair.js'
import { patterned, testMemory } from '../../model/pair.js'
import type { DaxFilesystem, PersistentMemory } from './namespaces.js'

const MIB = 1 << 20
const GRAIN = 2 * MIB
const SEQUENCES = 12

export function testFsDaxMappings(type: DaxFilesystem, directory: string, seed: number): void {
  test(`a mapped file is what a plain buffer is, on ${type}`, () => {
    const region = createRegion(join(directory, 'mapped'), 4 * MIB)
    assert.equal(region.kind, 'fsdax')
    const memory = testMemory()
    const run = (operations: Parameters<MappingPair['step']>[0][], unmap: boolean) => {
      formatVolume(region)
      const pair = new MappingPair(Volume.mount(region, { memory }))
      for (const operation of operations) pair.step(operation)
      pair.finish(unmap)
      const again = Volume.mount(region, { memory })
      sameBytes(again.readFile('/mapped'), pair.content, 'mounted again')
      again.close()
    }
    const sequence = fc.array(mappingOperation, { maxLength: 80, size: 'max' })
    fc.assert(fc.property(sequence, fc.boolean(), run), {
      seed,
      numRuns: SEQUENCES,
      includeErrorInReport: true,
    })
    region.close()
  })
}

export function testDevDaxMappings({ dax }: PersistentMemory): void {
  test('a large file on a device is mapped in its pages, stored to, and durable', () => {
    createVolume(dax, 0, { force: true })
    const volume = openVolume(dax)
    const content = patterned(3 * GRAIN, 1)
    const file = volume.open('/large', 'w+')
    file.truncate(3 * GRAIN)
    const mapping = file.map({ write: true })
    new Uint8Array(mapping.buffer).set(content)
    mapping.persist()
    const read = new Uint8Array(3 * GRAIN)
    assert.equal(file.read(read, 0), read.length)
    sameBytes(read, content, 'read')
    file.write(patterned(100, 2), GRAIN - 50)
    content.set(patterned(100, 2), GRAIN - 50)
    sameBytes(new Uint8Array(mapping.buffer), content, 'written through a handle')
    using part = file.map({ offset: GRAIN + 4096, length: GRAIN })
    const expected = content.subarray(GRAIN + 4096, 2 * GRAIN + 4096)
    sameBytes(new Uint8Array(part.buffer), expected, 'a part, from within a page')
    file.truncate(GRAIN)
    assert.throws(() => mapping.buffer, { code: 'ESTALE' })
    sameBytes(new Uint8Array(mapping.window(0, GRAIN)), content.subarray(0, GRAIN), 'cut')
    volume.close()
    const again = openVolume(dax)
    sameBytes(again.readFile('/large'), content.subarray(0, GRAIN), 'opened again')
    again.close()
  })

  test('a file that is not in whole pages of the device is EOPNOTSUPP, and says so', () => {
    const volume = openVolume(dax)
    const file = volume.open('/scattered', 'w+')
    for (let i = 2 * GRAIN - 8192; i >= 0; i -= 8192) file.write(patterned(4096, i), i)
    const refused = { code: 'EOPNOTSUPP', message: /pages of 2097152 bytes.*aligned/ }
    assert.throws(() => file.map(), refused)
    file.close()
    sameBytes(volume.readFile('/large').subarray(0, 9), patterned(3 * GRAIN, 1).subarray(0, 9), '')
    volume.close()
  })
}
