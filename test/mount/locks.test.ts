/**
 * Locks of programs in two mounts of one server, and of clients of its library: fcntl(2), open file
 * descriptions and flock(2) exclude each other wherever they were taken, as on one kernel's files.
 */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { O } from '../../src/base/open_flags.js'
import type { FileHandle } from '../../src/base/filesystem.js'
import { connect, type Client } from '../../src/client/index.js'
import { noCompiler } from '../processes/compile.js'
import { type Program } from '../processes/program.js'
import { Caller, comes } from './caller.js'
import { cannotMount, isMounted, MountScene, type Way } from './scene.js'

const skip = cannotMount() ?? noCompiler()

/** A server with two mounts: of the way in question, and one through its socket. */
class Locking {
  readonly scene: MountScene
  readonly client: Client
  readonly second: string
  readonly mount: Program
  #files = 0
  /** In the first mount, another process there, and one in the second. */
  readonly a: Caller
  readonly near: Caller
  readonly b: Caller

  private constructor(scene: MountScene, client: Client, second: string, mount: Program) {
    this.scene = scene
    this.client = client
    this.second = second
    this.mount = mount
    this.a = Caller.start(scene.programs)
    this.near = Caller.start(scene.programs)
    this.b = Caller.start(scene.programs)
  }

  static async start(way: Way): Promise<Locking> {
    const scene = await MountScene.start(way)
    try {
      const second = join(scene.folder, 'second')
      mkdirSync(second)
      const mount = scene.start('mount', scene.socket, second)
      assert.match(await mount.line(), /^mounted /)
      const client = await connect(scene.socket, { name: 'locker', as: 'root' })
      return new Locking(scene, client, second, mount)
    } catch (error) {
      await scene.remove()
      throw error
    }
  }

  async end(): Promise<void> {
    try {
      for (const one of [this.a, this.near, this.b]) await one.end()
      await this.client.close()
      await this.mount.kill('SIGTERM')
      await comes(async () => isMounted(this.second), false)
    } finally {
      await this.scene.end()
    }
  }

  /** A new file, in slot 1 of each program, and in the client. */
  async file(): Promise<{ path: string; far: string; handle: FileHandle }> {
    const name = `f${++this.#files}`
    const handle = await this.client.open(`/${name}`, 'wx+')
    const [path, far] = [this.scene.path(name), join(this.second, name)]
    await this.a.open(1, path, O.RDWR)
    await this.near.open(1, path, O.RDWR)
    await this.b.open(1, far, O.RDWR)
    return { path, far, handle }
  }

  /** Whether the client gets a lock, which is given back. */
  async clientGets(file: FileHandle, type: 'read' | 'write', start = 0, length = 0) {
    try {
      await file.lock({ type, start, length, owner: 'client' })
    } catch (error) {
      assert.equal((error as { code: string }).code, 'EAGAIN')
      return false
    }
    await file.unlock({ start, length, owner: 'client' })
    return true
  }
}

for (const way of ['within', 'served', 'remote'] as const) {
  describe(`locks in two mounts, one of them ${way}`, { skip }, () => {
    let all: Locking
    before(async () => (all = await Locking.start(way)))
    after(() => all.end())
    ranges(() => all)
    rangesOfSome(() => all)
    waits(() => all)
    waitsOfSome(() => all)
    ends(() => all)
    goOn(() => all)
    wholeFiles(() => all)
  })
}

// ---- ranges -------------------------------------------------------------------------------------

