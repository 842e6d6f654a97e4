/** One process owns a region: who comes second is told by whom, and a dead owner is none. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { ownProcess } from '../../src/region/owner.js'
import { createVolume, inspectVolume, openVolume } from '../../src/layout/embedded.js'

const EMBEDDED = new URL('../../src/layout/embedded.js', import.meta.url).href
const MIB = 1 << 20

function newPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-owner-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return join(directory, 'volume.hf')
}

/** A process that opens the volume, writes a file, says so, and waits to be ended. */
async function startOwner(t: TestContext, path: string): Promise<ChildProcess> {
  const program = `
    const { openVolume } = await import(${JSON.stringify(EMBEDDED)})
    const volume = openVolume(${JSON.stringify(path)}, { sync: 'always' })
    volume.writeFile('/of-the-owner', Buffer.from('here'))
    console.log('ready')
    process.stdin.on('end', () => volume.close()).resume()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout!, 'data')
  return child
}

function refusal(open: () => unknown): string {
  try {
    open()
  } catch (error) {
    assert.ok(error instanceof HoldfastError && error.code === 'EBUSY', String(error))
    return error.message
  }
  return assert.fail('opened a region that is owned')
}

test('a second process gets EBUSY with pid, name and host of the owner, until it closes', async (t) => {
  const path = newPath(t)
  createVolume(path, MIB)
  const child = await startOwner(t, path)
  for (const attempt of [
    () => openVolume(path),
    () => createVolume(path, MIB),
    () => createVolume(path, MIB, { force: true }),
  ]) {
    const message = refusal(attempt)
    assert.match(message, new RegExp(`process ${child.pid} \\(node\\) on host `))
    assert.ok(message.includes(hostname()), message)
    assert.match(message, / since \d{4}-\d\d-\d\dT/)
  }
  const { owner } = inspectVolume(path)
  assert.deepEqual([owner?.pid, owner?.alive, owner?.host], [child.pid, true, hostname()])
  child.stdin!.end()
  await once(child, 'exit')
  assert.equal(inspectVolume(path).owner, null)
  const volume = openVolume(path)
  assert.equal(Buffer.from(volume.readFile('/of-the-owner')).toString(), 'here')
  volume.close()
})

test('an owner that was killed is none: the next one opens, and finds what was written', async (t) => {
  const path = newPath(t)
  createVolume(path, MIB)
  const child = await startOwner(t, path)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const { owner } = inspectVolume(path)
  assert.deepEqual([owner?.pid, owner?.alive], [child.pid, false])
  const volume = openVolume(path)
  assert.equal(Buffer.from(volume.readFile('/of-the-owner')).toString(), 'here')
  assert.equal(inspectVolume(path).owner?.pid, process.pid)
  volume.close()
})

test('the same process is refused as well, and told of itself', (t) => {
  const path = newPath(t)
  createVolume(path, MIB)
  const volume = openVolume(path)
  assert.match(
    refusal(() => openVolume(path)),
    new RegExp(`process ${process.pid} `),
  )
  volume.close()
  openVolume(path).close()
})

test('a process is known by its start: a later one with its pid is another', (t) => {
  const path = newPath(t)
  createVolume(path, MIB)
  const volume = openVolume(path)
  const { owner } = inspectVolume(path)
  assert.deepEqual({ ...owner, alive: undefined }, { ...ownProcess(), alive: undefined })
  assert.ok(ownProcess().startTime > 0)
  assert.ok(ownProcess().bootId.some((byte) => byte !== 0))
  volume.close()
})

test('mkfs refuses a volume and foreign content, takes zeros, and obeys force', (t) => {
  const path = newPath(t)
  writeFileSync(path, Buffer.alloc(MIB))
  createVolume(path, 0, { label: 'first' })
  assert.throws(() => createVolume(path, 0), { code: 'EEXIST', message: /'first'.*--force/ })
  createVolume(path, 2 * MIB, { label: 'second', force: true })
  const summary = inspectVolume(path)
  assert.deepEqual([summary.label, summary.regionBytes, summary.blocks], ['second', 2 * MIB, 512])
  for (const size of [10, 5000, 3 * MIB]) {
    const bytes = Buffer.alloc(size)
    bytes[size - 1] = 1
    writeFileSync(path, bytes)
    assert.throws(() => createVolume(path, MIB), { code: 'EEXIST', message: /not empty/ })
  }
  createVolume(path, MIB, { force: true })
  openVolume(path).close()
})
