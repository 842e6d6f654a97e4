/** The delay of the event loop, with collections of garbage apart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemTimers } from '../../src/base/timers.js'
import { LoopDelay } from '../../src/serve/loop_delay.js'
import { Registry } from '../../src/serve/metrics.js'
import { FakeTimers } from '../layout/timers.js'
import { collect } from '../native/garbage.js'

function watched() {
  const timers = new FakeTimers()
  const registry = new Registry()
  const delay = new LoopDelay(timers, registry, 10)
  delay.start()
  return { timers, registry, delay }
}

const near = (ms: number, wanted: number) =>
  assert.ok(Math.abs(ms - wanted) <= 0.01 * wanted + 0.001, `${ms} ms, about ${wanted} are wanted`)

test('a loop that keeps nobody waiting has no delay', async () => {
  const { timers, delay } = watched()
  await timers.pass(1000)
  delay.close()
  const { count, maxMs } = delay.summary().delay
  assert.equal(count, 100)
  near(maxMs, 0)
})

test('a loop that stands still is as many samples as it kept waiting', async () => {
  const { timers, delay, registry } = watched()
  await timers.pass(10_000) // 1000 samples
  timers.stand(110) // the next was due after 10 ms: it waited 100 ms, others 90, 80, … 10
  await timers.pass(100)
  delay.close()
  const { count, p50Ms, p99Ms, p999Ms, maxMs } = delay.summary().delay
  assert.equal(count, 1000 + 10 + 10)
  near(p50Ms, 0)
  near(p99Ms, 0)
  near(maxMs, 100)
  // Of 1020, two are above p99.8.
  assert.ok(p999Ms >= 90, String(p999Ms))
  const text = registry.text()
  assert.match(text, /^holdfast_event_loop_delay_seconds_bucket\{le="0\.01"\} 1011$/m)
  assert.match(text, /^holdfast_event_loop_delay_seconds_bucket\{le="0\.05"\} 1015$/m)
  assert.match(text, /^holdfast_event_loop_delay_seconds_bucket\{le="\+Inf"\} 1020$/m)
  assert.match(text, /^holdfast_event_loop_delay_seconds_sum 0\.55/m)
})

test('the time of collections is counted as theirs, and the rest as delay', async () => {
  const { timers, delay, registry } = watched()
  await timers.pass(100)
  const start = timers.now()
  timers.stand(60) // due after 10 ms: 50 ms late
  delay.paused(start + 25, 5, 'minor') // within the next, told of before it
  delay.paused(start + 20, 30, 'major')
  delay.paused(start + 55, 2, 'minor')
  await timers.pass(100)
  delay.close()
  const { delay: delays, gc } = delay.summary()
  near(delays.maxMs, 50 - 30 - 2)
  assert.equal(gc.count, 3)
  near(gc.maxMs, 30)
  const text = registry.text()
  assert.match(text, /^holdfast_gc_pause_seconds_count\{kind="major"\} 1$/m)
  assert.match(text, /^holdfast_gc_pause_seconds_count\{kind="minor"\} 2$/m)
  assert.match(text, /^holdfast_gc_pause_seconds_sum\{kind="minor"\} 0\.007$/m)
})

test('a collection before or after a delay takes nothing off it', async () => {
  const { timers, delay } = watched()
  await timers.pass(100)
  delay.paused(timers.now() - 50, 40)
  const start = timers.now()
  timers.stand(60)
  delay.paused(start + 60, 40)
  await timers.pass(100)
  delay.close()
  near(delay.summary().delay.maxMs, 50)
})

test('a process that was stopped for an hour is a bounded number of samples', async () => {
  const { timers, delay } = watched()
  await timers.pass(100)
  timers.stand(3_600_000)
  await timers.pass(100)
  delay.close()
  const { count, maxMs } = delay.summary().delay
  assert.ok(count < 11_000, String(count))
  near(maxMs, 3_600_000 - 10)
})

test('after a reset it counts from nothing', async () => {
  const { timers, delay } = watched()
  timers.stand(100)
  delay.paused(5, 3)
  await timers.pass(100)
  delay.reset()
  assert.deepEqual([delay.summary().delay.count, delay.summary().gc.count], [0, 0])
  await timers.pass(100)
  delay.close()
  near(delay.summary().delay.maxMs, 0)
})

test('on a real loop, what it is kept busy with is seen, and a collection is told from it', async () => {
  const kept = Array.from({ length: 300_000 }, (_, i) => ({ i, text: `x${i}` }))
  const delay = new LoopDelay(systemTimers, new Registry(), 5)
  delay.watch()
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
  await wait(50)
  // All in one turn; whatever the machine does besides is below half of it, now or another time.
  let [least, collections] = [1, 0]
  for (let tries = 0; tries < 5 && least >= 0.5; tries++) {
    delay.reset()
    const started = performance.now()
    for (let i = 0; i < 5; i++) collect()
    const took = performance.now() - started
    await wait(60)
    const collected = delay.summary()
    collections = collected.gc.count
    least = Math.min(least, collected.delay.maxMs / took)
  }
  assert.equal(kept.length, 300_000)
  assert.ok(collections >= 5, String(collections))
  assert.ok(least < 0.5, `${least} of the time that collections took`)
  delay.reset()
  const busyUntil = performance.now() + 80
  while (performance.now() < busyUntil) Math.sqrt(busyUntil)
  await wait(60)
  delay.close()
  assert.ok(delay.summary().delay.maxMs >= 70, String(delay.summary().delay.maxMs))
})
