import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { after, test } from 'node:test'
import { native } from '../../src/native/native.js'
import { fails, mapped, pageBytes } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-native-'))
after(() => rmSync(folder, { recursive: true }))

const tmpfsType = 0x01021994
const seal = { seal: 1, shrink: 2, grow: 4, write: 8 }

test('two open descriptions in one process exclude each other', () => {
  const path = join(folder, 'locks')
  const first = openSync(path, 'w+')
  const second = openSync(path, 'r+')
  assert.equal(native.lock(first, 0, 10, true), true)
  assert.equal(native.lock(first, 0, 10, true), true, 'its own lock is no obstacle')
  assert.equal(native.lock(second, 9, 1, true), false)
  assert.equal(native.lock(second, 9, 1, false), false)
  assert.equal(native.locked(second, 0, 100, true), true)
  assert.equal(native.locked(first, 0, 100, true), false)
  assert.equal(native.lock(second, 10, 1, true), true)
  native.unlock(first, 0, 10)
  assert.equal(native.locked(second, 0, 10, true), false)
  assert.equal(native.lock(first, 0, 4, false), true)
  assert.equal(native.lock(second, 0, 4, false), true, 'shared locks go together')
  assert.equal(native.lock(second, 0, 4, true), false)
  closeSync(first)
  assert.equal(native.lock(second, 0, 4, true), true, 'a closed description holds nothing')
  closeSync(second)
})

test('another process sees a lock, at offsets beyond 4 GiB too', () => {
  const path = join(folder, 'shared')
  const fd = openSync(path, 'w+')
  const offset = 2 ** 40
  assert.equal(native.lock(fd, offset, 1, true), true)
  const module = new URL('../../src/native/native.js', import.meta.url).href
  const code = `
    import { openSync } from 'node:fs'
    import { native } from ${JSON.stringify(module)}
    const fd = openSync(${JSON.stringify(path)}, 'r+')
    const seen = native.locked(fd, ${offset}, 1, true)
    console.log(seen, native.lock(fd, ${offset}, 1, true), native.lock(fd, 0, 1, true))`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
  })
  assert.equal(child.stdout.trim(), 'true false true', child.stderr)
  closeSync(fd)
})

test('the first lock of others is found, wherever others are', () => {
  const path = join(folder, 'first')
  const fd = openSync(path, 'w+')
  const far = 2 ** 52
  const holders = [700, 3, 512, 4, 90].map((at) => {
    const holder = openSync(path, 'r')
    assert.equal(native.lock(holder, far + at, 2, false), true)
    return holder
  })
  assert.equal(native.firstLock(fd, far, 1000), far + 3)
  assert.equal(native.firstLock(fd, far, 3), -1)
  assert.equal(native.firstLock(fd, far + 4, 1), far + 4, 'the end of one, the begin of another')
  assert.equal(native.firstLock(fd, far + 6, 1000), far + 90)
  assert.equal(native.firstLock(fd, far + 91, 500), far + 91, 'it begins before')
  assert.equal(native.firstLock(fd, far + 92, 1000), far + 512)
  assert.equal(native.firstLock(fd, far + 702, 10_000), -1)
  assert.equal(native.firstLock(fd, 0, Number.MAX_SAFE_INTEGER), far + 3)
  assert.equal(native.lock(fd, far, 1, true), true)
  assert.equal(native.firstLock(fd, far, 2), -1, 'its own is none of another')
  assert.equal(native.firstLock(holders[0]!, far, 2), far, 'exclusive ones count')
  for (const holder of holders) closeSync(holder)
  assert.equal(native.firstLock(fd, far, 1000), -1)
  fails('EINVAL', () => native.firstLock(fd, 0, 0))
  fails('ERR_OUT_OF_RANGE', () => native.firstLock(fd, -1, 1))
  closeSync(fd)
  fails('EBADF', () => native.firstLock(fd, 0, 1))
})

test('a lock of no bytes, or on no file, is refused', () => {
  const fd = openSync(join(folder, 'empty'), 'w+')
  fails('EINVAL', () => native.lock(fd, 0, 0, true))
  fails('EINVAL', () => native.unlock(fd, 0, 0))
  fails('EBADF', () => native.lock(1_000_000, 0, 1, true))
  fails('ERR_OUT_OF_RANGE', () => native.lock(-1, 0, 1, true))
  fails('ERR_OUT_OF_RANGE', () => native.lock(2 ** 31, 0, 1, true))
  fails('ERR_OUT_OF_RANGE', () => native.lock(fd, -1, 1, true))
  closeSync(fd)
})

