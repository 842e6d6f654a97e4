/** System calls as a FileSystem makes them: with errors of its kind, and numbers for answers. */
import { HoldfastError, isErrorCode } from '../../../src/base/errors.js'
import type { Credentials, Path, Time } from '../../../src/base/filesystem.js'
import { isPathAt } from '../../../src/base/path.js'
import { Stats } from '../../../src/base/stats.js'
import { Caller, type Answer, type Argument } from '../../suite/linux/caller.js'

const ROOT: Credentials = { uid: 0, gid: 0 }
const SLOTS = 64
/** Nothing is ever open there: what is closed. */
export const CLOSED = SLOTS - 1
const [UTIME_NOW, UTIME_OMIT] = [0x3fff_ffff, 0x3fff_fffe]

function failed(errno: string): Error {
  return isErrorCode(errno) ? new HoldfastError(errno) : new Error(`the kernel says ${errno}`)
}

/** What no system call can ask for. */
export function unsaid(what: string): Promise<never> {
  return Promise.reject(new HoldfastError('EOPNOTSUPP', `no system call says ${what}`))
}

/** A string of C has no NUL. */
export function bytesOf(path: Path): Buffer {
  if (isPathAt(path)) throw new HoldfastError('EOPNOTSUPP', 'a path that begins at an inode')
  const bytes = Buffer.from(path as string)
  if (bytes.includes(0)) throw new HoldfastError('EINVAL', 'a path with a NUL')
  return bytes
}

/** A register of the processor has no fractions. */
export function whole(number: number): number {
  if (Number.isSafeInteger(number)) return number
  throw new HoldfastError('EINVAL', `${number} is no whole number`)
}

export function timeWords(time: Time): [number, number] {
  if (time === 'now') return [0, UTIME_NOW]
  if (time === 'omit') return [0, UTIME_OMIT]
  if (typeof time === 'object' && 'seconds' in time) return [time.seconds, time.nanoseconds]
  const seconds = typeof time === 'number' ? time : time.getTime() / 1000
  const full = Math.floor(seconds)
  return [full, Math.round((seconds - full) * 1e9)]
}

export const numbersOf = (value: string) => value.split(' ').filter(Boolean).map(Number)

export function statsOf(value: string): Stats {
  const n = numbersOf(value)
  return Object.assign(new Stats(), {
    ino: n[0],
    generation: n[1],
    mode: n[2],
    nlink: n[3],
    uid: n[4],
    gid: n[5],
    rdev: n[6],
    size: n[7],
    blocks: n[8],
    blksize: n[9],
    atimeSeconds: n[10],
    atimeNanoseconds: n[11],
    mtimeSeconds: n[12],
    mtimeNanoseconds: n[13],
    ctimeSeconds: n[14],
    ctimeNanoseconds: n[15],
    birthtimeSeconds: n[16],
    birthtimeNanoseconds: n[17],
  })
}

export const textBytes = (hex: string) => Buffer.from(hex.slice(1), 'hex')

/** The process that makes the calls, and those that stand for owners of locks. */
export class Calls {
  readonly #directory: string
  readonly #caller: Caller
  readonly #owners = new Map<unknown, Caller>()
  #sent: Promise<unknown> = Promise.resolve()
  readonly #free = Array.from({ length: CLOSED }, (_, i) => i)
  /** The memory for bytes serves one call at a time. */
  #bytes: Promise<unknown> = Promise.resolve()

  constructor(directory: string) {
    this.#directory = directory
    this.#caller = new Caller(directory, true)
  }

  async make(name: string, args: readonly Argument[], as = ROOT): Promise<string> {
    return valueOf(await this.#caller.ask(as, name, args))
  }

  /** Of a call that may wait for a lock. */
  async makeWaiting(name: string, args: readonly Argument[]): Promise<void> {
    const number = await this.make(name, args)
    if (number === '') return
    const errno = await this.#caller.waited(number)
    if (errno !== null) throw failed(errno)
  }

  /**
   * A call by the process that is this owner. Calls of several come to the kernel in the order in
   * which they are made here.
   */
  async makeAs(owner: unknown, name: string, args: readonly Argument[]): Promise<string> {
    let caller = this.#owners.get(owner)
    if (caller === undefined) this.#owners.set(owner, (caller = new Caller(this.#directory)))
    const before = this.#sent
    const answered = (async () => {
      await before
      for (const other of this.#owners.values()) await other.settled()
      return { answer: caller.ask(ROOT, name, args) }
    })()
    this.#sent = answered
    return valueOf(await (await answered).answer)
  }

  async write(name: string, args: readonly Argument[], bytes: Uint8Array): Promise<number> {
    return this.#alone(async () => {
      this.#caller.give(bytes)
      return Number(await this.make(name, args))
    })
  }

  async read(name: string, args: readonly Argument[], bytes: Uint8Array): Promise<number> {
    return this.#alone(async () => {
      const n = Number(await this.make(name, args))
      this.#caller.take(bytes.subarray(0, n))
      return n
    })
  }

  slot(): number {
    const slot = this.#free.shift()
    if (slot === undefined) throw new HoldfastError('EMFILE')
    return slot
  }

  giveBack(slot: number): void {
    this.#free.push(slot)
  }

  async end(): Promise<void> {
    for (const caller of [this.#caller, ...this.#owners.values()]) await caller.end()
  }

  #alone<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#bytes.then(run)
    this.#bytes = result.catch(() => {})
    return result
  }
}

function valueOf(answer: Answer): string {
  if ('errno' in answer) throw failed(answer.errno)
  return answer.value
}
