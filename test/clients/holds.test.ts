/** What a client knows of its holds, from one session to the next. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { RECLAIM_EXTENTS_MAX } from '../../src/control/limits.js'
import { VERBS } from '../../src/control/verbs/index.js'
import type { HoldFacts } from '../../src/client/hold.js'
import { ClientHolds } from '../../src/client/holds.js'
import type { Alive } from '../../src/client/link.js'

/** A session with a server that answers as it is told, and what it was asked. */
class Session {
  ended = false
  readonly asked: [verb: unknown, args: { id?: number; ino?: number }][] = []
  readonly alive: Alive

  constructor(answer: (verb: unknown, args: { ino?: number }) => unknown, grace = true) {
    const call = (verb: unknown, args: { id?: number; ino?: number }) => {
      if (this.ended) return Promise.reject(new HoldfastError('ECONNRESET', 'it has ended'))
      this.asked.push([verb, args])
      return Promise.resolve().then(() => answer(verb, args))
    }
    const caller = Object.defineProperty({ call }, 'ended', { get: () => this.ended })
    this.alive = { caller, hello: { grace }, secret: null } as unknown as Alive
  }

  of(verb: unknown): { id?: number; ino?: number }[] {
    return this.asked.filter(([one]) => one === verb).map(([, args]) => args)
  }
}

const extents = [{ fileBlock: 0, regionBlock: 100, count: 1 }]
const granted = (id: number, more = false) => {
  return { id, layout: { epoch: 1, generation: 1 }, offset: 0, length: 4096, extents, more }
}
const facts = (ino: number): HoldFacts => {
  return { kind: 'seal', iomode: null, ino, generation: 1, reason: '' }
}
const shows = () => Promise.resolve([0])
const quiet = () => new Session(() => ({}))

test('holds of two mounts with the same id are not taken for each other', async () => {
  const holds = new ClientHolds()
  const first = quiet()
  const one = await holds.take(first.alive, facts(11), () => Promise.resolve(granted(1)))
  const two = await holds.take(first.alive, facts(12), () => Promise.resolve(granted(2)))
  first.ended = true
  holds.lost(true, 'killed')
  // The second server calls the first of them 2, and is killed before it is asked for the other.
  const second = new Session((verb) => {
    if (verb !== VERBS.reclaim) return {}
    second.ended = true
    return granted(2)
  })
  await assert.rejects(holds.again(second.alive, shows), { code: 'ECONNRESET' })
  let next = 0
  const third = new Session((verb) => (verb === VERBS.reclaim ? granted(++next) : {}))
  await holds.again(third.alive, shows)
  assert.deepEqual(
    third.of(VERBS.reclaim).map(({ ino }) => ino),
    [11, 12],
  )
  assert.deepEqual([one.held, two.held], [true, true])
  holds.notice({ name: 'released', body: { id: 1 } })
  assert.deepEqual([one.held, two.held], [false, true])
})

test('what a server said in the middle of a session that has ended does not count', async () => {
  const holds = new ClientHolds()
  const first = quiet()
  const one = await holds.take(first.alive, facts(11), () => Promise.resolve(granted(1)))
  const two = await holds.take(first.alive, facts(12), () => Promise.resolve(granted(2)))
  first.ended = true
  holds.lost(true, 'killed')
  const second = new Session(() => {
    second.ended = second.asked.length === 2
    return granted(7)
  })
  await assert.rejects(holds.again(second.alive, shows), { code: 'ECONNRESET' })
  // The third one has no grace period any more.
  await holds.again(new Session(() => ({}), false).alive, shows)
  assert.deepEqual([one.end, two.end], ['gone', 'gone'])
})

test('a hold that was taken away before its grant was read has ended', async () => {
  for (const name of ['released', 'fence'] as const) {
    const holds = new ClientHolds()
    const session = new Session(() => {
      const body = { id: 5, stags: [] }
      holds.notice(name === 'fence' ? { name, body } : { name, body })
      return { extents: [], more: false }
    })
    const hold = await holds.take(session.alive, facts(11), () => Promise.resolve(granted(5, true)))
    assert.equal(hold.held, false, name)
  }
})

