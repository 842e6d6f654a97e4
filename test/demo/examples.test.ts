/** The examples, as their READMEs have them run. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TensorCache } from '../../examples/kv_cache/tensor_cache.js'
import { connect } from '../../src/client/index.js'
import { formatSecret } from '../../src/control/keys.js'
import { createVolume } from '../../src/layout/embedded.js'
import { processTest, until, type Program, type Programs } from '../processes/program.js'

const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const MAIN = file('src/cli/main.js')
const MIB = 1 << 20

const run = (programs: Programs, name: string, ...args: string[]): Program =>
  programs.start(name, [process.execPath, ...args])

/** All lines of a program that is to end well. */
async function finished(program: Program): Promise<string[]> {
  const end = await program.ended()
  await program.closed
  assert.deepEqual(end, { status: 0, signal: null }, program.said())
  return program.rest()
}

function makeVolume(t: TestContext) {
  const directory = mkdtempSync('/dev/shm/holdfast-examples-')
  t.after(() => rmSync(directory, { recursive: true }))
  const region = join(directory, 'v.hf')
  createVolume(region, 128 * MIB)
  return { directory, region }
}

/** A volume that is served, to other hosts, too. */
async function served(programs: Programs, t: TestContext) {
  const { directory, region } = makeVolume(t)
  const keys = join(directory, 'keys')
  const secret = new Uint8Array(32).map((_, i) => 11 * i)
  const key = formatSecret({ id: 'worker', secret })
  writeFileSync(keys, `${key} uid=${process.getuid!()} gid=${process.getgid!()} rw\n`, {
    mode: 0o600,
  })
  const socket = join(directory, 'socket')
  const places = ['--socket', socket, '--listen', '127.0.0.1:0', '--keys', keys]
  const serve = () => run(programs, 'serve', MAIN, 'serve', '--json', ...places, region)
  const server = serve()
  const { listen } = JSON.parse(await server.line()) as { listen: { port: number } }
  return { socket, keys, url: `hf://127.0.0.1:${listen.port}`, server, serve }
}

processTest('four processes share a cache, and one is killed', {}, async (programs, t) => {
  const { socket } = await served(programs, t)
  const lines = await finished(
    run(programs, 'cache', file('examples/kv_cache/main.js'), socket, '3'),
  )
  assert.match(lines[0]!, /^process \d+ was killed; another one takes its place$/)
  assert.match(lines[1]!, /^4 processes: [1-9]\d* puts, [1-9]\d* hits, \d+ misses$/)
  assert.match(lines[2]!, /^\d+ MiB read and checked, 0 values wrong$/)
})

processTest(
  'a cache evicts, keeps one value a key, and survives a dead writer',
  {},
  async (p, t) => {
    const { socket } = await served(p, t)
    const [one, other] = await Promise.all(
      [1, 2].map(() => TensorCache.open(socket, '/cache', 12 * MIB)),
    )
    const value = (fill: number, bytes: number) => new Uint8Array(bytes).fill(fill)
    assert.equal(one!.get('a'), null)
    assert.ok(one!.put('a', value(1, 5000)))
    assert.deepEqual(other!.get('a'), value(1, 5000))
    assert.ok(other!.put('a', value(2, 100_000)), 'in a slot of another size')
    assert.deepEqual(one!.get('a'), value(2, 100_000))
    one!.delete('a')
    assert.equal(other!.get('a'), null)
    // One set of eight: of nine of one size the one goes that was used longest ago.
    for (let i = 0; i < 8; i++) one!.put(`k${i}`, value(i, 4096))
    assert.deepEqual(one!.get('k0'), value(0, 4096))
    one!.put('k8', value(8, 4096))
    assert.equal(other!.get('k1'), null)
    for (const i of [0, 2, 3, 4, 5, 6, 7, 8]) {
      assert.deepEqual(other!.get(`k${i}`), value(i, 4096), `k${i}`)
    }
    // A writer that nobody is, in the entry of a value: as if it had died there.
    const client = await connect(socket)
    const mapping = await (await client.open('/cache', 'r+')).map({ write: true, direct: true })
    const words = new Int32Array(mapping.buffer, 4096, 8 * 16)
    const at = [...Array(8).keys()].find((i) => words[16 * i]! > 0)! * 16
    words[at] = -77
    const there = Array.from({ length: 9 }, (_, i) => one!.get(`k${i}`))
    assert.equal(there.filter((one) => one === null).length, 2, 'k1, and what the writer has')
    assert.equal(await one!.repair(), 0, 'it may live: no time has passed')
    await until(async () => (await one!.repair()) === 1, 'the repair')
    assert.equal(words[at], 0)
    await Promise.all([one!.close(), other!.close(), client.close()])
  },
)

