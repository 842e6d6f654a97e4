/**
 * Volumes that an earlier version made: they open, are sound, hold what they held, and can be
 * written to. The images are fixtures; test/golden/make.ts made them.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { Volume } from '../../src/volume/volume.js'
import { describeVolume, IMAGES, STOPPED } from './contents.js'

const checker = new Checker(native.crc32cOf)

function load(name: string): { region: TracedRegion; expected: string[] } {
  const bytes = gunzipSync(readFileSync(join('test', 'golden', `${name}.img.gz`)))
  const region = new TracedRegion(bytes.length)
  region.u8.set(bytes)
  const text = readFileSync(join('test', 'golden', `${name}.txt`), 'utf8')
  return { region, expected: text.trimEnd().split('\n') }
}

function assertClean(region: TracedRegion, when: string): void {
  const report = checker.check(region)
  assert.equal(report.state, 'clean', `${when}: ${formatReport(report)}`)
}

for (const image of IMAGES) {
  const name = `v1-${image}`

  test(`${name} is sound, and shows what it held, for reading only`, () => {
    const { region, expected } = load(name)
    assertClean(region, 'as it was made')
    const before = Buffer.from(region.u8)
    const volume = Volume.mount(region, { readOnly: true, clock: STOPPED })
    assert.deepEqual(describeVolume(volume), expected)
    volume.close()
    assert.ok(before.equals(region.u8))
    region.close()
  })

  test(`${name} shows what it held when it is opened for writing, and can be written to`, () => {
    const { region, expected } = load(name)
    const volume = Volume.mount(region, { atime: 'never', clock: STOPPED })
    assert.deepEqual(describeVolume(volume), expected)
    volume.writeFile('/new', new Uint8Array(30_000).fill(1))
    volume.unlink('/new')
    volume.setInodeFlags('/empty', { immutable: false })
    volume.unlink('/empty')
    volume.close()
    assertClean(region, 'when it was written to')
    const again = Volume.mount(region, { readOnly: true, clock: STOPPED })
    assert.deepEqual(
      describeVolume(again),
      expected.filter((line) => !line.startsWith('"/empty" ')),
    )
    again.close()
    region.close()
  })
}
