/** Atomics of peers, and aligned words: as local `Atomics` on the same bytes see them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Fault, type AccessName, type MemorySource, type Work } from '../../src/rdma/index.js'
import { RdmapError } from '../../src/rdma/wire/terminate.js'
import { memfdRegion } from '../../src/region/file_region.js'
import { heapRegion, type MemoryRegion as AddonRegion } from '../../src/region/memory_region.js'
import {
  connected,
  pattern,
  sameBytes,
  statuses,
  turn,
  until,
  type Pair,
  type Side,
} from './pair.js'
import { CONTROL, WORD, type Looked, type WordThread } from './word_thread.js'

const ACCESS: readonly AccessName[] = ['localWrite', 'remoteWrite', 'remoteRead', 'remoteAtomic']
const MASK = (1n << 64n) - 1n

const numberOf = (bytes: Uint8Array) => new DataView(bytes.buffer).getBigUint64(0, true)

async function change(side: Side, work: Work & { readonly local: Uint8Array }): Promise<bigint> {
  const { status, detail, bytes } = await side.done(work)
  assert.deepEqual([status, bytes], ['SUCCESS', 8], detail)
  return numberOf(work.local)
}

function exposeWords(pair: Pair, count = 8) {
  const words = new BigUint64Array(new SharedArrayBuffer(8 * count))
  const { stag } = pair.server.domain.register(words.buffer, { access: ACCESS })
  return { words, remote: (index: number) => ({ stag, address: 8 * index }) }
}

test('FetchAdd adds modulo 2^64, and brings back what was there', async () => {
  using pair = await connected()
  const { words, remote } = exposeWords(pair)
  const cases: [before: bigint, add: bigint | number][] = [
    [0n, 1],
    [0xffff_ffffn, 1],
    [MASK, 1n],
    [5n, MASK],
    [5n, -6n],
    [0x0123_4567_89ab_cdefn, 0x1111_1111_1111_1111n],
    [7n, 0],
    [0n, 2 ** 52],
  ]
  for (const [before, add] of cases) {
    words[3] = before
    const local = new Uint8Array(8)
    const found = await change(pair.client, { op: 'fetchAdd', local, add, remote: remote(3) })
    assert.equal(found, before)
    assert.equal(words[3], (before + BigInt(add)) & MASK, `${before} + ${add}`)
    assert.deepEqual([words[2], words[4]], [0n, 0n], 'its neighbours')
  }
})

test('CompareSwap replaces what is as expected, under masks, and brings back what was there', async () => {
  using pair = await connected()
  const { words, remote } = exposeWords(pair)
  const before = 0x1122_3344_5566_7788n
  const swap = 0xaabb_ccdd_eeff_0011n
  const low = 0xffff_ffffn
  const cases: [compare: bigint, masks: { compareMask?: bigint; swapMask?: bigint }, bigint][] = [
    [before, {}, swap],
    [before ^ 1n, {}, before],
    [before ^ (1n << 63n), {}, before],
    [0x5566_7788n, { compareMask: low }, swap],
    [before ^ (1n << 40n), { compareMask: low }, swap],
    [before ^ 1n, { compareMask: low }, before],
    [before, { swapMask: low }, (before & ~low & MASK) | (swap & low)],
    [0n, { compareMask: 0n, swapMask: 0n }, before],
    [0n, { compareMask: 0n }, swap],
  ]
  for (const [compare, masks, after] of cases) {
    words[0] = before
    const local = new Uint8Array(8)
    const work = { op: 'compareSwap', local, compare, swap, ...masks, remote: remote(0) } as const
    assert.equal(await change(pair.client, work), before)
    assert.equal(words[0], after, `compare ${compare.toString(16)}`)
    assert.equal(words[1], 0n)
  }
})

test('an atomic that is not aligned to eight bytes is refused, and changes nothing', async () => {
  for (const [address, at] of [
    [0, 4],
    [0, 1],
    [4096, 7],
  ] as const) {
    for (const op of ['fetchAdd', 'compareSwap'] as const) {
      using pair = await connected()
      const memory = pattern(64)
      const { remote } = pair.expose(memory, address)
      const common = { local: new Uint8Array(8), remote: remote(at) }
      if (op === 'fetchAdd') pair.client.post({ ...common, op, add: 1 })
      else pair.client.post({ ...common, op, compare: 0, compareMask: 0, swap: 1 })
      await pair.refused(RdmapError.streamCatastrophic, `${op} at ${at}`)
      sameBytes(memory, pattern(64), 'memory')
    }
  }
})

test('an aligned address of memory that is not aligned itself is refused, too', async () => {
  using pair = await connected()
  const memory = new Uint8Array(new ArrayBuffer(64), 4, 32)
  const { remote } = pair.expose(memory, 8)
  pair.client.post({ op: 'fetchAdd', local: new Uint8Array(8), add: 1, remote: remote(0) })
  await pair.refused(RdmapError.streamCatastrophic)
  assert.ok(memory.every((byte) => byte === 0))
})

test('Atomics and Reads are answered in the order in which they were asked', async () => {
  using pair = await connected({ ord: 16, qp: { maxSend: 512 } })
  const { remote } = exposeWords(pair)
  const locals: Uint8Array[] = []
  for (let i = 0; i < 256; i++) {
    const local = new Uint8Array(8)
    locals.push(local)
    const common = { id: i, local, remote: remote(0) }
    if (i % 2 === 0) pair.client.post({ ...common, op: 'fetchAdd', add: 1 })
    else pair.client.post({ ...common, op: 'read' })
  }
  const told = await statuses(pair.client.sendCq, 256)
  assert.deepEqual(
    told,
    Array.from(told, (_, i) => `${i} SUCCESS`),
  )
  // Each Read sees the atomic before it, and not the one behind it.
  locals.forEach((local, i) => assert.equal(numberOf(local), BigInt(Math.ceil(i / 2)), `${i}`))
})

test('an atomic sees the Writes before it, and Writes behind it come after it', async () => {
  using pair = await connected()
  const { words, remote } = exposeWords(pair)
  for (let i = 1; i <= 50; i++) {
    const local = new Uint8Array(8)
    const value = new Uint8Array(BigUint64Array.of(BigInt(1000 * i)).buffer)
    pair.client.post({ op: 'write', local: value, remote: remote(1) })
    pair.client.post({ op: 'fetchAdd', local, add: i, remote: remote(1) })
    assert.deepEqual(await statuses(pair.client.sendCq, 2), ['null SUCCESS', 'null SUCCESS'])
    assert.equal(numberOf(local), BigInt(1000 * i))
    assert.equal(words[1], BigInt(1001 * i))
  }
})

// ---- a thread that looks at the same bytes -----------------------------------------------------

const PATTERNS = [0n, MASK, 0x0123_4567_89ab_cdefn, 0xfedc_ba98_7654_3210n]
const WORDS_BYTES = 4096

/** What a peer and a thread do to the same words at the same time. */
async function together(pair: Pair, stag: number, memory: Partial<WordThread>): Promise<bigint> {
  const control = new SharedArrayBuffer(64)
  const flags = new Int32Array(control)
  const shared = { words: null, fd: -1, bytes: WORDS_BYTES, control, patterns: PATTERNS }
  const workerData: WordThread = { ...shared, ...memory }
  const worker = new Worker(new URL('./word_thread.js', import.meta.url), { workerData })
  const looked = once(worker, 'message') as Promise<[Looked]>
  await until(() => Atomics.load(flags, CONTROL.adds) > 0, 'the thread')
  for (let i = 0; i < 5000; i++) {
    const remote = { stag, address: 8 * WORD.adding }
    const local = new Uint8Array(8)
    pair.client.post({ op: 'fetchAdd', local, add: 1, remote, signaled: false })
    if (i % 100 === 99) await pair.settle()
  }
  const adds = Atomics.load(flags, CONTROL.adds)
  Atomics.store(flags, CONTROL.stopAdding, 1)
  assert.ok(adds > 5000, `the thread added ${adds} meanwhile`)
  const locals = PATTERNS.map((value) => new Uint8Array(BigUint64Array.of(value).buffer))
  for (let i = 0; i < 20_000; i++) {
    const remote = { stag, address: 8 * WORD.looking }
    const local = locals[i % locals.length]!
    pair.client.post({ op: 'write', local, remote, signaled: false })
    if (i % 251 === 250) await pair.settle()
  }
  await pair.settle()
  Atomics.store(flags, CONTROL.stopLooking, 1)
  const [{ torn, looks, seen }] = await looked
  assert.equal(torn, null, `${torn?.toString(16)} was never written`)
  assert.ok(looks > 1000 && seen > 1, `${looks} looks saw ${seen} of ${PATTERNS.length}`)
  await worker.terminate()
  return BigInt(5000 + Atomics.load(flags, CONTROL.adds))
}

