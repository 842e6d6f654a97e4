/**
 * Long payloads without CRC: sent from where they are, and received to where they go. What is in
 * the way of that, and what ends in the middle of it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { native } from '../../src/native/native.js'
import { Fault, type MemorySource, type Pieces } from '../../src/rdma/index.js'
import { connected, pattern, sameBytes, statuses, type Side } from './pair.js'

const KIB = 1024
const MIB = 1024 * KIB
const PLAIN = { crc: false } as const

/** So much work has succeeded. */
async function done({ sendCq }: Side, count: number): Promise<void> {
  for (const status of await statuses(sendCq, count)) assert.match(status, / SUCCESS$/)
}

/** Lengths around frames and what is copied of them. */
const LENGTHS = [0, 1, 4095, 4096, 16_383, 65_471, 65_472, 65_473, 131_000, MIB, 3 * MIB + 7]

/** Memory of the addon, of which pages stand in another order, as extents of a file may. */
class Shuffled implements MemorySource {
  readonly length: number
  readonly memory
  readonly #page: number
  stores = 0

  constructor(length: number, page: number) {
    this.length = length
    this.#page = page
    this.memory = native.anonymous(Math.ceil(length / page) * page)
  }

  /** Pages two by two in turn. */
  #placeOf(offset: number): number {
    const page = Math.floor(offset / this.#page)
    const swapped = page % 2 === 0 ? page + 1 : page - 1
    const there = swapped * this.#page < native.byteLength(this.memory) ? swapped : page
    return there * this.#page + (offset % this.#page)
  }

  translate(offset: number, length: number, _store: boolean, pieces: Pieces): Fault {
    for (let at = offset; at < offset + length;) {
      const count = Math.min(this.#page - (at % this.#page), offset + length - at)
      pieces.add(this.memory, this.#placeOf(at), count)
      at += count
    }
    return Fault.none
  }

  stored(_offset: number, length: number): void {
    this.stores += length
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.length)
    for (let at = 0; at < this.length; at += this.#page) {
      const count = Math.min(this.#page, this.length - at)
      native.copyOut(this.memory, this.#placeOf(at), bytes, at, count)
    }
    return bytes
  }
}

for (const [name, sides] of [
  ['without CRC', PLAIN],
  ['without CRC, in frames of a segment', { ...PLAIN, large: false }],
  ['with CRC', {}],
] as const) {
  test(`bytes of every length come to their place, there and back, ${name}`, async () => {
    using pair = await connected(sides, sides)
    const { client, server } = pair
    const source = new Shuffled(4 * MIB, 4096)
    const region = server.domain.register(source, {
      access: ['localWrite', 'remoteRead', 'remoteWrite'],
    })
    for (const length of LENGTHS) {
      const bytes = pattern(length)
      const remote = { stag: region.stag, address: 13 }
      const halves = [bytes.subarray(0, length >> 1), bytes.subarray(length >> 1)]
      const back = [new Uint8Array(length - (length >> 2)), new Uint8Array(length >> 2)]
      client.post({ op: 'write', local: halves, remote, id: 'write' })
      client.post({ op: 'read', local: back, remote, id: 'read' })
      await done(client, 2)
      sameBytes(new Uint8Array(Buffer.concat(back)), bytes, 'what was read')
      sameBytes(source.bytes().subarray(13, 13 + length), bytes, 'what was written')
    }
    assert.equal(
      source.stores,
      LENGTHS.reduce((sum, length) => sum + length),
    )
  })
}

test('a source of more pieces than a stream takes at once is read and written all the same', async () => {
  using pair = await connected(PLAIN, PLAIN)
  const { client, server } = pair
  const source = new Shuffled(200_000, 16)
  const region = server.domain.register(source, {
    access: ['localWrite', 'remoteRead', 'remoteWrite'],
  })
  const bytes = pattern(190_000)
  const back = new Uint8Array(bytes.length)
  const remote = { stag: region.stag, address: 5 }
  client.post({ op: 'write', local: bytes, remote })
  client.post({ op: 'read', local: back, remote })
  await done(client, 2)
  sameBytes(back, bytes, 'what was read')
})

test('an Atomic behind a long Read is not seen by it', async () => {
  using pair = await connected(PLAIN, PLAIN)
  const { client, server } = pair
  const memory = new Uint8Array(MIB)
  const region = server.domain.register(memory, {
    access: ['localWrite', 'remoteRead', 'remoteWrite', 'remoteAtomic'],
  })
  for (let round = 0; round < 20; round++) {
    const back = new Uint8Array(40_000)
    const before = memory[8]!
    client.post({ op: 'read', local: back, remote: { stag: region.stag, address: 0 } })
    const local = new Uint8Array(8)
    const remote = { stag: region.stag, address: 8 }
    client.post({ op: 'fetchAdd', local, remote, add: 1 })
    await done(client, 2)
    assert.deepEqual([back[8], local[0], memory[8]], [before, before, before + 1])
  }
})

test('what is invalidated in the middle of a long payload gets none of the rest', async () => {
  using pair = await connected(PLAIN, PLAIN)
  const { client, server } = pair
  const memory = new Uint8Array(64 * MIB)
  let stores = 0
  const source: MemorySource = {
    length: memory.length,
    translate(offset, length, _store, pieces) {
      pieces.add(memory, offset, length)
      return Fault.none
    },
    stored(_offset, length) {
      stores += length
      if (stores > MIB && region.valid) {
        region.invalidate()
        memory.fill(0)
      }
    },
  }
  const region = server.domain.register(source, { access: ['localWrite', 'remoteWrite'] })
  const local = new Uint8Array(memory.length).fill(1)
  client.post({ op: 'write', local, remote: { stag: region.stag, address: 0 } })
  const { error } = await server.qp.closed
  assert.deepEqual(error, [1, 1, 0])
  assert.ok(memory.every((byte) => byte === 0))
})

test('a connection that is lost in the middle of a long payload says so', async () => {
  using pair = await connected(PLAIN, PLAIN)
  const { client, server } = pair
  const memory = new Uint8Array(8 * MIB)
  const region = server.domain.register(memory, { access: ['localWrite', 'remoteWrite'] })
  const local = pattern(memory.length)
  client.post({ op: 'write', local, remote: { stag: region.stag, address: 0 } })
  client.qp.turn()
  client.qp.abort()
  assert.equal((await server.qp.closed).cause, 'lost')
  const end = memory.findLastIndex((byte) => byte !== 0) + 1
  sameBytes(memory.subarray(0, end), local.subarray(0, end), 'what came')
})