test('a memory file has the name and the size that were asked for', () => {
  const fd = native.memfd('a name', 12345, false)
  assert.equal(fstatSync(fd).size, 12345)
  assert.match(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'), /flags:\s+02/, 'close-on-exec')
  closeSync(fd)
  closeSync(native.memfd('x'.repeat(249), 0, false))
  fails('ERR_OUT_OF_RANGE', () => native.memfd('x'.repeat(250), 0, false))
  fails('ERR_OUT_OF_RANGE', () => native.memfd('x'.repeat(5000), 0, false))
  fails('ERR_OUT_OF_RANGE', () => native.memfd('a\0b', 0, false))
  fails('ERR_INVALID_ARG_TYPE', () => native.memfd(1 as unknown as string, 0, false))
  fails('ERR_OUT_OF_RANGE', () => native.memfd('x', -1, false))
})

test('seals hold', () => {
  const fd = native.memfd('sealed', pageBytes, false)
  assert.equal(native.seals(fd), 0)
  native.addSeals(fd, seal.shrink | seal.grow)
  assert.equal(native.seals(fd), seal.shrink | seal.grow)
  assert.throws(() => ftruncateSync(fd, 0), { code: 'EPERM' })
  assert.throws(() => ftruncateSync(fd, 2 * pageBytes), { code: 'EPERM' })
  native.addSeals(fd, seal.seal)
  fails('EPERM', () => native.addSeals(fd, seal.write))
  fails('EINVAL', () => native.seals(openSync('/dev/null', 'r')))
  closeSync(fd)
})

test('a file with a writable mapping cannot be sealed against writing', () => {
  const { fd, close } = mapped(pageBytes)
  fails('EBUSY', () => native.addSeals(fd, seal.write))
  close()
})

test('statfs tells tmpfs by its type', () => {
  const fd = native.memfd('statfs', 0, false)
  const stat = native.statfs(fd)
  assert.equal(stat.type, tmpfsType)
  assert.equal(stat.blockSize, pageBytes)
  closeSync(fd)
  const root = openSync('/proc', 'r')
  assert.equal(native.statfs(root).type, 0x9fa0)
  closeSync(root)
  const file = openSync(join(folder, 'statfs'), 'w')
  const here = native.statfs(file)
  assert.ok(here.blocks >= here.blocksFree && here.blocksFree >= here.blocksAvailable)
  closeSync(file)
  fails('EBADF', () => native.statfs(1_000_000))
})

test('fallocate makes every block exist', () => {
  const fd = openSync(join(folder, 'blocks'), 'w+')
  native.fallocate(fd, pageBytes, 4 * pageBytes)
  assert.equal(fstatSync(fd).size, 5 * pageBytes)
  assert.ok(fstatSync(fd).blocks * 512 >= 4 * pageBytes)
  fails('EINVAL', () => native.fallocate(fd, 0, 0))
  fails('EFBIG', () => native.fallocate(fd, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER))
  closeSync(fd)
})

test('msync and fdatasync work, now and later', async () => {
  const fd = openSync(join(folder, 'sync'), 'w+')
  writeSync(fd, Buffer.alloc(4 * pageBytes))
  const memory = native.reserve(4 * pageBytes)
  native.map(memory, 0, fd, 0, 4 * pageBytes, 3)
  native.zero(memory, 5000, 100)
  native.msync(memory, 5000, 100)
  native.msync(memory, 0, 0)
  native.fdatasync(fd)
  await Promise.all([
    native.msyncAsync(memory, 5000, 100),
    native.msyncAsync(memory, 0, 4 * pageBytes),
    native.fdatasyncAsync(fd),
  ])
  native.unmap(memory)
  closeSync(fd)
  fails('EBADF', () => native.fdatasync(fd))
  await assert.rejects(native.fdatasyncAsync(fd), { code: 'EBADF', syscall: 'fdatasync' })
})

test('a memory is not unmapped while an msync of it runs', async () => {
  const { memory, close } = mapped(64 * pageBytes)
  const running = native.msyncAsync(memory, 0, 64 * pageBytes)
  fails('EBUSY', () => native.unmap(memory))
  await running
  close()
})

test('tmpfs cannot be mapped with MAP_SYNC', () => {
  const fd = native.memfd('sync', pageBytes, false)
  assert.equal(native.canMapSync(fd), false)
  closeSync(fd)
  fails('EBADF', () => native.canMapSync(fd))
})
