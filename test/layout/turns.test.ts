/** Who goes when: a change gets its turn whatever is asked for meanwhile, then the others do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { HoldfastError } from '../../src/base/errors.js'
import type { Hold } from '../../src/layout/hold.js'
import { assertBytes, blocksOf } from './ground.js'
import { BLOCKS, codeOf, Scene, stateOf } from './scene.js'
import { idle, outcomeOf } from './timers.js'

/** Somebody who takes a lease of a file again as soon as he may, and answers some rounds later. */
class Greedy {
  readonly #scene: Scene
  readonly #path: string
  readonly #patience: number
  #lease: Hold | null = null
  /** Rounds until he answers. */
  #answers = 0
  taken = 0

  constructor(scene: Scene, path: string, patience: number) {
    this.#scene = scene
    this.#path = path
    this.#patience = patience
  }

  round(): void {
    if (this.#answers > 0 && --this.#answers === 0) this.stop()
    if (this.#lease !== null) return
    try {
      const onRecall = () => (this.#answers = this.#patience)
      this.#lease = this.#scene.lease(this.#path, [0, BLOCKS], { iomode: 'rw', onRecall })
      this.taken++
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'EAGAIN') throw error
    }
  }

  stop(): void {
    this.#lease?.release()
    this.#lease = null
  }
}

for (const patience of [
  [1, 1],
  [1, 4],
  [4, 1],
] as const) {
  test(`a change of two files gets its turn, leases answered in ${String(patience)}`, async () => {
    using s = new Scene()
    s.make('/g')
    const [f, g] = [s.volume.open('/f', 'r+'), s.volume.open('/g', 'r+')]
    const greedy = [new Greedy(s, '/f', patience[0]), new Greedy(s, '/g', patience[1])]
    for (const one of greedy) one.round()
    const share = outcomeOf(s.volume.promises.reflinkRange(f, 0, g, 0, 4 * B))
    let rounds = 0
    for (; !share.settled && rounds < 40; rounds++) {
      await idle()
      // Each in his turn, one before the other and the other before the one.
      for (const one of rounds % 2 === 0 ? greedy : [...greedy].reverse()) one.round()
      await s.timers.pass(100)
    }
    assert.equal(stateOf(share), 'done')
    assert.ok(rounds <= 16, `after ${rounds} rounds`)
    assertBytes(s.volume.readFile('/g').subarray(0, 4 * B), blocksOf('/f', 0, 4), '/g')
    for (const one of greedy) {
      one.round()
      assert.ok(one.taken >= 2, 'and they after it')
      one.stop()
    }
    for (const file of [f, g]) file.close()
  })
}

test('what a change has waited for is kept for it until it is done, and then let go', async () => {
  using s = new Scene()
  s.make('/g')
  const [f, g] = [s.volume.open('/f', 'r+'), s.volume.open('/g', 'r+')]
  const leases = [s.lease('/f', [0, BLOCKS], { iomode: 'rw' }), s.lease('/g')]
  const controller = new AbortController()
  const { signal } = controller
  const share = outcomeOf(s.volume.promises.reflinkRange(f, 0, g, 0, 4 * B, { signal }))
  await idle()
  leases[0]!.release()
  await idle()
  assert.equal(stateOf(share), 'waits')
  const take = () => s.lease('/f', [0, BLOCKS], { iomode: 'rw' }).release()
  assert.equal(codeOf(take), 'EAGAIN', '/f is kept, though it waits for /g now')
  const beside = () => s.lease('/f', [4, BLOCKS], { iomode: 'rw' }).release()
  assert.equal(codeOf(beside), 'done', 'and no more of it than is wanted')
  const queued = outcomeOf(s.volume.promises.pin(f))
  await idle()
  assert.equal(stateOf(queued), 'waits')
  assert.equal(codeOf(beside), 'done', 'a hold that waits is in the way of no hold')
  controller.abort()
  await idle()
  assert.equal(stateOf(share), 'EINTR')
  assert.equal(stateOf(queued), 'done', 'who came behind it goes on when it gives up')
  queued.value!.release()
  assert.equal(codeOf(take), 'done')
  leases[1]!.release()
  for (const file of [f, g]) file.close()
})

test('changes of the same blocks are made in the order in which they were asked for', async () => {
  using s = new Scene()
  const file = s.volume.open('/f', 'r+')
  const pin = s.pin('/f', [6, 8])
  const order: number[] = []
  const cuts = [6, 4, 5, 2].map((blocks) => {
    const run = () => {
      file.truncate(blocks * B)
      order.push(blocks)
    }
    return outcomeOf(s.volume.promises.settle(run, { policy: 'wait' }))
  })
  await idle()
  assert.deepEqual(order, [])
  pin.release()
  await idle()
  assert.deepEqual(order, [6, 4, 5, 2])
  assert.deepEqual(cuts.map(stateOf), ['done', 'done', 'done', 'done'])
  file.close()
})

// ---- fenced, beside a fixed file ---------------------------------------------------------------

/** All of a file is read by a lease that was fenced, for a punch that was not made in the end. */
async function fenced(s: Scene, path: string, blocks: number): Promise<Hold> {
  const lease = s.lease(path)
  const file = s.volume.open(path, 'r+')
  const end = s.volume.watchHolds(({ kind }) => {
    if (kind === 'fence') queueMicrotask(() => file.close())
  })
  const punch = outcomeOf(s.volume.promises.punch(file, 0, blocks * B))
  await s.timers.pass(5_000)
  end()
  assert.equal(stateOf(punch), 'EBADF')
  assert.equal(lease.info().state, 'fenced')
  return lease
}

test('a file in pieces leaves all that a fenced lease reads before it is cloned', async () => {
  using s = new Scene()
  s.make('/g', 0)
  s.make('/between', 0)
  s.as(null, '/g', (g) =>
    s.as(null, '/between', (between) => {
      for (let i = 0; i < BLOCKS; i += 2) {
        g.write(blocksOf('/g', i, i + 2), i * B)
        between.write(blocksOf('between', i, i + 1), i * B)
      }
    }),
  )
  const places = s.places('/g')
  const lease = await fenced(s, '/g', 7)
  s.volume.reflink('/g', '/clone')
  for (const path of ['/g', '/clone']) {
    s.assertFile(path, '/g')
    const stays = s.places(path).map((place, i) => place === places[i])
    assert.deepEqual(stays, [false, false, false, false, false, false, false, true], path)
  }
  assert.equal(s.limbo, 7)
  s.assertClean('with a lease that cannot be cut off')
  lease.release()
  assert.equal(s.limbo, 0)
})

test('a fixed file stays where it is when a clone is cloned that a fenced lease reads', async () => {
  using s = new Scene()
  s.volume.fix('/f')
  s.volume.sealWrites('/f')
  s.volume.reflink('/f', '/clone')
  const places = s.places('/f')
  const lease = await fenced(s, '/clone', 4)
  assert.deepEqual(s.places('/clone'), places)
  const generation = s.generation('/f')
  s.volume.reflink('/clone', '/again')
  assert.deepEqual(s.places('/f'), places, 'a fixed file does not move')
  assert.equal(s.generation('/f'), generation)
  for (const path of ['/clone', '/again']) {
    s.assertFile(path, '/f')
    const fenced = s.places(path, [0, 4])
    assert.equal(
      fenced.some((place) => places.includes(place)),
      false,
      `${path} has left what may be in use`,
    )
  }
  s.assertClean('beside a fenced lease')
  lease.release()
  s.assertFile('/f')
  assert.equal(s.limbo, 0)
})

test('of a fixed file that a fenced lease reads, a clone gets a copy of what it reads', async () => {
  using s = new Scene()
  const lease = s.lease('/f', [2, 5])
  const file = s.volume.open('/f', 'r+')
  const end = s.volume.watchHolds(({ kind }) => {
    if (kind === 'fence') queueMicrotask(() => file.close())
  })
  const punch = outcomeOf(s.volume.promises.punch(file, 0, 4 * B))
  await s.timers.pass(5_000)
  end()
  assert.equal(stateOf(punch), 'EBADF')
  lease.returnRange(4 * B, B) // what is not fenced: fixing needs the file unheld
  s.volume.fix('/f')
  s.volume.sealWrites('/f')
  const places = s.places('/f')
  s.volume.reflink('/f', '/clone')
  assert.deepEqual(s.places('/f'), places)
  const shared = s.places('/clone').map((place, i) => place === places[i])
  assert.deepEqual(shared, [true, true, false, false, true, true, true, true])
  s.assertFile('/clone', '/f')
  lease.release()
})
