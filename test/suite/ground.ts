/**
 * What the filesystem suite stands on: a FileSystem over each kind of region, that can be closed
 * and opened again, and is checked by fsck when a case is over.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import type { FileSystem, Path } from '../../src/base/filesystem.js'
import { Prng } from '../../src/base/prng.js'
import { checkVolume } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import { memfdRegion, openRegion } from '../../src/region/file_region.js'
import { heapRegion } from '../../src/region/memory_region.js'
import type { Region } from '../../src/region/region.js'
import { createVolume, openVolume } from '../../src/layout/embedded.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { formatVolume } from '../../src/volume/format.js'
import type { SyncMode } from '../../src/volume/transaction.js'

export const MIB = 1 << 20
export const SEED = Number(process.env['SEED'] ?? 1)

/** One volume, as a case sees it. */
export interface Ground {
  /** The filesystem; another one after `remount`. */
  fs: FileSystem
  /** Closes the volume and opens it again, for reading only where that is asked for. */
  remount(readOnly?: boolean): Promise<void>
  /** Each operation waits for a disk: do fewer of them. */
  readonly slow: boolean
  /** Bytes are reached under leases: metadata for those is kept back, and reads move no atime. */
  readonly lends: boolean
  readonly random: Prng
}

export interface Case {
  readonly name: string
  readonly bytes?: number
  run(ground: Ground): Promise<void>
}

/** A kind of region to run on. */
export interface Setup {
  readonly name: string
  readonly slow?: boolean
  readonly lends?: boolean
  /** Prepares it once; a sentence when its needs are not met here. */
  prepare?(): string | null
  finish?(): void
  make(bytes: number): Store
}

/** A region with a volume in it, not open. */
interface Store {
  open(readOnly?: boolean): FileSystem | Promise<FileSystem>
  /** The region, for fsck. */
  look(use: (region: Region) => void): void
  remove(): void
}

function memoryStore(region: Region): Store {
  formatVolume(region, { label: 'suite' })
  return {
    open: (readOnly = false) => new VolumeFileSystem(LayoutVolume.mount(region, { readOnly })),
    look: (use) => use(region),
    remove: () => region.close(),
  }
}

/** A volume at a path; `remove` takes away what was made for it. */
function volumeStore(path: string, bytes: number, remove: () => void, sync?: SyncMode): Store {
  // On a device the case before has left its volume.
  createVolume(path, bytes, { label: 'suite', force: true })
  return {
    open: (readOnly = false) =>
      new VolumeFileSystem(
        openVolume(path, sync === undefined ? { readOnly } : { sync, readOnly }),
      ),
    look: (use) => {
      const region = openRegion(path)
      try {
        use(region)
      } finally {
        region.close()
      }
    },
    remove,
  }
}

/** `parent`: the directory in which a temporary one is made. */
function pathStore(parent: string, bytes: number, sync?: SyncMode): Store {
  const directory = mkdtempSync(join(parent, 'holdfast-suite-'))
  const remove = () => rmSync(directory, { recursive: true })
  return volumeStore(join(directory, 'volume.hf'), bytes, remove, sync)
}

/** A device-DAX node: cases use as much of it as they want, from its beginning. */
export function devdax(node: string): Setup {
  return { name: 'devdax', slow: true, make: (bytes) => volumeStore(node, bytes, () => {}) }
}

/** Files in a directory, whatever filesystem it is on. */
export function filesIn(name: string, directory: string): Setup {
  return { name, slow: true, make: (bytes) => pathStore(directory, bytes) }
}

export const heap: Setup = { name: 'heap', make: (bytes) => memoryStore(heapRegion(bytes)) }

export const memfd: Setup = { name: 'memfd', make: (bytes) => memoryStore(memfdRegion(bytes)) }

export const tmpfs: Setup = {
  name: 'tmpfs',
  prepare: () => (existsSync('/dev/shm') ? null : 'no /dev/shm'),
  make: (bytes) => pathStore('/dev/shm', bytes),
}

/** On whatever os.tmpdir() is on; where that is a tmpfs, the directory of the project. */
function diskDirectory(): string {
  const types = execFileSync('stat', ['-f', '-c', '%T', tmpdir()], { encoding: 'utf8' })
  return types.trim() === 'tmpfs' ? process.cwd() : tmpdir()
}

export const fileGroup: Setup = {
  name: 'ordinary file, sync=group',
  make: (bytes) => pathStore(diskDirectory(), bytes, 'group'),
}

export const fileAlways: Setup = {
  name: 'ordinary file, sync=always',
  slow: true,
  make: (bytes) => pathStore(diskDirectory(), bytes, 'always'),
}

const HUGE_BYTES = 128 * MIB

/** A hugetlbfs of its own, mounted for the suite; huge pages are asked for and given back. */
class HugeMount {
  #directory = ''
  #added = 0

