/**
 * Remote clients and a server over wires in memory, in time that is simulated, from a seed: pieces
 * come late and in parts, connections are lost in the middle, leases are asked back and fenced,
 * sessions are evicted. What was written is there, nobody sees bytes of another, and when all have
 * left nothing of theirs is held.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { cryptoWith } from '../../src/base/crypto.js'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import type { Client } from '../../src/client/client.js'
import { loadKey } from '../../src/client/key.js'
import { connectRemote } from '../../src/client/remote.js'
import type { RemoteFile } from '../../src/client/remote_file.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { Device } from '../../src/rdma/index.js'
import { memfdRegion } from '../../src/region/file_region.js'
import { KeyFile } from '../../src/serve/key_file.js'
import { Log } from '../../src/serve/log.js'
import { RemoteEndpoint } from '../../src/serve/remote.js'
import { Server } from '../../src/serve/server.js'
import { formatVolume } from '../../src/volume/format.js'
import { workMemory } from '../../src/volume/mount.js'
import { SimulatedTime } from '../rdma/simulated_time.js'
import { SimulatedNetwork, type Wire } from '../rdma/simulated_transport.js'

const LONG = Number(process.env['HOLDFAST_LONG'] ?? 1)
const RUNS = 4 * LONG
const STEPS = 40
const CLIENTS = 3
const BLOCK = 4096
const FILE_BYTES = 24 * BLOCK
const PORT = 7174
/** Longer than anything waits: a minute for a server that is gone, keepalives, recalls. */
const AGES = 600_000
/** What clients may be told when connections are lost and holds are taken from them. */
const EXPECTED = new Set(['ECONNRESET', 'ESTALE', 'ETIMEDOUT', 'EAGAIN', 'EBUSY'])

const keysPath = (directory: string) => join(directory, 'keys')

/** A file that one client alone writes: each byte is one of what it may have. */
class Model {
  readonly path: string
  readonly bytes = new Uint8Array(FILE_BYTES)
  /** What else it may be, where a write has failed. */
  readonly perhaps: { readonly at: number; readonly bytes: Uint8Array }[] = []

  constructor(path: string) {
    this.path = path
  }

  check(got: Uint8Array, offset: number, what: string): void {
    for (let i = 0; i < got.length; i++) {
      if (got[i] === this.bytes[offset + i]) continue
      const known = this.perhaps.some(({ at, bytes }) => bytes[offset + i - at] === got[i])
      assert.ok(known, `${what}: byte ${offset + i} of ${this.path} is ${got[i]}`)
    }
  }

  wrote(at: number, bytes: Uint8Array, sure: boolean): void {
    if (sure) this.bytes.set(bytes, at)
    else this.perhaps.push({ at, bytes })
  }
}

class World {
  readonly time = new SimulatedTime()
  readonly prng: Prng
  readonly network: SimulatedNetwork
  readonly directory = mkdtempSync('/dev/shm/holdfast-simulated-')
  readonly volume: LayoutVolume
  readonly server: Server
  readonly clients: Client[] = []
  readonly models: Model[] = []
  readonly #seed: number
  readonly #listening: Promise<void>

