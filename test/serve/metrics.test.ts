/** Numbers for Prometheus: their text, and what counting costs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from '../../src/serve/metrics.js'
import { collect } from '../native/garbage.js'

test('the text is what the format says, byte for byte', () => {
  const registry = new Registry()
  const reads = registry.counter('calls_total', 'Calls, by verb.', { verb: 'read' })
  registry.counter('calls_total', 'Calls, by verb.', { verb: 'write' }).add(0.5)
  registry.gauge('sessions', 'Sessions now.\nWith a \\.').set(-3)
  registry.asked('holds', 'Holds.', () => 1e21, { kind: 'a "\\\n' })
  registry.asked('evicted_total', 'Evicted.', () => 7)
  const times = registry.histogram('wait_seconds', 'Waits.', [0.001, 0.5, 2], { of: 'x' })
  reads.add(1)
  reads.add(41)
  for (const value of [0.0005, 0.001, 0.25, 0.5, 0.5, 3]) times.observe(value)
  assert.equal(
    registry.text(),
    `# HELP calls_total Calls, by verb.
# TYPE calls_total counter
calls_total{verb="read"} 42
calls_total{verb="write"} 0.5
# HELP sessions Sessions now.\\nWith a \\\\.
# TYPE sessions gauge
sessions -3
# HELP holds Holds.
# TYPE holds gauge
holds{kind="a \\"\\\\\\n"} 1e+21
# HELP evicted_total Evicted.
# TYPE evicted_total counter
evicted_total 7
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_bucket{of="x",le="0.001"} 2
wait_seconds_bucket{of="x",le="0.5"} 5
wait_seconds_bucket{of="x",le="2"} 5
wait_seconds_bucket{of="x",le="+Inf"} 6
wait_seconds_sum{of="x"} 4.2515
wait_seconds_count{of="x"} 6
`,
  )
  assert.deepEqual([reads.value, times.count, times.sum], [42, 6, 4.2515])
})

test('numbers that are none are written as the format has them', () => {
  const registry = new Registry()
  for (const [name, value] of [
    ['a', NaN],
    ['b', Infinity],
    ['c', -Infinity],
    ['d', 2 ** 53],
  ] as const) {
    registry.gauge(name, 'x').set(value)
  }
  const values = registry.text().match(/^[a-d] .*$/gm)
  assert.deepEqual(values, ['a NaN', 'b +Inf', 'c -Inf', 'd 9007199254740992'])
})

test('a gauge goes up and down', () => {
  const gauge = new Registry().gauge('sessions', 'x')
  gauge.add(3)
  gauge.add(-1)
  assert.equal(gauge.value, 2)
})

test('names, types and labels that do not fit are errors of ours', () => {
  const registry = new Registry()
  registry.counter('a_total', 'x', { verb: 'read' })
  for (const wrong of [
    () => registry.counter('calls', 'x'),
    () => registry.gauge('Sessions', 'x'),
    () => registry.gauge('sessions\nforged 1', 'x'),
    () => registry.gauge('a_total', 'x'),
    () => registry.counter('a_total', 'another help'),
    () => registry.counter('a_total', 'x', { verb: 'read' }),
    () => registry.gauge('b', 'x', { 'a-b': '1' }),
    () => registry.gauge('c', 'x', { le: '1' }),
    () => registry.histogram('d', 'x', [2, 1]),
  ]) {
    assert.throws(wrong, /invariant broken/)
  }
  assert.match(registry.text(), /^a_total\{verb="read"\} 0$/m)
})

test('counting allocates nothing', () => {
  const registry = new Registry()
  const counter = registry.counter('bytes_total', 'x', { verb: 'read' })
  const gauge = registry.gauge('sessions', 'x')
  const histogram = registry.histogram('wait_seconds', 'x', [0.001, 0.01, 0.1, 1])
  const count = () => {
    for (let i = 0; i < 200_000; i++) {
      counter.add(4096.5)
      gauge.add(0.5)
      gauge.set(i)
      histogram.observe((i & 15) / 10)
    }
  }
  // One number on the heap for each count would be 3 MB a round, in every round. Before the engine
  // has compiled it, it does that whatever the code is.
  let least = Infinity
  let rounds = 0
  for (; rounds < 50 && least > 200_000; rounds++) {
    collect()
    const before = process.memoryUsage().heapUsed
    count()
    least = Math.min(least, process.memoryUsage().heapUsed - before)
  }
  assert.ok(least <= 200_000, `${least} bytes`)
  assert.equal(counter.value, rounds * 200_000 * 4096.5)
})
