/**
 * Writes the golden images of this format version into test/golden, once for each version:
 *
 *     node build/test/golden/make.js
 *
 * They are never made anew afterwards: what they prove is that volumes of that time still open.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { TracedRegion } from '../../src/region/traced_region.js'
import { Volume } from '../../src/volume/volume.js'
import { describeVolume, IMAGES, makeImage, STOPPED } from './contents.js'

for (const name of IMAGES) {
  const image = join('test', 'golden', `v1-${name}.img.gz`)
  if (existsSync(image)) throw new Error(`${image} is there: golden images are made once`)
  const bytes = makeImage(name)
  writeFileSync(image, gzipSync(bytes, { level: 9 }))
  const region = new TracedRegion(bytes.length)
  region.u8.set(bytes)
  const volume = Volume.mount(region, { readOnly: true, clock: STOPPED })
  writeFileSync(join('test', 'golden', `v1-${name}.txt`), `${describeVolume(volume).join('\n')}\n`)
  volume.close()
  region.close()
}
