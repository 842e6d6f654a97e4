/**
 * Programs of calls on two files, holds on them and accesses through sources, beside a model: the
 * bytes of each file, and of each block that left one under a hold.
 *
 * Bytes say whose they are: those of a third file have the high bit, and no source and neither of
 * the two files ever shows one.
 */
import assert from 'node:assert/strict'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { Hold } from '../../src/layout/hold.js'
import type { Session } from '../../src/layout/session.js'
import { Fault } from '../../src/rdma/source.js'
import type { FileSource } from '../../src/serve/file_source.js'
import { HeldSource } from '../../src/serve/held_source.js'
import { Ground } from '../layout/ground.js'
import { outcomeOf } from '../layout/timers.js'
import { fetch, followed, store } from './sources.js'

/** Blocks that a file has at most: it gets none ahead of its end. */
export const BLOCKS = 12

/** One step: what, of which file or hold, and three numbers that are taken modulo what there is. */
export interface Step {
  readonly what: (typeof STEPS)[number]
  readonly which: number
  readonly a: number
  readonly b: number
  readonly c: number
}

export const STEPS = [
  'write',
  'truncate',
  'punch',
  'reflink',
  'move',
  'stranger',
  'pin',
  'readLease',
  'rwLease',
  'return',
  'returnUntold',
  'release',
  'commit',
  'persist',
  'peerWrite',
  'peerWriteHeld',
  'recall',
] as const

interface File {
  readonly path: string
  readonly handle: LayoutFile
  readonly source: FileSource
  readonly refused: HoldfastError[]
  model: Buffer
}

interface Held {
  readonly file: File
  readonly hold: Hold
  readonly source: HeldSource
  /** Region block of each file block that it covered when it was granted; 0: a hole. */
  readonly places: ReadonlyMap<number, number>
  /** Blocks that it gave back and told the source so. */
  readonly dropped: Set<number>
  /** What blocks have that left the file. */
  readonly deferred: Map<number, Buffer>
  readonly answers: boolean
}

export class Program extends Ground {
  readonly #files: readonly File[]
  readonly #third: Session
  #held: Held[] = []
  #stamp = 0

