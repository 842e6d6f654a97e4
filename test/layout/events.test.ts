/** What listeners are told, in which order, and what they cannot do to who tells them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { Hold } from '../../src/layout/hold.js'
import type { HoldEvent } from '../../src/layout/events.js'
import { blocksOf } from './ground.js'
import { BLOCKS, codeOf, Scene, stateOf } from './scene.js'
import { idle, outcomeOf } from './timers.js'

/** A scene whose events are kept as words: `kind id[, id]`, the change, the bytes wanted. */
class Told extends Scene {
  readonly told: string[] = []
  /** What a recall said to the holder. */
  readonly asked: string[] = []
  readonly first: number

  constructor(options = {}) {
    super(options)
    const pin = this.pin('/f', [0, 1])
    this.first = pin.id
    pin.release()
    this.volume.watchHolds((event) => this.told.push(this.words(event)))
  }

  words({ kind, holds, change, wanted }: HoldEvent): string {
    const ids = holds.map(({ id }) => this.name(id)).join(', ')
    const range = wanted === undefined ? '' : ` ${wanted.offset / B}+${wanted.length / B}`
    return `${kind} ${ids}${change === undefined ? '' : ` for ${change}`}${range}`
  }

  /** Holds are a, b, c, ... in the order in which they were first told of. */
  readonly #names = new Map<number, string>()
  name(id: number): string {
    const name = this.#names.get(id) ?? String.fromCharCode(97 + this.#names.size)
    this.#names.set(id, name)
    return name
  }

  lend(options = {}, range: readonly [number, number] = [0, BLOCKS]): Hold {
    return this.lease('/f', range, {
      iomode: 'rw',
      onRecall: (id, { change, offset, length, deadline }) => {
        const range = `${offset / B}+${length / B}`
        this.asked.push(`${this.name(id)}: ${change} ${range} in ${deadline}`)
      },
      ...options,
    })
  }

  /** What was told since the last time. */
  since(): string[] {
    return this.told.splice(0)
  }
}

const cut = (s: Scene, options = {}) => outcomeOf(s.volume.promises.truncate('/f', 4 * B, options))

test('a recall that is answered: granted, asked back, given back, and no more', async () => {
  using s = new Told()
  const hold = s.lend()
  const change = cut(s, { deadline: 1_000 })
  await idle()
  assert.deepEqual(s.asked, ['a: shrink 4+4 in 1000'])
  assert.deepEqual(s.since(), ['grant a', 'recall a for shrink 4+4'])
  hold.returnRange(4 * B, B)
  await idle()
  assert.equal(stateOf(change), 'waits')
  hold.returnRange(5 * B, 3 * B)
  await idle()
  assert.equal(stateOf(change), 'done')
  await s.timers.pass(60_000)
  assert.deepEqual(s.since(), ['return a', 'return a'])
  hold.release()
  hold.release()
  assert.deepEqual(s.since(), ['release a'], 'once')
})

test('a recall ignored by who can be cut off: fenced, and released once drained', async () => {
  using s = new Told()
  let drained = () => {}
  s.lend({ revoke: () => new Promise<void>((resolve) => (drained = resolve)) })
  const change = cut(s)
  await s.timers.pass(4_999)
  assert.deepEqual(s.since(), ['grant a', 'recall a for shrink 4+4'])
  await s.timers.pass(1)
  assert.deepEqual(s.since(), ['fence a'])
  await s.timers.pass(60_000)
  assert.deepEqual(s.since(), [], 'transfers are under way')
  drained()
  await idle()
  assert.deepEqual(s.since(), ['release a'])
  assert.equal(stateOf(change), 'done')
})

test('a recall ignored by who cannot be cut off: fenced, and released by its holder', async () => {
  using s = new Told()
  const hold = s.lend()
  const change = cut(s)
  await s.timers.pass(5_000)
  assert.equal(stateOf(change), 'done')
  assert.deepEqual(s.since(), ['grant a', 'recall a for shrink 4+4', 'fence a'])
  hold.returnRange(4 * B, 4 * B)
  hold.release()
  assert.deepEqual(s.since(), ['return a', 'release a'])
})

test('an answer that comes while the fence drains ends nothing before it has', async () => {
  using s = new Told()
  let drained = () => {}
  const hold = s.lend({ revoke: () => new Promise<void>((resolve) => (drained = resolve)) })
  const change = cut(s)
  await s.timers.pass(5_000)
  s.since()
  hold.returnRange(4 * B, 4 * B)
  hold.release()
  await idle()
  assert.deepEqual(s.since(), [])
  assert.equal(stateOf(change), 'waits')
  drained()
  await idle()
  assert.deepEqual(s.since(), ['release a'])
  assert.equal(stateOf(change), 'done')
})

