/**
 * Bytes of a remote file by RDMA: a registration, with the hold that it stands on, or on demand.
 *
 * Invariants:
 * - nothing is begun through one that is closed; it is given back when what was begun has ended;
 * - an access that failed says why as the contract has it: ESTALE when the hold was fenced, which
 *   the server tells on the other connection, and is asked there.
 */
import { HoldfastError, isErrorCode } from '../base/errors.js'
import type { ByteRange } from '../base/layout.js'
import { VERBS } from '../control/verbs/index.js'
import { WorkError, type Peer } from '../rdma/index.js'
import type { DataConnections } from './data_connections.js'
import type { ClientHold } from './hold.js'
import { demandWithin, piecesInto, type FileLayout, type Piece } from './layout.js'
import type { Alive } from './link.js'

/** Times that an access whose connection was lost is made again. */
const TRIES = 4

/** Accesses that were begun, until somebody wants them over. */
class UnderWay {
  count = 0
  #idle: (() => void) | null = null

  left(): void {
    if (--this.count === 0) this.#idle?.()
  }

  /** Resolves when they have ended. Once. */
  over(): Promise<void> {
    if (this.count === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#idle = resolve))
  }
}

export class OneSided {
  readonly session: Alive
  readonly hold: ClientHold | null
  readonly stag: number
  readonly writable: boolean
  /** Something was written that may not be durable. */
  dirty = false
  readonly #data: DataConnections
  #closed = false
  #underWay = new UnderWay()
  /** What was begun before those that are under way now. */
  #before: Promise<unknown> = Promise.resolve()

  private constructor(
    session: Alive,
    data: DataConnections,
    hold: ClientHold | null,
    stag: number,
    writable: boolean,
  ) {
    this.session = session
    this.hold = hold
    this.stag = stag
    this.writable = writable
    this.#data = data
  }

  /** Registers what a hold covers; without one the file, on demand. */
  static async register(
    session: Alive,
    data: DataConnections,
    handle: number,
    hold: ClientHold | null,
    write: boolean,
  ): Promise<OneSided> {
    const args = { handle, hold: hold?.id, write }
    const { stag } = await session.caller.call(VERBS.register, args)
    const one = new OneSided(session, data, hold, stag, write)
    if (hold !== null) {
      hold.demandHeld()
      const before = hold.cut
      hold.cut = (why) => Promise.all([before(why), one.close()])
      const part = hold.cutPart
      hold.cutPart = (from, to) => Promise.all([part(from, to), one.#drained()])
    }
    return one
  }

  get open(): boolean {
    return !this.#closed && !this.session.caller.ended
  }

  covers(offset: number, length: number, write: boolean): boolean {
    if (!this.open || (write && !this.writable)) return false
    const { hold } = this
    if (hold === null) return true
    return hold.held && hold.covers(offset, length)
  }

  /** The data connection, when it is there: for who does not want to wait for a promise more. */
  get peer(): Peer | null {
    return this.#closed ? null : this.#data.now(this.session)
  }

  read(offset: number, into: Uint8Array): Promise<unknown> {
    return this.#access((peer) => peer.read(this.stag, offset, into))
  }

  readMany(pieces: readonly { offset: number; into: Uint8Array }[]): Promise<unknown> {
    const items = pieces.map(({ offset, into }) => ({ rkey: this.stag, address: offset, into }))
    return this.#access((peer) => peer.readMany(items))
  }

  /** Resolves when the bytes are in the file. */
  write(offset: number, bytes: Uint8Array): Promise<unknown> {
    this.dirty = true
    return this.#access((peer) => {
      const sent = peer.write(this.stag, offset, bytes)
      return Promise.all([sent, peer.placed()])
    })
  }

  /** What was written is durable when it resolves. */
  async commit(size?: number): Promise<void> {
    const { hold, session, stag } = this
    // What is written from now on is not in it.
    this.dirty = false
    try {
      if (hold !== null) await hold.commit(size)
      else await session.caller.call(VERBS.commit, { stag })
    } catch (error) {
      this.dirty = true
      throw error
    }
  }

  /** Nothing is begun through it any more. Resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#drained()
  }

  /** Resolves when what was begun until now has ended. */
  #drained(): Promise<unknown> {
    const until = this.#underWay
    this.#underWay = new UnderWay()
    return (this.#before = Promise.all([this.#before, until.over()]))
  }

  /** Gives back what it stands on. */
  async release(): Promise<void> {
    await this.close()
    if (this.hold !== null) return this.hold.release()
    const { caller } = this.session
    await caller.call(VERBS.deregister, { stag: this.stag }).catch((error: unknown) => {
      if (!caller.ended && (error as HoldfastError).code !== 'ESTALE') throw error
    })
  }

  async #access(run: (peer: Peer) => Promise<unknown>): Promise<unknown> {
    this.#demandOpen()
    const underWay = this.#underWay
    underWay.count++
    try {
      for (let tries = 1; ; tries++) {
        try {
          const peer = this.#data.now(this.session) ?? (await this.#data.get(this.session))
          return await run(peer)
        } catch (error) {
          await this.#explain(error, tries)
        }
      }
    } finally {
      underWay.left()
    }
  }

  #demandOpen(): void {
    this.hold?.demandHeld()
    if (this.session.caller.ended) {
      throw new HoldfastError('ECONNRESET', 'the session with the server is over')
    }
    if (this.#closed) throw new HoldfastError('ESTALE', 'the registration was given back')
  }

  /** Throws why an access failed, unless it is to be tried again. */
  async #explain(error: unknown, tries: number): Promise<void> {
    const { caller } = this.session
    const { code } = error as Partial<HoldfastError>
    if (code !== 'ECONNRESET' && code !== 'EACCES' && code !== 'EIO') throw error
    // What the server told before it is heard before its answer.
    await caller.call(VERBS.ping, {})
    this.#demandOpen()
    const refusal = this.#data.reason(this.stag)
    if (refusal !== null) throw refusalOf(refusal)
    if (code === 'EIO') throw error
    if (error instanceof WorkError && error.status === 'REM_ACCESS_ERR') throw error
    if (tries >= TRIES) throw error
  }
}

/** What the server said of an access that it refused: a message as HoldfastError has it. */
function refusalOf(text: string): HoldfastError {
  const [, code = '', detail = text] = /^([A-Z0-9]+): (.*)$/s.exec(text) ?? []
  return new HoldfastError(isErrorCode(code) ? code : 'EIO', detail)
}

/** A layout of a remote file. */
export class RemoteLayout implements FileLayout {
  readonly hold: ClientHold
  readonly #one: OneSided

  constructor(hold: ClientHold, one: OneSided) {
    this.hold = hold
    this.#one = one
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const into = new Uint8Array(length)
    await this.readInto(offset, into)
    return into
  }

  async readInto(offset: number, into: Uint8Array): Promise<void> {
    demandWithin(this.hold, offset, into.length)
    await this.#one.read(offset, into)
  }

  async readMany(pieces: readonly Piece[]): Promise<Uint8Array[]> {
    const all = piecesInto(pieces)
    for (const { offset, into } of all) demandWithin(this.hold, offset, into.length)
    await this.#one.readMany(all)
    return all.map(({ into }) => into)
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    demandWithin(this.hold, offset, bytes.length)
    if (!this.#one.writable) throw new HoldfastError('EACCES', 'the layout is one for reading')
    await this.#one.write(offset, bytes)
  }

  commit(size?: number): Promise<void> {
    return this.#one.commit(size)
  }

  release(range?: ByteRange): Promise<void> {
    return range === undefined ? this.#one.release() : this.hold.release(range)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}
