/**
 * The plain endpoint of a server, and the kernel's verbs: files of a served volume are read and
 * written by siw, and pinged by rping, while the host changes them under each policy.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HoldfastError } from '../../src/base/errors.js'
import type { LayoutPolicy, ShareMode } from '../../src/base/layout.js'
import { RdmapError, type ErrorCode } from '../../src/rdma/wire/terminate.js'
import { parseExposure } from '../../src/serve/plain.js'
import { until } from '../processes/program.js'
import { Served } from '../serve/service.js'
import { HERE, HOST } from './guest.js'
import { differenceFrom, patternOf } from './pattern.js'
import type { Link, Peer, Region } from './peer.js'
import { CASE_MS, type World } from './world.js'

const BLOCK = 4096
const BLOCKS = 64
const BYTES = BLOCKS * BLOCK
/** Operations that are under way while the host changes the file. */
const UNDER_WAY = 16
const PINGS = 40
const PING_BYTES = 16_384
const FILE = '/file'

type By = 'pin' | 'fault'

/** A file of a served volume, and a connection of siw to it. */
class Reached {
  readonly served: Served
  readonly #peer: Peer
  readonly #link: Link
  readonly #source: Region
  readonly #sink: Region
  readonly #remote: { readonly stag: number; readonly address: bigint }
  #id = 0
  /** The pattern that the peer has written last. */
  seed = 1