test('a release while a revoke fails ends the hold all the same', async () => {
  using s = new Told()
  let fail = () => {}
  const revoke = () => new Promise<void>((_, reject) => (fail = () => reject(new Error('no'))))
  const hold = s.lend({ revoke })
  const change = cut(s)
  await s.timers.pass(5_000)
  hold.release()
  fail()
  await idle()
  assert.equal(stateOf(change), 'done')
  assert.deepEqual(s.since().slice(2), ['fence a', 'release a'])
  assert.equal(s.limbo, 0)
})

test('what is called off is asked for again when somebody else wants it', async () => {
  using s = new Told()
  const hold = s.lend()
  const controller = new AbortController()
  const change = cut(s, { signal: controller.signal })
  await idle()
  controller.abort()
  await idle()
  assert.equal(stateOf(change), 'EINTR')
  assert.deepEqual(s.since(), ['grant a', 'recall a for shrink 4+4'])
  const again = cut(s)
  await idle()
  assert.deepEqual(s.since(), ['recall a for shrink 4+4'])
  hold.release()
  await idle()
  assert.equal(stateOf(again), 'done')
  assert.equal(s.asked.length, 2)
})

test('a refusal is told with all that is in the way, of who waits once he gives up', async () => {
  using s = new Told()
  const pins = [s.pin('/f', [5, 6]), s.pin('/f', [7, 8])]
  const lease = s.lend({}, [4, 5])
  s.since()
  assert.equal(
    codeOf(() => s.volume.truncate('/f', 0)),
    'EBUSY',
  )
  assert.deepEqual(s.since(), ['refuse a, b for shrink'], 'leases could be recalled')
  const promised = cut(s)
  await idle()
  assert.equal(stateOf(promised), 'EBUSY')
  assert.deepEqual(s.since(), ['refuse a, b for shrink'], 'in the form that would wait, too')
  const seal = s.as(null, '/f', (file) => file.map({ direct: true, length: B }))
  s.since()
  assert.equal(
    codeOf(() => s.as(null, '/f', (file) => file.collapse(0, B))),
    'ETXTBSY',
  )
  assert.deepEqual(s.since(), ['refuse d, a, b for shift'])
  seal.unmap()
  s.since()
  const waits = cut(s, { policy: 'wait', timeout: 1_000 })
  await s.timers.pass(999)
  assert.deepEqual(s.since(), [])
  await s.timers.pass(1)
  assert.equal(stateOf(waits), 'EBUSY')
  assert.deepEqual(s.since(), ['refuse a, b, c for shrink'])
  for (const hold of [...pins, lease]) hold.release()
})

test('blocks that leave the file under a pin are told of as deferred, before it ends', () => {
  using s = new Told()
  const pin = s.pin('/f', [2, 8])
  s.volume.truncate('/f', 4 * B, undefined, { policy: 'defer' })
  s.volume.truncate('/f', 2 * B, undefined, { policy: 'defer' })
  pin.release()
  assert.deepEqual(s.since(), ['grant a', 'defer a', 'defer a', 'release a'])
})

test('leases of the asker are given back by the call, and told of like any others', () => {
  using s = new Told()
  using file = s.volume.open('/f', 'r+')
  file.lease({ iomode: 'read', length: BLOCKS * B })
  file.truncate(4 * B)
  file.truncate(0)
  assert.deepEqual(s.since(), ['grant a', 'return a', 'return a', 'release a'])
})

test('who listens no more is told nothing', () => {
  using s = new Scene()
  const told: string[] = []
  const end = s.volume.watchHolds(({ kind }) => told.push(kind))
  const pin = s.pin('/f')
  end()
  pin.release()
  assert.deepEqual(told, ['grant'])
})

// ---- listeners that do not behave --------------------------------------------------------------

/** What makes an event of a kind, of /g, and shows that it was done as if nobody had listened. */
const ACTS: Partial<Record<HoldEvent['kind'], (s: Scene) => void>> = {
  grant: (s) => {
    const pin = s.pin('/g')
    assert.equal(pin.info().bytes, BLOCKS * B)
    pin.release()
  },
  release: (s) => {
    const pin = s.pin('/g')
    const [place] = s.places('/g')
    pin.release()
    assert.equal(pin.released, true)
    assert.equal(s.volume.core.frames.held(place!), false)
  },
  return: (s) => {
    const lease = s.lease('/g')
    lease.returnRange(0, B)
    assert.deepEqual(lease.info().ranges, [{ offset: B, length: (BLOCKS - 1) * B }])
    lease.release()
  },
  refuse: (s) => {
    const pin = s.pin('/g')
    s.refused('EBUSY', [pin], () => s.volume.truncate('/g', 0))
    pin.release()
  },
  defer: (s) => {
    const pin = s.pin('/g')
    s.volume.truncate('/g', 4 * B, undefined, { policy: 'defer' })
    assert.equal(s.limbo, 4)
    pin.release()
    assert.equal(s.limbo, 0)
  },
}

