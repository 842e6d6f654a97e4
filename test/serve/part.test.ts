/** Holds of clients that are given back in part. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { ByteRange } from '../../src/base/layout.js'
import type { ClientHold, HoldingFile, LocalFile, RemoteFile } from '../../src/client/index.js'
import { patternOf } from '../interop/pattern.js'
import { servedTest, type Served } from './service.js'

const BLOCK = 4096
const part: ByteRange = { offset: 3 * BLOCK, length: 2 * BLOCK }

function make({ volume }: Served, path: string, blocks: number): void {
  using file = volume.open(path, 'w')
  file.write(patternOf(1, blocks * BLOCK), 0)
}

const rangesOf = ({ volume }: Served, id: number) =>
  volume.holds().find((hold) => hold.id === id)?.ranges

/** Bytes of the region that this process has mapped. */
function mappedOf({ region }: Served): number {
  let bytes = 0
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const [from = 0, to = 0] = line.split(/[- ]/, 2).map((word) => parseInt(word, 16))
    if (line.endsWith(region)) bytes += to - from
  }
  return bytes
}

/** A range without another, in bytes. */
const before = { offset: 0, length: 3 * BLOCK }
const behind = { offset: 5 * BLOCK, length: 5 * BLOCK }

for (const kind of ['local', 'remote'] as const) {
  servedTest(`${kind}: a pin is given back in part, and then the rest`, {}, async (served) => {
    make(served, '/f', 10)
    const client = await served[kind]()
    const file = (await client.open('/f', 'r+')) as HoldingFile
    const pin = await file.pin()
    const punch = () => served.volume.open('/f', 'r+').punch(part.offset, part.length)
    assert.throws(punch, { code: 'EBUSY' })
    const blocks = new Map(
      pin.extents.map(({ fileBlock, regionBlock }) => [fileBlock, regionBlock]),
    )
    await pin.release({ offset: part.offset + 1, length: part.length - 2 })
    assert.deepEqual(rangesOf(served, pin.id), [before, behind])
    punch()
    const { extents } = pin
    assert.equal(
      extents.reduce((sum, { count }) => sum + count, 0),
      8,
    )
    assert.equal(extents[0]!.regionBlock, blocks.get(0))
    assert.ok(!pin.covers(part.offset, 1) && pin.covers(behind.offset, behind.length))
    // Nothing of it is left to be given back there, and nothing is asked.
    await pin.release(part)
    await pin.release({ offset: 8 * BLOCK, length: 2 * BLOCK })
    assert.deepEqual([pin.offset, pin.length], [0, 8 * BLOCK])
    await pin.release({ offset: 0, length: 10 * BLOCK })
    assert.equal(pin.end, 'released')
    assert.deepEqual(served.volume.holds(), [])
  })

  servedTest(`${kind}: of a lease what is asked back is enough`, {}, async (served) => {
    make(served, '/f', 10)
    const client = await served[kind]()
    const file = (await client.open('/f', 'r+')) as HoldingFile
    const asked: ByteRange[] = []
    const lease: ClientHold = await file.lease({
      iomode: 'rw',
      onRecall: async ({ offset, length }) => {
        asked.push({ offset, length })
        await lease.release({ offset, length })
      },
    })
    const { volume } = served
    using open = volume.open('/f', 'r+')
    const change = (run: () => void) => volume.promises.settle(() => volume.arbiter.during({}, run))
    await change(() => open.punch(part.offset, part.length))
    assert.deepEqual(asked, [part])
    await client.statfs()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(lease.end, null)
    assert.deepEqual(rangesOf(served, lease.id), [before, behind])
    await change(() => open.punch(0, 10 * BLOCK))
    assert.equal(lease.end, 'released')
  })

  servedTest(`${kind}: of a lease each range is asked back`, {}, async (served) => {
    make(served, '/f', 10)
    const client = await served[kind]()
    const file = (await client.open('/f', 'r+')) as HoldingFile
    const asked: ByteRange[] = []
    let both = () => {}
    const told = new Promise<void>((resolve) => (both = resolve))
    const lease: ClientHold = await file.lease({
      iomode: 'rw',
      // Each is answered with its range alone, when both have come.
      onRecall: async ({ offset, length }) => {
        if (asked.push({ offset, length }) === 2) both()
        await told
        await lease.release({ offset, length })
      },
    })
    const { promises } = served.volume
    using open = served.volume.open('/f', 'r+')
    const first = promises.punch(open, 0, BLOCK, { deadline: 2_000 })
    const second = promises.punch(open, part.offset, part.length, { deadline: 2_000 })
    await Promise.all([first, second])
    assert.deepEqual(asked, [{ offset: 0, length: BLOCK }, part])
    await client.statfs()
    assert.equal(lease.end, null)
    const between = { offset: BLOCK, length: 2 * BLOCK }
    assert.deepEqual(rangesOf(served, lease.id), [between, behind])
  })
}

