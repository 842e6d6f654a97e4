/** Commits through a hold: what becomes part of the file, and what is refused without a trace. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { assertBytes, blocksOf } from './ground.js'
import { BLOCKS, codeOf, Scene } from './scene.js'

const MORE = (BLOCKS + 2) * B

test('a lease for reading commits nothing, and makes no file longer', () => {
  using s = new Scene()
  const lease = s.lease('/f', [0, BLOCKS + 2])
  for (const size of [undefined, B, MORE]) s.refused('EACCES', [], () => lease.commit(size))
  s.volume.chmod('/f', 0o444)
  const reader = s.volume.session({ name: 'reader', as: { uid: 1000, gid: 1000 } })
  using file = s.volume.openAs(reader, '/f', 'r')
  const own = file.lease({ iomode: 'read', length: MORE })
  s.refused('EACCES', [], () => own.commit(MORE))
  for (const hold of [lease, own]) hold.release()
})

test('a file that is immutable, fixed or write-sealed takes no commit that would change it', () => {
  using s = new Scene()
  const pin = s.pin('/f', [0, BLOCKS + 2])
  s.volume.setInodeFlags('/f', { immutable: true })
  for (const size of [undefined, B, MORE]) s.refused('EPERM', [], () => pin.commit(size))
  s.volume.setInodeFlags('/f', { immutable: false })
  pin.release()
  s.volume.fix('/f')
  const after = s.pin('/f', [0, BLOCKS])
  after.commit(BLOCKS * B) // as long as it is: data in place
  after.release()
  const past = s.pin('/f', [0, BLOCKS + 2]) // its blocks were there already
  s.refused('EPERM', [], () => past.commit(MORE))
  past.release()
  s.refused('EPERM', [], () => s.pin('/f', [0, BLOCKS + 3]))
  s.volume.sealWrites('/f')
  const sealed = s.pin('/f')
  s.refused('EPERM', [], () => sealed.commit())
  sealed.release()
})

test('a file that is fixed keeps its size, whatever a hold reaches to', () => {
  using s = new Scene()
  s.volume.truncate('/f', (BLOCKS - 1) * B + 100)
  s.volume.fix('/f')
  const pin = s.pin('/f', [0, BLOCKS])
  s.refused('EPERM', [], () => pin.commit(BLOCKS * B))
  assert.equal(s.volume.stat('/f').size, (BLOCKS - 1) * B + 100)
  pin.release()
})

test('a commit reaches as far as the hold, and makes no file shorter', () => {
  using s = new Scene()
  const pin = s.pin('/f', [2, BLOCKS + 2])
  for (const size of [MORE + 1, -1, 0.5, NaN, Infinity]) {
    s.refused('EINVAL', [], () => pin.commit(size))
  }
  pin.commit(B)
  assert.equal(s.volume.stat('/f').size, BLOCKS * B)
  s.assertFile('/f')
  pin.returnRange((BLOCKS + 1) * B, B)
  s.refused('EINVAL', [], () => pin.commit(MORE))
  pin.commit(MORE - B - 100)
  assert.equal(s.volume.stat('/f').size, MORE - B - 100)
  pin.release()
  assert.equal(
    codeOf(() => pin.commit()),
    'ESTALE',
  )
})

test('a commit through what was deferred or fenced is ESTALE, and changes no size', async () => {
  using s = new Scene()
  s.make('/g')
  const pin = s.pin('/f', [4, BLOCKS + 2])
  s.volume.truncate('/f', 0, undefined, { policy: 'defer' })
  s.refused('ESTALE', [], () => pin.commit(MORE))
  const lease = s.lease('/g', [0, BLOCKS + 2], { iomode: 'rw' })
  const cut = s.volume.promises.truncate('/g', 4 * B)
  await s.timers.pass(5_000)
  await cut
  s.refused('ESTALE', [], () => lease.commit(3 * B))
  s.refused('ESTALE', [], () => lease.commit(MORE))
  for (const hold of [pin, lease]) hold.release()
})

test('a commit of a part that is left after a truncate deferred is of that part', () => {
  using s = new Scene()
  const pin = s.pin('/f', [0, BLOCKS])
  s.volume.truncate('/f', 2 * B + 100, undefined, { policy: 'defer' })
  s.refused('EINVAL', [], () => pin.commit(3 * B + 1))
  pin.commit(3 * B)
  assert.equal(s.volume.stat('/f').size, 3 * B)
  pin.release()
})

test('a volume that is mounted read-only lends for reading, and takes no commit', () => {
  const s = new Scene()
  s.volume.close()
  const volume = LayoutVolume.mount(s.region, { readOnly: true })
  const bytes = new Uint8Array(s.region.byteLength)
  s.region.read(0, bytes, 0, bytes.length)
  const file = volume.open('/f', 'r')
  for (const call of [
    () => file.pin(),
    () => file.lease({ iomode: 'rw' }),
    () => volume.fix('/f'),
    () => volume.sealWrites('/f'),
    () => volume.setPolicy('/f', 'defer'),
    () => volume.defragment('/f').next(),
    () => file.unshare(),
  ]) {
    assert.equal(codeOf(call), 'EROFS')
  }
  const lease = file.lease({ iomode: 'read', length: MORE })
  for (const size of [undefined, MORE])
    assert.equal(
      codeOf(() => lease.commit(size)),
      'EROFS',
    )
  assert.equal(lease.runs()[0]!.length, BLOCKS * B)
  lease.release()
  assertBytes(volume.readFile('/f'), blocksOf('/f', 0, BLOCKS), '/f')
  volume.close()
  const after = new Uint8Array(bytes.length)
  s.region.read(0, after, 0, after.length)
  assertBytes(after, bytes, 'the region')
  s.region.close()
})