  constructor(seed: number) {
    this.#seed = seed
    this.prng = new Prng(seed)
    this.network = new SimulatedNetwork(this.time, seed)
    const secret = Buffer.from(Array.from({ length: 32 }, () => this.prng.below(256)))
    const line = `a ${secret.toString('base64url')} uid=0 gid=0 rw\n`
    writeFileSync(keysPath(this.directory), line, { mode: 0o600 })
    const region = memfdRegion(8 << 20)
    formatVolume(region, { entropy: seededEntropy(1), clock: new SteppedClock() })
    this.volume = LayoutVolume.mount(region, {
      sync: 'always',
      atime: 'never',
      clock: new SteppedClock(),
      entropy: seededEntropy(2),
      memory: workMemory(256, 512 * 1024),
      timers: this.time,
    })
    const device = this.device()
    const log = new Log({ timers: this.time, format: 'text', level: 'error', write: () => {} })
    this.server = new Server(new VolumeFileSystem(this.volume), { timers: this.time, log, device })
    const keys = new KeyFile(keysPath(this.directory))
    const endpoint = new RemoteEndpoint(this.server, keys, cryptoWith(seededEntropy(seed)))
    this.#listening = device.listen({ host: 'server', port: PORT }).then((listener) => {
      void endpoint.serve(listener)
    })
  }

  device(): Device {
    const { transport } = this.network
    const source = seededEntropy(this.prng.next())
    const entropy = (words: Uint32Array) =>
      source.fill(new Uint8Array(words.buffer, words.byteOffset, words.byteLength))
    return new Device({ transport, timers: this.time, entropy, copyBelow: 1e9 })
  }

  /** What the next connections are like; perhaps they are lost after some bytes. */
  roll(losses: boolean): void {
    const { prng } = this
    const after = 1000 + prng.below(400_000)
    const how = (['reset', 'end', 'silence'] as const)[prng.below(3)]!
    const wire: Wire = {
      window: 2000 + prng.below(1 << 18),
      room: 2000 + prng.below(1 << 18),
      piece: 1 + prng.below(1 << 16),
      delay: prng.below(3) === 0 ? 0 : prng.below(20),
      segmentBytes: prng.chance(1, 2) ? 1448 : null,
      loss: losses && prng.chance(1, 2) ? { direction: prng.below(2) as 0 | 1, after, how } : null,
    }
    this.network.wire = wire
  }

  async start(): Promise<void> {
    await this.#listening
    for (let i = 0; i < CLIENTS; i++) {
      const model = new Model(`/own${i}`)
      this.models.push(model)
      using file = this.volume.open(model.path, 'w')
      file.write(model.bytes, 0)
      this.clients.push(await this.settles(this.connect(i)))
    }
  }

  connect(i: number): Promise<Client> {
    const random = new Prng(this.#seed + i)
    return connectRemote('server', PORT, {
      key: loadKey(keysPath(this.directory))!,
      name: `client ${i}`,
      timers: this.time,
      crypto: cryptoWith(seededEntropy(this.#seed * 10 + i)),
      random: () => random.below(1000) / 1000,
      device: this.device(),
    })
  }

  /** What a promise comes to, in as much time as it takes. */
  async settles<T>(promise: Promise<T>): Promise<T> {
    let done = false
    const ends = () => (done = true)
    promise.then(ends, ends)
    const came = await this.time.until(() => done, AGES)
    assert.ok(came, 'it never came to an end')
    return promise
  }

  /** A part of a file, by chance. */
  range(): { offset: number; length: number } {
    const offset = this.prng.below(FILE_BYTES)
    return { offset, length: 1 + this.prng.below(FILE_BYTES - offset) }
  }

  /** Different for every file, so that nobody's bytes are taken for another's. */
  bytes(client: number, length: number): Uint8Array {
    const first = this.prng.below(64)
    return Uint8Array.from({ length }, (_, i) => (client + 1) * 64 + ((first + i) % 64))
  }

  end(): void {
    this.server.close()
    rmSync(this.directory, { recursive: true })
  }
}

function expect(error: unknown): void {
  if (error instanceof HoldfastError && EXPECTED.has(error.code)) return
  throw error
}

/** One client reads and writes its file, under leases, through layouts, and on demand. */
async function useFile(world: World, i: number, steps: number): Promise<void> {
  const { prng } = world
  const model = world.models[i]!
  const client = world.clients[i]!
  const open = async (fault: boolean) =>
    (await client.open(model.path, 'r+', 0, undefined, { fault })) as RemoteFile
  const files = [await open(false), await open(true)]
  for (let step = 0; step < steps; step++) {
    const file = files[prng.below(2)]!
    const { offset, length } = world.range()
    const bytes = world.bytes(i, length)
    try {
      switch (prng.below(5)) {
        case 0:
          await write(model, offset, bytes, () => file.write(bytes, offset))
          break
        case 1:
          await throughLayout(world, model, file, offset, bytes)
          break
        case 2:
          await file.sync()
          break
        default: {
          const got = new Uint8Array(length)
          const count = await file.read(got, offset)
          assert.equal(count, length, 'the file is as long as ever')
          model.check(got, offset, 'read')
        }
      }
    } catch (error) {
      expect(error)
    }
  }
  for (const file of files) await file.close().catch(expect)
}

async function write(
  model: Model,
  offset: number,
  bytes: Uint8Array,
  run: () => Promise<unknown>,
): Promise<void> {
  model.wrote(offset, bytes, false)
  await run()
  model.wrote(offset, bytes, true)
}

async function throughLayout(
  world: World,
  model: Model,
  file: RemoteFile,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  // Some never answer, and are fenced.
  const answers = world.prng.chance(3, 4)
  const onRecall = () => (answers ? undefined : new Promise<void>(() => {}))
  const layout = await file.layout({ iomode: 'rw', onRecall })
  try {
    await write(model, offset, bytes, () => layout.write(offset, bytes))
    await layout.commit()
    const got = await layout.read(offset, bytes.length)
    model.check(got, offset, 'read through a layout')
  } finally {
    await layout.release()
  }
}

/** What happens beside them: moves, clones, recalls, evictions. */
async function disturb(world: World, done: () => boolean): Promise<void> {
  const { prng, volume, server } = world
  for (let i = 0; !done(); i++) {
    await new Promise<void>((resolve) => world.time.later(prng.below(400), resolve))
    world.roll(true)
    const path = `/own${prng.below(CLIENTS)}`
    const deadline = 1 + prng.below(300)
    try {
      switch (prng.below(4)) {
        case 0: {
          const run = () => volume.arbiter.during({}, () => volume.reflink(path, `/clone${i}`))
          await volume.promises.settle(run, { deadline })
          volume.unlink(`/clone${i}`)
          break
        }
        case 1: {
          const [extent] = volume.extents(path).extents
          const from = extent!.regionBlock * BLOCK
          await volume.promises.evacuate(from, from + extent!.count * BLOCK, { deadline })
          break
        }
        case 2:
          for (const { id, kind } of volume.holds()) {
            if (kind === 'lease') await volume.promises.recall(id, { deadline })
          }
          break
        default: {
          // As if its host had been cut off: it looks for the server again.
          const sessions = [...server.sessions.values()]
          const lost = new HoldfastError('ECONNRESET', 'a test')
          if (prng.chance(1, 4)) sessions[prng.below(sessions.length)]?.abort(lost)
        }
      }
    } catch (error) {
      expect(error)
    }
  }
}

async function run(seed: number): Promise<string> {
  const world = new World(seed)
  try {
    world.roll(false)
    await world.start()
    let left = CLIENTS
    const uses = world.clients.map((_, i) =>
      useFile(world, i, STEPS).finally(() => {
        left--
      }),
    )
    const all = Promise.all([...uses, disturb(world, () => left === 0)])
    await world.settles(all)
    for (const model of world.models) {
      const bytes = new Uint8Array(FILE_BYTES)
      using file = world.volume.open(model.path, 'r')
      assert.equal(file.read(bytes, 0), FILE_BYTES)
      model.check(bytes, 0, 'at the end')
    }
    for (const client of world.clients) await world.settles(client.close())
    await world.time.pass(60_000)
    const { server, volume } = world
    assert.deepEqual(server.list(), [])
    assert.deepEqual(volume.holds(), [])
    assert.equal(server.connections, 0)
    return `${world.time.now()}`
  } finally {
    world.end()
  }
}

void test('remote clients over wires that delay, cut and lose, from a seed', async (t) => {
  const first = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
  t.diagnostic(`SEED=${first}`)
  for (let i = 0; i < RUNS; i++) {
    const seed = (first + i) >>> 0
    try {
      const time = await run(seed)
      if (i === 0) assert.equal(await run(seed), time, 'the same seed, the same run')
    } catch (error) {
      const failure = error as Error
      failure.message = `SEED=${seed}: ${failure.message}`
      throw failure
    }
  }
})
