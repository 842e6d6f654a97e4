/** Either end gone without a word, at rest and in the middle: the other hears of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Link, Peer, PeerKind, Region } from './peer.js'
import { HostProgram } from './program.js'
import { CASE_MS, nameOf, PAIRINGS, type Pair, type World } from './world.js'

const DYING = fileURLToPath(new URL('./dying.js', import.meta.url))
const MIB = 1 << 20
const LARGE = 8 * MIB
const REQUESTS = 12
/** What a request may come to whose peer has died; the last is siw's, of what it was sending. */
const FAILURES = ['WR_FLUSH_ERR', 'RETRY_EXC_ERR', 'FATAL_ERR', 'LOC_QP_OP_ERR']

interface Survivor {
  readonly peer: Peer
  readonly link: Link
  /** Of the other end: its Reads and Writes go there. */
  readonly memory: Region
}

/** The end that stays has receives, and work under way when the other dies. */
async function outlive(survivor: Survivor, busy: boolean, kill: () => Promise<void>) {
  const { peer, link, memory } = survivor
  const own = await peer.region(LARGE, 'lw')
  const remote = { stag: memory.stag, address: memory.address }
  const local = { region: own, offset: 0, length: LARGE }
  const ids: number[] = []
  await link.receive(1, { region: own, offset: 0, length: 16 })
  if (busy) {
    for (let id = 10; id < 10 + REQUESTS; id++) {
      await link.post({ id, op: id % 2 === 0 ? 'read' : 'write', local, remote })
      ids.push(id)
    }
    // Some of it has been done, so that the rest is under way.
    assert.equal((await link.completion(ids.shift()!)).status, 'SUCCESS')
  }
  await kill()
  await link.end()
  assert.equal((await link.completion(1)).status, 'WR_FLUSH_ERR')
  let failed = 0
  for (const id of ids) {
    const { status } = await link.completion(id)
    if (status === 'SUCCESS') continue
    assert.ok(FAILURES.includes(status), status)
    failed++
  }
  if (busy) assert.ok(failed > 0, 'all was done before the other end died')
}

/** Of a pair, the end that dies and the end that stays. */
function endsOf({ initiator, responder }: Pair, dies: PeerKind) {
  return initiator.peer.kind === dies
    ? { dying: initiator, staying: responder }
    : { dying: responder, staying: initiator }
}

/** Another connection works: nothing of the dead one is left in the way. */
async function goOn(world: World, dead: PeerKind, staying: Peer): Promise<void> {
  const fresh = await world.peer(dead)
  const pair = await world.connect(fresh, staying)
  const [source, sink] = [await fresh.region(MIB, 'l'), await staying.region(MIB, 'lw')]
  await source.fill(0, MIB, 9)
  await pair.responder.link.receive(1, { region: sink, offset: 0, length: MIB })
  const local = { region: source, offset: 0, length: MIB }
  await pair.initiator.link.post({ id: 2, op: 'send', local })
  assert.equal((await pair.responder.link.completion(1)).bytes, MIB)
  assert.equal(await sink.difference(0, MIB, 9), null)
  await pair.initiator.link.disconnect()
  await Promise.all([pair.initiator.link.end(), pair.responder.link.end()])
  await pair.initiator.link.close()
  await pair.responder.link.close()
  await fresh.close()
}

function testDeath(
  world: World,
  pairing: (typeof PAIRINGS)[number],
  dies: PeerKind,
  busy: boolean,
) {
  const how = dies === 'siw' ? 'the program behind siw is killed' : 'ours resets the connection'
  test(
    `${how} ${busy ? 'in the middle of Reads and Writes' : 'at rest'}`,
    {
      timeout: CASE_MS,
    },
    async () => {
      const [from, to] = [await world.peer(pairing.initiator), await world.peer(pairing.responder)]
      const pair = await world.connect(from, to, { asked: { peerToPeer: true } })
      const { dying, staying } = endsOf(pair, dies)
      const memory = await dying.peer.region(LARGE, 'lrw')
      await outlive({ ...staying, memory }, busy, () => dying.peer.kill())
      await staying.link.close()
      await goOn(world, dies, staying.peer)
      await staying.peer.close()
    },
  )
}

/** Killed as a process, which says nothing: what its kernel says is all that siw hears. */
async function killOurs(world: World): Promise<void> {
  const staying = await world.peer('siw')
  const listener = await staying.listen()
  const { host, port } = listener.place('ours')
  const memory = await staying.region(LARGE, 'lrw')
  const words = [host, port, memory.stag, memory.address, LARGE].map(String)
  const process = new HostProgram(DYING, words)
  const requested = await listener.request()
  const link = await requested.take()
  await link.receive(1, { region: memory, offset: 0, length: 16 })
  await link.accept()
  await process.take((line) => (line === 'read done' ? true : undefined))
  process.kill()
  await process.ended
  await link.end()
  assert.equal((await link.completion(1)).status, 'WR_FLUSH_ERR')
  await link.close()
  await listener.close()
  await goOn(world, 'ours', staying)
  await staying.close()
}

export function testDeaths(world: World): void {
  for (const pairing of PAIRINGS.filter(({ initiator, responder }) => initiator !== responder)) {
    describe(`deaths, ${nameOf(pairing)}`, () => {
      for (const dies of ['siw', 'ours'] as const) {
        for (const busy of [false, true]) testDeath(world, pairing, dies, busy)
      }
    })
  }
  test(
    'a process of ours is killed in the middle of Reads and Writes',
    {
      timeout: CASE_MS,
    },
    () => killOurs(world),
  )
}
