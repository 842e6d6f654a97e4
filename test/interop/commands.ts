/** The command line against rdma-core's rping, and against verbs: what anyone can try. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { HERE, HOST } from './guest.js'
import { differenceFrom, patternOf } from './pattern.js'
import { holdfast, type Program } from './program.js'
import { CASE_MS, type World } from './world.js'

const PINGS = 3
/** What rping itself takes: not less than its heads, not 64 KiB. */
const SIZES = [23, 64, 100, 1428, 4096, 16_384, 65_535]
const FILE_BYTES = 3 << 20

interface Offer {
  readonly name: string
  /** Of `holdfast rping`. */
  readonly words: readonly string[]
  /** siw's settings that ask for the same. */
  readonly settings: {
    readonly crc?: boolean
    readonly peerToPeer?: boolean
    readonly rtr?: number
  }
}

const OFFERS: readonly Offer[] = [
  { name: 'CRC off, client and server', words: ['--no-crc', '--no-peer-to-peer'], settings: {} },
  { name: 'CRC on, client and server', words: ['--no-peer-to-peer'], settings: { crc: true } },
  {
    name: 'CRC off, peer to peer by a Write',
    words: ['--no-crc', '--rtr', 'write'],
    settings: { peerToPeer: true, rtr: 0x8000 },
  },
  {
    name: 'CRC on, peer to peer by a Read',
    words: ['--rtr', 'read'],
    settings: { crc: true, peerToPeer: true, rtr: 0x4000 },
  },
]

/** The texts of pings that a side has shown. */
function textsOf(program: Program, side: 'server ' | ''): string[] {
  const start = `${side}ping data: `
  return program.lines
    .filter((line) => line.startsWith(start))
    .map((line) => line.slice(start.length))
}

/** Both sides have shown the same, and each text is as long as it was asked for. */
function assertPinged(client: Program, server: Program, size: number): void {
  const texts = textsOf(client, '')
  const served = textsOf(server, 'server ')
  assert.equal(texts.length, PINGS)
  assert.equal(served.length, PINGS)
  for (const [i, text] of texts.entries()) {
    assert.ok(text.startsWith(`rdma-ping-${i}: `), text.slice(0, 60))
    assert.equal(text.length, size - 1)
    assert.ok(served[i] === text, `the server shows ${served[i]!.slice(0, 60)}`)
  }
}

/** rdma-core's, which writes of its end into the middle of what it has shown. */
const rping = (words: string) => `sh -c 'exec rping ${words} 2>/dev/null'`

async function ended(program: Program): Promise<void> {
  assert.equal(await program.ended, 0, program.lines.join('\n').slice(-1000))
}

async function pingTheGuest(world: World, { words }: Offer): Promise<void> {
  for (const size of SIZES) {
    const port = world.guest.newPort()
    const server = await world.guest.start(rping(`-s -v -a 0.0.0.0 -p ${port.guest} -S ${size}`))
    await world.guest.listens(port)
    const where = ['-a', HERE, '-p', String(port.host), '-S', String(size)]
    const client = holdfast('rping', '-c', '-v', '-V', '-C', String(PINGS), ...where, ...words)
    await ended(client)
    await server.ended
    assertPinged(client, server, size)
  }
}

/** Where a command listens, as it says. */
async function portOf(server: Program): Promise<number> {
  return await server.until((lines) => {
    const found = lines.map((line) => /^listening on \S+:(\d+)/.exec(line)?.[1]).find(Boolean)
    return found === undefined ? undefined : Number(found)
  })
}

async function pingTheHost(world: World, { words, settings }: Offer): Promise<void> {
  await world.guest.configure(settings)
  // A responder of ours has a CRC when it is asked for one.
  const server = holdfast('rping', '-s', '-P', '-v', '-p', '0', '--no-crc', ...words)
  const port = await portOf(server)
  for (const size of SIZES) {
    const where = `-a ${HOST} -p ${port} -S ${size}`
    const client = await world.guest.start(rping(`-c -v -V -C ${PINGS} ${where}`))
    await ended(client)
    await server.take((line) => (line.endsWith(`: ${PINGS} pings`) ? true : undefined))
    assertPinged(client, server, size)
    server.lines.length = 0
  }
  server.kill('SIGINT')
  await server.ended
}

/** verbs against what `holdfast rdma-target` serves; what it says of it comes with the Reply. */
async function useTarget(world: World, server: Program): Promise<void> {
  const port = await portOf(server)
  await world.configure('siw', { crc: true, peerToPeer: true })
  const peer = await world.peer('siw')
  const link = await peer.open({ host: HOST, port })
  const source = await peer.region(FILE_BYTES, 'l')
  const sink = await peer.region(FILE_BYTES, 'lw')
  await link.receive(1, { region: sink, offset: 0, length: 16 })
  const { accepted, privateData } = await link.connect()
  assert.ok(accepted)
  const advert = new DataView(privateData.buffer, privateData.byteOffset, privateData.length)
  assert.equal(advert.getBigUint64(8), BigInt(FILE_BYTES))
  const remote = { stag: advert.getUint32(16), address: advert.getBigUint64(0) }
  const all = (region: typeof source) => ({ region, offset: 0, length: FILE_BYTES })
  await link.post({ id: 2, op: 'read', local: all(sink), remote })
  assert.equal((await link.completion(2)).status, 'SUCCESS')
  assert.equal(await sink.difference(0, FILE_BYTES, 1), null)
  await source.fill(0, FILE_BYTES, 2)
  await link.post({ id: 3, op: 'write', local: all(source), remote })
  // It is answered when all that was written is durable.
  await link.post({ id: 4, op: 'send', local: { region: source, offset: 0, length: 0 } })
  assert.equal((await link.completion(1)).bytes, 16)
  await link.disconnect()
  await link.end()
  await link.close()
  await peer.close()
}

async function serveFile(world: World, context: TestContext): Promise<void> {
  const file = join(tmpdir(), `holdfast-interop-${process.pid}`)
  context.after(() => rmSync(file, { force: true }))
  writeFileSync(file, patternOf(1, FILE_BYTES))
  const server = holdfast('rdma-target', file, '--write', '--once', '--listen', `${HERE}:0`)
  await useTarget(world, server)
  await ended(server)
  assert.equal(differenceFrom(readFileSync(file), 2), null)
}

export function testCommands(world: World): void {
  const sizes = `${SIZES[0]} B to ${SIZES.at(-1)} B`
  describe('rping', () => {
    for (const offer of OFFERS) {
      test(
        `of rdma-core serves holdfast rping, ${sizes}, ${offer.name}`,
        {
          timeout: CASE_MS,
        },
        () => pingTheGuest(world, offer),
      )
      test(
        `of rdma-core pings holdfast rping, ${sizes}, ${offer.name}`,
        {
          timeout: CASE_MS,
        },
        () => pingTheHost(world, offer),
      )
    }
  })

  test(
    'verbs read and write a file that holdfast rdma-target serves',
    {
      timeout: CASE_MS,
    },
    (context) => serveFile(world, context),
  )
}
