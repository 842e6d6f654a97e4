/** The harness itself: processes that tests start, kill, stop and forget. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, openSync, rmSync, ftruncateSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Actor } from './actor.js'
import { noCompiler } from './compile.js'
import { Keeper } from './keeper.js'
import { processTest, Programs, stateOf, until } from './program.js'

const echo = (programs: Programs) => Actor.start(programs, import.meta.url, './echo.js')

processTest('a program answers calls, with bytes and big integers as they were', {}, async (p) => {
  const actor = await echo(p)
  const said = { bytes: new Uint8Array([0, 255, 7]), big: 2n ** 63n, list: [null, 'é\n'] }
  assert.deepEqual(await actor.call('echo', said), said)
  await assert.rejects(actor.call('fail'), { code: 'EIO', message: /fail: it does not/ })
  await actor.call('later', { text: 'now' })
  assert.equal(await actor.event('later'), 'now')
  assert.equal(await actor.call('pid'), actor.pid)
  assert.deepEqual(await actor.finish(), { status: 0, signal: null })
})

processTest('calls to a program that is killed fail, with what it said', {}, async (programs) => {
  const actor = await echo(programs)
  await actor.call('complain', { text: 'alas' })
  await until(() => actor.errors.includes('alas'), 'its complaint')
  const never = assert.rejects(actor.call('never'), /echo has ended: SIGKILL[^]*alas/)
  const event = assert.rejects(actor.event('nothing'), /SIGKILL/)
  assert.deepEqual(await actor.kill(), { status: null, signal: 'SIGKILL' })
  await never
  await event
  await assert.rejects(actor.call('echo'), /SIGKILL/)
})

processTest('a program that is stopped says nothing until it goes on', {}, async (programs) => {
  const actor = await echo(programs)
  await actor.stop()
  let answered = false
  const answer = actor.call('echo', 1).then((value) => {
    answered = true
    return value
  })
  assert.equal(stateOf(actor.pid), 'T')
  assert.equal(answered, false)
  actor.continue()
  assert.equal(await answer, 1)
  await actor.stop()
})

test('a program that ends by itself, or runs too long, is a complaint', async () => {
  const programs = new Programs()
  const one = await echo(programs)
  await one.call('complain', { text: 'it is my own doing' })
  const gone = one.closed
  one.write('{"id":1000,"call":"end","args":{"status":3}}')
  await gone
  const slow = programs.start('sleeper', ['sleep', '60'], { seconds: 0.5 })
  await slow.closed
  const [first, second, ...more] = await programs.end()
  assert.match(first!, /^echo ended by itself: status 3\n--- echo, \d+, said:\nit is my own doing$/)
  assert.match(second!, /^sleeper ran longer than it may/)
  assert.deepEqual(more, [])
})

test('what runs at the end of a test is killed, also when it stands still', async () => {
  const programs = new Programs()
  const all = await Promise.all([echo(programs), echo(programs)])
  await all[0]!.stop()
  assert.deepEqual(await programs.end(), [])
  assert.deepEqual(
    all.map((one) => stateOf(one.pid)),
    ['', ''],
  )
})

test('a test that is killed leaves no program behind', async () => {
  const careless = fileURLToPath(new URL('./careless.js', import.meta.url))
  const child = spawn(process.execPath, [careless], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pids = await new Promise<number[]>((resolve) => {
    createInterface({ input: child.stdout }).once('line', (line) =>
      resolve(line.split(' ').map(Number)),
    )
  })
  assert.equal(stateOf(pids[1]!), 'T')
  child.kill('SIGKILL')
  const gone = (pid: number) => ['', 'Z'].includes(stateOf(pid))
  await until(() => pids.every(gone), 'the end of both')
})

const skip = noCompiler()
const PAGE = 4096
const LOCK = 2 ** 40

processTest(
  'a mapping, and a lock that was taken with it, outlive close and fork, and go with the last',
  { skip },
  async (programs, t) => {
    const path = `/dev/shm/holdfast-keeper-${process.pid}`
    t.after(() => rmSync(path, { force: true }))
    const open = () => openSync(path, 'r+')
    const file = openSync(path, 'w+')
    ftruncateSync(file, 4 * PAGE)
    const own = open()
    const keeper = await Keeper.start(programs, own)
    closeSync(own)
    const witness = await Keeper.start(programs, file)
    closeSync(file)
    // Its parts lie in another order than in the file.
    assert.equal(await keeper.map(2 * PAGE, PAGE), PAGE)
    assert.equal(await keeper.map(0, PAGE), 2 * PAGE)
    await witness.map(0, 4 * PAGE)
    assert.equal(await witness.held(LOCK), false)
    await keeper.lock(LOCK)
    assert.equal(await witness.held(LOCK), true)
    await keeper.closeDescriptor()
    assert.equal(await witness.held(LOCK), true, 'after close')
    const before = keeper.pid
    await keeper.fork()
    assert.notEqual(keeper.pid, before)
    assert.equal(await witness.held(LOCK), true, 'after the death of the parent')
    await keeper.write(PAGE - 2, Buffer.from('seam'))
    assert.equal(Buffer.from(await witness.read(3 * PAGE - 2, 2)).toString(), 'se')
    assert.equal(Buffer.from(await witness.read(0, 2)).toString(), 'am')
    await witness.write(1, Buffer.from('y'))
    assert.equal(Buffer.from(await keeper.read(PAGE - 2, 4)).toString(), 'seay')
    await keeper.kill()
    await until(async () => !(await witness.held(LOCK)), 'the end of the lock')
    await witness.exit()
  },
)
