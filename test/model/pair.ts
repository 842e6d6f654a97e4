/** A volume and the model of it, driven by the same operations and compared after each. */
import assert from 'node:assert/strict'
import type { Clock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import type { OpenFlags, Stats } from '../../src/base/filesystem.js'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import type { Region } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import { workMemory, type WorkMemory } from '../../src/volume/mount.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { Volume } from '../../src/volume/volume.js'
import {
  deleteAll,
  outcome,
  sameBytes,
  sameError,
  sameLayout,
  sameStat,
  sameTree,
  type Outcome,
} from './compare.js'
import { Cursor } from './cursor.js'
import { isMore, MoreCalls } from './more_calls.js'
import type { MoreOperation } from './more_operations.js'
import { FilesystemModel, ROOT, type ModelFile, type ModelInode } from './filesystem_model.js'
import { pathOf, toPath, type Operation, type Place } from './operations.js'

export const FIRST_SECOND = 1_700_000_000
/** Metadata that one operation may need beyond its data, in blocks, on a volume of a few MiB. */
const METADATA_BLOCKS = 96

/** A clock that stands still within an operation: every time is known exactly. */
class OperationClock implements Clock {
  seconds = FIRST_SECOND
  nanoseconds = 0
  read(): void {}
}

/** Memory for volumes, one after the other: a mount then costs microseconds. */
export function testMemory(): WorkMemory {
  return workMemory(1024, 512 * 1024)
}

const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

export function patterned(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  new Prng(seed).fill(bytes)
  return bytes
}

/** A region that can be closed and opened again. */
export interface Reopenable {
  readonly current: Region
  reopen(): Region
}

export class Pair {
  readonly model = new FilesystemModel(FIRST_SECOND)
  volume: Volume
  /** Operations done, and those refused for want of space. */
  done = 0
  refused = 0
  readonly #region: Reopenable
  readonly #sync: SyncMode
  readonly #memory: WorkMemory
  readonly #clock = new OperationClock()
  readonly handles = new Map<number, { real: OpenFile; model: ModelFile }>()
  readonly #freeAtFirst: number
  /** Inode and generation of everything that ever was: never given out twice. */
  readonly #identities = new Map<string, ModelInode>()
  #cursor: Cursor | undefined
  readonly #more = new MoreCalls(this)

  constructor(region: Reopenable, sync: SyncMode, memory: WorkMemory) {
    this.#region = region
    this.#sync = sync
    this.#memory = memory
    formatVolume(region.current, { clock: this.#clock })
    this.volume = this.#mount()
    this.#freeAtFirst = this.volume.statfs().blocksFree
  }

  #mount(): Volume {
    return Volume.mount(this.#region.current, {
      sync: this.#sync,
      clock: this.#clock,
      memory: this.#memory,
    })
  }

  step(operation: Operation | MoreOperation): void {
    this.#clock.seconds++
    this.model.now = this.#clock.seconds
    this.done++
    const what = `operation ${this.done} ${JSON.stringify(operation)}`
    this.model.as = ROOT
    if (isMore(operation)) this.#more.run(operation, what)
    else this.#dispatch(operation, what)
    this.#cursor?.observe()
  }

  #dispatch(op: Operation, what: string): void {
    const { volume, model } = this
    switch (op.do) {
      case 'open':
        return this.#open(op.slot, op.place, op.flags, what)
      case 'create':
        this.#open(-1, op.place, 'wx', what)
        return this.close(-1)
      case 'close':
        return this.close(op.slot)
      case 'write':
      case 'read':
      case 'ftruncate':
      case 'fstat':
      case 'fsync':
      case 'extents':
        return this.#onHandle(op, what)
      case 'stat':
        return this.#stat(pathOf(op.place, model), what)
      case 'readFile':
        return this.#readFile(pathOf(op.place, model), what)
      case 'truncate': {
        const path = pathOf(op.place, model)
        const found = outcome(() => model.inode(path))
        const shrinks = 'value' in found && op.size < found.value.content.size
        return this.change(
          shrinks ? -1 : 0,
          what,
          () => volume.truncate(toPath(path), op.size),
          () => model.truncate(path, op.size),
        )
      }
      case 'mkdir':
      case 'rmdir':
      case 'unlink':
        return this.#name(op.do, pathOf(op.place, model), what)
      case 'rename':
      case 'link': {
        const from = pathOf(op.place, model)
        const to = pathOf(op.to, model)
        const call = op.do
        return this.change(
          0,
          what,
          () => volume[call](toPath(from), toPath(to)),
          () => model[call](from, to),
        )
      }
      case 'crowd':
      case 'clear':
        return this.#crowd(op.do, op.place, op.count, what)
      case 'list':
        return this.#list(op.place, op.limit, what)
      case 'listFirst':
        return this.#listFirst(op.place, op.limit)
      case 'listNext':
        return this.#cursor?.next(volume, model, op.limit)
      case 'sync':
        return this.volume.sync()
      case 'remount':
      case 'reopen':
      case 'abandon':
        return this.#again(op.do)
    }
  }

  #name(call: 'mkdir' | 'rmdir' | 'unlink', path: string, what: string): void {
    this.change(
      call === 'mkdir' ? 0 : -1,
      what,
      () => this.volume[call](toPath(path)),
      () => this.model[call](path),
    )
  }

  #listFirst(place: Place, limit: number): void {
    const { volume, model } = this
    const found = outcome(() => model.inode(pathOf(place, model)))
    if ('error' in found || found.value.kind !== 'directory') return
    this.#cursor = new Cursor(found.value)
    this.#cursor.next(volume, model, limit)
  }

  #stat(path: string, what: string): void {
    const real = outcome(() => this.volume.stat(toPath(path)))
    const expected = outcome(() => this.model.inode(path))
    if (!sameError(real, expected, what)) this.checkStat(value(real), value(expected), what)
  }

  #readFile(path: string, what: string): void {
    const real = outcome(() => this.volume.readFile(toPath(path)))
    const expected = outcome(() => this.model.readFile(path))
    if (!sameError(real, expected, what)) sameBytes(value(real), value(expected), what)
  }

  /**
   * A call that changes something, on both sides. What the volume refuses for want of space must
   * not have changed it; `blocks` that the data takes, -1 for what must work on a full volume.
   */
  change<R, M>(blocks: number, what: string, real: () => R, model: () => M): void {
    const got = outcome(real)
    if (this.outOfSpace(got, blocks, what)) return
    sameError(got, outcome(model), what)
  }

  /** Whether so many blocks of data can be had, and the metadata for them. */
  hasRoom(blocks: number): boolean {
    return this.volume.statfs().blocksAvailable >= blocks + METADATA_BLOCKS
  }

  outOfSpace(got: Outcome<unknown>, blocks: number, what: string): boolean {
    if (!('error' in got) || !(got.error instanceof HoldfastError)) return false
    if (got.error.code !== 'ENOSPC') return false
    const { blocksAvailable } = this.volume.statfs()
    const full = blocks >= 0 && blocksAvailable < blocks + METADATA_BLOCKS
    assert(full, `${what}: ${got.error.stack}, with ${blocksAvailable} blocks available`)
    this.refused++
    return true
  }

  #open(slot: number, place: Place, flags: OpenFlags | undefined, what: string): void {
    this.close(slot)
    const path = pathOf(place, this.model)
    const real = outcome(() => this.volume.open(toPath(path), flags))
    if (this.outOfSpace(real, 0, what)) return
    const model = outcome(() => this.model.open(path, flags as OpenFlags))
    if (sameError(real, model, what)) return
    this.handles.set(slot, { real: value(real), model: value(model) })
    this.checkStat(value(real).stat(), value(model).inode, what)
  }

  close(slot: number): void {
    const handle = this.handles.get(slot)
    if (handle === undefined) return
    handle.real.close()
    handle.model.close()
    const closed = outcome(() => handle.real.stat())
    assert('error' in closed && (closed.error as HoldfastError).code === 'EBADF')
    this.handles.delete(slot)
  }

  #onHandle(op: Extract<Operation, { slot: number }>, what: string): void {
    const handle = this.handles.get(op.slot)
    if (handle === undefined) return
    const { real, model } = handle
    if (op.do === 'write') {
      const bytes = patterned(op.length, op.fill)
      const blocks = Math.ceil(op.length / 4096) + 1
      this.change(
        blocks,
        what,
        () => real.write(bytes, op.position),
        () => model.write(bytes, op.position),
      )
    } else if (op.do === 'read') {
      const buffer = new Uint8Array(op.length)
      const got = outcome(() => buffer.subarray(0, real.read(buffer, op.position)))
      const expected = outcome(() => model.read(op.length, op.position))
      if (!sameError(got, expected, what)) sameBytes(value(got), value(expected), what)
    } else if (op.do === 'ftruncate') {
      this.change(
        op.size < model.inode.content.size ? -1 : 0,
        what,
        () => real.truncate(op.size),
        () => model.truncate(op.size),
      )
    } else if (op.do === 'fsync') real.sync()
    else if (op.do === 'extents') sameLayout(real.extents(), model.inode, what)
    this.checkStat(real.stat(), model.inode, what)
  }

  checkStat(real: Stats, inode: ModelInode, what: string): void {
    sameStat(real, inode, what)
    const identity = `${real.ino}:${real.generation}`
    const known = this.#identities.get(identity)
    assert(known === undefined || known === inode, `${what}: inode ${identity} is used again`)
    this.#identities.set(identity, inode)
  }

  /** Many names in one directory, or that many less: trees grow and shrink by levels. */
  #crowd(kind: 'crowd' | 'clear', place: Place, count: number, what: string): void {
    const base = pathOf(place, this.model)
    for (let i = 0; i < count; i++) {
      const path = `${base}/crowd of names, number ${i}`
      const text = `${what} ${i}`
      if (kind === 'crowd') {
        this.#open(-1, { at: 'raw', path }, 'a', text)
        this.close(-1)
      } else {
        this.change(
          -1,
          text,
          () => this.volume.unlink(toPath(path)),
          () => this.model.unlink(path),
        )
      }
      this.done++
    }
  }

  #list(place: Place, limit: number, what: string): void {
    const path = pathOf(place, this.model)
    const real = outcome(() => {
      const names: string[] = []
      for (let cookie = 0; ;) {
        const some = this.volume.readdir(toPath(path), cookie, limit)
        for (const entry of some) names.push(Buffer.from(entry.name).toString('latin1'))
        if (some.length < limit) return names.sort()
        cookie = some[some.length - 1]!.cookie
      }
    })
    const expected = outcome(() => {
      const inode = this.model.inode(path)
      if (inode.kind === 'directory') return [...inode.entries.keys()].sort()
      return undefined
    })
    if ('value' in expected && expected.value === undefined) {
      assert('error' in real && (real.error as HoldfastError).code === 'ENOTDIR', what)
    } else if (!sameError(real, expected, what))
      assert.deepEqual(value(real), value(expected), what)
  }

  /**
   * The volume again: closed and mounted, mapped anew as well, or left as a killed process leaves
   * it.
   */
  #again(how: 'remount' | 'reopen' | 'abandon'): void {
    if (how === 'abandon') {
      for (const { real } of this.handles.values()) real.sync()
      this.volume.sync()
      for (const { model } of this.handles.values()) model.close()
    } else {
      this.volume.close()
      for (const { model } of this.handles.values()) model.close()
      this.#checkMedium(how)
      if (how === 'reopen') this.#region.reopen()
    }
    this.handles.clear()
    this.volume = this.#mount()
    sameTree(this.volume, this.model, how)
  }

  #checkMedium(when: string): void {
    const report = checker.check(this.#region.current)
    assert.equal(report.state, 'clean', `fsck after ${when}:\n${formatReport(report)}`)
  }

  /** At the end: all the same, sound, and when everything is deleted, all blocks are free again. */
  finish(): void {
    for (const slot of [...this.handles.keys()]) this.close(slot)
    sameTree(this.volume, this.model, 'at the end')
    this.volume.close()
    this.#checkMedium('the last operation')
    this.volume = this.#mount()
    sameTree(this.volume, this.model, 'mounted again')
    deleteAll(this.volume)
    this.volume.sync()
    const { blocksFree, files } = this.volume.statfs()
    assert.equal(blocksFree, this.#freeAtFirst, 'free blocks when everything is deleted')
    assert.equal(files, 1, 'inodes when everything is deleted')
    this.volume.close()
    this.#checkMedium('deleting everything')
  }
}

function value<T>(of: Outcome<T>): T {
  assert('value' in of)
  return of.value
}
