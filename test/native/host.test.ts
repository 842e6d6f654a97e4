import assert from 'node:assert/strict'
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { native } from '../../src/native/native.js'
import { fails } from './support.js'

// tmpfs: it has holes, and user attributes where the kernel is new enough.
const folder = mkdtempSync('/dev/shm/holdfast-native-')
after(() => rmSync(folder, { recursive: true }))
const at = (name: string): Buffer => Buffer.from(join(folder, name))

test('seek finds data and holes, and nothing past the end', () => {
  const fd = openSync(at('sparse'), 'w')
  writeSync(fd, 'x', 2 ** 32 + 8192)
  ftruncateSync(fd, 2 ** 33)
  assert.equal(native.seek(fd, 0, true), 2 ** 32 + 8192)
  assert.equal(native.seek(fd, 0, false), 0)
  assert.equal(native.seek(fd, 2 ** 32 + 8192, false), 2 ** 32 + 12288)
  assert.equal(native.seek(fd, 2 ** 32 + 12288, true), -1)
  assert.equal(native.seek(fd, 2 ** 33, false), -1)
  closeSync(fd)
  fails('EBADF', () => native.seek(fd, 0, true))
})

test('times of a symlink itself, to the nanosecond, before 1970 too', () => {
  symlinkSync('nowhere', at('link'))
  native.setTimes(at('link'), -2, 999_999_999, 2 ** 33, 1)
  const { atimeNs, mtimeNs } = lstatSync(at('link'), { bigint: true })
  assert.deepEqual([atimeNs, mtimeNs], [-1_000_000_001n, 8_589_934_592_000_000_001n])
  fails('ENOENT', () => native.setTimes(at('none'), 0, 0, 0, 0))
  fails('ERR_OUT_OF_RANGE', () => native.setTimes(at('link'), 0.5, 0, 0, 0))
  fails('ERR_OUT_OF_RANGE', () => native.setTimes(at('link'), 0, 1_000_000_000, 0, 0))
})

test('attributes are listed, read and set as bytes', () => {
  writeFileSync(at('file'), '')
  const name = Buffer.from('trusted.a')
  native.setXattr(at('file'), name, Buffer.of(0, 255))
  native.setXattr(at('file'), Buffer.from('trusted.empty'), new Uint8Array(0))
  const names = Buffer.from(native.listXattrs(at('file')))
    .toString()
    .split('\0')
    .sort()
  assert.deepEqual(names, ['', 'trusted.a', 'trusted.empty'])
  assert.deepEqual([...native.getXattr(at('file'), name)], [0, 255])
  assert.equal(native.getXattr(at('file'), Buffer.from('trusted.empty')).length, 0)
  fails('ENODATA', () => native.getXattr(at('file'), Buffer.from('trusted.none')))
  fails('ENOENT', () => native.listXattrs(at('none')))
})

test('special files, and paths that are none', () => {
  native.makeNode(at('fifo'), 0o010600, 0, 0)
  assert.ok(lstatSync(at('fifo')).isFIFO())
  native.makeNode(at('null'), 0o020600, 1, 3)
  assert.equal(lstatSync(at('null')).rdev, 0x103)
  fails('EEXIST', () => native.makeNode(at('fifo'), 0o010600, 0, 0))
  fails('ERR_OUT_OF_RANGE', () => native.listXattrs(Buffer.from('a\0b')))
  fails('ERR_OUT_OF_RANGE', () => native.listXattrs(Buffer.alloc(4096, 0x61)))
  fails('ERR_INVALID_ARG_TYPE', () => native.listXattrs('text' as unknown as Uint8Array))
})