test('atomics of a peer and of a thread add up in shared memory, and no aligned Write is torn', async () => {
  using pair = await connected({ qp: { maxSend: 512 } })
  const words = new SharedArrayBuffer(WORDS_BYTES)
  const { stag } = pair.server.domain.register(words, { access: ACCESS })
  const sum = await together(pair, stag, { words })
  assert.equal(new BigUint64Array(words)[WORD.adding], sum)
})

test('so they do in memory of the addon, which a thread has mapped once more', async () => {
  using pair = await connected({ qp: { maxSend: 512 } })
  const region = memfdRegion(WORDS_BYTES)
  const { stag } = pair.server.domain.register(addonSource(region), { access: ACCESS })
  const sum = await together(pair, stag, { fd: region.fd })
  const word = new Uint8Array(8)
  region.read(8 * WORD.adding, word, 0, 8)
  assert.equal(numberOf(word), sum)
  region.close()
})

/** Memory of the addon as a source: in one piece. */
function addonSource(region: AddonRegion): MemorySource {
  return {
    length: region.byteLength,
    translate(offset, length, _store, pieces) {
      pieces.add(region.memory, offset, length)
      return Fault.none
    },
  }
}

test('memory of the addon is changed as plain memory is: words at once, the rest as bytes', async () => {
  using pair = await connected({ qp: { maxSend: 512 } })
  const region = heapRegion(64 * 1024)
  const { stag } = pair.server.domain.register(addonSource(region), { access: ACCESS })
  const remote = (address: number) => ({ stag, address })
  const words = (offset: number, count: number) => {
    const bytes = new Uint8Array(8 * count)
    region.read(offset, bytes, 0, bytes.length)
    return [...new BigUint64Array(bytes.buffer)]
  }
  for (const [at, length] of [
    [0, 8],
    [8, 8],
    [3, 8],
    [4090, 13],
    [1, 60_000],
  ] as const) {
    const bytes = pattern(length, at + 1)
    await pair.client.done({ op: 'write', local: bytes, remote: remote(at) })
    const back = new Uint8Array(length)
    assert.equal(
      (await pair.client.done({ op: 'read', local: back, remote: remote(at) })).status,
      'SUCCESS',
    )
    sameBytes(back, bytes, `${length} bytes at ${at}`)
  }
  await pair.client.done({ op: 'write', local: new Uint8Array(24), remote: remote(0) })
  for (let i = 0; i < 400; i++) {
    const local = new Uint8Array(8)
    pair.client.post({ op: 'fetchAdd', local, add: 3, remote: remote(8), signaled: false })
  }
  await pair.settle()
  const local = new Uint8Array(8)
  const swap = { op: 'compareSwap', local, compare: 1200n, swap: MASK, remote: remote(8) } as const
  assert.equal(await change(pair.client, swap), 1200n)
  assert.deepEqual(words(0, 3), [0n, MASK, 0n])
  pair.client.post({ op: 'fetchAdd', local, add: 3, remote: remote(4) })
  await pair.refused(RdmapError.streamCatastrophic)
  assert.deepEqual(words(0, 3), [0n, MASK, 0n])
  await turn()
  region.close()
})

test('a word in two pieces is not changed by an atomic, and is written as bytes', async () => {
  using pair = await connected()
  const bytes = new Uint8Array(16)
  const source: MemorySource = {
    length: 16,
    translate(offset, length, _store, pieces) {
      pieces.add(bytes, offset, length - 3)
      pieces.add(bytes, offset + length - 3, 3)
      return Fault.none
    },
  }
  const { stag } = pair.server.domain.register(source, { access: ACCESS })
  const remote = { stag, address: 8 }
  await pair.client.done({ op: 'write', local: pattern(8), remote })
  await pair.settle()
  sameBytes(bytes.subarray(8), pattern(8), 'written')
  pair.client.post({ op: 'fetchAdd', local: new Uint8Array(8), add: 1, remote })
  await pair.refused(RdmapError.streamCatastrophic)
  sameBytes(bytes.subarray(8), pattern(8), 'not changed')
})