for (const [kind, act] of Object.entries(ACTS)) {
  test(`a listener of ${kind} makes no calls: EDEADLK, and what it is told of goes on`, () => {
    using s = new Scene()
    s.make('/g')
    const session = s.volume.session({ name: 'third' })
    const [pin, lease, kept] = [
      s.pin('/f'),
      s.lease('/f'),
      s.as(session, '/f', (file) => file.pin()),
    ]
    using file = s.volume.open('/f', 'r+')
    const transfer = file.transfer(0, B)
    // Of files without names, which go with whoever has them open last.
    const [gone, mapped] = ['/gone', '/mapped'].map((path) => {
      s.make(path)
      return s.volume.open(path, 'r+')
    })
    const mappings = [mapped!.map({ write: true }), mapped!.map({ direct: true, write: true })]
    mapped!.close()
    for (const path of ['/gone', '/mapped']) s.volume.unlink(path)
    const calls = [
      () => gone!.close(),
      ...mappings.flatMap((mapping) => [
        () => mapping.persist(),
        () => mapping.window(0, B),
        () => mapping.unmap(),
      ]),
      () => s.volume.stat('/f'),
      () => file.write(blocksOf('no', 0, 1), 0),
      () => file.truncate(0),
      () => file.pin(),
      () => s.volume.holds(),
      () => pin.release(),
      () => pin.commit(),
      () => lease.returnRange(0, B),
      () => transfer.end(),
      () => session.end(),
      () => s.volume.close(),
    ]
    let codes: string[] | null = null
    const end = s.volume.watchHolds((event) => {
      if (event.kind === kind) codes ??= calls.map(codeOf)
    })
    act(s)
    end()
    assert.deepEqual(
      codes,
      calls.map(() => 'EDEADLK'),
    )
    assert.equal(s.volume.holds().length, 5)
    const { free } = s
    gone!.close()
    for (const mapping of mappings) mapping.unmap()
    assert.equal(s.free, free + 2 * BLOCKS, 'they end when they are asked afterwards')
    assert.equal(s.volume.holds().length, 3)
    assert.equal(session.ended, false)
    session.end()
    assert.equal(kept.released, true, 'it ends when it is asked afterwards')
    const distinct = s.volume.core.frames.distinct
    transfer.end()
    for (const hold of [pin, lease]) hold.release()
    assert.ok(s.volume.core.frames.distinct < distinct)
    assert.equal(s.volume.core.frames.distinct, 0)
    s.assertFile('/f')
  })

  test(`what a listener of ${kind} throws is a warning, and changes nothing`, async () => {
    using s = new Scene()
    s.make('/g')
    const warnings: string[] = []
    const warned = (warning: Error) => warnings.push(warning.message)
    process.on('warning', warned)
    const told: string[] = []
    const throws = (event: HoldEvent) => {
      if (event.kind === kind) throw new Error(`thrown at ${kind}`)
    }
    const ends = [
      s.volume.watchHolds(throws),
      s.volume.watchHolds((event) => told.push(event.kind)),
    ]
    act(s)
    await idle()
    process.off('warning', warned)
    assert.deepEqual(warnings, [`thrown at ${kind}`])
    assert.ok(told.includes(kind), 'the next listener is told all the same')
    for (const end of ends) end()
    s.volume.unlink('/g')
    s.assertClean('after it')
  })
}

test('a holder that throws when it is asked back has not answered: its time goes on', async () => {
  using s = new Scene()
  const warnings: string[] = []
  const warned = (warning: Error) => warnings.push(warning.message)
  process.on('warning', warned)
  const onRecall = () => {
    throw new Error('thrown at a recall')
  }
  const others: number[] = []
  const lease = s.lease('/f', [0, 4], { onRecall, revoke: () => {} })
  const next = s.lease('/f', [4, 8], { onRecall: (id) => others.push(id) })
  const change = outcomeOf(s.volume.promises.truncate('/f', 0))
  await idle()
  process.off('warning', warned)
  assert.deepEqual(warnings, ['thrown at a recall'])
  assert.deepEqual(others, [next.id], 'the next holder is asked all the same')
  next.release()
  await s.timers.pass(4_999)
  assert.equal(stateOf(change), 'waits')
  await s.timers.pass(1)
  assert.equal(stateOf(change), 'done')
  assert.equal(lease.released, true)
})

test('a listener of recalls and of fences makes no calls either', async () => {
  using s = new Scene()
  const codes: string[] = []
  s.volume.watchHolds(({ kind }) => {
    const calls = [() => lease.release(), () => s.volume.close()]
    if (kind === 'recall' || kind === 'fence') codes.push(kind, ...calls.map(codeOf))
  })
  const lease = s.lease('/f')
  const change = outcomeOf(s.volume.promises.truncate('/f', 0))
  await s.timers.pass(5_000)
  assert.equal(stateOf(change), 'done')
  assert.deepEqual(codes, ['recall', 'EDEADLK', 'EDEADLK', 'fence', 'EDEADLK', 'EDEADLK'])
  lease.release()
})