  constructor() {
    super({ bytes: 1 << 20 })
    this.#third = this.volume.session({ name: 'third' })
    this.#files = ['/f', '/g'].map((path, i) => {
      this.volume.writeFile(path, new Uint8Array(0))
      // One whose accesses are of who holds, too: what it lent to itself goes without a word.
      const session = i === 0 ? this.other : this.#third
      const handle = this.volume.openAs(session, path, 'r+')
      const refused: HoldfastError[] = []
      const source = followed(this.volume, handle, BLOCKS * B, refused)
      return { path, handle, source, refused, model: Buffer.alloc(0) }
    })
    this.volume.writeFile('/stranger', this.#strange(4 * B))
    for (const file of this.#files) this.#write(file, 0, 4 * B)
  }

  override close(): void {
    for (const { source } of this.#files) source.close()
    super.close()
  }

  // ---- bytes -----------------------------------------------------------------------------------

  /** Never zero, never twice the same, never a stranger's. */
  #bytes(length: number): Buffer {
    const stamp = ++this.#stamp
    return Buffer.from(Uint8Array.from({ length }, (_, i) => 1 + ((stamp * 31 + i) % 127)))
  }

  #strange(length: number): Buffer {
    const stamp = ++this.#stamp
    return Buffer.from(Uint8Array.from({ length }, (_, i) => 0x80 | ((stamp + i) & 0x7f)))
  }

  /** The model gets another size; up to `to`, what a holder had stored past the end may show. */
  #resize(file: File, size: number, to = size): void {
    const next = Buffer.alloc(size)
    file.model.copy(next)
    const old = file.model.length
    file.model = next
    if (to <= old) return
    file.handle.read(next.subarray(old, to), old)
    for (let at = old; at < to; at++) {
      const block = Math.floor(at / B)
      const held = this.#held.some(
        (one) => one.file === file && this.#covers(one, block) === 'file',
      )
      assert.ok(
        held || next[at] === 0,
        `${file.path}: byte ${at} behind the old end is ${next[at]}`,
      )
      assert.ok(next[at]! < 0x80, `${file.path}: byte ${at} is a stranger's`)
    }
  }

  // ---- what a hold covers, as the volume says --------------------------------------------------

  #covers({ hold, places, dropped }: Held, block: number): 'file' | 'deferred' | 'no' {
    const place = places.get(block)
    if (place === undefined || dropped.has(block) || hold.released) return 'no'
    const within = hold
      .info()
      .ranges.some(({ offset, length }) => block * B >= offset && block * B < offset + length)
    if (within) return 'file'
    const left = hold
      .runs()
      .some(
        ({ offset, regionOffset, length }) =>
          offset === null && place * B >= regionOffset && place * B < regionOffset + length,
      )
    return left && place !== 0 ? 'deferred' : 'no'
  }

  // ---- steps -----------------------------------------------------------------------------------

  async run({ what, which, a, b, c }: Step): Promise<void> {
    const file = this.#files[which % 2]!
    const size = file.model.length
    const offset = a % (size + 1)
    const length = Math.min(b % (3 * B), BLOCKS * B - offset)
    const held = this.#held[which % Math.max(1, this.#held.length)]
    const from = a % BLOCKS
    const to = Math.min(BLOCKS, from + 1 + (b % 5))
    if (what === 'write') this.#write(file, offset, length)
    else if (what === 'truncate') this.#truncate(file, a % (BLOCKS * B), c)
    else if (what === 'punch') this.#punch(file, offset, length, c)
    else if (what === 'reflink') this.#reflink(which % 2, from, b % BLOCKS, 1 + (c % 3))
    else if (what === 'move') this.#move(file, from)
    else if (what === 'stranger') this.volume.writeFile('/stranger', this.#strange((a % 40) * B))
    else if (what === 'pin' || what === 'readLease' || what === 'rwLease') {
      this.#take(file, what, from, to, c % 2 === 0)
    } else if (what === 'peerWrite') this.#peerWrites(file, offset, length)
    else if (what === 'persist') await file.source.persist()
    else if (what === 'recall') await this.#recall(file, a % (BLOCKS * B))
    else if (held !== undefined) await this.#ofHold(what, held, from, to, a, length)
    this.#check()
  }

  async #ofHold(
    what: Step['what'],
    held: Held,
    from: number,
    to: number,
    a: number,
    length: number,
  ): Promise<void> {
    if (what === 'release') held.hold.release()
    else if (what === 'return' || what === 'returnUntold') {
      this.#giveBack(held, from * B, (to - from) * B, what === 'return')
    } else if (what === 'peerWriteHeld') this.#peerWritesHeld(held, a % (BLOCKS * B), length)
    else if (what === 'commit') await this.#commit(held, a % (BLOCKS * B))
  }

  /** Runs a call; false: a hold was in its way, or there was no room, and nothing has changed. */
  #done(run: () => unknown): boolean {
    this.#watchDeferred()
    try {
      run()
      return true
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      assert.ok(
        ['EBUSY', 'ENOSPC', 'ESTALE', 'EINVAL', 'EACCES'].includes(error.code),
        error.message,
      )
      return false
    }
  }

  /** What is about to leave a file has what the file has. */
  #watchDeferred(): void {
    for (const held of this.#held) {
      for (const block of held.places.keys()) {
        if (this.#covers(held, block) !== 'file') continue
        const place = held.places.get(block)!
        held.deferred.set(block, place === 0 ? Buffer.alloc(B) : Buffer.from(this.bytesAt(place)))
      }
    }
  }

  #write(file: File, offset: number, length: number): void {
    const bytes = this.#bytes(length)
    if (length === 0 || !this.#done(() => file.handle.write(bytes, offset))) return
    if (offset + length > file.model.length) this.#resize(file, offset + length, offset)
    bytes.copy(file.model, offset)
  }

  #truncate(file: File, size: number, c: number): void {
    const policy = c % 2 === 0 ? 'defer' : 'busy'
    if (this.#done(() => file.handle.truncate(size, { policy }))) this.#resize(file, size)
  }

  #punch(file: File, offset: number, length: number, c: number): void {
    const policy = c % 2 === 0 ? 'defer' : 'busy'
    if (length === 0) return
    if (this.#done(() => file.handle.punch(offset, length, { policy }))) {
      file.model.fill(0, offset, Math.min(file.model.length, offset + length))
    }
  }

  #reflink(which: number, from: number, to: number, count: number): void {
    const [source, target] = [this.#files[which]!, this.#files[1 - which]!]
    const most = Math.floor(source.model.length / B) - from
    const blocks = Math.min(count, most, BLOCKS - to)
    if (blocks <= 0 || to * B > target.model.length) return
    const share = () =>
      source.handle.reflinkRange(from * B, target.handle, to * B, blocks * B, {
        policy: 'defer',
        share: 'copy',
      })
    if (!this.#done(share)) return
    if ((to + blocks) * B > target.model.length) this.#resize(target, (to + blocks) * B, to * B)
    source.model.copy(target.model, to * B, from * B, (from + blocks) * B)
  }

  #move(file: File, block: number): void {
    const place = this.place(file.path, block)
    if (place === null) return
    this.#done(() => {
      for (const step of this.volume.evacuate(place * B, (place + 1) * B)) void step
    })
  }

  #take(file: File, what: string, from: number, to: number, answers: boolean): void {
    if (this.#held.length > 5) return
    const range = { offset: from * B, length: (to - from) * B }
    const leased = {
      ...range,
      iomode: what === 'rwLease' ? ('rw' as const) : ('read' as const),
      onRecall: (_id: number, { offset, length }: { offset: number; length: number }) => {
        const held = this.#held.find((one) => one.hold === taken)
        if (answers && held !== undefined) this.#giveBack(held, offset, length, true)
      },
      revoke: () => {},
    }
    let taken: Hold | undefined
    const take = () => {
      using handle = this.volume.openAs(this.other, file.path, 'r+')
      taken = what === 'pin' ? handle.pin(range) : handle.lease(leased)
    }
    if (!this.#done(take) || taken === undefined) return
    const places = new Map<number, number>()
    for (let block = from; block < to; block++) places.set(block, this.place(file.path, block) ?? 0)
    const source = new HeldSource(this.volume, taken)
    const state = { dropped: new Set<number>(), deferred: new Map<number, Buffer>(), answers }
    this.#held.push({ file, hold: taken, source, places, ...state })
  }

  #giveBack(held: Held, offset: number, length: number, told: boolean): void {
    if (held.hold.released) return
    if (told) {
      held.source.dropped(offset, length)
      const end = Math.ceil((offset + length) / B)
      for (let block = Math.floor(offset / B); block < end; block++) held.dropped.add(block)
    }
    held.hold.returnRange(offset, length)
  }

  async #commit(held: Held, size: number): Promise<void> {
    await held.source.persist()
    assert.equal(held.source.dirty, false)
    const { file } = held
    const larger = size > file.model.length
    if (this.#done(() => held.hold.commit(size)) && larger) this.#resize(file, size)
  }

  /** A change that asks leases back; some do not answer, and are cut off. */
  async #recall(file: File, size: number): Promise<void> {
    this.#watchDeferred()
    const change = outcomeOf(this.volume.promises.truncate(file.path, size, { policy: 'defer' }))
    await this.timers.pass(0)
    if (!change.settled) {
      this.#check()
      await this.timers.pass(6000)
    }
    assert.ok(change.settled, 'a change waits for no more than a deadline')
    if (change.error === undefined) this.#resize(file, size)
    else assert.ok(change.error instanceof HoldfastError, String(change.error))
  }

  #peerWrites(file: File, offset: number, length: number): void {
    const bytes = this.#bytes(length)
    if (length === 0) return
    file.refused.length = 0
    const wanted = offset + length > file.model.length ? Fault.bounds : Fault.none
    const fault = store(file.source, offset, bytes)
    if (fault === Fault.failed) {
      const [why] = file.refused
      assert.ok(why?.code === 'ENOSPC' || (why?.holds?.length ?? 0) > 0, String(why))
      return
    }
    assert.equal(fault, wanted)
    if (fault === Fault.none) bytes.copy(file.model, offset)
  }

  #peerWritesHeld(held: Held, offset: number, length: number): void {
    const bytes = this.#bytes(length)
    if (length === 0) return
    const [first, end] = [Math.floor(offset / B), Math.ceil((offset + length) / B)]
    const where = Array.from({ length: end - first }, (_, i) => this.#covers(held, first + i))
    const fault = store(held.source, offset, bytes)
    if (held.hold.iomode === 'read' && offset + length <= held.source.length) {
      return assert.equal(fault, Fault.rights)
    }
    assert.equal(fault, where.includes('no') ? Fault.bounds : Fault.none)
    if (fault !== Fault.none) return
    for (let i = 0; i < length; i++) this.#put(held, offset + i, bytes[i]!)
  }

  /** One byte of the model, of all who have that block. */
  #put(held: Held, at: number, byte: number): void {
    const block = Math.floor(at / B)
    if (this.#covers(held, block) === 'file') {
      if (at < held.file.model.length) held.file.model[at] = byte
      return
    }
    for (const one of this.#held) {
      const same = one.places.get(block) === held.places.get(block) && one.file === held.file
      if (same) one.deferred.get(block)?.writeUInt8(byte, at % B)
    }
  }

  // ---- what is to be so after each step --------------------------------------------------------

  #check(): void {
    this.#held = this.#held.filter(({ hold, source }) => {
      if (!hold.released) return true
      assert.equal(fetch(source, 0, 1), Fault.bounds, 'of a hold that has ended')
      return false
    })
    for (const file of this.#files) {
      const { model, path, source } = file
      same(this.volume.readFile(path), model, path)
      same(fetch(source, 0, model.length), model, `${path}, as a peer reads it`)
      if (model.length < BLOCKS * B) {
        assert.equal(fetch(source, Math.max(0, model.length - 1), 2), Fault.bounds)
      }
    }
    for (const held of this.#held) {
      for (let block = 0; block < BLOCKS; block++) this.#checkBlock(held, block)
    }
  }

  #checkBlock(held: Held, block: number): void {
    const what = `${held.hold.kind} ${held.hold.iomode ?? ''} of ${held.file.path}, block ${block}`
    const covered = this.#covers(held, block)
    const got = fetch(held.source, block * B, B)
    if (covered === 'no') return assert.equal(got, Fault.bounds, what)
    assert.ok(typeof got !== 'number', `${what}: fault ${String(got)}`)
    const { model } = held.file
    const there = Math.max(0, Math.min(B, model.length - block * B))
    const wanted =
      covered === 'file' ? model.subarray(block * B, block * B + there) : held.deferred.get(block)!
    same(got.subarray(0, wanted.length), wanted, `${what}, ${covered}`)
    assert.ok(
      got.every((byte) => byte < 0x80),
      `${what}: a stranger's bytes`,
    )
  }

  /** After the last step. */
  finish(): void {
    for (const { hold } of this.#held) hold.release()
    this.#check()
    this.assertClean('at the end')
  }
}

function same(got: Buffer | Uint8Array | Fault, wanted: Buffer, what: string): void {
  assert.ok(typeof got !== 'number', `${what}: fault ${String(got)}`)
  if (Buffer.compare(got, wanted) === 0) return
  assert.equal(got.length, wanted.length, `${what}: bytes`)
  const at = got.findIndex((byte, i) => byte !== wanted[i])
  assert.fail(`${what}: byte ${at} is ${got[at]}, expected ${wanted[at]}`)
}