servedTest('remote: bytes of a part that was given back are not reached', {}, async (served) => {
  make(served, '/f', 10)
  const client = await served.remote()
  const file = (await client.open('/f', 'r+')) as RemoteFile
  const layout = await file.layout({ iomode: 'rw' })
  const bytes = patternOf(2, 10 * BLOCK)
  const written = Array.from({ length: 10 }, () => layout.write(0, bytes))
  await layout.release(part)
  // What was under way is in the file when the part is another's to have.
  using open = served.volume.open('/f', 'r+')
  const got = new Uint8Array(10 * BLOCK)
  open.read(got, 0)
  assert.deepEqual(got, bytes)
  open.punch(part.offset, part.length)
  await Promise.all(written)
  await assert.rejects(layout.read(4 * BLOCK, 10), { code: 'EINVAL' })
  await assert.rejects(layout.write(2 * BLOCK, new Uint8Array(2 * BLOCK)), { code: 'EINVAL' })
  await layout.write(behind.offset, patternOf(3, behind.length))
  assert.deepEqual(await layout.read(0, 3 * BLOCK), bytes.subarray(0, 3 * BLOCK))
  await layout.commit()
  open.read(got, 0)
  bytes.fill(0, part.offset, part.offset + part.length)
  bytes.set(patternOf(3, behind.length), behind.offset)
  assert.deepEqual(got, bytes)
})

for (const write of [true, false]) {
  const title = `a mapping ${write ? 'to write' : 'to read'} loses the part that is given back`
  servedTest(title, {}, async (served) => {
    make(served, '/f', 10)
    const client = await served.local()
    const file = (await client.open('/f', 'r+')) as LocalFile
    const mapping = await file.map({ write })
    assert.equal(mapping.hold.facts.kind, 'lease')
    const all = mapping.buffer
    const [first, rest] = [
      mapping.window(0, 3 * BLOCK),
      mapping.window(5 * BLOCK + 8, 5 * BLOCK - 8),
    ]
    const given = mapping.window(4 * BLOCK, 8)
    const mapped = mappedOf(served)
    await mapping.hold.release(part)
    assert.equal(mapped - mappedOf(served), part.length)
    assert.deepEqual([all.byteLength, given.byteLength], [0, 0])
    const bytes = patternOf(1, 10 * BLOCK)
    assert.deepEqual(new Uint8Array(first), bytes.subarray(0, 3 * BLOCK))
    assert.deepEqual(new Uint8Array(rest), bytes.subarray(5 * BLOCK + 8))
    const stale = { code: 'ESTALE', message: /given back/ }
    assert.throws(() => mapping.window(4 * BLOCK, 8), stale)
    assert.throws(() => mapping.buffer, stale)
    // Others have the blocks now.
    using open = served.volume.open('/f', 'r+')
    open.punch(part.offset, part.length)
    using other = served.volume.open('/other', 'w+')
    other.write(patternOf(4, 20 * BLOCK), 0)
    assert.equal(mapping.window(0, 3 * BLOCK).byteLength, 3 * BLOCK)
    if (write) {
      new Uint8Array(rest).fill(7)
      mapping.persist(behind.offset, behind.length)
      const got = new Uint8Array(1)
      open.read(got, 6 * BLOCK)
      assert.equal(got[0], 7)
    }
    const others = new Uint8Array(20 * BLOCK)
    other.read(others, 0)
    assert.deepEqual(others, patternOf(4, 20 * BLOCK))
    mapping.unmap()
    await mapping.hold.over
    await client.statfs()
    assert.deepEqual(served.volume.holds(), [])
  })
}