processTest('a cache is read without a server, and written with a lock', {}, async (p, t) => {
  const { socket, ...first } = await served(p, t)
  const cache = await TensorCache.open(socket, '/cache', 12 * MIB)
  const value = (fill: number) => new Uint8Array(4096).fill(fill)
  const puts = () => cache.put('b', value(2))
  assert.ok(cache.put('a', value(1)))
  let { server } = first
  for (let tries = 1, taken = false; !taken; tries++) {
    assert.ok(tries < 10, 'the cache was always there first')
    await server.kill()
    await until(() => !puts(), 'the loss')
    assert.equal(cache.delete('a'), false)
    assert.deepEqual(cache.get('a'), value(1))
    server = first.serve()
    await server.line()
    // Another one takes the number of before, unless it is taken again already.
    const other = await connect(socket)
    const locks = await other.open('/cache', 'r+')
    const byte = (writer: number) => ({ start: 2 ** 40 + writer, length: 1 })
    taken = await locks.lock({ type: 'write', ...byte(1) }).then(
      () => true,
      () => false,
    )
    await until(puts, 'a lock')
    const held = (writer: number) => locks.testLock({ type: 'write', ...byte(writer) })
    if (taken) assert.ok((await held(2)) !== null && (await held(3)) === null)
    await other.close()
  }
  assert.deepEqual([cache.get('a'), cache.get('b')], [value(1), value(2)])
  assert.equal(cache.delete('a'), true)
  // It goes for good, and nobody minds.
  await server.kill()
  await until(() => !puts(), 'the loss')
  assert.equal(await cache.repair(), 0)
  assert.deepEqual(cache.get('b'), value(2))
  await cache.close()
})

processTest('a worker loads a model one-sided, and another under it', {}, async (programs, t) => {
  const { socket, url, keys } = await served(programs, t)
  const main = file('examples/model_loader/main.js')
  await finished(run(programs, 'publish', main, 'publish', socket, '/model', '1', '16'))
  const command = [process.execPath, main, 'load', url, '/model', '--swap']
  const worker = programs.start('load', command, { env: { HOLDFAST_KEY: keys } })
  assert.match(await worker.line(), /^loaded 16 layers: 16 MiB at \d+ MiB\/s, all equal$/)
  assert.match(await worker.line(), /^pinned 2 layers/)
  await finished(run(programs, 'publish', main, 'publish', socket, '/model', '2', '16'))
  const [swapped, loaded] = await finished(worker)
  assert.match(
    swapped!,
    /^swapped; the pinned layers of the old model are there still \(0 names\)$/,
  )
  assert.match(loaded!, /^loaded 16 layers: 16 MiB/)
})

processTest('a server lends layouts, and takes them back', {}, async (programs, t) => {
  const { region } = makeVolume(t)
  const lines = await finished(
    run(programs, 'layouts', file('examples/layout_server/main.js'), region),
  )
  const said = lines.join('\n')
  assert.match(said, /^two clients have layouts: 2 leases$/m)
  assert.match(said, /^\/good.bin was defragmented: \d\d+ extents, then 1$/m)
  assert.match(said, /^the first client gave its layout back for a move, and read the same bytes/m)
  assert.match(said, /^\/lazy.bin was truncated, after ([3-9]\d\d|\d{4,}) ms$/m)
  assert.match(said, /^the second client did not answer, .* it was fenced: E\w+$/m)
})

test('examples use what the package exports, and nothing else', () => {
  const directory = file('../examples')
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const programs = paths.filter((path) => path.endsWith('.ts'))
  assert.ok(programs.length >= 7)
  for (const path of programs) {
    const text = readFileSync(join(directory, path), 'utf8')
    const targets = [...text.matchAll(/^(?:import|\}) .*'([^']+)'$/gm)].map((found) => found[1]!)
    for (const target of targets) {
      assert.match(target, /^(node:\w+|holdfast(\/client|\/rdma)?|\.\/\w+\.js)$/, path)
    }
    assert.equal(targets.length, text.match(/\bfrom '/g)?.length ?? 0, path)
  }
})
