/**
 * The processes of `bench -- scale`: one makes a volume of many files, measures it, fills its log
 * and kills itself; others open what it left.
 */
import { closeSync, ftruncateSync, openSync } from 'node:fs'
import { checkVolume } from '../src/check/checker.js'
import { Prng } from '../src/base/prng.js'
import { native } from '../src/native/native.js'
import { openRegion } from '../src/region/file_region.js'
import { heapRegion } from '../src/region/memory_region.js'
import { openVolume } from '../src/layout/embedded.js'
import { formatVolume } from '../src/volume/format.js'
import { Volume } from '../src/volume/volume.js'
import { answer, job, memory, timed, type Memory } from './child.js'
import { fillLog, type FullLog } from './log_fill.js'
import { directoriesOf, pathOf, type Shape } from './scale_tree.js'

export type ScaleJob =
  | { readonly task: 'build'; path: string; bytes: number; shape: Shape; count: number }
  | { readonly task: 'open' | 'check'; path: string; shape: Shape; count: number }

/** Times are nanoseconds an operation. */
export interface Built {
  readonly create: number
  readonly list: number
  readonly stat: number
  readonly remove: number
  readonly before: Memory
  readonly after: Memory
  readonly log: FullLog
  readonly files: number
}

export interface Opened {
  /** Nanoseconds, the region's own mapping included. */
  readonly open: number
  readonly replayed: number
  readonly files: number
  /** The first stat of a file, nanoseconds. */
  readonly firstStat: number
  readonly memory: Memory
}

export interface Checked {
  readonly state: string
  readonly findings: number
  readonly nanoseconds: number
}

/** Operations that a time is the mean of. */
const SAMPLE = 20_000

/** The same operations on a volume in memory, so that the engine has compiled them. */
function warmUp(): void {
  const count = 10_000
  const region = heapRegion(128 * 1024 * 1024)
  formatVolume(region)
  const volume = Volume.mount(region, { sync: 'always' })
  const paths = (i: number) => pathOf('flat', count, i)
  for (const directory of directoriesOf('flat', count)) volume.mkdir(directory)
  makeAll(volume, paths, count)
  removeSome(volume, paths, count)
  listAll(volume, 'flat', count)
  statSome(volume, paths, count)
  volume.close()
  region.close()
}

function build(path: string, bytes: number, shape: Shape, count: number): void {
  warmUp()
  const fd = openSync(path, 'wx', 0o600)
  ftruncateSync(fd, bytes) // sparse: memory only for what the volume touches
  closeSync(fd)
  const region = openRegion(path)
  formatVolume(region)
  const volume = Volume.mount(region, { sync: 'always' })
  const before = memory()
  const paths = (i: number) => pathOf(shape, count, i)
  for (const directory of directoriesOf(shape, count)) volume.mkdir(directory)
  const create = makeAll(volume, paths, count)
  const remove = removeSome(volume, paths, count)
  const list = listAll(volume, shape, count)
  const stat = statSome(volume, paths, count)
  const after = memory()
  const log = fillLog(volume, paths, count)
  const { files } = volume.statfs()
  answer({ create, list, stat, remove, before, after, log, files } satisfies Built)
  process.kill(process.pid, 'SIGKILL')
}

/** Makes every file: the time of one, of the last tenth but at least `SAMPLE` of them. */
function makeAll(volume: Volume, paths: (i: number) => string, count: number): number {
  const last = Math.max(0, Math.min(count * 0.9, count - SAMPLE))
  const names = Array.from({ length: count - last }, (_, i) => paths(last + i))
  for (let i = 0; i < last; i++) volume.open(paths(i), 'wx').close()
  const ns = timed(() => {
    for (const name of names) volume.open(name, 'wx').close()
  })
  return ns / names.length
}

/** Files spread evenly over all. */
function sample(paths: (i: number) => string, count: number, most: number): string[] {
  const prng = new Prng(7)
  const size = Math.min(count, most)
  const each = Math.floor(count / size)
  return Array.from({ length: size }, (_, i) => paths(i * each + prng.below(each)))
}

function removeSome(volume: Volume, paths: (i: number) => string, count: number): number {
  const names = sample(paths, count, SAMPLE)
  const ns = timed(() => {
    for (const name of names) volume.unlink(name)
  })
  for (const name of names) volume.open(name, 'wx').close()
  return ns / names.length
}

/** Reads every directory: nanoseconds a name. */
function listAll(volume: Volume, shape: Shape, count: number): number {
  const directories = ['/', ...directoriesOf(shape, count)]
  let names = 0
  const list = () => {
    names = 0
    for (const path of directories) {
      for (let cookie = 0; ;) {
        const some = volume.readdir(path, cookie, 1024)
        names += some.length
        if (some.length < 1024) break
        cookie = some[some.length - 1]!.cookie
      }
    }
  }
  const ns = timed(list)
  if (names !== count + directories.length - 1) throw new Error(`${names} names of ${count} files`)
  return ns / names
}

function statSome(volume: Volume, paths: (i: number) => string, count: number): number {
  const names = sample(paths, count, 5 * SAMPLE)
  let size = 0
  const ns = timed(() => {
    for (const name of names) size += volume.stat(name).size
  })
  if (size !== 0) throw new Error('the files are empty')
  return ns / names.length
}

function open(path: string, shape: Shape, count: number): void {
  // Opening is what is timed: its code as a new process has it, compiled by nobody yet.
  let volume: Volume
  const openTime = timed(() => (volume = openVolume(path)))
  const firstStat = timed(() => volume.stat(pathOf(shape, count, 0).replace(/\/[^/]*$/, '')))
  const { replayed } = volume!
  const { files } = volume!.statfs()
  answer({ open: openTime, replayed, files, firstStat, memory: memory() } satisfies Opened)
  volume!.close()
}

function check(path: string): void {
  const region = openRegion(path)
  let report
  const nanoseconds = timed(() => {
    report = checkVolume(region, { crc32cOf: native.crc32cOf })
  })
  const { state, findingsTotal } = report as unknown as ReturnType<typeof checkVolume>
  answer({ state, findings: findingsTotal, nanoseconds } satisfies Checked)
  region.close()
}

const work = job() as ScaleJob
if (work.task === 'build') build(work.path, work.bytes, work.shape, work.count)
else if (work.task === 'open') open(work.path, work.shape, work.count)
else check(work.path)
