/** The log of a server: what a line looks like, and that nobody makes too many. */
import assert from 'node:assert/strict'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { FIELD_CHARACTERS_MAX, Log, type LogOptions } from '../../src/serve/log.js'
import { LogSink } from '../../src/serve/log_sink.js'
import { FakeTimers } from '../layout/timers.js'

function newLog(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const timers = new FakeTimers()
  const log = new Log({ timers, write: (line) => void lines.push(line), ...options })
  return { log, lines, timers }
}

test('a line is an object of JSON, with time, level, event and fields', () => {
  const { log, lines } = newLog()
  log.info('session begins', { session: 3, peer: '10.0.0.7:4711', gone: undefined, ok: true })
  assert.ok(lines[0]!.endsWith('\n'))
  assert.deepEqual(JSON.parse(lines[0]!), {
    time: '2023-11-14T22:13:21.000Z',
    level: 'info',
    event: 'session begins',
    session: 3,
    peer: '10.0.0.7:4711',
    ok: true,
  })
})

test('a line for a person has the same in one row', () => {
  const { log, lines } = newLog({ format: 'text' })
  log.warn('client was refused', {
    peer: '10.0.0.7:4711',
    why: 'no such "key"',
    groups: ['a', 'b c'],
  })
  assert.equal(
    lines[0],
    '2023-11-14T22:13:21.000Z warn  client was refused peer=10.0.0.7:4711 ' +
      'why="no such \\"key\\"" groups=a,"b c"\n',
  )
})

test('levels below the one that is wanted are not written', () => {
  const write = (log: Log) => {
    log.error('e')
    log.warn('w')
    log.info('i')
    log.debug('d')
  }
  for (const [level, count] of [
    ['error', 1],
    ['warn', 2],
    ['info', 3],
    ['debug', 4],
  ] as const) {
    const { log, lines } = newLog({ level })
    write(log)
    assert.equal(lines.length, count, level)
  }
})

test('an error is its sentence and its code; a bug has its place as well', () => {
  const { log, lines } = newLog()
  log.error('failed', { error: new HoldfastError('EIO', 'a disk'), bug: new TypeError('oops') })
  const line = JSON.parse(lines[0]!) as Record<string, string>
  assert.equal(line['error'], 'EIO: a disk')
  assert.equal(line['errorCode'], 'EIO')
  assert.match(line['bug']!, /^TypeError: oops\n +at /)
})

test('what others say can neither begin a line, nor move a cursor, nor turn text around', () => {
  for (const format of ['json', 'text'] as const) {
    const { log, lines } = newLog({ format })
    const nasty = 'a\nb\r\x1b[2J\x00\x7f\x9b31m\u2028\u202e\u{e0001}\ud800"\\'
    log.info('named', { name: nasty, list: [nasty], error: new HoldfastError('EIO', nasty) })
    assert.equal(lines.length, 1)
    assert.match(lines[0]!, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+\n$/u)
    if (format === 'json') assert.equal((JSON.parse(lines[0]!) as { name: string }).name, nasty)
  }
})

test('a field does not take the place of time, level or event', () => {
  const { log, lines } = newLog()
  log.info('real', { event: 'forged', level: 'x', time: 'y' })
  const { event, level, event_ } = JSON.parse(lines[0]!) as Record<string, string>
  assert.deepEqual([event, level, event_], ['real', 'info', 'forged'])
})

test('a long field is cut, and so is a long list', () => {
  const { log, lines } = newLog()
  log.info('named', { name: 'x'.repeat(1e6), list: Array<string>(1e5).fill('y'.repeat(1000)) })
  assert.ok(lines[0]!.length < 20 * FIELD_CHARACTERS_MAX, String(lines[0]!.length))
  assert.match(lines[0]!, /x… \(1000000 characters\)/)
})

const leftOutOf = (line: string) => (JSON.parse(line) as { leftOut?: number }).leftOut

test('an event that comes too often is written in a burst and then now and then, counted', async () => {
  const { log, lines, timers } = newLog({ burst: 5, everyMs: 1000 })
  for (let i = 0; i < 10_000; i++) {
    log.warn('refused', { i })
    await timers.pass(1) // ten seconds in all
  }
  assert.ok(lines.length >= 14 && lines.length <= 17, String(lines.length))
  // Another event has its own burst.
  log.info('session begins')
  assert.match(lines.at(-1)!, /session begins/)
  log.close()
  const written = lines.filter((line) => line.includes('"i":')).length
  const leftOut = lines.reduce((sum, line) => sum + (leftOutOf(line) ?? 0), 0)
  assert.equal(written + leftOut, 10_000)
})

test('what was left out is said, also when nothing of the kind comes any more', async () => {
  const { log, lines, timers } = newLog({ burst: 1, everyMs: 1000 })
  for (let i = 0; i < 8; i++) log.warn('refused')
  assert.equal(lines.length, 1)
  await timers.pass(10_000)
  assert.equal(lines.length, 2)
  assert.equal(leftOutOf(lines[1]!), 7)
  await timers.pass(100_000)
  assert.equal(lines.length, 2)
})

test('many different events together have a bound, too', async () => {
  const { log, lines, timers } = newLog({ burstOfAll: 50, everyMsOfAll: 100 })
  for (let i = 0; i < 1000; i++) log.info(`event ${i}`)
  assert.equal(lines.length, 50)
  await timers.pass(1000)
  for (let i = 0; i < 1000; i++) log.info(`other ${i}`)
  assert.equal(lines.length, 60)
})

test('lines go to a descriptor in their order, and none waits for a reader', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-log-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'log')
  const fd = openSync(path, 'w')
  t.after(() => closeSync(fd))
  const sink = new LogSink(fd)
  const lines = Array.from({ length: 1000 }, (_, i) => `line ${i}\n`)
  for (const line of lines) sink.write(line)
  await sink.drained()
  assert.equal(readFileSync(path, 'utf8'), lines.join(''))
  sink.write('on its way\n')
  sink.write('last, ')
  sink.write('as the process ends\n')
  sink.flush()
  await sink.drained()
  const end = readFileSync(path, 'utf8').slice(lines.join('').length)
  assert.equal(end.length, 'on its way\nlast, as the process ends\n'.length)
  assert.match(end, /last, as the process ends\n/)
  assert.equal(sink.lost, 0)
})

test('a reader who does not read keeps a bound of memory, and what is lost is counted', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-log-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const fifo = join(directory, 'fifo')
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(fifo, constants.O_WRONLY)
  const most = 100_000
  const sink = new LogSink(writer, most)
  const line = `${'x'.repeat(999)}\n`
  const started = performance.now()
  for (let i = 0; i < 1000; i++) sink.write(line)
  assert.ok(performance.now() - started < 10_000, 'nobody waited')
  assert.ok(sink.lost >= 1000 - 1 - most / line.length, String(sink.lost))
  let read = 0
  const buffer = Buffer.alloc(65536)
  const drained = sink.drained()
  let over = false
  void drained.then(() => (over = true))
  while (!over) {
    read += readSome(reader, buffer)
    await new Promise(setImmediate)
  }
  read += readSome(reader, buffer)
  assert.equal(read, (1000 - sink.lost) * line.length)
  sink.write('after\n')
  await sink.drained()
  assert.equal(buffer.toString('utf8', 0, readSome(reader, buffer)), 'after\n')
  closeSync(reader)
  closeSync(writer)
})

function readSome(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
    throw error
  }
}
