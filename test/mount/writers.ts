/**
 * Programs that write and sync, and note what was acknowledged: whatever dies meanwhile, that much
 * must be there.
 */
import assert from 'node:assert/strict'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { O } from '../../src/base/open_flags.js'
import { turn, type Programs } from '../processes/program.js'
import { Caller } from './caller.js'

/** Blocks of a file, before the next one is begun. */
const FILE_BLOCKS = 16
const TRIES_MAX = 3
/** Files that are looked at as a whole. */
const FILES_WHOLE = 20
/** That they may take, also with a server to be found again on a busy machine. */
const GET_ON_MS = 60_000

/** Of a block: never zero, and no other's near it. */
const byteOf = (writer: number, file: number, block: number) =>
  1 + ((writer * 101 + file * 17 + block * 3) % 255)

/** A call that was under way when its server died: done or not, it may be made again. */
const PASSING = /^(EIO|ESTALE)$/

export class Writer {
  readonly caller: Caller
  readonly #number: number
  readonly #at: (name: string) => string
  readonly #patient: boolean
  /** Blocks that fsync(2) has returned for, in all. */
  synced = 0
  /** Calls that were made again. */
  again = 0
  /** What ended it: an errno. */
  end = ''
  /** Ends it in order. */
  stopped = false

  /** `patient`: it tries again what may be a matter of the moment. */
  constructor(programs: Programs, number: number, at: (name: string) => string, patient: boolean) {
    this.caller = Caller.start(programs)
    this.#number = number
    this.#at = at
    this.#patient = patient
  }

  #name(file: number, suffix = ''): string {
    return `w${this.#number}.${file}${suffix}`
  }

  #path(file: number, suffix = ''): string {
    return this.#at(this.#name(file, suffix))
  }

  /**
   * Goes on until a call fails, or it is stopped: each file has another name until it is whole. It
   * is in the directory: when a mount is taken away it does not go on in what was below that.
   */
  async run(): Promise<void> {
    await this.caller.done('cd', this.#at(''))
    for (let file = 0; !this.stopped; file++) {
      const [part, whole] = [this.#name(file, '.part'), this.#name(file)]
      if (!(await this.#does([['open', 1, part, O.RDWR | O.CREAT | O.TRUNC, 0o644]]))) return
      for (let block = 0; block < FILE_BLOCKS; block++) {
        const fill = ['fill', 1, block * B, B, byteOf(this.#number, file, block)] as const
        if (!(await this.#does([fill, ['fsync', 1]]))) return
        this.synced++
      }
      if (!(await this.#does([['rename', part, whole]], 'ENOENT'))) return
    }
  }

  /** Calls, again from the first where one fails for a moment; `done`: it was made before. */
  async #does(calls: readonly (readonly (string | number)[])[], done = ''): Promise<boolean> {
    let last = ''
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      let failed = ''
      for (const call of calls) {
        const answer = await this.caller.call(...call)
        if (!/^E[A-Z]/.test(answer) || (tries > 0 && answer === done)) continue
        failed = answer
        last = `${call[0]}: ${answer}`
        break
      }
      if (failed === '') return true
      if (!this.#patient || !PASSING.test(failed)) break
      this.again++
    }
    this.end = last
    return false
  }

  /**
   * Looks at what was acknowledged, with the eyes of another program: at the ends of each file, and
   * at all of the last ones.
   */
  async check(reader: Caller): Promise<void> {
    const last = Math.floor(this.synced / FILE_BLOCKS)
    for (let block = 0; block < this.synced; block++) {
      const [file, at] = [Math.floor(block / FILE_BLOCKS), block % FILE_BLOCKS]
      if (at === 0) await this.#open(reader, file)
      else if (file < last - FILES_WHOLE && at < FILE_BLOCKS - 1) continue
      const byte = byteOf(this.#number, file, at)
      const found = await reader.call('check', 2, at * B, B, byte)
      assert.equal(found, 'same', `block ${at} of ${this.#path(file)}, ${this.synced} were synced`)
    }
  }

  /** Its name is the last one, or the one before where the last blocks were synced. */
  async #open(reader: Caller, file: number): Promise<void> {
    const whole = this.synced >= (file + 1) * FILE_BLOCKS
    const last = this.synced <= (file + 1) * FILE_BLOCKS
    const opened = await reader.call('open', 2, this.#path(file), 0, 0)
    if (!/^E/.test(opened)) return assert.ok(whole)
    assert.ok(last, `${this.#path(file)}: ${opened}, and the next file was begun`)
    await reader.done('open', 2, this.#path(file, '.part'), 0, 0)
  }
}

/** Some that write at the same time. */
export class Writers {
  readonly all: readonly Writer[]
  readonly #ended: Promise<unknown>

  constructor(programs: Programs, count: number, at: (name: string) => string, patient = false) {
    this.all = Array.from({ length: count }, (_, i) => new Writer(programs, i, at, patient))
    this.#ended = Promise.all(this.all.map((one) => one.run()))
    // Whoever waits for it is told.
    this.#ended.catch(() => {})
  }

  /** Calls that were made again, of each. */
  get again(): number[] {
    return this.all.map(({ again }) => again)
  }

  /** Resolves when each has synced so many blocks more. */
  async get(blocks: number): Promise<void> {
    const before = this.all.map(({ synced }) => synced)
    const on = () =>
      this.all.every(({ synced, end }, i) => end !== '' || synced >= before[i]! + blocks)
    for (const limit = performance.now() + GET_ON_MS; !on();) {
      assert.ok(
        performance.now() < limit,
        `writers do not get on: ${this.all.map((w) => w.synced)}`,
      )
      await turn()
    }
    const ends = this.all.map(({ end }) => end).filter(Boolean)
    assert.deepEqual(ends, [])
  }

  /** Resolves when a call of each has failed, with what ended them. */
  async failed(): Promise<string[]> {
    await this.#ended
    for (const { caller } of this.all) await caller.program.kill('SIGKILL')
    return this.all.map(({ end }) => end)
  }

  async stop(): Promise<void> {
    for (const one of this.all) one.stopped = true
    await this.#ended
    for (const one of this.all) await one.caller.end()
    assert.deepEqual(this.all.map(({ end }) => end).filter(Boolean), [])
  }

  async check(reader: Caller): Promise<void> {
    for (const one of this.all) await one.check(reader)
  }
}