function ranges(of: () => Locking): void {
  for (const kind of ['posix', 'ofd'] as const) {
    test(`of ${kind} keep out everybody else, where they are`, async () => {
      const { a, near, b } = of()
      const { handle } = await of().file()
      await a.done('lock', 1, kind, 'write', 100, 50)
      for (const one of [near, b]) {
        assert.equal(await one.call('lock', 1, 'posix', 'read', 149, 1), 'EAGAIN')
        assert.equal(await one.call('lock', 1, 'ofd', 'write', 0, 0), 'EAGAIN')
        await one.done('lock', 1, kind, 'write', 0, 100)
        await one.done('lock', 1, kind, 'unlock', 0, 100)
        await one.done('lock', 1, kind, 'write', 150, 0)
        await one.done('lock', 1, kind, 'unlock', 150, 0)
      }
      assert.equal(await of().clientGets(handle, 'read', 120, 1), false)
      assert.equal(await of().clientGets(handle, 'write', 150, 0), true)
      await a.done('lock', 1, kind, 'unlock', 100, 25)
      await b.done('lock', 1, kind, 'write', 100, 25)
      await b.done('lock', 1, kind, 'unlock', 0, 0)
      await a.done('lock', 1, kind, 'unlock', 0, 0)
      assert.equal(await of().clientGets(handle, 'write'), true)
      await handle.close()
    })
  }

  test('for reading are shared, and keep out who wants to write', async () => {
    const { a, near, b } = of()
    const { handle } = await of().file()
    for (const one of [a, near, b]) await one.done('lock', 1, 'posix', 'read', 0, 0)
    await handle.lock({ type: 'read', owner: 'client' })
    for (const one of [a, near, b]) {
      assert.equal(await one.call('lock', 1, 'posix', 'write', 0, 0), 'EAGAIN')
      await one.done('lock', 1, 'posix', 'unlock', 0, 0)
    }
    assert.equal(await a.call('lock', 1, 'posix', 'write', 0, 0), 'EAGAIN')
    await handle.unlock({ owner: 'client' })
    await a.done('lock', 1, 'posix', 'write', 0, 0)
    // Its own is converted, and lets others in again.
    await a.done('lock', 1, 'posix', 'read', 0, 10)
    await b.done('lock', 1, 'posix', 'read', 0, 10)
    assert.equal(await b.call('lock', 1, 'posix', 'read', 10, 1), 'EAGAIN')
    for (const one of [a, b]) await one.done('lock', 1, 'posix', 'unlock', 0, 0)
    await handle.close()
  })
}

function rangesOfSome(of: () => Locking): void {
  test('of a client keep out programs', async () => {
    const { a, near, b } = of()
    const { handle } = await of().file()
    for (const owner of ['client', undefined]) {
      const lock = owner === undefined ? {} : { owner }
      await handle.lock({ type: 'write', start: 0, length: 10, ...lock })
      for (const one of [a, near, b]) {
        assert.equal(await one.call('lock', 1, 'posix', 'read', 9, 1), 'EAGAIN')
        assert.equal(await one.call('lock', 1, 'ofd', 'read', 9, 1), 'EAGAIN')
      }
      await handle.unlock({ start: 0, length: 10, ...lock })
    }
    await handle.close()
  })

  test('of a process and of its own open file keep each other out', async () => {
    const { a } = of()
    const { path, handle } = await of().file()
    await a.open(2, path, O.RDWR)
    await a.done('lock', 1, 'ofd', 'write', 0, 10)
    assert.equal(await a.call('lock', 2, 'ofd', 'write', 0, 10), 'EAGAIN')
    assert.equal(await a.call('lock', 1, 'posix', 'write', 0, 10), 'EAGAIN')
    await a.done('lock', 1, 'ofd', 'unlock', 0, 10)
    // Of a process there is one owner, whatever it locks by.
    await a.done('lock', 1, 'posix', 'write', 0, 10)
    await a.done('lock', 2, 'posix', 'write', 5, 10)
    await a.done('lock', 2, 'posix', 'unlock', 0, 0)
    await a.done('close', 2)
    await handle.close()
  })

  test('tell who is in the way, and where', async () => {
    const { a, near, b } = of()
    const { handle } = await of().file()
    assert.equal(await near.done('getlk', 1, 'posix', 'write', 0, 0), 'free')
    await a.done('lock', 1, 'posix', 'write', 100, 50)
    assert.equal(await near.done('getlk', 1, 'posix', 'read', 0, 0), `write 100 50 ${a.pid}`)
    assert.equal(await near.done('getlk', 1, 'posix', 'read', 0, 100), 'free')
    assert.equal(await a.done('getlk', 1, 'posix', 'write', 0, 0), 'free', 'its own is not')
    // A process of another mount has no number here.
    assert.match(await b.done('getlk', 1, 'posix', 'write', 120, 1), /^write 100 50 (0|-1)$/)
    // The kernel has it so for every FUSE filesystem.
    assert.equal(await near.done('getlk', 1, 'ofd', 'write', 0, 0), 'write 100 50 -1')
    await a.done('lock', 1, 'posix', 'unlock', 0, 0)
    await a.done('lock', 1, 'posix', 'read', 7, 0)
    assert.equal(await near.done('getlk', 1, 'posix', 'write', 0, 0), `read 7 0 ${a.pid}`)
    assert.equal(await near.done('getlk', 1, 'posix', 'read', 0, 0), 'free')
    await a.done('lock', 1, 'posix', 'unlock', 0, 0)
    await handle.lock({ type: 'write', start: 3, length: 4 })
    assert.match(await a.done('getlk', 1, 'posix', 'read', 0, 0), /^write 3 4 (0|-1)$/)
    await handle.close()
  })
}

