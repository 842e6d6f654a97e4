/** The machine's clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SystemClock } from '../../src/base/clock.js'

const milliseconds = ({ seconds, nanoseconds }: SystemClock) => seconds * 1000 + nanoseconds / 1e6

test('the clock is wall time, and goes on within a millisecond', () => {
  const clock = new SystemClock()
  clock.read()
  assert.ok(Math.abs(milliseconds(clock) - Date.now()) < 1000)
  const before = milliseconds(clock)
  let later = before
  for (let i = 0; i < 10_000 && later === before; i++) {
    clock.read()
    later = milliseconds(clock)
  }
  assert.ok(later > before && later < before + 1000)
})

test('the clock follows when the wall clock is set, forwards and back', (t) => {
  const clock = new SystemClock()
  const now = Date.now
  for (const hours of [3, -5]) {
    const shift = hours * 3_600_000
    t.mock.method(Date, 'now', () => now() + shift)
    for (let i = 0; i < 16; i++) clock.read()
    assert.ok(Math.abs(milliseconds(clock) - (now() + shift)) < 1000, `${hours} hours`)
    t.mock.restoreAll()
  }
})
