/**
 * Files of a volume as memory regions: a pinned range, a range that is looked up at each access,
 * and a lease that is asked back. What the layout contract promises holds for remote access.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { Hold } from '../../src/layout/hold.js'
import type { MemoryRegion, MemorySource, Remote } from '../../src/rdma/index.js'
import { DdpError, RdmapError } from '../../src/rdma/wire/terminate.js'
import type { FileSource } from '../../src/serve/file_source.js'
import { HeldSource } from '../../src/serve/held_source.js'
import { assertBytes, blocksOf, type GroundOptions } from '../layout/ground.js'
import { BLOCKS, Scene, stateOf } from '../layout/scene.js'
import { outcomeOf } from '../layout/timers.js'
import { connected, pattern, sameBytes, turns, until, type Pair } from '../rdma/pair.js'
import { LONG, seed } from '../rdma/random.js'
import { followed } from './sources.js'

const ACCESS = ['localWrite', 'remoteWrite', 'remoteRead', 'remoteAtomic'] as const
const ALL = BLOCKS * B

/** A volume whose files a peer reaches. */
class Server extends Scene {
  pair!: Pair
  readonly #sources: FileSource[] = []

  register(source: MemorySource, pair = this.pair): MemoryRegion {
    return pair.server.domain.register(source, { access: ACCESS })
  }

  /** Ends before the volume does. */
  followed(file: LayoutFile, length: number): FileSource {
    const source = followed(this.volume, file, length)
    this.#sources.push(source)
    return source
  }

