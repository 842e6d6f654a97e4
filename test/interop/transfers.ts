/** Bytes of every size, by every operation, either way: what arrives is what was sent. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { OurLink } from './our_peer.js'
import type { Link, Peer, Region } from './peer.js'
import { CASE_MS, disconnect, nameOf, PAIRINGS, type Pair, type World } from './world.js'

const MIB = 1 << 20
const LARGEST = 16 * MIB
/** Around what one segment takes, 64 KiB, and the lengths that a field of 16 bits has. */
const SIZES = [0, 1, 3, 4, 5, 63, 1424, 1428, 1429, 4096, 65_534, 65_536, 65_537, MIB, LARGEST]
const QUEUE_PAIRS = 6
const REQUESTS = 40
const OPS = ['send', 'write', 'read'] as const

/** An end with memory to send from and to receive into. */
interface Side {
  readonly link: Link
  readonly source: Region
  readonly sink: Region
}

async function sideOf({ peer, link }: { peer: Peer; link: Link }, bytes: number): Promise<Side> {
  return { link, source: await peer.region(bytes, 'lr'), sink: await peer.region(bytes, 'lrw') }
}

const at = (region: Region, offset: number, length: number) => ({ region, offset, length })

let lastId = 0
const newId = () => ++lastId

async function succeeds(link: Link, id: number, op: string): Promise<number> {
  const completion = await link.completion(id)
  assert.equal(completion.status, 'SUCCESS')
  assert.equal(completion.op, op)
  return completion.bytes
}

/** An empty message: what was written before it has arrived when it is received. */
async function sayDone(from: Side, to: Side): Promise<void> {
  const [sent, received] = [newId(), newId()]
  await to.link.receive(received, at(to.sink, 0, 0))
  await from.link.post({ id: sent, op: 'send', local: at(from.source, 0, 0) })
  await succeeds(from.link, sent, 'send')
  assert.equal(await succeeds(to.link, received, 'receive'), 0)
}

async function send(from: Side, to: Side, size: number, seed: number): Promise<void> {
  await from.source.fill(0, size, seed)
  const [sent, received] = [newId(), newId()]
  await to.link.receive(received, at(to.sink, 0, size))
  await from.link.post({ id: sent, op: 'send', local: at(from.source, 0, size) })
  await succeeds(from.link, sent, 'send')
  assert.equal(await succeeds(to.link, received, 'receive'), size)
  assert.equal(await to.sink.difference(0, size, seed), null)
}

async function write(from: Side, to: Side, size: number, seed: number): Promise<void> {
  await from.source.fill(0, size, seed)
  const id = newId()
  const { stag, address } = to.sink
  await from.link.post({
    id,
    op: 'write',
    local: at(from.source, 0, size),
    remote: { stag, address },
  })
  await succeeds(from.link, id, 'write')
  await sayDone(from, to)
  assert.equal(await to.sink.difference(0, size, seed), null)
}

async function read(from: Side, to: Side, size: number, seed: number): Promise<void> {
  await to.source.fill(0, size, seed)
  const id = newId()
  const { stag, address } = to.source
  await from.link.post({ id, op: 'read', local: at(from.sink, 0, size), remote: { stag, address } })
  assert.equal(await succeeds(from.link, id, 'read'), size)
  assert.equal(await from.sink.difference(0, size, seed), null)
}

const TRANSFERS = { send, write, read }

async function everySize(pair: Pair): Promise<void> {
  const initiator = await sideOf(pair.initiator, LARGEST)
  const responder = await sideOf(pair.responder, LARGEST)
  let seed = 1
  for (const size of SIZES) {
    for (const op of OPS) {
      for (const [from, to] of [[initiator, responder] as const, [responder, initiator] as const]) {
        const who = from === initiator ? 'initiator' : 'responder'
        await TRANSFERS[op](from, to, size, seed++).catch(async (error: unknown) => {
          const ends = await Promise.all([from.link.event(), to.link.event()])
          const what = `${op} of ${size} bytes by the ${who}: ${ends.join(', and ')}`
          throw new Error(what, { cause: error })
        })
      }
    }
  }
}

/** Each frame that went by had the CRC of its bytes, or none had one. */
function assertChecked({ initiator, responder }: Pair, crc: boolean): void {
  for (const { link } of [initiator, responder]) {
    if (!(link instanceof OurLink)) continue
    for (const { checked, wrong, frames } of [link.tap.sent, link.tap.received]) {
      assert.deepEqual([checked, wrong], [crc ? frames : 0, 0])
    }
  }
}

/** Many requests at a time, each with a place of its own at both ends. */
async function manyRequests(pair: Pair, prng: Prng): Promise<void> {
  const [a, b] = [await sideOf(pair.initiator, MIB), await sideOf(pair.responder, MIB)]
  const step = Math.floor(MIB / REQUESTS / 4) * 4
  const requests = Array.from({ length: REQUESTS }, (_, i) => ({
    op: OPS[prng.below(OPS.length)]!,
    id: newId(),
    received: newId(),
    offset: i * step,
    size: prng.below(step + 1),
    seed: prng.below(1 << 30),
    fence: prng.below(4) === 0,
  }))
  for (const { op, received, offset, size, seed } of requests) {
    if (op === 'send') await b.link.receive(received, at(b.sink, offset, size))
    await (op === 'read' ? b : a).source.fill(offset, size, seed)
  }
  // siw fences no Reads.
  const mayFence = (op: string) => op !== 'read' || pair.initiator.peer.kind === 'ours'
  for (const { op, id, offset, size, ...request } of requests) {
    const fence = request.fence && mayFence(op)
    const local = at(op === 'read' ? a.sink : a.source, offset, size)
    const region = op === 'read' ? b.source : b.sink
    const remote = { stag: region.stag, address: region.address + BigInt(offset) }
    await a.link.post({ id, op, local, fence, ...(op === 'send' ? {} : { remote }) })
  }
  for (const { op, id, received } of requests) {
    await succeeds(a.link, id, op)
    if (op === 'send') await succeeds(b.link, received, 'receive')
  }
  await sayDone(a, b)
  for (const { op, offset, size, seed } of requests) {
    assert.equal(await (op === 'read' ? a : b).sink.difference(offset, size, seed), null)
  }
}

export function testTransfers(world: World, seed: number): void {
  for (const pairing of PAIRINGS) {
    describe(`bytes, ${nameOf(pairing)}`, () => {
      for (const crc of [false, true]) {
        const sizes = `${SIZES[0]} B to ${LARGEST / MIB} MiB`
        test(
          `Send, Write and Read of ${sizes} either way, ${crc ? 'with' : 'without'} CRC`,
          {
            timeout: CASE_MS,
          },
          async () => {
            await world.peers(pairing, async (initiator, responder) => {
              const pair = await world.connect(initiator, responder, { asked: { crc } })
              await everySize(pair)
              await disconnect(pair)
              assertChecked(pair, crc)
            })
          },
        )
      }

      test(
        `${QUEUE_PAIRS} queue pairs at a time, each with ${REQUESTS} requests`,
        {
          timeout: CASE_MS,
        },
        async () => {
          await world.peers(pairing, async (initiator, responder) => {
            const prng = new Prng(seed)
            const pairs: Pair[] = []
            for (let i = 0; i < QUEUE_PAIRS; i++) {
              pairs.push(await world.connect(initiator, responder, { asked: { ird: 4, ord: 4 } }))
            }
            await Promise.all(pairs.map((pair) => manyRequests(pair, prng)))
            for (const pair of pairs) await disconnect(pair)
          })
        },
      )
    })
  }
}
