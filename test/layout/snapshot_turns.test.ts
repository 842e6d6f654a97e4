/** A snapshot in several turns: of one moment, whatever is asked for meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { systemTimers, type Timers } from '../../src/base/timers.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { native } from '../../src/native/native.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { followed, store } from '../serve/sources.js'
import { Fault } from '../../src/rdma/source.js'
import { FakeTimers, outcomeOf } from './timers.js'

const FILES = 60

/** A millisecond goes by with each look at the clock; what is due by then runs between turns. */
function lookedAt(): Timers {
  const timers = new FakeTimers()
  let looks = 0
  return {
    now: () => timers.now() + looks++,
    wall: () => timers.wall(),
    after: (milliseconds, run) => timers.after(looks + milliseconds, run),
    turn() {
      timers.stand(looks)
      looks = 0
      return timers.turn()
    },
  }
}

/** A tree of files that say their names. */
class Stage implements Disposable {
  readonly region = heapRegion(16 << 20)
  readonly volume: LayoutVolume
  turns = 0
  /** Runs before each turn, by its number. */
  between: (turn: number) => void = () => {}

  constructor(timers = lookedAt()) {
    formatVolume(this.region, { entropy: seededEntropy(1), clock: new SteppedClock() })
    const turn = () => {
      this.between(this.turns++)
      return timers.turn()
    }
    this.volume = LayoutVolume.mount(this.region, {
      timers: { ...timers, turn },
      entropy: seededEntropy(2),
      clock: new SteppedClock(),
    })
    this.volume.mkdir('/d')
    this.volume.mkdir('/d/below')
    for (let i = 0; i < FILES; i++) this.volume.writeFile(pathOf(i), Buffer.from(`file ${i}`))
    this.volume.link(pathOf(0), '/d/again')
    this.volume.symlink('file1', '/d/link')
  }

  /** All that there is, by path. */
  tree(path: string): Record<string, string> {
    const found: Record<string, string> = {}
    for (const { name, type } of this.volume.readdir(path)) {
      const at = `${path}/${Buffer.from(name).toString()}`
      if (type === 'directory') Object.assign(found, this.tree(at))
      else if (type === 'file') found[at] = Buffer.from(this.volume.readFile(at)).toString()
      else found[at] = Buffer.from(this.volume.readlink(at)).toString()
    }
    return found
  }

  assertSame(before: Record<string, string>, snapshot: string): void {
    const moved = Object.entries(before).map(([path, content]) => [
      path.replace(/^\/d/, snapshot),
      content,
    ])
    assert.deepEqual(this.tree(snapshot), Object.fromEntries(moved))
  }

  remove(path: string): void {
    for (const { name } of this.volume.readdir(path)) {
      this.volume.unlink(`${path}/${Buffer.from(name).toString()}`)
    }
    this.volume.rmdir(path)
  }

  names(): string[] {
    return this.volume.readdir('/').map(({ name }) => Buffer.from(name).toString())
  }

  [Symbol.dispose](): void {
    this.volume.close()
    const crc = native.crc32cOf.bind(native)
    const checker = new Checker((bytes, start, length, sum) => crc(bytes, start, length, sum))
    const report = checker.check(this.region)
    assert.equal(report.findings.length, 0, formatReport(report))
  }
}

const pathOf = (i: number) => `/d/${i % 2 === 0 ? '' : 'below/'}file${i}`