  override close(): void {
    for (const source of this.#sources) source.close()
    super.close()
  }

  /** A pinned range, and its memory region. */
  registerPinned(path = '/f', [from, to]: readonly [number, number] = [0, BLOCKS]) {
    const hold = this.pin(path, [from, to], { reason: 'an MR' })
    return { hold, region: this.register(new HeldSource(this.volume, hold)) }
  }

  /** All of a file, looked up at each access; it may grow so far. */
  registerFollowed(path = '/f', length = 4 * ALL): { file: LayoutFile; region: MemoryRegion } {
    const file = this.volume.openAs(this.other, path, 'r+')
    return { file, region: this.register(this.followed(file, length)) }
  }

  async read(region: MemoryRegion, offset = 0, length = ALL): Promise<Uint8Array> {
    const local = new Uint8Array(length)
    const { client } = this.pair
    const { status, detail } = await client.done({ op: 'read', local, remote: at(region, offset) })
    assert.equal(status, 'SUCCESS', detail)
    return local
  }

  async write(region: MemoryRegion, offset: number, bytes: Uint8Array): Promise<void> {
    const remote = at(region, offset)
    assert.equal(
      (await this.pair.client.done({ op: 'write', local: bytes, remote })).status,
      'SUCCESS',
    )
    await this.pair.settle()
  }

  /** Moves what is in a block of a file, and says where to. */
  move(path: string, block: number): number {
    const from = this.place(path, block)! * B
    for (const step of this.volume.evacuate(from, from + B)) void step
    return this.place(path, block)!
  }
}

const at = ({ stag }: MemoryRegion, offset: number): Remote => ({ stag, address: offset })

function served(
  name: string,
  run: (s: Server) => Promise<void>,
  { crc = true, ...options }: GroundOptions & { readonly crc?: boolean } = {},
): void {
  test(name, async () => {
    using s = new Server(options)
    using pair = await connected({ crc }, { crc })
    s.pair = pair
    await run(s)
    s.assertClean('at the end')
  })
}

// ---- a pinned range ----------------------------------------------------------------------------

served('pinned: a peer and the file see the same bytes, however the file lies', async (s) => {
  // Two files that grow by turns lie in pieces.
  using one = s.volume.open('/one', 'wx+')
  using two = s.volume.open('/two', 'wx+')
  for (let block = 0; block < BLOCKS; block++) {
    one.write(blocksOf('one', block, block + 1), block * B)
    two.write(blocksOf('two', block, block + 1), block * B)
  }
  assert.ok(one.extents().extents.length > 1, 'it lies in pieces')
  const { hold, region } = s.registerPinned('/one')
  sameBytes(await s.read(region), blocksOf('one', 0, BLOCKS), 'as the peer reads it')
  const bytes = pattern(3 * B, 9)
  await s.write(region, B - 7, bytes)
  const expected = blocksOf('one', 0, BLOCKS)
  expected.set(bytes, B - 7)
  assertBytes(s.volume.readFile('/one'), expected, '/one')
  one.write(pattern(100, 3), 5 * B - 50)
  expected.set(pattern(100, 3), 5 * B - 50)
  sameBytes(await s.read(region, 5 * B - 50, 100), pattern(100, 3), 'what the file got meanwhile')
  s.assertFile('/two', 'two')
  region.invalidate()
  hold.release()
  assertBytes(s.volume.readFile('/one'), expected, '/one after all')
})

served('pinned: words are changed by a peer as the file has them', async (s) => {
  const { hold, region } = s.registerPinned('/f', [2, 3])
  using file = s.volume.open('/f', 'r+')
  file.write(new Uint8Array(BigUint64Array.of(41n).buffer), 2 * B + 8)
  const local = new Uint8Array(8)
  await s.pair.client.done({ op: 'fetchAdd', local, add: 1, remote: at(region, 2 * B + 8) })
  assert.equal(new BigUint64Array(local.buffer)[0], 41n)
  const word = new Uint8Array(8)
  file.read(word, 2 * B + 8)
  assert.equal(new BigUint64Array(word.buffer)[0], 42n)
  region.invalidate()
  hold.release()
})

served('pinned: what would take its blocks away is refused, and the peer goes on', async (s) => {
  s.make('/g')
  const { hold, region } = s.registerPinned('/f', [2, 6])
  using f = s.volume.open('/f', 'r+')
  using g = s.volume.open('/g', 'r+')
  const middle = blocksOf('/f', 2, 6)
  const changes: [what: string, run: () => unknown][] = [
    ['truncate', () => f.truncate(3 * B)],
    ['punch', () => f.punch(2 * B, B)],
    ['collapse', () => f.collapse(0, B)],
    ['insert', () => f.insert(0, B)],
    ['reflink onto it', () => g.reflinkRange(0, f, 4 * B, B)],
    ['reflink of it', () => f.reflinkRange(3 * B, g, 0, B)],
    ['clone', () => s.volume.reflink('/f', '/clone')],
  ]
  for (const [what, run] of changes) {
    s.refused('EBUSY', [hold], run)
    sameBytes(await s.read(region, 2 * B, 4 * B), middle, `as the peer reads it after ${what}`)
  }
  // Blocks that nobody holds may change.
  f.truncate(6 * B)
  f.punch(0, B)
  sameBytes(await s.read(region, 2 * B, 4 * B), middle, 'as the peer reads it')
  await s.write(region, 2 * B, pattern(B))
  assertBytes(s.block('/f', 2), pattern(B), 'block 2')
  region.invalidate()
  hold.release()
  f.truncate(0)
})

served('pinned: a file is not moved under a peer, and may be when the peer is done', async (s) => {
  const { hold, region } = s.registerPinned('/f', [0, 4])
  const places = s.places('/f')
  s.refused('EBUSY', [hold], () => s.move('/f', 1))
  assert.deepEqual(s.places('/f'), places)
  await s.write(region, B, pattern(B, 4))
  region.invalidate()
  hold.release()
  assert.notEqual(s.move('/f', 1), places[1])
  assertBytes(s.block('/f', 1), pattern(B, 4), 'block 1')
  s.pair.client.post({ op: 'write', local: pattern(B, 5), remote: at(region, B) })
  await s.pair.refused(DdpError.invalidStag)
  assertBytes(s.block('/f', 1), pattern(B, 4), 'block 1, which a late Write did not reach')
})

served('pinned: policy wait: a change waits for the peer, and is done when it is', async (s) => {
  const { hold, region } = s.registerPinned('/f')
  const change = outcomeOf(s.volume.promises.truncate('/f', B, { policy: 'wait' }))
  await s.timers.pass(9000)
  await s.write(region, 5 * B, pattern(B, 2))
  sameBytes(await s.read(region, 5 * B, B), pattern(B, 2), 'while the change waits')
  assert.equal(stateOf(change), 'waits')
  region.invalidate()
  hold.release()
  await s.timers.pass(0)
  assert.equal(stateOf(change), 'done')
  assert.equal(s.volume.stat('/f').size, B)
  s.pair.client.post({ op: 'read', local: new Uint8Array(8), remote: at(region, 0) })
  await s.pair.refused(RdmapError.invalidStag)
})

served(
  'pinned: policy defer: the peer keeps its bytes, and nobody else gets their place',
  async (s) => {
    s.make('/g')
    const { hold, region } = s.registerPinned('/f', [2, 6])
    const places = s.places('/f', [2, 6])
    s.volume.truncate('/f', 0, undefined, { policy: 'defer' })
    assert.equal(s.volume.stat('/f').size, 0)
    assert.equal(s.limbo, 4)
    sameBytes(await s.read(region, 2 * B, 4 * B), blocksOf('/f', 2, 6), 'after the truncate')
    // All that is free is written to.
    using full = s.volume.open('/full', 'wx+')
    let block = 0
    assert.throws(() => {
      for (;;) full.write(blocksOf('full', block, block + 1), block++ * B)
    })
    s.volume.unlink('/f')
    sameBytes(await s.read(region, 2 * B, 4 * B), blocksOf('/f', 2, 6), 'when all else is full')
    await s.write(region, 2 * B, pattern(4 * B, 8))
    sameBytes(await s.read(region, 2 * B, 4 * B), pattern(4 * B, 8), 'as the peer wrote it')
    assertBytes(
      s.volume.readFile('/full').subarray(0, (block - 1) * B),
      blocksOf('full', 0, block - 1),
      '/full',
    )
    s.assertFile('/g')
    const taken = s.places('/full', [0, block])
    for (const place of places) assert.ok(!taken.includes(place))
    region.invalidate()
    hold.release()
    assert.equal(s.limbo, 0)
  },
)

served('pinned: a clone of shared blocks keeps what it had, whoever writes', async (s) => {
  s.volume.reflink('/f', '/clone')
  const { hold, region } = s.registerPinned('/f')
  await s.write(region, 0, pattern(ALL, 6))
  assertBytes(s.volume.readFile('/f'), pattern(ALL, 6), '/f')
  s.assertFile('/clone', '/f')
  s.volume.reflink('/f', '/copy', { share: 'copy' })
  await s.write(region, 0, pattern(ALL, 7))
  assertBytes(s.volume.readFile('/copy'), pattern(ALL, 6), '/copy, made under the peer')
  assertBytes(s.volume.readFile('/f'), pattern(ALL, 7), '/f')
  region.invalidate()
  hold.release()
})

// ---- a range that is looked up at each access --------------------------------------------------

served('on demand: there is nothing past the end of the file, wherever that is', async (s) => {
  using file = s.volume.open('/f', 'r+')
  const { region, file: mine } = s.registerFollowed()
  file.truncate(3 * B + 100)
  sameBytes(await s.read(region, 3 * B, 100), blocksOf('/f', 3, 4).subarray(0, 100), 'the tail')
  file.truncate(5 * B)
  sameBytes(await s.read(region, 3 * B + 100, 2 * B - 100), new Uint8Array(2 * B - 100), 'zeros')
  for (const op of ['write', 'read'] as const) {
    using pair = await connected()
    const other = s.register(s.followed(mine, 4 * ALL), pair)
    pair.client.post({ op, local: pattern(2), remote: at(other, 5 * B - 1) })
    await pair.refused(op === 'write' ? DdpError.bounds : RdmapError.bounds)
  }
  assert.equal(s.volume.stat('/f').size, 5 * B)
  mine.close()
})

served(
  'on demand: a file that is cut short under a Read ends it there',
  async (s) => {
    using file = s.volume.open('/big', 'wx+')
    const bytes = pattern(256 * B)
    file.write(bytes, 0)
    const { region, file: mine } = s.registerFollowed('/big', 256 * B)
    const local = new Uint8Array(bytes.length)
    // Responses behind each other, until the file is cut.
    for (let i = 0; i < 64; i++) {
      s.pair.client.post({ op: 'read', id: i, local, remote: at(region, 0) })
    }
    await until(() => local[0] === bytes[0] && local[60_000] === bytes[60_000], 'the first bytes')
    file.truncate(100 * B)
    s.volume.writeFile('/other', new Uint8Array(64 * B).fill(0xee))
    local.fill(0)
    const { error } = await s.pair.client.qp.closed
    assert.deepEqual(error, RdmapError.bounds)
    for (let i = 0; i < local.length; i++) {
      if (local[i] !== 0 && local[i] !== bytes[i]) assert.fail(`byte ${i} is of nobody's file`)
    }
    mine.close()
  },
  { bytes: 4 << 20 },
)

served('on demand: holes are zeros to Reads, and get blocks by Writes alone', async (s) => {
  using file = s.volume.open('/f', 'r+')
  file.punch(B, 3 * B)
  const { region, file: mine } = s.registerFollowed()
  const expected = blocksOf('/f', 0, BLOCKS)
  expected.fill(0, B, 4 * B)
  const { free } = s
  sameBytes(await s.read(region), expected, 'with a hole')
  assert.equal(s.free, free, 'a Read takes no block')
  assert.equal(s.place('/f', 2), null)
  await s.write(region, 2 * B + 10, pattern(20))
  expected.set(pattern(20), 2 * B + 10)
  assert.deepEqual([s.place('/f', 1), s.place('/f', 3)], [null, null])
  assert.notEqual(s.place('/f', 2), null)
  assertBytes(s.volume.readFile('/f'), expected, '/f')
  sameBytes(await s.read(region), expected, 'with a part of it filled')
  const local = new Uint8Array(8)
  await s.pair.client.done({ op: 'fetchAdd', local, add: 7, remote: at(region, B) })
  expected[B] = 7
  assertBytes(s.volume.readFile('/f'), expected, '/f with a word')
  mine.close()
})

served(
  'on demand: a Write into a hole of a full volume ends the stream, and nothing else',
  async (s) => {
    using file = s.volume.open('/f', 'r+')
    file.punch(2 * B, B)
    using full = s.volume.open('/full', 'wx+')
    let block = 0
    assert.throws(() => {
      for (;;) full.write(blocksOf('full', block, block + 1), block++ * B)
    })
    const { region, file: mine } = s.registerFollowed()
    await s.write(region, 0, pattern(B))
    s.pair.client.post({ op: 'write', local: pattern(B), remote: at(region, 2 * B) })
    await s.pair.refused(RdmapError.catastrophic)
    assert.equal(s.place('/f', 2), null)
    assertBytes(s.block('/f', 0), pattern(B), 'block 0')
    assert.ok(s.block('/f', 2).every((byte) => byte === 0))
    // The region lives on, for another connection.
    using again = await connected()
    s.pair = again
    const same = s.register(s.followed(mine, ALL), again)
    sameBytes(await s.read(same, 0, B), pattern(B), 'block 0 over another connection')
    mine.close()
  },
)

served('on demand: a peer follows its file wherever that is moved', async (s) => {
  s.make('/g')
  const { region, file: mine } = s.registerFollowed()
  const before = s.places('/f')
  for (let block = 0; block < BLOCKS; block += 2) s.move('/f', block)
  assert.notDeepEqual(s.places('/f'), before)
  sameBytes(await s.read(region), blocksOf('/f', 0, BLOCKS), 'after the move')
  s.volume.writeFile('/other', new Uint8Array(16 * B).fill(0xee))
  sameBytes(await s.read(region), blocksOf('/f', 0, BLOCKS), 'when others have its old place')
  await s.write(region, 0, pattern(ALL, 3))
  assertBytes(s.volume.readFile('/f'), pattern(ALL, 3), '/f')
  assert.ok(
    s.volume.readFile('/other').every((byte) => byte === 0xee),
    'the others',
  )
  s.assertFile('/g')
  mine.close()
})

served('on demand: what shares blocks with the file keeps its content under Writes', async (s) => {
  const { region, file: mine } = s.registerFollowed()
  s.volume.reflink('/f', '/clone')
  sameBytes(await s.read(region), blocksOf('/f', 0, BLOCKS), 'shared')
  await s.write(region, B + 5, pattern(B, 4))
  const expected = blocksOf('/f', 0, BLOCKS)
  expected.set(pattern(B, 4), B + 5)
  assertBytes(s.volume.readFile('/f'), expected, '/f')
  s.assertFile('/clone', '/f')
  // The blocks that nobody wrote to are still shared, and the clone's writes are its own.
  assert.equal(s.place('/f', 5), s.place('/clone', 5))
  s.volume.writeFile('/clone', new Uint8Array(ALL).fill(0xee))
  sameBytes(await s.read(region), expected, 'after the clone was written')
  mine.close()
})

// ---- random changes under a peer ---------------------------------------------------------------

// Without CRC long payloads are sent from, and received to, where they are.
for (const crc of [true, false]) {
  served(
    `on demand: whatever is done to its file, a peer sees the file (CRC ${crc}, SEED=${seed})`,
    async (s) => {
      let state = seed
      const random = (below: number) => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        return Math.floor((state / 2 ** 32) * below)
      }
      const { region, file: mine } = s.registerFollowed()
      using file = s.volume.open('/f', 'r+')
      s.make('/g')
      using g = s.volume.open('/g', 'r+')
      let model = Buffer.from(blocksOf('/f', 0, BLOCKS))
      const theirs = Buffer.from(blocksOf('/g', 0, BLOCKS))
      const resize = (size: number) => {
        const next = Buffer.alloc(size)
        model.copy(next)
        model = next
      }
      for (let i = 0; i < 400 * LONG; i++) {
        const offset = random(model.length + 1)
        const length = Math.min(random(3 * B), model.length - offset)
        const block = random(Math.max(1, model.length / B - 1))
        const what = random(8)
        if (what === 0) {
          const size = random(2 * ALL) + 1
          file.truncate(size)
          resize(size)
        } else if (what === 1 && length > 0) {
          file.punch(offset, length)
          model.fill(0, offset, offset + length)
        } else if (what === 2) {
          file.write(pattern(length, i), offset)
          model.set(pattern(length, i), offset)
        } else if (what === 3) {
          const of = random(BLOCKS)
          g.reflinkRange(of * B, file, block * B, B)
          if (model.length < (block + 1) * B) resize((block + 1) * B)
          theirs.copy(model, block * B, of * B, (of + 1) * B)
        } else if (what === 4 && s.place('/f', block) !== null) s.move('/f', block)
        else if (length > 0) {
          await s.write(region, offset, pattern(length, -i))
          model.set(pattern(length, -i), offset)
        }
        sameBytes(await s.read(region, 0, model.length), model, `step ${i}, of kind ${what}`)
        if (i % 50 === 0) assertBytes(s.volume.readFile('/f'), model, `/f at step ${i}`)
        assertBytes(s.volume.readFile('/g'), theirs, `/g at step ${i}`)
      }
      mine.close()
    },
    { crc },
  )
}

