/** Holding files of a served volume from the command line, and what others see of it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { after, before, beforeEach, test } from 'node:test'
import { finish, Shell, start } from '../cli/support.js'
import { linesOf, makeKey, memoryDirectory, remove, serveRegion, type Served } from './support.js'

const directory = memoryDirectory()
const children = new Set<ChildProcess>()
let shell: Shell
let served: Served
let file = ''
let count = 0

before(async () => {
  const key = await makeKey(directory)
  process.env['HOLDFAST_KEY'] = key
  shell = new Shell()
  const region = join(directory, 'v.hf')
  await shell.done('mkfs', '--size', '32M', region)
  served = await serveRegion(region, key)
})

beforeEach(async () => {
  file = `/f${++count}`
  await shell.done('seed', at(), '1M', '5')
})

after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await served.stop()
  shell.end()
  remove(directory)
})

const at = () => `${served.region}:${file}`
const far = () => `${served.url}${file}`

/** A command that goes on; its first line, once it is there. */
async function holding(...args: string[]) {
  const child = start(args)
  children.add(child)
  const errors: string[] = []
  child.stderr!.setEncoding('utf8').on('data', (text: string) => errors.push(text))
  const over = once(child, 'close') as Promise<[number | null]>
  const next = linesOf(child)
  const first = await next().catch((error: unknown) => {
    throw new Error(`${args.join(' ')}: ${errors.join('')}`, { cause: error })
  })
  return {
    child,
    next,
    said: first,
    err: () => errors.join(''),
    async end(signal: NodeJS.Signals | null): Promise<number | null> {
      if (signal !== null) child.kill(signal)
      const [code] = await over
      children.delete(child)
      return code
    },
  }
}

interface Listed {
  readonly id: number
  readonly kind: string
  readonly paths: string[]
  readonly reason: string
  readonly ranges: unknown
  readonly owner: { readonly session: number }
}

/** Holds of the file of this test. */
async function holdsOf(): Promise<Listed[]> {
  const all = (await shell.json('holds', '--paths', '--json', served.region)) as Listed[]
  return all.filter(({ paths }) => paths.includes(file))
}

async function untilNoHolds(): Promise<void> {
  while ((await holdsOf()).length > 0) await new Promise(setImmediate)
}

test('a pin is listed, refuses a cut and says whose it is, and ends with ^C', async () => {
  const pin = await holding('pin', far(), '--range', '64K:8K', '--reason', 'NIC 0', '--json')
  const { id, session, kind, extents } = JSON.parse(pin.said)
  assert.equal(kind, 'pin')
  assert.equal(extents[0].count, 2)
  const [hold] = await holdsOf()
  assert.equal(hold!.id, id)
  assert.deepEqual(hold!.ranges, [{ offset: 65536, length: 8192 }])
  const table = await shell.done('holds', '--paths', served.url)
  assert.match(
    table.out,
    new RegExp(`${id} +pin +${file} +65536:8192 +8.0 KiB +${session} .*NIC 0\n`),
  )
  const whose = `pin ${id} of session ${session} \\(holdfast pin \\(process \\d+\\), uid 0\\): NIC 0`
  const busy = new RegExp(`EBUSY: .*${file}'; held: ${whose}\n`)
  for (const path of [at(), far()]) {
    await shell.failed(1, busy, 'truncate', '-s', '0', path)
    await shell.failed(1, busy, 'punch', path, '64K', '4K')
    await shell.failed(
      1,
      busy,
      'truncate',
      '-s',
      '0',
      '--policy',
      'wait',
      '--timeout',
      '20ms',
      path,
    )
  }
  await shell.done('truncate', '-s', '128K', at())
  await shell.done('punch', '--policy', 'defer', far(), '64K', '4K')
  await shell.done('rm', '--policy', 'defer', at())
  assert.equal(await pin.end('SIGINT'), 0)
  assert.equal(pin.err(), '')
  assert.deepEqual(await shell.json('holds', '--json', served.region), [])
})

