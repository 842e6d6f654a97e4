/** A lease of which several changes want several parts: each is asked for, by its own deadline. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { WaitOptions } from '../../src/base/layout.js'
import type { Hold } from '../../src/layout/hold.js'
import { BLOCKS, Scene, stateOf } from './scene.js'
import { idle, outcomeOf, type Outcome } from './timers.js'

/** A file under a lease that can be cut off, and what its holder and who watches were told. */
class Asked extends Scene {
  /** Ranges in blocks, with the deadline. */
  readonly told: [from: number, to: number, deadline: number][] = []
  readonly watched: (readonly [from: number, to: number])[] = []
  readonly #file = this.volume.open('/f', 'r+')
  readonly hold: Hold

  constructor() {
    super()
    this.hold = this.lease('/f', [0, BLOCKS], {
      iomode: 'rw',
      onRecall: (_id, { offset, length, deadline }) => {
        this.told.push([offset / B, (offset + length) / B, deadline])
      },
      revoke: () => {},
    })
    this.volume.watchHolds(({ kind, wanted }) => {
      if (kind !== 'recall') return
      this.watched.push([wanted!.offset / B, (wanted!.offset + wanted!.length) / B])
    })
  }

  punch(from: number, to: number, options: WaitOptions = {}): Outcome<void> {
    const { promises } = this.volume
    return outcomeOf(promises.punch(this.#file, from * B, (to - from) * B, options))
  }

  async giveBack(from: number, to: number): Promise<void> {
    this.hold.returnRange(from * B, (to - from) * B)
    await idle()
  }

  /** Milliseconds that the holder has; 'held': it is not asked for anything. */
  get left(): number | 'held' | 'over' {
    if (this.hold.released) return 'over'
    const { state, deadline } = this.hold.info()
    return state === 'recalled' ? deadline! : 'held'
  }
}

function asked(title: string, run: (s: Asked) => Promise<void>): void {
  test(title, async () => {
    using s = new Asked()
    await run(s)
    assert.equal(s.timers.waiting, 0, 'nobody waits for a deadline')
  })
}

asked('who returns what it was asked for, each time, is not fenced', async (s) => {
  const first = s.punch(0, 1)
  await s.timers.pass(50)
  const second = s.punch(4, 5)
  await idle()
  assert.deepEqual(s.told, [
    [0, 1, 5_000],
    [4, 5, 5_000],
  ])
  assert.deepEqual(s.watched, [
    [0, 1],
    [4, 5],
  ])
  assert.equal(s.left, 4_950)
  await s.giveBack(0, 1)
  assert.deepEqual([stateOf(first), stateOf(second)], ['done', 'waits'])
  assert.equal(s.left, 5_000, 'the second has its own time')
  await s.timers.pass(4_999)
  await s.giveBack(4, 5)
  assert.equal(stateOf(second), 'done')
  assert.equal(s.left, 'held')
  await s.timers.pass(60_000)
  assert.equal(s.left, 'held')
})

asked('who does not return the first is fenced at its deadline, whatever came later', async (s) => {
  const first = s.punch(0, 1, { deadline: 1_000 })
  await s.timers.pass(500)
  const second = s.punch(4, 5, { deadline: 60_000 })
  await idle()
  await s.giveBack(4, 5)
  assert.equal(stateOf(second), 'done')
  await s.timers.pass(499)
  assert.equal(s.left, 1)
  await s.timers.pass(1)
  assert.equal(stateOf(first), 'done')
  assert.equal(s.left, 'over')
})

asked('who has less patience does not wait for the deadline of others', async (s) => {
  const first = s.punch(0, 1, { deadline: 60_000 })
  await idle()
  const second = s.punch(4, 5, { deadline: 1_000 })
  await idle()
  assert.equal(s.left, 1_000)
  await s.timers.pass(999)
  assert.deepEqual([stateOf(first), stateOf(second)], ['waits', 'waits'])
  await s.timers.pass(1)
  assert.deepEqual([stateOf(first), stateOf(second)], ['done', 'done'])
  assert.equal(s.left, 'over')
})

asked('the part that is due later is fenced at its own deadline', async (s) => {
  const first = s.punch(0, 1)
  await s.timers.pass(4_000)
  const second = s.punch(4, 5)
  await idle()
  await s.giveBack(0, 1)
  assert.equal(stateOf(first), 'done')
  await s.timers.pass(4_999)
  assert.equal(s.left, 1)
  await s.timers.pass(1)
  assert.equal(s.left, 'over')
  assert.equal(stateOf(second), 'done')
})

asked(
  'what was named is not named again, and has the deadline that it was named with',
  async (s) => {
    const some = [s.punch(0, 2), s.punch(2, 4)]
    await s.timers.pass(1_000)
    some.push(s.punch(1, 3))
    await idle()
    assert.equal(s.told.length, 2)
    some.push(s.punch(3, 5))
    await idle()
    assert.deepEqual(s.told[2], [3, 5, 5_000], 'all of what is wanted, for the sake of block 4')
    await s.giveBack(0, 2)
    assert.deepEqual(some.map(stateOf), ['done', 'waits', 'waits', 'waits'])
    assert.equal(s.left, 4_000)
    await s.giveBack(2, 4)
    assert.deepEqual(some.map(stateOf), ['done', 'done', 'done', 'waits'])
    assert.equal(s.left, 5_000, 'block 4 is out')
    await s.giveBack(4, 5)
    assert.deepEqual([stateOf(some[3]!), s.left], ['done', 'held'])
  },
)

asked('a range that nobody waits for any more has no deadline', async (s) => {
  const controller = new AbortController()
  const first = s.punch(0, 2, { deadline: 1_000, signal: controller.signal })
  const second = s.punch(1, 4, { deadline: 2_000 })
  await idle()
  assert.equal(s.left, 1_000)
  controller.abort()
  await idle()
  assert.deepEqual([stateOf(first), s.left], ['EINTR', 2_000])
  await s.timers.pass(1_999)
  assert.equal(s.left, 1)
  await s.giveBack(1, 4)
  assert.deepEqual([stateOf(second), s.left], ['done', 'held'])
  const third = s.punch(0, 1)
  await idle()
  assert.deepEqual(s.told[2], [0, 1, 5_000], 'it is asked for anew')
  await s.giveBack(0, 1)
  assert.equal(stateOf(third), 'done')
})

asked('who found its blocks named keeps their deadline when the first gives up', async (s) => {
  const controller = new AbortController()
  s.punch(0, 4, { deadline: 1_000, signal: controller.signal })
  const second = s.punch(1, 2)
  await s.timers.pass(500)
  controller.abort()
  await idle()
  assert.deepEqual([s.told.length, s.left], [1, 500])
  await s.timers.pass(500)
  assert.deepEqual([stateOf(second), s.left], ['done', 'over'])
})

asked('the rest is asked back when all of it is, for nobody', async (s) => {
  const first = s.punch(0, 1)
  await idle()
  const all = outcomeOf(s.volume.promises.recall(s.hold.id))
  await idle()
  assert.deepEqual(s.told[1], [0, BLOCKS, 5_000])
  s.hold.release()
  await idle()
  assert.deepEqual([stateOf(first), all.value], ['done', 'returned'])
})

asked('what a lease gave back for a change that waits for others is not asked for', async (s) => {
  const other = s.lease('/f', [4, 5], { revoke: () => {} })
  const change = s.punch(4, 5)
  await idle()
  await s.giveBack(4, 5)
  assert.deepEqual([stateOf(change), s.left], ['waits', 'held'])
  s.pin('/f', [0, 1]).release()
  await s.timers.pass(5_000)
  assert.deepEqual([stateOf(change), other.released, s.left], ['done', true, 'held'])
})