// ---- waiting ------------------------------------------------------------------------------------

function waits(of: () => Locking): void {
  for (const kind of ['posix', 'ofd'] as const) {
    test(`of ${kind} are waited for, until they end wherever that is`, async () => {
      const { a, b } = of()
      const { handle } = await of().file()
      await a.done('lock', 1, kind, 'write', 0, 10)
      const far = b.call('lock', 1, kind, 'write', 5, 10, 'wait')
      await b.waits()
      await a.done('lock', 1, kind, 'unlock', 0, 10)
      assert.equal(await far, '')
      const back = a.call('lock', 1, kind, 'read', 14, 1, 'wait')
      await a.waits()
      await b.done('lock', 1, kind, 'unlock', 14, 1)
      assert.equal(await back, '')
      await a.done('lock', 1, kind, 'unlock', 0, 0)
      await b.done('lock', 1, kind, 'unlock', 0, 0)
      await handle.lock({ type: 'write', start: 0, length: 1 })
      const third = a.call('lock', 1, kind, 'read', 0, 0, 'wait')
      await a.waits()
      await handle.unlock({ start: 0, length: 1 })
      assert.equal(await third, '')
      await a.done('lock', 1, kind, 'unlock', 0, 0)
      await handle.close()
    })

    test(`of ${kind} are waited for until a signal comes, and then there is none`, async () => {
      const { a, near, b } = of()
      const { handle } = await of().file()
      await a.done('lock', 1, kind, 'write', 0, 10)
      for (const one of [near, b]) {
        const waiting = one.call('lock', 1, kind, 'write', 0, 10, 'wait')
        await one.waits()
        process.kill(one.pid, 'SIGUSR1')
        assert.equal(await waiting, 'EINTR')
      }
      await a.done('lock', 1, kind, 'unlock', 0, 10)
      assert.equal(await of().clientGets(handle, 'write'), true)
      await handle.close()
    })
  }
}

function waitsOfSome(of: () => Locking): void {
  test('that are waited for by a process that is killed are not taken', async () => {
    const { a, scene } = of()
    const { far, handle } = await of().file()
    await a.done('lock', 1, 'posix', 'write', 0, 10)
    const killed = Caller.start(scene.programs)
    await killed.open(1, far, O.RDWR)
    const waiting = killed.call('lock', 1, 'posix', 'write', 0, 10, 'wait').catch(() => 'killed')
    await killed.waits()
    await killed.program.kill('SIGKILL')
    assert.equal(await waiting, 'killed')
    await a.done('lock', 1, 'posix', 'unlock', 0, 10)
    await comes(async () => of().clientGets(handle, 'write'), true)
    await handle.close()
  })

  test('that wait for each other are refused: EDEADLK', async () => {
    const { a, near, b } = of()
    const { handle } = await of().file()
    for (const other of [near, b]) {
      await a.done('lock', 1, 'posix', 'write', 0, 1)
      await other.done('lock', 1, 'posix', 'write', 1, 1)
      // Whoever comes second closes the circle; the way of one may be longer than the other's.
      const asked = [
        { one: a, answer: a.call('lock', 1, 'posix', 'write', 1, 1, 'wait') },
        { one: other, answer: other.call('lock', 1, 'posix', 'write', 0, 1, 'wait') },
      ]
      const first = await Promise.race(
        asked.map(async (call) => ({ ...call, said: await call.answer })),
      )
      assert.equal(first.said, 'EDEADLK')
      await first.one.done('lock', 1, 'posix', 'unlock', 0, 0)
      const second = asked.find(({ one }) => one !== first.one)!
      assert.equal(await second.answer, '')
      await second.one.done('lock', 1, 'posix', 'unlock', 0, 0)
    }
    await handle.close()
  })
}