  private constructor(
    served: Served,
    peer: Peer,
    link: Link,
    regions: readonly [Region, Region],
    remote: { readonly stag: number; readonly address: bigint },
  ) {
    this.served = served
    this.#peer = peer
    this.#link = link
    ;[this.#source, this.#sink] = regions
    this.#remote = remote
  }

  static async connect(world: World, served: Served, path?: string): Promise<Reached> {
    await world.configure('siw', { crc: true, peerToPeer: true })
    const peer = await world.peer('siw')
    const link = await peer.open({ host: HOST, port: served.service.plain!.port })
    const regions = [await peer.region(BYTES, 'l'), await peer.region(BYTES, 'lw')] as const
    const asked = path === undefined ? {} : { privateData: Buffer.from(path) }
    const { accepted, privateData } = await link.connect(asked)
    assert.ok(accepted)
    const advert = new DataView(privateData.buffer, privateData.byteOffset, privateData.length)
    assert.equal(advert.getBigUint64(8), BigInt(BYTES))
    const remote = { stag: advert.getUint32(16), address: advert.getBigUint64(0) }
    return new Reached(served, peer, link, regions, remote)
  }

  get volume() {
    return this.served.volume
  }

  #post(op: 'read' | 'write', blocks: readonly [number, number]): Promise<number> {
    const [from, to] = blocks
    const [offset, length] = [from * BLOCK, (to - from) * BLOCK]
    const id = ++this.#id
    const region = op === 'read' ? this.#sink : this.#source
    const remote = { ...this.#remote, address: this.#remote.address + BigInt(offset) }
    return this.#link.post({ id, op, local: { region, offset, length }, remote }).then(() => id)
  }

  /** Reads blocks; how that ended. */
  async status(op: 'read' | 'write', blocks: readonly [number, number]): Promise<string> {
    return (await this.#link.completion(await this.#post(op, blocks))).status
  }

  /** The peer writes all blocks anew and reads them, again and again, while `run` runs. */
  async during<T>(run: () => T | Promise<T>, blocks: readonly [number, number] = [0, BLOCKS]) {
    const [from, to] = blocks
    await this.#source.fill(0, BYTES, ++this.seed)
    const ids: number[] = []
    const post = async () => {
      for (let i = 0; i < UNDER_WAY / 2; i++) {
        ids.push(await this.#post('write', blocks), await this.#post('read', blocks))
      }
    }
    const [, ended] = await Promise.all([post(), Promise.resolve().then(run)])
    await post()
    for (const id of ids) assert.equal((await this.#link.completion(id)).status, 'SUCCESS')
    const length = (to - from) * BLOCK
    await this.same(from * BLOCK, length)
    return ended
  }

  /** What the peer has read last is what it has written. */
  async same(offset: number, length: number): Promise<void> {
    if (offset === 0) {
      assert.equal(await this.#sink.difference(0, length, this.seed), null, 'what the peer reads')
      return
    }
    const got = await this.#sink.show(offset, length)
    const wanted = patternOf(this.seed, BYTES).subarray(offset, offset + length)
    assert.equal(Buffer.compare(got, wanted), 0, 'what the peer reads')
  }

  /** Bytes of a file as the host has them. */
  content(path = FILE): Buffer {
    using file = this.volume.open(path, 'r')
    const bytes = Buffer.alloc(file.stat().size)
    assert.equal(file.read(bytes, 0), bytes.length)
    return bytes
  }

  /** The file has what the peer wrote last, up to its end. */
  assertWritten(path = FILE, seed = this.seed): void {
    assert.equal(differenceFrom(this.content(path), seed), null, path)
  }

  change<T>(options: { policy?: LayoutPolicy; share?: ShareMode }, run: () => T): T {
    return this.volume.arbiter.during(options, run)
  }

  punch(from: number, to: number): void {
    using file = this.volume.open(FILE, 'r+')
    file.punch(from * BLOCK, (to - from) * BLOCK)
  }

  /** Moves the blocks of the file elsewhere. */
  async move(): Promise<void> {
    for (const { regionBlock, count } of this.volume.extents(FILE).extents) {
      const from = regionBlock * BLOCK
      await this.volume.promises.evacuate(from, from + count * BLOCK)
    }
  }

  /** Where its blocks are. */
  places(): string {
    return JSON.stringify(this.volume.extents(FILE).extents)
  }

  /** An operation ends the connection, as the host's Terminate says; siw itself flushes it. */
  async refused(op: 'read' | 'write', blocks: readonly [number, number], why: ErrorCode) {
    const id = await this.#post(op, blocks)
    // A Write is done when it is on its way.
    const { status } = await this.#link.completion(id)
    if (op === 'read') assert.equal(status, 'WR_FLUSH_ERR')
    await this.#link.end()
    assert.deepEqual(await this.#link.terminate('ours'), why)
  }

  async close({ broken = false } = {}): Promise<void> {
    if (!broken) {
      await this.#link.disconnect()
      await this.#link.end()
    }
    await this.#link.close()
    await this.#peer.close()
  }
}

function servedTest(name: string, by: By, body: (served: Served) => Promise<void>): void {
  test(name, { timeout: CASE_MS }, async () => {
    const expose = [parseExposure(`${FILE}:rw:${by}`), parseExposure(`/other:ro:${by}`)]
    const served = new Served({ plain: { host: HERE, port: 0, expose } })
    try {
      await served.start()
      for (const [i, path] of [FILE, '/other'].entries()) {
        using file = served.volume.open(path, 'w')
        file.write(patternOf(1 + i, BYTES), 0)
      }
      await body(served)
    } finally {
      await served.end()
    }
  })
}

/** Refused, naming what is in the way, and nothing has changed. */
function assertRefused(reached: Reached, code: string, run: () => unknown): void {
  const before = reached.places()
  assert.throws(run, (error: HoldfastError) => {
    assert.equal(error.code, code, error.message)
    assert.equal(error.holds?.[0]?.kind, 'pin')
    return true
  })
  assert.equal(reached.places(), before)
}

async function refuseUnderPin(reached: Reached): Promise<void> {
  const { volume } = reached
  await reached.during(() => {
    assertRefused(reached, 'EBUSY', () => volume.truncate(FILE, BLOCK))
    assertRefused(reached, 'EBUSY', () => reached.punch(8, 16))
    assertRefused(reached, 'EBUSY', () => volume.reflink(FILE, '/clone'))
  })
  await reached.during(async () => {
    await assert.rejects(reached.move(), { code: 'EBUSY' })
    await assert.rejects(
      volume.promises.settle(
        () => reached.change({ policy: 'wait' }, () => volume.truncate(FILE, BLOCK)),
        { policy: 'wait', timeout: 50 },
      ),
      { code: 'EBUSY' },
    )
  })
  reached.assertWritten()
  const at = reached.seed
  await reached.during(() =>
    reached.change({ share: 'copy' }, () => volume.reflink(FILE, '/clone')),
  )
  reached.assertWritten()
  // Under running writes a copy is no point in time: blocks of the last pattern, or of this.
  assertBlocksOf(reached.content('/clone'), [at, reached.seed])
}

/** Each word is of one of the patterns. */
function assertBlocksOf(bytes: Buffer, seeds: readonly number[]): void {
  const wanted = seeds.map((seed) => Buffer.from(patternOf(seed, bytes.length)))
  for (let at = 0; at < bytes.length; at += 4) {
    const word = bytes.readUInt32LE(at)
    assert.ok(
      wanted.some((one) => one.readUInt32LE(at) === word),
      `bytes at ${at}`,
    )
  }
}

async function deferUnderPin(reached: Reached): Promise<void> {
  const { volume } = reached
  await reached.during(() => reached.change({ policy: 'defer' }, () => reached.punch(8, 16)))
  const punched = reached.content()
  assert.ok(punched.subarray(8 * BLOCK, 16 * BLOCK).every((byte) => byte === 0))
  assert.equal(differenceFrom(punched.subarray(0, 8 * BLOCK), reached.seed), null)
  await reached.during(() =>
    reached.change({ policy: 'defer' }, () => volume.truncate(FILE, 4 * BLOCK)),
  )
  assert.equal(volume.stat(FILE).size, 4 * BLOCK)
  reached.assertWritten()
  // Whatever is free goes to others: what left the file under the pin is not among it.
  using full = volume.open('/full', 'w')
  fill((bytes, at) => full.write(bytes, at))
  await reached.during(() => {})
  assert.ok(reached.content('/full').every((byte) => byte === 0x55))
  reached.assertWritten()
  const limbo = volume.statfs().blocksFree
  await reached.close()
  await until(() => volume.holds().length === 0, 'no hold is left')
  assert.ok(volume.statfs().blocksFree >= limbo + 60, 'blocks in limbo are free at its end')
}

function fill(write: (bytes: Uint8Array, at: number) => number): void {
  let at = 0
  for (let step = 1 << 20; step >= BLOCK;) {
    try {
      at += write(new Uint8Array(step).fill(0x55), at)
    } catch (error) {
      if ((error as HoldfastError).code !== 'ENOSPC') throw error
      step /= 2
    }
  }
}

async function unlinkUnder(reached: Reached, by: By): Promise<void> {
  const { volume } = reached
  using file = volume.open(FILE, 'r')
  await reached.during(() => volume.unlink(FILE))
  const bytes = Buffer.alloc(BYTES)
  file.read(bytes, 0)
  assert.equal(differenceFrom(bytes, reached.seed), null)
  assert.equal(volume.holds().length, by === 'pin' ? 1 : 0)
}

async function changeUnderFaults(reached: Reached): Promise<void> {
  const { volume } = reached
  const at = reached.seed
  await reached.during(() => volume.reflink(FILE, '/clone'))
  reached.assertWritten()
  assertBlocksOf(reached.content('/clone'), [at, reached.seed])
  await reached.during(() => {})
  reached.assertWritten()
  const before = reached.places()
  await reached.during(() => reached.move())
  assert.notEqual(reached.places(), before)
  reached.assertWritten()
  await reached.during(() => reached.punch(8, 16))
  await reached.during(() => {})
  reached.assertWritten()
  reached.punch(8, 16)
  assert.equal(await reached.status('read', [8, 16]), 'SUCCESS')
  assert.equal(await reached.status('read', [7, 8]), 'SUCCESS')
  await reached.same(7 * BLOCK, BLOCK)
  await reached.during(() => volume.truncate(FILE, 32 * BLOCK), [0, 32])
  reached.assertWritten()
  await reached.refused('read', [31, 33], RdmapError.bounds)
  assert.equal(volume.stat(FILE).size, 32 * BLOCK)
}

/** rdma-core's rping, through a file: its texts are in it, and come back from it. */
async function ping(world: World, served: Served, by: By): Promise<void> {
  const { volume } = served
  await world.guest.configure({ crc: true })
  const { port } = served.service.plain!
  const words = `-c -v -V -C ${PINGS} -a ${HOST} -p ${port} -S ${PING_BYTES}`
  const program = await world.guest.start(`sh -c 'exec rping ${words} 2>/dev/null'`)
  const shown = () => program.lines.filter((line) => line.startsWith('ping data: '))
  for (let round = 0; by === 'fault' && round < 5; round++) {
    await program.until(() => (shown().length > round ? true : undefined))
    volume.reflink(FILE, `/clone${round}`)
    for (const { regionBlock, count } of volume.extents(FILE).extents) {
      await volume.promises.evacuate(regionBlock * BLOCK, (regionBlock + count) * BLOCK)
    }
  }
  if (by === 'pin') {
    await program.until(() => (shown().length > 0 ? true : undefined))
    assert.throws(() => volume.truncate(FILE, 0), { code: 'EBUSY' })
  }
  assert.equal(await program.ended, 0, program.lines.join('\n').slice(-1000))
  const texts = shown().map((line) => line.slice('ping data: '.length))
  assert.equal(texts.length, PINGS)
  using file = volume.open(FILE, 'r')
  const bytes = Buffer.alloc(PING_BYTES)
  file.read(bytes, 0)
  assert.equal(bytes.subarray(0, -1).toString('latin1'), texts.at(-1))
  const rest = Buffer.alloc(BYTES - PING_BYTES)
  file.read(rest, PING_BYTES)
  assert.equal(Buffer.compare(rest, patternOf(1, BYTES).subarray(PING_BYTES)), 0)
}

export function testServed(world: World): void {
  const reach =
    (run: (reached: Reached) => Promise<void>, ended = {}) =>
    async (served: Served) => {
      const reached = await Reached.connect(world, served)
      await run(reached)
      await reached.close(ended)
    }
  describe('a file of a served volume, by siw', () => {
    servedTest('pinned: changes are refused, or copy, and it goes on', 'pin', reach(refuseUnderPin))
    servedTest('pinned: changes are deferred, and it goes on', 'pin', async (served) => {
      await deferUnderPin(await Reached.connect(world, served))
    })
    for (const by of ['pin', 'fault'] as const) {
      servedTest(
        `unlinked while it is reached (${by})`,
        by,
        reach((one) => unlinkUnder(one, by)),
      )
      servedTest(`by rping, to the file and back (${by})`, by, (served) => ping(world, served, by))
    }
    servedTest(
      'on demand: it goes on through all changes, to the end of the file',
      'fault',
      reach(changeUnderFaults, { broken: true }),
    )
    servedTest('by its path, to be read alone', 'pin', async (served) => {
      const reached = await Reached.connect(world, served, '/other')
      assert.equal(await reached.status('read', [0, BLOCKS]), 'SUCCESS')
      reached.seed = 2
      await reached.same(0, BYTES)
      await reached.refused('write', [0, 1], RdmapError.accessRights)
      reached.assertWritten('/other', 2)
      await reached.close({ broken: true })
    })
  })
}
