/**
 * A hundred mounts, one after the other: nothing of them stays, neither in who made them, nor in
 * the server, nor in the system.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { O } from '../../src/base/open_flags.js'
import type { FileSystem } from '../../src/base/filesystem.js'
import { connect } from '../../src/client/index.js'
import { createVolume, openVolume } from '../../src/layout/embedded.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { noCompiler } from '../processes/compile.js'
import { processTest, until, type Programs } from '../processes/program.js'
import { Daemon } from '../serve/daemon.js'
import { Caller } from './caller.js'
import { mountHere } from './here.js'
import { run } from './holder.js'
import { inScene, processesOf } from './left.js'
import { cannotMount, isMounted, type MountScene } from './scene.js'

const skip = cannotMount() ?? noCompiler()
const MOUNTS = 100
/** By the command line: each is a process. */
const COMMANDS = Number(process.env['MOUNTS'] ?? 6)
/** What is made once is made by now. */
const SETTLED = 10
/** Programs are in this one as it ends. */
const LEFT_BY_NOBODY = 60
/** That the heap may have grown by meanwhile: half of what the mounts would need for requests. */
const BYTES_MORE = (MOUNTS - SETTLED) << 20

const descriptorsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length

/** Bytes of this process that are no file's: those of exchanges with the kernel are of these. */
function anonymous(): number {
  const maps = readFileSync('/proc/self/maps', 'latin1')
  const sizes = [...maps.matchAll(/^(\w+)-(\w+) \S+ \S+ \S+ 0 *$/gm)]
  return sizes.reduce((sum, [, from, to]) => sum + parseInt(to!, 16) - parseInt(from!, 16), 0)
}

/** Of locks(7) on a file, whoever has them. */
function locksOn(path: string): string[] {
  const { ino } = statSync(path)
  const all = readFileSync('/proc/locks', 'utf8').split('\n')
  return all.filter((line) => line.includes(`:${ino} `))
}

/**
 * The kernel's list of FUSE connections, by numbers of their devices. The next mount of anybody,
 * seen from here or not, may have the number of one that is gone: its inode is another one.
 */
class Connections {
  readonly #directory: string
  readonly #mine = new Set<string>()