// ---- the end of locks ---------------------------------------------------------------------------

function ends(of: () => Locking): void {
  test('of a process end when it closes any descriptor of the file', async () => {
    const { a, near, b } = of()
    const { path, handle } = await of().file()
    await a.done('lock', 1, 'posix', 'write', 0, 0)
    await near.open(2, path, O.RDWR)
    await near.done('close', 2)
    assert.equal(
      await b.call('lock', 1, 'posix', 'read', 0, 1),
      'EAGAIN',
      "another's close is none",
    )
    await a.open(2, path, 0)
    await a.done('close', 2)
    await b.done('lock', 1, 'posix', 'write', 0, 0)
    await b.done('lock', 1, 'posix', 'unlock', 0, 0)
    // Also of a copy of the descriptor.
    await a.done('lock', 1, 'posix', 'write', 0, 0)
    await a.done('dup', 1, 2)
    await a.done('close', 2)
    await b.done('lock', 1, 'posix', 'write', 0, 0)
    await b.done('lock', 1, 'posix', 'unlock', 0, 0)
    await handle.close()
  })

  test('of an open file end when its last descriptor is closed, and not before', async () => {
    const { a, b } = of()
    const { path, handle } = await of().file()
    await a.done('lock', 1, 'ofd', 'write', 0, 0)
    await a.open(3, path, 0)
    await a.done('close', 3)
    await a.done('dup', 1, 2)
    await a.done('close', 1)
    assert.equal(await b.call('lock', 1, 'ofd', 'read', 0, 1), 'EAGAIN')
    await a.done('close', 2)
    await comes(() => b.call('lock', 1, 'ofd', 'write', 0, 0), '')
    await b.done('lock', 1, 'ofd', 'unlock', 0, 0)
    await handle.close()
  })

  test('of every kind end with a process that is killed', async () => {
    const { a, scene } = of()
    const { far, handle } = await of().file()
    const killed = Caller.start(scene.programs)
    await killed.open(1, far, O.RDWR)
    await killed.open(2, far, O.RDWR)
    await killed.done('lock', 1, 'posix', 'write', 0, 10)
    await killed.done('lock', 2, 'ofd', 'write', 10, 10)
    await killed.done('flock', 2, 'write')
    assert.equal(await a.call('lock', 1, 'posix', 'write', 0, 10), 'EAGAIN')
    assert.equal(await a.call('lock', 1, 'posix', 'write', 10, 10), 'EAGAIN')
    assert.equal(await a.call('flock', 1, 'read'), 'EAGAIN')
    await killed.program.kill('SIGKILL')
    await comes(() => a.call('lock', 1, 'posix', 'write', 0, 0), '')
    await comes(() => a.call('flock', 1, 'write'), '')
    await a.done('lock', 1, 'posix', 'unlock', 0, 0)
    await a.done('flock', 1, 'unlock')
    await handle.close()
  })
}