test('reads go on meanwhile, changes and holds wait, and it is of the moment when it began', async () => {
  using s = new Stage()
  const { promises } = s.volume
  const before = s.tree('/d')
  const asked: Record<string, ReturnType<typeof outcomeOf>> = {}
  const file = s.volume.open(pathOf(FILES - 1), 'r+')
  s.between = (turn) => {
    if (turn === 3) {
      asked['write'] = outcomeOf(promises.write(file, Buffer.from('other'), 0))
      asked['rename'] = outcomeOf(promises.settle(() => s.volume.rename(pathOf(58), '/d/moved')))
      asked['pin'] = outcomeOf(promises.pin(file, { length: 1 << 22 }))
      asked['second'] = outcomeOf(promises.snapshotInTurns('/d', '/second'))
    }
    if (turn < 3 || s.names().includes('s')) return
    assert.deepEqual(s.tree('/d'), before)
    for (const [name, { settled }] of Object.entries(asked)) assert.equal(settled, false, name)
  }
  await promises.snapshotInTurns('/d', '/s')
  assert.ok(s.turns > FILES / 2, `${s.turns} turns`)
  s.assertSame(before, '/s')
  while (Object.values(asked).some(({ settled }) => !settled)) await systemTimers.turn()
  for (const [name, { error }] of Object.entries(asked)) assert.equal(error, undefined, name)
  assert.equal(Buffer.from(s.volume.readFile(pathOf(FILES - 1))).toString(), 'other59')
  assert.ok('/d/moved' in s.tree('/d'))
  assert.equal(Object.keys(s.tree('/second')).length, Object.keys(before).length)
  assert.equal(s.volume.stat('/s/again').ino, s.volume.stat('/s/file0').ino)
  file.close()
})

test('the deadline of a recall stands still meanwhile: what is to be committed first waits', async () => {
  const timers = lookedAt()
  using s = new Stage(timers)
  const { promises } = s.volume
  const session = s.volume.session({ name: 'holder' })
  const file = s.volume.open(pathOf(FILES - 1), 'r+')
  const deadline = 30
  let [asked, begin, took] = [0, 0, 0]
  const lease = await promises.lease(file, {
    session,
    iomode: 'rw',
    onRecall: () => {
      asked++
      void promises
        .settle(() => lease.commit(6))
        .then(() => {
          took = timers.now() - begin
          lease.release()
        })
    },
    revoke: () => assert.fail('it answers'),
  })
  let recalled: ReturnType<typeof outcomeOf> | null = null
  s.between = (turn) => {
    if (turn !== 3) return
    begin = timers.now()
    recalled = outcomeOf(promises.recall(lease.id, { deadline }))
  }
  await promises.snapshotInTurns('/d', '/s')
  assert.ok(took > deadline && took < 2 * deadline, `${took} ms`)
  while (!recalled!.settled) await systemTimers.turn()
  assert.deepEqual(
    [asked, recalled!, s.volume.holds()],
    [1, { settled: true, value: 'returned' }, []],
  )
  assert.equal(s.volume.stat(pathOf(FILES - 1)).size, 7)
  file.close()
  session.end()
})

test('a store that does not wait finds it finished', async () => {
  using s = new Stage()
  const before = s.tree('/d')
  using file = s.volume.open(pathOf(FILES - 1), 'r+')
  using source = followed(s.volume, file, 7)
  s.between = (turn) => {
    if (turn !== 3) return
    assert.equal(store(source, 0, Buffer.from('stored!')), Fault.none)
    s.assertSame(before, '/s')
  }
  await s.volume.promises.snapshotInTurns('/d', '/s')
  s.assertSame(before, '/s')
  assert.equal(Buffer.from(s.volume.readFile(pathOf(FILES - 1))).toString(), 'stored!')
})

test('given up it leaves nothing, and nobody waits for it any more', async () => {
  using s = new Stage()
  const names = s.names()
  const gives = new AbortController()
  let waits
  s.between = (turn) => {
    if (turn !== 45) return
    waits = outcomeOf(s.volume.promises.unlink(pathOf(1)))
    assert.ok(s.names().length > names.length, 'some of it is there')
    gives.abort()
  }
  const given = s.volume.promises.snapshotInTurns('/d', '/s', { signal: gives.signal })
  await assert.rejects(given, { code: 'EINTR' })
  await systemTimers.turn()
  assert.deepEqual(s.names(), names)
  assert.equal(waits!['settled'], true)
})

test("while it waits for a lease to be given back it is in nobody's way", async () => {
  using s = new Stage()
  const { promises } = s.volume
  const file = s.volume.open(pathOf(FILES - 1), 'r+')
  const other = s.volume.session({ name: 'other' })
  let written
  const lease = file.lease({
    iomode: 'rw',
    session: other,
    onRecall: () => (written = outcomeOf(promises.write(file, Buffer.from('late'), 0))),
  })
  const made = outcomeOf(promises.snapshotInTurns('/d', '/s'))
  while (written === undefined || !(written as { settled: boolean }).settled) {
    await systemTimers.turn()
  }
  assert.equal(made.settled, false)
  lease.release()
  while (!made.settled) await systemTimers.turn()
  assert.equal(made.error, undefined)
  const copy = pathOf(FILES - 1).replace('/d', '/s')
  assert.equal(Buffer.from(s.volume.readFile(copy)).toString(), 'late 59')
  file.close()
})