// ---- a lease that is asked back ----------------------------------------------------------------

/** A lease whose region ends at its fence. */
function registerLeased(
  s: Server,
  onRecall?: (hold: () => Hold, region: () => MemoryRegion) => void,
) {
  const revoked: [number, number][] = []
  const hold: Hold = s.lease('/f', [0, BLOCKS], {
    iomode: 'rw',
    reason: 'an MR',
    onRecall: () =>
      onRecall?.(
        () => hold,
        () => region,
      ),
    revoke: (offset, length) => {
      revoked.push([offset, length])
      region.invalidate()
    },
  })
  const region: MemoryRegion = s.register(new HeldSource(s.volume, hold))
  return { hold, region, revoked }
}

served('leased: who gives its range back in time loses no connection', async (s) => {
  const { hold, region, revoked } = registerLeased(s, (hold, region) => {
    region().invalidate()
    hold().returnRange(0, ALL)
  })
  await s.write(region, 0, pattern(B, 2))
  const change = outcomeOf(s.volume.promises.truncate('/f', B))
  await s.timers.pass(0)
  assert.equal(stateOf(change), 'done')
  assert.deepEqual([revoked, hold.released], [[], true])
  await s.pair.settle()
  assert.equal(s.pair.client.qp.state, 'connected')
  assertBytes(s.volume.readFile('/f'), pattern(B, 2), '/f')
})

