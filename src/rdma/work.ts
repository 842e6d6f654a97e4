/** Work requests, as programs post them (ibv_send_wr, ibv_recv_wr). */
import { HoldfastError } from '../base/errors.js'
import { localBytes, type Local } from './local.js'
import type { MemoryRegion } from './memory_region.js'

/** Memory of the peer: the STag that it told, and a tagged offset. */
export interface Remote {
  readonly stag: number
  readonly address: number | bigint
}

interface Common {
  /** Comes back with the completion. */
  readonly id?: unknown
  /** It begins when all Reads and Atomics posted before it have completed. */
  readonly fence?: boolean
  /** False: its success is not told. */
  readonly signaled?: boolean
}

interface Solicits {
  /** The peer gets an event for it (RFC 5040, 5.3). */
  readonly solicited?: boolean
}

export interface SendWork extends Common, Solicits {
  readonly op: 'send'
  readonly local?: Local
  /** An STag of the peer that ends when the message is delivered. */
  readonly invalidate?: number
}

export interface WriteWork extends Common {
  readonly op: 'write'
  readonly local: Local
  readonly remote: Remote
}

/** Eight bytes that complete a receive of the peer: two numbers of 32 bits (RFC 7306, 6). */
export interface ImmediateWork extends Common, Solicits {
  readonly op: 'immediate'
  readonly immediate: number
  readonly immediateLow?: number
}

/** A Write, and Immediate Data behind it. */
export interface WriteImmediateWork extends Common, Solicits {
  readonly op: 'writeImmediate'
  readonly local: Local
  readonly remote: Remote
  readonly immediate: number
  readonly immediateLow?: number
}

export interface ReadWork extends Common {
  readonly op: 'read'
  /** Where it goes: as many bytes are read. */
  readonly local: Local
  readonly remote: Remote
  /** A region of this side that ends when it completes. */
  readonly invalidate?: MemoryRegion
}

interface AtomicWork extends Common {
  /** Eight bytes for what was there before, as a number of this machine. */
  readonly local: Local
  readonly remote: Remote
}

export interface FetchAddWork extends AtomicWork {
  readonly op: 'fetchAdd'
  /** Modulo 2^64. */
  readonly add: number | bigint
}

export interface CompareSwapWork extends AtomicWork {
  readonly op: 'compareSwap'
  readonly compare: number | bigint
  readonly swap: number | bigint
  /** Bits that are compared, and that are replaced: all unless given (RFC 7306, 5.1.2). */
  readonly compareMask?: number | bigint
  readonly swapMask?: number | bigint
}

export interface LocalInvalidateWork extends Common {
  readonly op: 'localInvalidate'
  readonly region: MemoryRegion
}

export type Work =
  | SendWork
  | WriteWork
  | ImmediateWork
  | WriteImmediateWork
  | ReadWork
  | FetchAddWork
  | CompareSwapWork
  | LocalInvalidateWork

export interface ReceiveWork {
  readonly id?: unknown
  /** Where one message goes, at most as many bytes. */
  readonly into?: Local
  /**
   * Instead of that: memory for a message of so many bytes at most is made when one comes, and is
   * the `message` of its completion. Receives that wait take none.
   */
  readonly length?: number
}

const WORD = 2 ** 32
const MESSAGE_BYTES_MAX = WORD - 1
const ATOMIC_BYTES = 8
const ALL_ONES = (1n << 64n) - 1n

export const WorkState = { posted: 0, begun: 1, built: 2, done: 3 } as const
export type WorkState = (typeof WorkState)[keyof typeof WorkState]

/** A posted piece of work: one object of a queue, filled again and again. */
export class PostedWork {
  id: unknown = null
  op: Work['op'] = 'send'
  fence = false
  signaled = true
  solicited = false
  local: Local = []
  /** Bytes of its message. */
  length = 0
  stag = 0
  toHigh = 0
  toLow = 0
  invalidate = 0
  region: MemoryRegion | null = null
  immediate = 0
  immediateLow = 0
  /** Of an atomic: data, mask, compare, compareMask, the low half of each first. */
  readonly change = new Uint32Array(8)

  state: WorkState = WorkState.posted
  /** Where it ends in the stream of bytes. */
  end = 0
  /** The number of its untagged message; where the response to it goes, by name. */
  msn = 0
  sinkStag = 0
  sinkHigh = 0
  sinkLow = 0
  /** Bytes of the response that have come. */
  received = 0