test('a hold is recalled however many others were recalled when they had ended', async () => {
  const holds = new ClientHolds()
  const session = quiet()
  const recall = (id: number) => {
    const wanted = { offset: 0, length: 4096 }
    holds.notice({ name: 'recall', body: { id, ino: 1, wanted, change: 'move', deadline: 5 } })
  }
  for (let id = 1000; id < 3000; id++) recall(id)
  let told = 0
  const lease: HoldFacts = { ...facts(11), kind: 'lease', onRecall: () => void told++ }
  await holds.take(session.alive, lease, () => {
    recall(5)
    return Promise.resolve(granted(5))
  })
  assert.equal(told, 1)
})

test('what its user gives back while it is taken again is given back to the new server', async () => {
  const holds = new ClientHolds()
  const first = quiet()
  const one = await holds.take(first.alive, facts(11), () => Promise.resolve(granted(1)))
  holds.lost(true, 'killed')
  const second = new Session((verb) => {
    if (verb !== VERBS.reclaim) return {}
    void one.release()
    return granted(9)
  })
  await holds.again(second.alive, shows)
  assert.deepEqual(second.of(VERBS.layoutReturn), [{ id: 9 }])
})

test('a mapping that is fenced gives its hold back, once it is cut', async () => {
  const holds = new ClientHolds()
  const session = quiet()
  const hold = await holds.take(session.alive, facts(11), () => Promise.resolve(granted(1)))
  let cutBefore: boolean | null = null
  hold.cut = () => (cutBefore = session.of(VERBS.layoutReturn).length === 0)
  holds.notice({ name: 'fence', body: { id: 1, stags: [] } })
  assert.equal(cutBefore, true)
  assert.deepEqual(session.of(VERBS.layoutReturn), [{ id: 1 }])
})

test('a hold whose connection was lost as it was granted is none', async () => {
  const holds = new ClientHolds()
  const session = quiet()
  const hold = await holds.take(session.alive, facts(11), () => {
    session.ended = true
    holds.lost(true, 'killed')
    return Promise.resolve(granted(1))
  })
  assert.equal(hold.end, 'gone')
})

test('a lease that was fenced as its server died is fenced when it is taken up again', async () => {
  for (const kind of ['lease', 'pin'] as const) {
    const holds = new ClientHolds()
    const iomode = kind === 'lease' ? ('rw' as const) : null
    const first = quiet()
    const hold = await holds.take(first.alive, { ...facts(11), kind, iomode }, () =>
      Promise.resolve(granted(1)),
    )
    holds.lost(true, 'killed')
    // Its block has left the file. A pin was deferred by then, and stays.
    const second = new Session((verb) => {
      return verb === VERBS.reclaim ? { ...granted(2), blocks: 0 } : {}
    })
    await holds.again(second.alive, shows)
    assert.equal(hold.end, kind === 'lease' ? 'fenced' : null)
    assert.equal(second.of(VERBS.layoutReturn).length, kind === 'lease' ? 1 : 0)
  }
})

test('what stood on a hold that was not taken again is not said to be', async () => {
  const holds = new ClientHolds()
  const first = quiet()
  const taken = []
  for (const [at, slot] of [3, 4, 4, null].entries()) {
    const grant = () => Promise.resolve(granted(1 + at))
    const hold = await holds.take(first.alive, facts(11 + at), grant)
    hold.slot = slot
    taken.push(hold)
  }
  holds.lost(true, 'killed')
  const second = new Session((verb, { ino }) => {
    if (verb === VERBS.reclaim && ino! > 12) throw new HoldfastError('ESTALE', 'it is elsewhere')
    return verb === VERBS.reclaim ? { ...granted(ino!), blocks: 1 } : {}
  })
  await holds.again(second.alive, () => Promise.resolve([3, 4, 5]))
  assert.deepEqual(
    taken.map(({ end }) => end),
    [null, null, 'gone', 'gone'],
  )
  assert.deepEqual(second.of(VERBS.reclaimDone), [{ slots: [3, 5] }])
})