served('leased: a fence ends the connection that comes again, and nothing else', async (s) => {
  s.make('/g')
  const { hold, region, revoked } = registerLeased(s)
  const { hold: kept, region: other } = s.registerPinned('/g')
  using second = await connected()
  const theirs = s.register(new HeldSource(s.volume, kept), second)
  const change = outcomeOf(s.volume.promises.truncate('/f', 0))
  await s.timers.pass(4999)
  await s.write(region, 0, pattern(B))
  assert.equal(stateOf(change), 'waits')
  assert.ok(region.valid)
  await s.timers.pass(1)
  assert.equal(stateOf(change), 'done')
  assert.deepEqual([revoked, region.valid], [[[0, ALL]], false])
  assert.equal(hold.released, true)
  // Somebody else has its blocks now.
  s.volume.writeFile('/new', blocksOf('/new', 0, 2 * BLOCKS))
  await turns(3)
  assert.equal(s.pair.client.qp.state, 'connected', 'as long as it does not come again')
  sameBytes(await s.read(other), blocksOf('/g', 0, BLOCKS), 'another region, same connection')
  s.pair.client.post({ op: 'write', local: pattern(B, 66), remote: at(region, 0) })
  await s.pair.refused(DdpError.invalidStag)
  s.assertFile('/new', '/new', 2 * BLOCKS)
  assert.equal(kept.released, false, 'other holds of the session live on')
  s.pair = second
  sameBytes(await s.read(theirs), blocksOf('/g', 0, BLOCKS), 'another connection')
  await s.write(theirs, 0, pattern(B))
  assertBytes(s.block('/g', 0), pattern(B), 'block 0 of /g')
  kept.release()
})

served('leased: a Write that is under way at the fence stops there', async (s) => {
  const { region } = registerLeased(s)
  const local = new Uint8Array(ALL).fill(0xcc)
  const change = outcomeOf(s.volume.promises.truncate('/f', 0))
  await s.timers.pass(4999)
  for (let i = 0; i < 200; i++) {
    s.pair.client.post({ op: 'write', local, remote: at(region, 0), signaled: false })
  }
  await until(() => s.volume.readFile('/f')[0] === 0xcc, 'the first bytes')
  await s.timers.pass(1)
  assert.equal(stateOf(change), 'done')
  s.volume.writeFile('/new', blocksOf('/new', 0, 2 * BLOCKS))
  await s.pair.refused(DdpError.invalidStag)
  s.assertFile('/new', '/new', 2 * BLOCKS)
})