  /** Whether it completes when a response has come. */
  get responds(): boolean {
    const { op } = this
    return op === 'read' || op === 'fetchAdd' || op === 'compareSwap'
  }

  /** EINVAL for what cannot be meant. */
  fill(work: Work): void {
    this.id = work.id ?? null
    this.op = work.op
    this.fence = work.fence === true
    this.signaled = work.signaled !== false
    this.solicited = 'solicited' in work && work.solicited === true
    this.local = 'local' in work ? (work.local ?? []) : []
    this.length = localBytes(this.local)
    if (!(this.length <= MESSAGE_BYTES_MAX)) {
      throw new HoldfastError('EINVAL', `a message of ${this.length} bytes, at most 2^32 - 1`)
    }
    if ('remote' in work) this.#putRemote(work.remote)
    this.invalidate = 0
    this.region = null
    this.state = WorkState.posted
    this.msn = 0
    this.received = 0
    this.#fillOthers(work)
  }

  #fillOthers(work: Work): void {
    switch (work.op) {
      case 'send':
        this.invalidate = half(work.invalidate ?? 0, 'STag')
        return
      case 'immediate':
      case 'writeImmediate':
        this.immediate = half(work.immediate, 'immediate')
        this.immediateLow = half(work.immediateLow ?? 0, 'immediateLow')
        return
      case 'read':
        this.region = work.invalidate ?? null
        return
      case 'localInvalidate':
        this.region = work.region
        return
      case 'fetchAdd':
        this.#demandWord()
        putWords(this.change, work.add, 0, 0, 0)
        return
      case 'compareSwap': {
        this.#demandWord()
        const { swap, compare, swapMask = ALL_ONES, compareMask = ALL_ONES } = work
        putWords(this.change, swap, swapMask, compare, compareMask)
        break
      }
      case 'write':
        break
    }
  }

  #putRemote({ stag, address }: Remote): void {
    this.stag = half(stag, 'STag')
    if (typeof address === 'bigint') {
      this.toHigh = Number(BigInt.asUintN(64, address) >> 32n)
      this.toLow = Number(BigInt.asUintN(32, address))
      return
    }
    if (!Number.isSafeInteger(address) || address < 0) {
      throw new HoldfastError('EINVAL', `address ${address}; pass a bigint above 2^53`)
    }
    this.toHigh = Math.floor(address / WORD)
    this.toLow = address % WORD
  }

  #demandWord(): void {
    if (this.length === ATOMIC_BYTES) return
    const detail = `${this.op} into ${this.length} bytes; it needs 8 for what was there before`
    throw new HoldfastError('EINVAL', detail)
  }
}

function half(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value < WORD) return value
  throw new HoldfastError('EINVAL', `${what} ${value} is no number of 32 bits`)
}

type Word = number | bigint

function putWords(into: Uint32Array, data: Word, mask: Word, compare: Word, last: Word): void {
  putWord(into, 0, data)
  putWord(into, 2, mask)
  putWord(into, 4, compare)
  putWord(into, 6, last)
}

/** Modulo 2^64; small numbers take no BigInt. */
function putWord(into: Uint32Array, at: number, value: Word): void {
  if (typeof value === 'number' && value >= 0 && value < WORD && Number.isInteger(value)) {
    into[at] = value
    into[at + 1] = 0
    return
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new HoldfastError('EINVAL', `${value} is no integer below 2^53; pass a bigint`)
  }
  const whole = BigInt(value)
  into[at] = Number(BigInt.asUintN(32, whole))
  into[at + 1] = Number(BigInt.asUintN(32, whole >> 32n))
}

const NO_MEMORY: readonly [] = []

/** A posted receive. */
export class PostedReceive {
  id: unknown = null
  into: Local = NO_MEMORY
  length = 0
  /** Memory is made for the message: null before it comes. */
  made: Uint8Array | null = null
  #makes = false

  fill(work: ReceiveWork): void {
    this.id = work.id ?? null
    this.into = work.into ?? NO_MEMORY
    this.#makes = work.into === undefined && work.length !== undefined
    this.length = this.#makes ? half(work.length!, 'length') : localBytes(this.into)
    this.made = null
  }

  /** Its message begins, of which `bytes` have come; `whole`: that is all. */
  begin(bytes: number, whole: boolean): void {
    if (!this.#makes) return
    this.made = new Uint8Array(whole ? bytes : this.length)
    this.into = this.made
  }

  /** It is done: it keeps nobody's memory. */
  clear(): void {
    this.id = null
    this.into = NO_MEMORY
    this.made = null
  }
}
