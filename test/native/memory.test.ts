import assert from 'node:assert/strict'
import { closeSync, readFileSync, readSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import { markAsUntransferable, Worker } from 'node:worker_threads'
import { MapFlag, native, type MemoryId } from '../../src/native/native.js'
import { collect } from './garbage.js'
import { fails, mapped, pageBytes, viewOf } from './support.js'

const GiB = 2 ** 30
const both = MapFlag.read | MapFlag.write

test('an anonymous memory begins as zeros and keeps what is stored', () => {
  const memory = native.anonymous(10_000)
  assert.equal(native.byteLength(memory), 10_000)
  const bytes = viewOf(memory)
  assert.ok(bytes.every((byte) => byte === 0))
  bytes[9_999] = 7
  assert.equal(viewOf(memory)[9_999], 7)
  native.unmap(memory)
})

test('ids are never used again, and their entries are', () => {
  const seen = new Set<number>()
  const entries = new Set<number>()
  let stale: MemoryId | undefined
  for (let i = 0; i < 2000; i++) {
    const memory = native.reserve(pageBytes)
    assert.ok(!seen.has(memory))
    seen.add(memory)
    entries.add(memory % 2 ** 24)
    if (stale !== undefined) fails('EINVAL', () => native.byteLength(stale!))
    native.unmap(memory)
    fails('EINVAL', () => native.byteLength(memory))
    stale = memory
  }
  assert.ok(entries.size < 10, `${entries.size} entries`)
})

test('a memory of no bytes, or of more than there are addresses, is refused', () => {
  for (const make of [native.reserve, native.anonymous]) {
    fails('EINVAL', () => make(0))
    fails('ERR_OUT_OF_RANGE', () => make(-1))
    fails('ERR_OUT_OF_RANGE', () => make(0.5))
    fails('ERR_OUT_OF_RANGE', () => make(Number.MAX_SAFE_INTEGER))
    fails('ENOMEM', () => make(2 ** 47))
  }
})

test('files stitched into one reservation are one run of bytes', () => {
  const first = native.memfd('first', 2 * pageBytes, false)
  const second = native.memfd('second', 2 * pageBytes, false)
  const memory = native.reserve(3 * pageBytes)
  native.map(memory, 0, first, pageBytes, pageBytes, both)
  native.map(memory, pageBytes, second, 0, 2 * pageBytes, both)
  const bytes = viewOf(memory)
  bytes.fill(1, pageBytes - 8, pageBytes + 8)
  const read = Buffer.alloc(8)
  readSync(first, read, 0, 8, 2 * pageBytes - 8)
  assert.deepEqual([...read], Array(8).fill(1))
  readSync(second, read, 0, 8, 0)
  assert.deepEqual([...read], Array(8).fill(1))
  writeSync(second, Buffer.from([9]), 0, 1, pageBytes)
  assert.equal(bytes[2 * pageBytes], 9)
  native.unmap(memory)
  closeSync(first)
  closeSync(second)
})

test('map refuses parts of pages, unknown flags and files that cannot be mapped', () => {
  const { memory, fd, close } = mapped(2 * pageBytes)
  fails('EINVAL', () => native.map(memory, 1, fd, 0, pageBytes, both))
  fails('EINVAL', () => native.map(memory, 0, fd, 0, 100, both))
  fails('EINVAL', () => native.map(memory, 0, fd, 0, 0, both))
  fails('EINVAL', () => native.map(memory, 0, fd, 1, pageBytes, both))
  fails('EINVAL', () => native.map(memory, 0, fd, 0, pageBytes, 0))
  fails('EINVAL', () => native.map(memory, 0, fd, 0, pageBytes, 16 | both))
  fails('EBADF', () => native.map(memory, 0, 1_000_000, 0, pageBytes, both))
  fails('EOPNOTSUPP', () => native.map(memory, 0, fd, 0, pageBytes, both | MapFlag.sync))
  const bytes = viewOf(memory)
  bytes[0] = 5
  assert.equal(bytes[0], 5, 'a refused map leaves the one before it')
  close()
})

test('an overlay cuts a memory off its file', () => {
  const { memory, fd, close } = mapped(2 * pageBytes)
  const bytes = viewOf(memory)
  bytes.fill(3)
  native.overlay(memory, 0, pageBytes)
  assert.equal(bytes[0], 0)
  assert.equal(bytes[pageBytes], 3)
  bytes[0] = 8
  const read = Buffer.alloc(1)
  readSync(fd, read, 0, 1, 0)
  assert.equal(read[0], 3)
  close()
})

test('a hole shows zeros; a store there is a fault that ends nothing', () => {
  const { memory, fd, close } = mapped(3 * pageBytes)
  const bytes = viewOf(memory)
  bytes.fill(3)
  native.hole(memory, pageBytes, pageBytes)
  assert.deepEqual([bytes[pageBytes - 1], bytes[pageBytes], bytes[2 * pageBytes]], [3, 0, 3])
  const before = native.faultCounter[0]!
  bytes[pageBytes + 5] = 8
  assert.equal(native.faultCounter[0], before + 1)
  const [fault] = native.takeFaults().filter((one) => one.memory === memory)
  assert.deepEqual([fault!.signal, fault!.offset], ['SIGSEGV', pageBytes])
  native.hole(memory, pageBytes, pageBytes)
  assert.equal(bytes[pageBytes + 5], 0)
  const read = Buffer.alloc(1)
  readSync(fd, read, 0, 1, pageBytes + 5)
  assert.equal(read[0], 3, 'the file is as it was')
  fails('EINVAL', () => native.hole(memory, 1, pageBytes))
  fails('ERR_OUT_OF_RANGE', () => native.hole(memory, 0, 4 * pageBytes))
  close()
})

test('unmap detaches every view, and stale views are empty', () => {
  const memory = native.anonymous(4 * pageBytes)
  const whole = native.view(memory, 0, 4 * pageBytes)
  const part = native.view(memory, pageBytes, 100)
  const typed = new Uint8Array(whole, 10, 10)
  const data = new DataView(part)
  typed[0] = 1
  assert.equal(native.viewCount(memory), 2)
  native.unmap(memory)
  assert.equal(whole.byteLength, 0)
  assert.equal(typed.length, 0)
  assert.equal(typed[0], undefined)
  typed[0] = 4
  assert.throws(() => data.getUint8(0), TypeError)
  fails('EINVAL', () => native.unmap(memory))
  fails('EINVAL', () => native.viewCount(memory))
})

test('detach takes the views that overlap the range and no other', () => {
  const memory = native.anonymous(4 * pageBytes)
  const views = [0, 1, 2, 3].map((page) => native.view(memory, page * pageBytes, pageBytes))
  assert.equal(native.detach(memory, pageBytes, 2 * pageBytes), 2)
  assert.deepEqual(
    views.map((view) => view.byteLength),
    [pageBytes, 0, 0, pageBytes],
  )
  assert.equal(native.viewCount(memory), 2)
  assert.equal(native.detach(memory, 0, 4 * pageBytes), 2)
  assert.equal(native.detach(memory, 0, 4 * pageBytes), 0)
  native.unmap(memory)
})

test('a view that was marked as untransferable ends nothing when it is to be detached', () => {
  const { memory, close } = mapped(pageBytes)
  const view = native.view(memory, 0, pageBytes)
  const bytes = new Uint8Array(view)
  bytes.fill(9)
  markAsUntransferable(view)
  close()
  // Node 24 and later keep it: it reads zeros then.
  if (bytes.length > 0) assert.ok(bytes.every((byte) => byte === 0))
  else assert.equal(view.byteLength, 0)
})

test('a view of no bytes is an empty ArrayBuffer', () => {
  const memory = native.anonymous(pageBytes)
  assert.equal(native.view(memory, pageBytes, 0).byteLength, 0)
  native.unmap(memory)
})

test('views that are collected are no longer counted', async () => {
  const memory = native.anonymous(pageBytes)
  for (let i = 0; i < 100; i++) native.view(memory, 0, pageBytes)
  for (let i = 0; i < 20 && native.viewCount(memory) > 0; i++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(native.viewCount(memory), 0)
  native.unmap(memory)
})

test('a view that transfer() moved away reads zeros after unmap', (context) => {
  const { memory, close } = mapped(pageBytes)
  const view = native.view(memory, 0, pageBytes) as ArrayBuffer & { transfer?(): ArrayBuffer }
  if (view.transfer === undefined) {
    close()
    context.skip('this engine has no ArrayBuffer.prototype.transfer')
    return
  }
  new Uint8Array(view).fill(6)
  const moved = new Uint8Array(view.transfer())
  assert.equal(moved[0], 6)
  close()
  // Untracked, so it could not be detached; but it reaches the file no more, and it does not fault.
  const after: number | undefined = moved.at(0)
  assert.equal(after, 0)
  moved[0] = 1
})

test('postMessage and structuredClone do not move a view', () => {
  const memory = native.anonymous(pageBytes)
  const view = native.view(memory, 0, pageBytes)
  try {
    structuredClone(view, { transfer: [view] })
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError')
  }
  assert.equal(view.byteLength, pageBytes)
  native.unmap(memory)
})

test('addresses go away with unmap', () => {
  const { fd, memory, close } = mapped(pageBytes)
  native.view(memory, 0, pageBytes)
  const mappings = () =>
    readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .filter((l) => l.includes('holdfast-test'))
  assert.ok(mappings().length > 0, String(fd))
  const before = mappings().length
  close()
  assert.equal(mappings().length, before - 1)
})

test('memories of more than 4 GiB work at every offset', () => {
  const length = 6 * GiB
  const { fd, memory, close } = mapped(length)
  const source = Uint8Array.from({ length: 256 }, (_, i) => i)
  const target = new Uint8Array(256)
  for (const offset of [4 * GiB - 128, 4 * GiB, 5 * GiB + 12345, length - 256]) {
    native.copyIn(memory, offset, source, 0, 256)
    native.copyOut(memory, offset, target, 0, 256)
    assert.deepEqual(target, source)
    const read = Buffer.alloc(256)
    readSync(fd, read, 0, 256, offset)
    assert.deepEqual(new Uint8Array(read), source)
    assert.equal(native.crc32c(memory, offset, 256, 0), native.crc32cOf(source, 0, 256, 0))
  }
  fails('ERR_OUT_OF_RANGE', () => native.copyOut(memory, length - 255, target, 0, 256))
  close()
})

test('a view that the engine cannot make is EFBIG, and windows work', () => {
  const { memory, close } = mapped(6 * GiB)
  native.copyIn(memory, 5 * GiB, Uint8Array.of(42), 0, 1)
  if (Number(process.versions.node.split('.')[0]) < 22) {
    fails('EFBIG', () => native.view(memory, 0, 5 * GiB))
    assert.throws(() => native.view(memory, 0, 5 * GiB), /use windows/)
    assert.equal(native.viewCount(memory), 0)
  } else {
    assert.equal(new Uint8Array(native.view(memory, 0, 6 * GiB))[5 * GiB], 42)
  }
  const high = new Uint8Array(native.view(memory, 4 * GiB, 2 * GiB))
  assert.equal(high[GiB], 42)
  close()
  assert.equal(high.length, 0)
})

test('a memory belongs to the thread that made it', async () => {
  const memory = native.anonymous(pageBytes)
  const module = new URL('../../src/native/native.js', import.meta.url).href
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(({ native }) => {
      const own = native.anonymous(4096)
      const view = new Uint8Array(native.view(own, 0, 4096))
      view[0] = 1
      let code = 'none'
      try { native.zero(workerData.memory, 0, 8) } catch (error) { code = error.code }
      parentPort.postMessage({ own, code })
    })`
  const worker = new Worker(code, { eval: true, workerData: { module, memory } })
  const answer = await new Promise<{ own: MemoryId; code: string }>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  assert.equal(answer.code, 'EINVAL')
  fails('EINVAL', () => native.zero(answer.own, 0, 8))
  await worker.terminate()
  native.zero(memory, 0, 8)
  native.unmap(memory)
})