test('a command runs under a hold: its output, its exit code, its signals', async () => {
  const script = 'echo hold $HOLDFAST_HOLD; exit 7'
  for (const kind of ['pin', 'seal', 'lease']) {
    const { code, out, err } = await finish(start([kind, at(), '--', 'sh', '-c', script]))
    assert.equal(code, 7, err)
    const id = /^hold (\d+)\n$/.exec(out)![1]
    assert.match(err, new RegExp(`^(read )?${kind} ${id} holds bytes 0 to 1048575 of ${at()} `))
  }
  const trap = 'trap "echo told; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
  const held = await holding('pin', at(), '--', 'sh', '-c', trap)
  assert.equal(held.said, 'ready')
  assert.equal((await holdsOf()).length, 1)
  held.child.kill('SIGTERM')
  assert.equal(await held.next(), 'told')
  assert.equal(await held.end(null), 3)
  await untilNoHolds()
  const killed = await finish(start(['pin', at(), '--', 'sh', '-c', 'kill -9 $$']))
  assert.equal(killed.code, 137)
  const missing = await finish(start(['pin', at(), '--', 'no-such-command']))
  assert.equal(missing.code, 127)
  assert.match(missing.err, /holdfast: pin: no-such-command: there is no such command\n$/)
  assert.deepEqual(await holdsOf(), [])
})

test('a lease is given back when it is asked for, and its command goes on', async () => {
  const lease = await holding(
    'lease',
    far(),
    '--iomode',
    'rw',
    '--',
    'sh',
    '-c',
    'echo up; exec sleep 30',
  )
  assert.equal(lease.said, 'up')
  const [hold] = await holdsOf()
  const { out } = await shell.done('recall', String(hold!.id), served.region)
  assert.equal(out, `lease ${hold!.id} was returned\n`)
  assert.match(
    lease.err(),
    /rw lease \d+ is asked back for a move of \d+ bytes at 0, and given back\n/,
  )
  assert.equal(lease.child.exitCode, null)
  assert.equal(await lease.end('SIGTERM'), 143)
  // Without a command there is nothing more to do.
  const alone = await holding('lease', at())
  await shell.done('truncate', '-s', '0', far())
  assert.equal(await alone.end(null), 0)
})

test('a lease may tell its command, or be taken by force', async () => {
  const script = 'trap "exit 4" USR1; echo up; while :; do sleep 0.05; done'
  const told = await holding('lease', at(), '--on-recall', 'USR1', '--', 'sh', '-c', script)
  await shell.done('truncate', '-s', '4K', at())
  assert.equal(await told.end(null), 4)
  const deaf = await holding('lease', far(), '--on-recall', 'ignore')
  const [hold] = await holdsOf()
  const args = ['recall', '--json', '--deadline', '50ms', String(hold!.id), served.region]
  assert.deepEqual(await shell.json(...args), { id: hold!.id, outcome: 'fenced' })
  assert.equal(await deaf.end(null), 1)
  assert.match(deaf.err(), /lease: ESTALE: hold \d+: .*fenced/)
})

test('a seal keeps the layout, and is not to be had through a network', async () => {
  const seal = await holding('seal', at(), '--reason', 'a table')
  await shell.failed(
    1,
    /ETXTBSY: .*seal \d+ of session .*: a table\n/,
    'truncate',
    '-s',
    '0',
    far(),
  )
  const sessions = (await shell.json('sessions', '--json', served.url)) as { kind: string }[]
  assert.ok(sessions.some(({ kind }) => kind === 'mapping'))
  assert.equal(await seal.end('SIGTERM'), 0)
  await shell.done('truncate', '-s', '0', at())
  for (const root of [`${served.region}:/`, `${served.url}/`]) {
    await shell.failed(1, /lease: EISDIR: /, 'lease', root)
  }
  await shell.failed(1, /seal: EPERM: .*pin and lease hold files/, 'seal', far())
})

test('an evicted session has lost its holds: it is told, and so is its command', async () => {
  const pin = await holding('pin', far(), '--', 'sh', '-c', 'echo up; exec sleep 30')
  const [hold] = await holdsOf()
  await shell.done('evict', String(hold!.owner.session), served.region)
  assert.equal(await pin.end(null), 143)
  assert.match(pin.err(), /holdfast: pin: ESTALE: hold \d+: .*it was evicted/)
  assert.deepEqual(await holdsOf(), [])
  await shell.failed(1, /evict: ESTALE: session 9999: there is none/, 'evict', '9999', served.url)
})

