/**
 * Four processes put and get tensors of a cache that they share; one of them is killed on the way.
 * Every value says of which key it is, and every byte of it is checked.
 *
 *     node build/examples/kv_cache/main.js REGION [SECONDS]
 */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SLOT_BYTES, TensorCache } from './tensor_cache.js'

const PROCESSES = 4
const CACHE_BYTES = 48 << 20
const KEYS = 400
/** Half of all operations are on these: reads and writes of one value meet. */
const HOT_KEYS = 3
/** Of a slice between two looks at the clock. */
const OPERATIONS = 50

interface Result {
  puts: number
  hits: number
  misses: number
  bytes: number
  wrong: number
  repaired: number
}

/** Each word of a value follows from its key, its revision and its place. */
function fill(value: Uint32Array, key: number, revision: number): Uint32Array {
  value[0] = key
  value[1] = revision
  for (let i = 2; i < value.length; i++) value[i] = Math.imul(i ^ revision, 0x9e3779b1) ^ key
  return value
}

function isWhole(bytes: Uint8Array, key: number): boolean {
  const value = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  const revision = value[1]!
  if (value[0] !== key) return false
  for (let i = 2; i < value.length; i++) {
    if (value[i] !== (Math.imul(i ^ revision, 0x9e3779b1) ^ key) >>> 0) return false
  }
  return true
}

async function work(region: string, seconds: number, seed: number): Promise<Result> {
  const cache = await TensorCache.open(region, '/tensors', CACHE_BYTES)
  const result = { puts: 0, hits: 0, misses: 0, bytes: 0, wrong: 0, repaired: 0 }
  let state = seed
  // xorshift: the same seed, the same operations.
  const below = (bound: number) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
  process.send!('ready')
  for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
    for (let i = 0; i < OPERATIONS; i++) {
      const key = below(below(2) === 0 ? HOT_KEYS : KEYS)
      const name = `layer.${key}.weight`
      const value = cache.get(name)
      if (value !== null) {
        result.hits++
        result.bytes += value.length
        if (!isWhole(value, key)) result.wrong++
      } else result.misses++
      if (value === null || below(4) === 0) {
        const size = SLOT_BYTES[below(SLOT_BYTES.length)]!
        const made = fill(new Uint32Array(size / 4), key, below(1 << 30))
        if (cache.put(name, new Uint8Array(made.buffer))) result.puts++
      }
    }
    result.repaired += await cache.repair()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await cache.close()
  return result
}

function start(region: string, seconds: number, seed: number): ChildProcess {
  return fork(fileURLToPath(import.meta.url), ['worker', region, `${seconds}`, `${seed}`])
}

const resultOf = (child: ChildProcess) =>
  new Promise<Result | null>((resolve) => {
    child.on('message', (said) => {
      if (said !== 'ready') resolve(said as Result)
    })
    child.once('exit', () => resolve(null))
  })

async function main(region: string, seconds: number): Promise<void> {
  const children = Array.from({ length: PROCESSES }, (_, i) => start(region, seconds, i + 1))
  const results = children.map(resultOf)
  const victim = children[0]!
  await new Promise((resolve) => victim.once('message', resolve))
  setTimeout(() => victim.kill('SIGKILL'), (seconds * 1000) / 3)
  await results[0]
  console.log(`process ${victim.pid} was killed; another one takes its place`)
  const done = [...(await Promise.all([...results, resultOf(start(region, seconds / 2, 99))]))]
  const sum = { puts: 0, hits: 0, misses: 0, bytes: 0, wrong: 0, repaired: 0 }
  const survivors = done.filter((one) => one !== null)
  for (const one of survivors) {
    for (const name of Object.keys(sum) as (keyof Result)[]) sum[name] += one[name]
  }
  console.log(
    `${survivors.length} processes: ${sum.puts} puts, ${sum.hits} hits, ${sum.misses} misses`,
  )
  console.log(`${(sum.bytes / 2 ** 20).toFixed(0)} MiB read and checked, ${sum.wrong} values wrong`)
  if (sum.wrong > 0 || survivors.length < PROCESSES || sum.hits === 0) process.exitCode = 1
}

const [first, ...rest] = process.argv.slice(2)
if (first === 'worker') {
  const [region, seconds, seed] = rest as [string, string, string]
  process.send!(await work(region, Number(seconds), Number(seed)))
  process.disconnect()
} else if (first === undefined) {
  console.error('usage: node build/examples/kv_cache/main.js REGION [SECONDS]')
  process.exitCode = 2
} else await main(first, Number(rest[0] ?? 3))