test('what is refused is refused with nothing left', async () => {
  using s = new Stage()
  const names = s.names()
  using file = s.volume.open(pathOf(FILES - 1), 'r+')
  const pin = file.pin()
  await assert.rejects(s.volume.promises.snapshotInTurns('/d', '/s'), { code: 'EBUSY' })
  await assert.rejects(s.volume.promises.snapshotInTurns('/d', '/d/s'), { code: 'EINVAL' })
  assert.deepEqual(s.names(), names)
  pin.release()
  await s.volume.promises.unlink(pathOf(1))
})

test('what waited for one goes before the next, however many wait', async () => {
  using s = new Stage()
  const { promises } = s.volume
  const made = () => s.names().filter((name) => /^s\d$/.test(name)).length
  let seen = -1
  const changed: Promise<void>[] = []
  s.between = (turn) => {
    if (turn !== 3) return
    const change = promises.settle(() => s.volume.mkdir('/changed'))
    changed.push(change.then(() => void (seen = made())))
  }
  await Promise.all([0, 1, 2, 3].map((i) => promises.snapshotInTurns('/d', `/s${i}`)))
  await Promise.all(changed)
  assert.deepEqual([seen, made()], [1, 4])
})

test('a recall comes to its end, however many snapshots there are', async () => {
  using s = new Stage(systemTimers)
  const { promises } = s.volume
  const session = s.volume.session({ name: 'ignores it' })
  const file = s.volume.open(pathOf(FILES - 1), 'r+')
  const lease = await promises.lease(file, { session, iomode: 'read', revoke: () => {} })
  const [deadline, most] = [50, 3000]
  const begin = systemTimers.now()
  const recalled = outcomeOf(promises.recall(lease.id, { deadline }))
  const again = async (name: string) => {
    while (!recalled.settled && systemTimers.now() < begin + most) {
      await promises.snapshotInTurns('/d/below', name)
      await promises.settle(() => s.remove(name))
    }
  }
  await Promise.all([again('/a'), again('/b')])
  assert.equal(recalled.value, 'fenced')
  file.close()
  session.end()
})

test('from inside of a step it is neither finished nor undone', async () => {
  using s = new Stage()
  const names = s.names()
  const { alone } = s.volume.waiting
  const codes: unknown[] = []
  const end = s.volume.watch(() => {
    if (!alone.taken) return
    try {
      alone.finish()
      codes.push(null)
    } catch (error) {
      codes.push((error as Partial<HoldfastError>).code)
    }
    if (codes.length === 20) alone.refuse(new HoldfastError('EAGAIN', 'no more'))
  })
  await assert.rejects(s.volume.promises.snapshotInTurns('/d', '/s'), { code: 'EINTR' })
  end()
  assert.deepEqual(new Set(codes), new Set(['EDEADLK']))
  assert.deepEqual(s.names(), names)
  assert.equal(alone.taken, false)
  await assert.rejects(s.volume.promises.snapshotInTurns('/d', '/s'), { code: 'EAGAIN' })
})

test('a store that is refused has no snapshot finished', () => {
  using s = new Stage()
  const { alone } = s.volume.waiting
  let finished = 0
  const finish = () => {
    finished++
    alone.end()
  }
  using reads = s.volume.open(pathOf(1), 'r')
  using writes = s.volume.open(pathOf(1), 'r+')
  using refused = followed(s.volume, reads, 100)
  using source = followed(s.volume, writes, 100)
  alone.begin({ finish, giveUp: finish })
  assert.equal(store(refused, 0, Buffer.from('x')), Fault.rights)
  assert.equal(store(source, 50, Buffer.from('x')), Fault.bounds)
  assert.equal(finished, 0)
  assert.equal(store(source, 0, Buffer.from('x')), Fault.none)
  assert.equal(finished, 1)
})