function goOn(of: () => Locking): void {
  test('are not ended by who had some there before, and closes what he had open', async () => {
    const { a, near, b } = of()
    const { path, handle } = await of().file()
    await a.open(2, path, O.RDWR)
    await a.done('lock', 1, 'posix', 'write', 0, 0)
    await a.done('close', 2)
    await near.done('lock', 1, 'posix', 'write', 0, 0)
    await a.done('close', 1)
    for (let i = 0; i < 20; i++) {
      assert.equal(await b.call('lock', 1, 'posix', 'read', 0, 1), 'EAGAIN')
    }
    await near.done('lock', 1, 'posix', 'unlock', 0, 0)
    await handle.close()
  })

  test('outlast a child that ends with what its parent had open and locked before', async () => {
    const { a, b } = of()
    const { path, handle } = await of().file()
    // It has another lock all the time.
    await a.open(4, `${path}.other`)
    await a.done('lock', 4, 'posix', 'write', 0, 0)
    await a.done('lock', 1, 'posix', 'write', 0, 0)
    const child = await a.done('fork')
    await a.done('close', 1)
    await a.open(1, path, O.RDWR)
    await a.done('lock', 1, 'posix', 'write', 0, 0)
    await a.done('reap', child)
    for (let i = 0; i < 20; i++) {
      assert.equal(await b.call('lock', 1, 'posix', 'read', 0, 1), 'EAGAIN')
    }
    await a.done('close', 1)
    await b.done('lock', 1, 'posix', 'write', 0, 0)
    await b.done('lock', 1, 'posix', 'unlock', 0, 0)
    await a.done('close', 4)
    await handle.close()
  })
}

// ---- whole files --------------------------------------------------------------------------------

function wholeFiles(of: () => Locking): void {
  test('of flock(2) exclude each other, and no others', async () => {
    const { a, near, b } = of()
    const { handle } = await of().file()
    await a.done('flock', 1, 'write')
    for (const one of [near, b]) assert.equal(await one.call('flock', 1, 'read'), 'EAGAIN')
    await assert.rejects(handle.flock('shared'), { code: 'EAGAIN' })
    await b.done('lock', 1, 'posix', 'write', 0, 0)
    await b.done('lock', 1, 'posix', 'unlock', 0, 0)
    await a.done('flock', 1, 'read')
    for (const one of [near, b]) await one.done('flock', 1, 'read')
    await handle.flock('shared')
    assert.equal(await a.call('flock', 1, 'write'), 'EAGAIN')
    for (const one of [near, b]) await one.done('flock', 1, 'unlock')
    await handle.flock('unlock')
    await a.done('flock', 1, 'write')
    await a.done('flock', 1, 'unlock')
    await handle.close()
  })

  test('of flock(2) are waited for, or until a signal comes', async () => {
    const { a, b } = of()
    const { handle } = await of().file()
    await a.done('flock', 1, 'write')
    const interrupted = b.call('flock', 1, 'write', 'wait')
    await b.waits()
    process.kill(b.pid, 'SIGUSR1')
    assert.equal(await interrupted, 'EINTR')
    const waiting = b.call('flock', 1, 'write', 'wait')
    await b.waits()
    await a.done('flock', 1, 'unlock')
    assert.equal(await waiting, '')
    await b.done('flock', 1, 'unlock')
    await handle.flock('exclusive')
    await handle.close()
    await a.done('flock', 1, 'write')
    await a.done('flock', 1, 'unlock')
  })

  test('of flock(2) end with the last descriptor, and not with another of the file', async () => {
    const { a, b } = of()
    const { path, handle } = await of().file()
    await a.done('flock', 1, 'write')
    await a.open(3, path, 0)
    await a.done('close', 3)
    await a.done('dup', 1, 2)
    await a.done('close', 1)
    assert.equal(await b.call('flock', 1, 'read'), 'EAGAIN')
    await a.done('close', 2)
    await comes(() => b.call('flock', 1, 'write'), '')
    await b.done('flock', 1, 'unlock')
    await handle.close()
  })
}

test('locks of a mount whose process is killed are gone', { skip }, async () => {
  const all = await Locking.start('within')
  try {
    const { a, b, mount } = all
    const { handle } = await all.file()
    await b.done('lock', 1, 'posix', 'write', 0, 10)
    await b.done('flock', 1, 'write')
    assert.equal(await a.call('lock', 1, 'posix', 'read', 0, 10), 'EAGAIN')
    await mount.kill('SIGKILL')
    await comes(() => a.call('lock', 1, 'posix', 'write', 0, 10), '')
    await comes(() => a.call('flock', 1, 'write'), '')
    assert.equal(await b.call('lock', 1, 'posix', 'write', 20, 10), 'ENOTCONN')
    await handle.close()
  } finally {
    await all.end()
  }
})
