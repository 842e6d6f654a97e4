/** `holdfast demo`, as a user runs it. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { STEPS } from '../../src/cli/demo/play.js'
import { stateOf, until } from '../processes/program.js'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

interface Run {
  readonly child: ChildProcessWithoutNullStreams
  out: string
  errors: string
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>
}

function demo(t: TestContext, ...args: string[]): Run {
  const child = spawn(process.execPath, [MAIN, 'demo', ...args])
  const ended = once(child, 'close') as Run['ended']
  const run: Run = { child, out: '', errors: '', ended }
  child.stdout.on('data', (text: Buffer) => (run.out += text.toString()))
  child.stderr.on('data', (text: Buffer) => (run.errors += text.toString()))
  // Its own cleaner sees to the rest, which the tests below prove.
  t.after(() => child.kill('SIGKILL'))
  return run
}

/** What it has made, by its first lines. */
function made({ out }: Run) {
  const [, directory] = /^A volume in (\S+),/.exec(out)!
  const pids = [...out.split('\n\n')[0]!.matchAll(/(?:server|alice|bob|nic) (\d+)/g)]
  assert.equal(pids.length, 4, out)
  return { directory: directory!, pids: pids.map((found) => Number(found[1])) }
}

async function begun(run: Run): Promise<ReturnType<typeof made>> {
  await until(() => run.out.includes('\n 1.') || run.child.exitCode !== null, 'its first step')
  return made(run)
}

const gone = ({ directory, pids }: ReturnType<typeof made>) =>
  !existsSync(directory) && pids.every((pid) => ['', 'Z'].includes(stateOf(pid)))

test('the demo passes: each step is verified, in 80 columns, and nothing is left', async (t) => {
  const run = demo(t)
  assert.deepEqual(await run.ended, [0, null], run.out + run.errors)
  assert.equal(run.errors, '')
  assert.ok(run.out.includes(`\n${STEPS.length} steps in `), run.out)
  const parts = run.out.split(/^ *\d+\. /m).slice(1)
  assert.deepEqual(
    parts.map((part) => /^[\w-]+/.exec(part)![0]),
    STEPS.map(({ name }) => name),
  )
  for (const part of parts) assert.match(part, /^ {2}✓ /m)
  for (const line of run.out.split('\n')) assert.ok([...line].length <= 80, line)
  assert.ok(!run.out.includes('\x1b'), 'no colours where no terminal is')
  assert.ok(gone(made(run)), 'something is left behind')
})

test('a step alone runs, and is one object of JSON', async (t) => {
  const run = demo(t, '--json', '--step', 'fence')
  assert.deepEqual(await run.ended, [0, null], run.out + run.errors)
  const outcome = JSON.parse(run.out) as Record<string, unknown>
  assert.equal(outcome['step'], 'fence')
  assert.equal(outcome['ok'], true)
  assert.match(String(outcome['did']), /ESTALE: hold \d+/)
})

test('a demo whose server dies fails, says so, and cleans up', async (t) => {
  const run = demo(t, '--slow')
  const there = await begun(run)
  process.kill(there.pids[0]!, 'SIGKILL')
  assert.deepEqual(await run.ended, [1, null], run.out + run.errors)
  assert.match(run.out, /✗ +server has ended by a signal, and was not to\n/)
  assert.ok(gone(there), 'something is left behind')
})

for (const [signal, end] of [
  ['SIGINT', [130, null]],
  ['SIGKILL', [null, 'SIGKILL']],
] as const) {
  test(`a demo that gets ${signal} leaves nothing behind`, async (t) => {
    const run = demo(t, '--slow', '--step', 'recall')
    const there = await begun(run)
    run.child.kill(signal)
    assert.deepEqual(await run.ended, end, run.out + run.errors)
    await until(() => gone(there), 'the end of all of it')
  })
}