  prepare(): string | null {
    if (process.getuid?.() !== 0) return 'only root can mount a hugetlbfs'
    if (!existsSync('/proc/sys/vm/nr_hugepages')) return 'the kernel has no huge pages'
    const meminfo = readFileSync('/proc/meminfo', 'utf8')
    const field = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1])
    const wanted = Math.ceil(HUGE_BYTES / (field('Hugepagesize') * 1024))
    const before = field('HugePages_Total')
    try {
      this.#directory = mkdtempSync(join(tmpdir(), 'holdfast-huge-'))
      this.#setPages(before + wanted)
      this.#added = this.#pages() - before
      if (this.#added < wanted)
        return this.#giveUp(`${wanted} huge pages wanted, ${this.#added} had`)
      execFileSync('mount', ['-t', 'hugetlbfs', 'none', this.#directory], { stdio: 'pipe' })
      return null
    } catch (error) {
      return this.#giveUp(`huge pages: ${String((error as Error).message).split('\n')[0]!}`)
    }
  }

  get directory(): string {
    return this.#directory
  }

  finish(): void {
    execFileSync('umount', [this.#directory])
    this.#giveUp('')
  }

  #giveUp(why: string): string {
    if (this.#added > 0) this.#setPages(this.#pages() - this.#added)
    this.#added = 0
    if (this.#directory !== '') rmSync(this.#directory, { recursive: true, force: true })
    return why
  }

  #pages(): number {
    return Number(readFileSync('/proc/sys/vm/nr_hugepages', 'utf8'))
  }

  #setPages(pages: number): void {
    writeFileSync('/proc/sys/vm/nr_hugepages', String(pages))
  }
}

const huge = new HugeMount()

export const hugetlbfs: Setup = {
  name: 'hugetlbfs',
  prepare: () => huge.prepare(),
  finish: () => huge.finish(),
  make: (bytes) => pathStore(huge.directory, bytes),
}

/** Registers every case on every setup. */
export function runSuite(setups: readonly Setup[], cases: readonly Case[]): void {
  for (const setup of setups) {
    const missing = setup.prepare?.() ?? null
    if (missing !== null) {
      console.log(`SKIPPED filesystem suite on ${setup.name}: ${missing}`)
      test(`filesystem on ${setup.name}`, { skip: missing }, () => {})
      continue
    }
    describe(`filesystem on ${setup.name}`, () => {
      after(() => setup.finish?.())
      for (const one of cases) test(one.name, () => runCase(setup, one))
    })
  }
}

/** One case on a volume of its own; it rejects when the case fails. */
export async function runCase(setup: Setup, one: Case): Promise<void> {
  const store = setup.make(one.bytes ?? 16 * MIB)
  try {
    const ground: Ground = {
      fs: await store.open(),
      slow: setup.slow ?? false,
      lends: setup.lends ?? false,
      random: new Prng(SEED),
      async remount(readOnly = false) {
        await ground.fs.close()
        ground.fs = await store.open(readOnly)
      },
    }
    try {
      await one.run(ground)
    } finally {
      await ground.fs.close()
    }
    store.look((region) => {
      const report = checkVolume(region, { crc32cOf: native.crc32cOf })
      assert.equal(report.state, 'clean', formatReport(report))
    })
  } catch (error) {
    console.log(`SEED=${SEED} repeats it`)
    throw error
  } finally {
    store.remove()
  }
}

/** The call fails with exactly this code. */
export async function fails(code: string, call: Promise<unknown>, what = ''): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    assert.equal(error.code, code, `${what} ${error.message}`)
    assert.ok(error.errno < 0 && error.message.startsWith(`${code}: `))
    return
  }
  assert.fail(`${what} was done, expected ${code}`)
}

export async function write(
  fs: FileSystem,
  path: Path,
  content: Uint8Array | string,
): Promise<void> {
  const file = await fs.open(path, 'w')
  await file.write(typeof content === 'string' ? Buffer.from(content) : content)
  await file.close()
}

export async function read(fs: FileSystem, path: Path): Promise<Buffer> {
  const file = await fs.open(path)
  const bytes = Buffer.alloc((await file.stat()).size)
  const n = await file.read(bytes, 0)
  await file.close()
  assert.equal(n, bytes.length)
  return bytes
}

/** The names of a directory as latin1 strings, sorted: one character a byte. */
export async function names(fs: FileSystem, path: Path): Promise<string[]> {
  const entries = await fs.readdir(path)
  return entries.map(({ name }) => Buffer.from(name).toString('latin1')).sort()
}

export function seeded(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  new Prng(seed).fill(bytes)
  return bytes
}

/** Bytes compared with a message that says where they differ. */
export function sameBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(found, expected) === 0) return
  const at = found.findIndex((byte, i) => byte !== expected[i])
  assert.fail(
    `${what}: ${found.length} bytes, expected ${expected.length}; they differ at ${at}: ` +
      `found ${found[at]}, expected ${expected[at]}`,
  )
}
