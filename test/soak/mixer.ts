/**
 * Operations of every kind at random over a few hundred names, for as long as one likes. What a
 * write stored is read back at once and compared; an operation may fail as Linux has it, never with
 * EIO or EUCLEAN, or in a way that is not an error of ours.
 */
import assert from 'node:assert/strict'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { Mode } from '../../src/base/mode.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import type { Volume } from '../../src/volume/volume.js'

const NAMES = 60
const DIRECTORIES = 12
const HANDLES = 16
const WRITE_BYTES_MAX = 256 * 1024
const FILE_BYTES_MAX = 4 * 1024 * 1024
const BLOCK = 4096

/** What a damaged volume, or a wrong program, answers. */
const NEVER = new Set(['EIO', 'EUCLEAN'])

export class Mixer {
  /** By kind: done, and refused. */
  readonly counts = new Map<string, { done: number; refused: number }>()
  #volume: Volume
  readonly #prng: Prng
  readonly #handles: OpenFile[] = []
  readonly #source = new Uint8Array(WRITE_BYTES_MAX)
  readonly #target = new Uint8Array(WRITE_BYTES_MAX)
  readonly #steps: ReadonlyArray<readonly [name: string, weight: number, step: () => void]>
  readonly #weights: number

  constructor(volume: Volume, seed: number) {
    this.#volume = volume
    this.#prng = new Prng(seed)
    this.#prng.fill(this.#source)
    this.#steps = [...this.#nameSteps(), ...this.#attributeSteps(), ...this.#handleSteps()]
    this.#weights = this.#steps.reduce((sum, [, weight]) => sum + weight, 0)
    for (const name of this.#directories()) if (name !== '') volume.mkdir(name)
  }

  /** Goes on with the same volume, opened again; handles are gone. */
  reopened(volume: Volume): void {
    this.#volume = volume
    this.#handles.length = 0
  }

  run(operations: number): void {
    for (let i = 0; i < operations; i++) this.#one()
  }

  #one(): void {
    let pick = this.#prng.below(this.#weights)
    const [name, , step] = this.#steps.find(([, weight]) => (pick -= weight) < 0)!
    let count = this.counts.get(name)
    if (count === undefined) this.counts.set(name, (count = { done: 0, refused: 0 }))
    try {
      step()
      count.done++
    } catch (error) {
      if (!(error instanceof HoldfastError) || NEVER.has(error.code)) throw error
      count.refused++
    }
  }

