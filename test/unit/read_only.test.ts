/** A volume that is only read: as it is, its log replayed, and not a byte of the medium changed. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { SteppedClock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import { Superblock } from '../../src/media/superblock.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { SuperblockPair } from '../../src/volume/superblock.js'
import { Volume } from '../../src/volume/volume.js'

/** A region with a volume whose last operations are in the log alone, and that volume. */
function crashed(): TracedRegion {
  const region = new TracedRegion(1 << 20)
  formatVolume(region, { clock: new SteppedClock() })
  const volume = Volume.mount(region)
  volume.mkdir('/d')
  volume.writeFile('/d/file', Buffer.from('content'))
  volume.symlink('d/file', '/link')
  return region
}

const isReadOnly = (error: unknown) => error instanceof HoldfastError && error.code === 'EROFS'

test('opened for reading only, a volume shows what its log holds and changes no byte', () => {
  const region = crashed()
  const before = Buffer.from(region.u8)
  const volume = Volume.mount(region, { readOnly: true })
  assert.ok(volume.replayed > 0)
  assert.deepEqual(Buffer.from(volume.readFile('/link')).toString(), 'content')
  const attempts = [
    () => volume.writeFile('/d/file', Buffer.from('other')),
    () => volume.writeFile('/new', Buffer.alloc(1)),
    () => volume.mkdir('/e'),
    () => volume.unlink('/link'),
    () => volume.rmdir('/d'),
    () => volume.rename('/link', '/other'),
    () => volume.link('/d/file', '/other'),
    () => volume.symlink('x', '/other'),
    () => volume.mknod('/other', 0o010644),
    () => volume.truncate('/d/file', 0),
    () => volume.chmod('/d', 0o700),
    () => volume.chown('/d', 1, 1),
    () => volume.utimes('/d', 0, 0),
    () => volume.setXattr('/d', 'user.a', Buffer.alloc(1)),
    () => volume.removeXattr('/d', 'user.a'),
    () => volume.setInodeFlags('/d', { append: true }),
    () => volume.open('/d', 0o20200002),
    () => volume.open('/d').chmod(0),
  ]
  for (const attempt of attempts) assert.throws(attempt, isReadOnly, attempt.toString())
  volume.sync()
  volume.close()
  assert.ok(before.equals(region.u8))
})

test('a volume with a feature that only a newer version may write is opened for reading', () => {
  const region = crashed()
  const pair = new SuperblockPair(region)
  pair.read()
  pair.u32[Superblock.word.featuresRoCompat] = 0x20
  pair.write()
  const before = Buffer.from(region.u8)
  const volume = Volume.mount(region)
  assert.ok(volume.readOnly)
  assert.deepEqual(Buffer.from(volume.readFile('/d/file')).toString(), 'content')
  assert.throws(() => volume.mkdir('/e'), /EROFS.*features \(0x00000020\)/)
  volume.close()
  assert.ok(before.equals(region.u8))
})