test('a hold of a process that is killed ends with it', async () => {
  for (const [kind, path] of [
    ['pin', at()],
    ['lease', far()],
    ['seal', at()],
  ] as const) {
    const held = await holding(kind, path)
    assert.equal((await holdsOf()).length, 1)
    await held.end('SIGKILL')
    await untilNoHolds()
  }
})

test('watch tells of changes and of holds, and ends with ^C', async () => {
  const watch = await holding('watch', '--json', served.url)
  assert.equal(JSON.parse(watch.said).event, 'watching')
  await shell.done('mkdir', `${served.region}:/d${count}`)
  const seen: Record<string, unknown>[] = []
  const until = async (event: string) => {
    for (;;) {
      const one = JSON.parse(await watch.next()) as Record<string, unknown>
      seen.push(one)
      if (one['event'] === event) return one
    }
  }
  assert.equal((await until('create'))['name'], `d${count}`)
  await finish(start(['pin', at(), '--reason', 'why', '--', 'true']))
  const grant = (await until('grant')) as unknown as { holds: { reason: string }[] }
  assert.equal(grant.holds[0]!.reason, 'why')
  await until('release')
  assert.equal(await watch.end('SIGINT'), 0)
  assert.equal(watch.err(), '')
})

test('^C ends what waits at the server, and takes back what would be half done', async () => {
  const pin = await holding('pin', at())
  const waits = start(['truncate', '-s', '0', '--policy', 'wait', '--timeout', '1m', far()])
  const over = finish(waits)
  while (!(await isConnected('truncate'))) await new Promise(setImmediate)
  waits.kill('SIGINT')
  assert.deepEqual({ ...(await over), bytes: null }, { code: 130, out: '', err: '', bytes: null })
  await pin.end('SIGINT')
  for (const path of [`${served.region}:/half`, `${served.url}/half`]) {
    const seed = start(['seed', path, '20M', '3'])
    const end = finish(seed)
    while ((await shell.run('stat', path)).code !== 0) await new Promise(setImmediate)
    seed.kill('SIGINT')
    const { code } = await end
    if (code !== 0) await shell.failed(1, /ENOENT/, 'stat', path)
    assert.ok(code === 130 || code === 0)
    await shell.done('rm', '-f', path)
  }
})

async function isConnected(command: string): Promise<boolean> {
  const sessions = (await shell.json('sessions', '--json', served.region)) as { name: string }[]
  return sessions.some(({ name }) => name.startsWith(`holdfast ${command} `))
}

test('of a volume that nobody serves there are no holds to ask for', async () => {
  const region = join(directory, 'own.hf')
  await shell.done('mkfs', '--size', '8M', region)
  const nobody = /ENOTCONN: nobody serves .*own\.hf; holdfast serve shares a volume/
  for (const command of ['holds', 'sessions', 'watch']) {
    await shell.failed(1, nobody, command, region)
  }
  await shell.failed(1, nobody, 'pin', `${region}:/a`)
  await shell.failed(1, nobody, 'recall', '1', region)
  await shell.failed(1, /holds: ENOENT: no such file/, 'holds', join(directory, 'none.hf'))
  await shell.failed(2, /a signal is wanted/, 'lease', at(), '--on-recall', 'PLEASE')
})

test('when the server dies a pin is gone, and its command is told', async () => {
  const pin = await holding(
    'pin',
    at(),
    '--on-loss',
    'USR1',
    '--',
    'sh',
    '-c',
    'echo up; exec sleep 30',
  )
  await served.stop('SIGKILL')
  assert.equal(await pin.end(null), 128 + 10)
  assert.match(pin.err(), /holdfast: pin: ESTALE: hold \d+: /)
  const port = Number(served.url.split(':').at(-1))
  served = await serveRegion(served.region, served.key, port)
  await shell.done('verify', at(), '5', '--size', '1M')
})