  #directories(): string[] {
    const nested = (i: number) => (i % 3 === 2 ? `/d${i - 1}/d${i}` : `/d${i}`)
    return ['', ...Array.from({ length: DIRECTORIES }, (_, i) => nested(i))]
  }

  #path(): string {
    return `${this.#prng.pick(this.#directories())}/n${this.#prng.below(NAMES)}`
  }

  #handle(): OpenFile {
    if (this.#handles.length === 0) this.#open()
    return this.#prng.pick(this.#handles)
  }

  #open(): void {
    if (this.#handles.length >= HANDLES) {
      const index = this.#prng.below(this.#handles.length)
      this.#handles.splice(index, 1)[0]!.close()
    }
    const create = this.#prng.chance(2, 3)
    this.#handles.push(this.#volume.open(this.#path(), create ? 'a+' : 'r+'))
  }

  #nameSteps(): Array<readonly [string, number, () => void]> {
    const v = () => this.#volume
    const chance = () => this.#prng.chance(1, 2)
    return [
      ['create', 10, () => v().open(this.#path(), 'wx').close()],
      ['write a file', 10, () => v().writeFile(this.#path(), this.#bytes())],
      ['read a file', 10, () => void v().readFile(this.#path())],
      ['unlink', 12, () => v().unlink(this.#path())],
      ['mkdir', 2, () => v().mkdir(this.#path())],
      ['rmdir', 2, () => v().rmdir(this.#path())],
      ['rename', 6, () => v().rename(this.#path(), this.#path())],
      ['exchange', 2, () => v().rename(this.#path(), this.#path(), { exchange: true })],
      ['link', 4, () => v().link(this.#path(), this.#path())],
      ['symlink', 3, () => v().symlink(chance() ? '../n1' : 'x'.repeat(900), this.#path())],
      ['readlink', 2, () => void v().readlink(this.#path())],
      ['mknod', 1, () => v().mknod(this.#path(), Mode.fifo | 0o644)],
      ['stat', 10, () => void v().stat(this.#path())],
      ['readdir', 1, () => void v().readdir(this.#prng.pick(this.#directories()) || '/')],
      ['truncate', 4, () => v().truncate(this.#path(), this.#prng.below(FILE_BYTES_MAX))],
      ['clone a file', 4, () => v().reflink(this.#path(), this.#path())],
      ['statfs', 1, () => void v().statfs()],
    ]
  }

  #attributeSteps(): Array<readonly [string, number, () => void]> {
    const v = () => this.#volume
    const name = () => `user.x${this.#prng.below(3)}`
    const value = () => this.#source.subarray(0, this.#prng.below(3000))
    return [
      ['chmod', 2, () => v().chmod(this.#path(), this.#prng.below(0o10000))],
      ['chown', 2, () => v().chown(this.#path(), this.#prng.below(9), this.#prng.below(9))],
      ['set xattr', 4, () => v().setXattr(this.#path(), name(), value())],
      ['get xattr', 3, () => void v().getXattr(this.#path(), name())],
      ['remove xattr', 3, () => v().removeXattr(this.#path(), name())],
      ['list xattrs', 2, () => void v().listXattrs(this.#path())],
    ]
  }

  #handleSteps(): Array<readonly [string, number, () => void]> {
    const prng = this.#prng
    const at = () => prng.below(FILE_BYTES_MAX)
    const block = () => BLOCK * prng.below(FILE_BYTES_MAX / BLOCK / 2)
    const few = () => BLOCK * (1 + prng.below(32))
    return [
      ['open', 6, () => this.#open()],
      ['write', 16, () => this.#write()],
      ['read', 8, () => void this.#handle().read(this.#target, at())],
      ['ftruncate', 2, () => this.#handle().truncate(at())],
      ['allocate', 2, () => this.#allocate()],
      ['punch', 4, () => this.#handle().punch(at(), few())],
      ['zero', 2, () => this.#handle().zeroRange(at(), few())],
      ['collapse', 2, () => this.#handle().collapse(block(), few())],
      ['insert', 2, () => this.#handle().insert(block(), few())],
      ['copy', 2, () => void this.#handle().copyRange(at(), this.#handle(), at(), few())],
      [
        'copy blocks',
        2,
        () => void this.#handle().copyRange(block(), this.#handle(), block(), few()),
      ],
      [
        'clone a range',
        3,
        () => this.#handle().reflinkRange(block(), this.#handle(), block(), few()),
      ],
      ['clone over', 1, () => this.#handle().reflinkAll(this.#handle())],
      ['seek', 2, () => void this.#handle().seek(at(), prng.chance(1, 2) ? 'data' : 'hole')],
      ['map', 2, () => this.#map()],
      ['lock', 3, () => this.#lock()],
      ['fsync', 1, () => this.#handle().sync()],
    ]
  }

  #bytes(): Uint8Array {
    const most = this.#prng.chance(3, 4) ? 8192 : WRITE_BYTES_MAX
    const length = this.#prng.below(most)
    const start = this.#prng.below(WRITE_BYTES_MAX - length)
    return this.#source.subarray(start, start + length)
  }

  #write(): void {
    const file = this.#handle()
    const bytes = this.#bytes()
    const size = file.stat().size
    file.write(bytes, null)
    // Handles that append write at the end, others at a place of their own.
    const end = file.stat().size
    if (end !== size + bytes.length || bytes.length === 0) return
    const target = this.#target.subarray(0, bytes.length)
    assert.equal(file.read(target, size), bytes.length)
    assert.ok(Buffer.compare(target, bytes) === 0, 'what was appended is read back')
  }

  #allocate(): void {
    const keepSize = this.#prng.chance(1, 2)
    const contiguous = this.#prng.chance(1, 4)
    const length = 1 + this.#prng.below(512 * 1024)
    this.#handle().allocate(this.#prng.below(FILE_BYTES_MAX), length, { keepSize, contiguous })
  }

  #map(): void {
    const mapping = this.#handle().map({ write: true, populate: this.#prng.chance(1, 2) })
    try {
      new Uint8Array(mapping.buffer).fill(0x77, 0, 100)
      mapping.persist()
    } finally {
      mapping.unmap()
    }
  }

  #lock(): void {
    const file = this.#handle()
    const range = { start: this.#prng.below(1000), length: this.#prng.below(100) }
    if (this.#prng.chance(1, 2)) file.tryLock({ type: 'write', ...range })
    else file.unlock(range)
    file.tryFlock(this.#prng.pick(['shared', 'exclusive', 'unlock'] as const))
  }
}
