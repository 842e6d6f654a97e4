/** Files by handle, the layout id, and blocks for who writes past the calls without a hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { O } from '../../src/base/open_flags.js'
import { assertBytes, blocksOf } from './ground.js'
import { codeOf, errorOf, Scene, stateOf } from './scene.js'
import { idle, outcomeOf } from './timers.js'

test('a handle survives a rename, and is no other file when its inode is used again', () => {
  using scene = new Scene()
  const { volume, other } = scene
  using file = volume.open('/f', 'r')
  const { handle } = file
  assert.deepEqual(handle, { ino: file.ino, generation: file.stat().generation })
  volume.rename('/f', '/g')
  using again = volume.openHandle(other, handle, 'r+')
  again.write(blocksOf('again', 0, 1), 0)
  assertBytes(scene.block('/g', 0), blocksOf('again', 0, 1), '/g')
  again.close()
  file.close()
  volume.unlink('/g')
  assert.equal(
    codeOf(() => volume.openHandle(other, handle)),
    'ESTALE',
  )
  let reused = false
  for (let i = 0; i < 64 && !reused; i++) {
    volume.writeFile(`/new${i}`, new Uint8Array(1))
    reused = volume.stat(`/new${i}`).ino === handle.ino
  }
  assert.ok(reused, 'another file has its inode')
  const error = errorOf(() => volume.openHandle(other, handle))
  assert.equal(error.code, 'ESTALE', error.message)
})

test('by its handle a file without a name is opened as long as somebody has it open', () => {
  using scene = new Scene()
  const { volume, other } = scene
  const file = volume.open('/f', 'r')
  const { handle } = file
  volume.unlink('/f')
  const second = volume.openHandle(other, handle)
  file.close()
  const bytes = new Uint8Array(8 * B)
  assert.equal(second.read(bytes, 0), 8 * B)
  assertBytes(bytes, blocksOf('/f', 0, 8), 'the file')
  second.close()
  assert.equal(
    codeOf(() => volume.openHandle(other, handle)),
    'ESTALE',
  )
})

test('the permissions of the file count, whoever could not walk to it', () => {
  using scene = new Scene()
  const { volume } = scene
  volume.mkdir('/secret', 0o700)
  volume.rename('/f', '/secret/f')
  volume.chown('/secret/f', 1, 1)
  volume.chmod('/secret/f', 0o604)
  const { ino, generation } = volume.stat('/secret/f')
  const stranger = volume.session({ as: { uid: 2, gid: 2 } })
  volume.openHandle(stranger, { ino, generation }, 'r').close()
  assert.equal(
    codeOf(() => volume.openHandle(stranger, { ino, generation }, 'r+')),
    'EACCES',
  )
  stranger.end()
  assert.equal(
    codeOf(() => volume.openHandle(stranger, { ino, generation })),
    'ESTALE',
  )
})

test('by handle what is no file is opened as by path, and nothing is made', () => {
  using scene = new Scene()
  const { volume, other } = scene
  volume.symlink('/f', '/sym')
  volume.mknod('/fifo', 0o010644)
  const open = (path: string, flags: number) =>
    codeOf(() => volume.openHandle(other, volume.lstat(path), flags).close())
  assert.equal(open('/', 0), 'done')
  assert.equal(open('/', O.RDWR), 'EISDIR')
  assert.equal(open('/sym', 0), 'ELOOP')
  assert.equal(open('/fifo', 0), 'ENXIO')
  assert.equal(open('/f', O.DIRECTORY), 'ENOTDIR')
  assert.equal(open('/f', O.CREAT | O.RDWR), 'EINVAL')
  assert.equal(open('/f', O.TRUNC | O.RDWR), 'done')
  assert.equal(volume.stat('/f').size, 0)
  for (const ino of [0, 16, -1, 0.5, NaN, 2 ** 32, 4_000_000_000]) {
    assert.equal(
      codeOf(() => volume.openHandle(other, { ino, generation: 1 })),
      'ESTALE',
    )
  }
})

test('the layout id is that of the extents, and moves with the layout alone', () => {
  using scene = new Scene()
  const { volume } = scene
  using file = volume.open('/f', 'r+')
  const id = volume.layoutId(file)
  const { epoch, generation } = file.extents()
  assert.deepEqual(id, { epoch, generation })
  file.write(blocksOf('x', 0, 2), B)
  file.chmod(0o600)
  file.truncate(20 * B)
  assert.deepEqual(volume.layoutId(file), id)
  file.punch(0, B)
  assert.notDeepEqual(volume.layoutId(file), id)
})

test('who owns a range has blocks for it of its own, and the file the bytes and size of before', () => {
  using scene = new Scene()
  const { volume } = scene
  using file = volume.open('/f', 'r+')
  file.punch(2 * B, 2 * B)
  volume.reflink('/f', '/clone')
  file.truncate(7 * B + 100)
  const bytes = volume.readFile('/f')
  const places = scene.places('/f')
  file.own(B + 100, 3 * B)
  assertBytes(volume.readFile('/f'), bytes, '/f')
  assert.equal(file.stat().size, 7 * B + 100)
  const after = scene.places('/f')
  for (const block of [1, 2, 3, 4]) assert.notEqual(after[block], places[block], `block ${block}`)
  for (const block of [0, 5, 6, 7]) assert.equal(after[block], places[block], `block ${block}`)
  for (const block of [1, 4]) assert.notEqual(after[block], scene.place('/clone', block))
  const { generation } = volume.layoutId(file)
  file.own(B, 4 * B)
  assert.equal(volume.layoutId(file).generation, generation, 'it had them')
  assert.deepEqual(volume.holds(), [])
})

test('nothing is owned past the end, by who only reads, or of what is sealed', () => {
  using scene = new Scene()
  const { volume } = scene
  using file = volume.open('/f', 'r+')
  using reads = volume.open('/f', 'r')
  assert.equal(
    codeOf(() => file.own(7 * B, B + 1)),
    'EINVAL',
  )
  assert.equal(
    codeOf(() => file.own(0, 0)),
    'EINVAL',
  )
  assert.equal(
    codeOf(() => file.own(-1, 2)),
    'EINVAL',
  )
  assert.equal(
    codeOf(() => reads.own(0, B)),
    'EBADF',
  )
  volume.fix('/f')
  volume.sealWrites('/f')
  assert.equal(
    codeOf(() => file.own(0, B)),
    'EPERM',
  )
})

test('owning asks as a write would: a lease for reading that saw a hole is asked back', async () => {
  using scene = new Scene()
  const { volume } = scene
  using file = volume.open('/f', 'r+')
  file.punch(2 * B, B)
  const lease = scene.lease('/f')
  scene.refused('EBUSY', [lease], () => file.own(2 * B, B))
  const owned = outcomeOf(volume.promises.own(file, 2 * B, B))
  await idle()
  assert.equal(stateOf(owned), 'waits')
  lease.release()
  await idle()
  assert.equal(stateOf(owned), 'done')
  assert.notEqual(scene.place('/f', 2), null)
})