  constructor(folder: string) {
    this.#directory = join(folder, 'connections')
    mkdirSync(this.#directory)
    execFileSync('mount', ['-t', 'fusectl', 'holdfast-many', this.#directory])
  }

  #listed(): string[] {
    return readdirSync(this.#directory).flatMap((number) => {
      const found = statSync(join(this.#directory, number), { throwIfNoEntry: false })
      return found === undefined ? [] : [`${number}:${found.ino}`]
    })
  }

  /** Of a mount that is there. */
  note(directory: string): void {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    const [, , device] = lines.find((line) => line.includes(` ${directory} `))!.split(' ')
    const number = device!.split(':')[1]!
    const mine = this.#listed().find((one) => one.startsWith(`${number}:`))
    assert.ok(mine !== undefined, `connection ${number} is not listed`)
    this.#mine.add(mine)
  }

  /** None of those that were noted is there. */
  async assertGone(): Promise<void> {
    const gone = () => this.#listed().every((one) => !this.#mine.has(one))
    await until(gone, 'no connection is left')
  }

  end(): void {
    execFileSync('umount', [this.#directory])
    rmSync(this.#directory, { recursive: true })
  }
}

// ---- in one process ----------------------------------------------------------------------------

const mountAt = (directory: string, fs: FileSystem, i: number) =>
  mountHere(directory, fs, {
    mode: i % 2 === 0 ? 'direct' : 'cache',
    failed: (error) => assert.fail(String(error)),
  })

/** Mounts again and again. `server`: another process that the filesystem is reached through. */
async function mountMany(
  programs: Programs,
  folder: string,
  fs: FileSystem,
  server: number,
): Promise<void> {
  const directory = join(folder, 'mnt')
  mkdirSync(directory)
  const connections = new Connections(folder)
  const caller = Caller.start(programs)
  const pids = [process.pid, server]
  let open = [0, 0]
  let bytes = 0
  try {
    for (let i = 0; i < MOUNTS; i++) {
      const mount = await mountAt(directory, fs, i)
      connections.note(directory)
      await caller.open(1, join(directory, 'f'), O.RDWR | O.CREAT | O.APPEND)
      await caller.done('append', 1, `${i};`)
      const left = i !== LEFT_BY_NOBODY
      if (left) await caller.done('close', 1)
      assert.equal(await mount.leave(), left)
      assert.equal(isMounted(directory), false)
      if (!left) await caller.call('close', 1)
      if (i === SETTLED) [open, bytes] = [pids.map(descriptorsOf), anonymous()]
    }
    const now = () => pids.map(descriptorsOf)
    await until(() => now().every((n, i) => n <= open[i]!), `${open} descriptors, as in the tenth`)
    const more = anonymous() - bytes
    assert.ok(more < BYTES_MORE, `${more} bytes more than after ten mounts`)
    await until(() => processesOf(directory).length === 0, 'no watchdog is left')
    await connections.assertGone()
    await caller.end()
  } finally {
    connections.end()
  }
  await using file = await fs.open('/f', 'r')
  const read = Buffer.alloc(MOUNTS * 4)
  const text = read.toString('latin1', 0, await file.read(read, 0))
  assert.deepEqual(text.split(';').slice(0, -1).map(Number), [...Array(MOUNTS).keys()])
}

function manyTest(
  name: string,
  body: (programs: Programs, folder: string, region: string) => Promise<void>,
): void {
  processTest(name, { skip }, async (programs) => {
    const folder = mkdtempSync('/dev/shm/holdfast-many-')
    const region = join(folder, 'v.hf')
    createVolume(region, 16 << 20)
    try {
      await body(programs, folder, region)
      assert.deepEqual(readdirSync(folder).sort(), ['mnt', 'v.hf'])
      assert.deepEqual(locksOn(region), [])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}

manyTest(
  `${MOUNTS} mounts of one process leave nothing in it`,
  async (programs, folder, region) => {
    const volume = openVolume(region)
    try {
      await mountMany(programs, folder, new VolumeFileSystem(volume), process.pid)
    } finally {
      volume.close()
    }
  },
)

manyTest(
  `${MOUNTS} mounts through a server leave nothing in it`,
  async (programs, folder, region) => {
    const daemon = await Daemon.start(programs, ['--socket', join(folder, 'socket'), region])
    const client = await connect(daemon.ready.socket, { as: 'root' })
    try {
      await mountMany(programs, folder, client, daemon.program.pid)
      assert.equal((await client.holds()).length, 0)
    } finally {
      await client.close()
    }
    await daemon.stop()
  },
)

// ---- processes of their own --------------------------------------------------------------------

for (const way of ['embedded', 'within'] as const) {
  test(`${COMMANDS} mounts by the command line, ${way}, leave nothing`, { skip }, () =>
    inScene(way, '', async (scene) => {
      const temporary = join(scene.folder, 'tmp')
      mkdirSync(temporary)
      const before = process.env['TMPDIR']
      process.env['TMPDIR'] = temporary
      const connections = new Connections(scene.folder)
      try {
        await scene.unmount()
        const files = readdirSync(scene.folder).sort()
        for (let i = 0; i < COMMANDS; i++) {
          await scene.mount(way)
          connections.note(scene.directory)
          if (way === 'embedded' && i % 2 === 0) await umounted(scene)
          else await scene.unmount()
          assert.equal(isMounted(scene.directory), false)
        }
        await until(() => processesOf(scene.folder).length === 0, 'no process is left')
        await connections.assertGone()
        assert.deepEqual(readdirSync(scene.folder).sort(), files)
        assert.deepEqual(readdirSync(temporary), [])
        assert.deepEqual(locksOn(scene.region), [])
        await scene.mount(way)
      } finally {
        if (before === undefined) delete process.env['TMPDIR']
        else process.env['TMPDIR'] = before
        connections.end()
      }
    }),
  )
}

async function umounted(scene: MountScene): Promise<void> {
  assert.equal(await run('umount', scene.directory), 'done')
  assert.deepEqual(await scene.program.ended(), { status: 0, signal: null })
}