test('what has many extents is taken again in parts, or not at all', async () => {
  const many = Array.from({ length: 2 * RECLAIM_EXTENTS_MAX + 1 }, (_, i) => {
    return { fileBlock: 2 * i, regionBlock: 1000 - i, count: 1 }
  })
  const length = 4096 * (2 * many.length + 5)
  for (const refuses of [false, true]) {
    const holds = new ClientHolds()
    const lease = { ...facts(11), kind: 'lease' as const, iomode: 'read' as const }
    const hold = await holds.take(quiet().alive, lease, () =>
      Promise.resolve({ ...granted(1), length, extents: many }),
    )
    holds.lost(true, 'killed')
    const second = new Session((verb, args) => {
      if (verb !== VERBS.reclaim) return {}
      const { extents: part, into } = args as unknown as { extents: unknown[]; into?: number }
      if (refuses && part.length === 1) throw new HoldfastError('ESTALE', 'it is elsewhere')
      return { ...granted(into ?? 9), blocks: part.length }
    })
    await holds.again(second.alive, shows)
    const parts = second.of(VERBS.reclaim) as unknown as Part[]
    assert.deepEqual(
      parts.map(({ extents: part, into }) => [part.length, into]),
      [
        [RECLAIM_EXTENTS_MAX, undefined],
        [RECLAIM_EXTENTS_MAX, 9],
        [1, 9],
      ],
    )
    assert.deepEqual(
      parts.flatMap(({ extents: part }) => part),
      many,
    )
    // One behind the other they are the whole range, with the holes in it.
    let at = 0
    for (const part of parts) {
      assert.equal(part.offset, at)
      at += part.length
      const { fileBlock, count } = part.extents.at(-1)!
      assert.ok((fileBlock + count) * 4096 <= at)
    }
    assert.equal(at, length)
    assert.equal(hold.end, refuses ? 'gone' : null)
    assert.deepEqual(second.of(VERBS.layoutReturn), refuses ? [{ id: 9 }] : [])
  }
})

interface Part {
  readonly offset: number
  readonly length: number
  readonly extents: (typeof extents)[number][]
  readonly into: number | undefined
}

test('of a hold that was given back in part the rest is taken again, also while it is', async () => {
  const holds = new ClientHolds()
  const lease = { ...facts(11), kind: 'lease' as const, iomode: 'read' as const }
  const blocks = [0, 1, 2, 3, 4, 5].map((fileBlock) => ({ fileBlock, regionBlock: 9, count: 1 }))
  const grant = { ...granted(1), length: 6 * 4096, extents: blocks }
  const hold = await holds.take(quiet().alive, lease, () => Promise.resolve(grant))
  await hold.release({ offset: 2 * 4096, length: 4096 })
  holds.lost(true, 'killed')
  const second = new Session((verb, args) => {
    if (verb !== VERBS.reclaim) return {}
    const part = args as unknown as Part
    if (part.into === undefined) void hold.release({ offset: 4096, length: 4096 })
    return { ...granted(9), blocks: part.extents.length }
  })
  await holds.again(second.alive, shows)
  const parts = second.of(VERBS.reclaim) as unknown as Part[]
  assert.deepEqual(
    parts.map(({ offset, length, extents: part, into }) => [
      offset / 4096,
      length / 4096,
      part.map(({ fileBlock }) => fileBlock),
      into,
    ]),
    [
      [0, 2, [0, 1], undefined],
      [3, 3, [3, 4, 5], 9],
    ],
  )
  assert.deepEqual(second.of(VERBS.layoutReturn), [
    { id: 9, range: { offset: 4096, length: 4096 } },
  ])
  assert.deepEqual([hold.held, hold.id], [true, 9])
})
