/** A layout: a range of a file lent to this client, and the way to its bytes. */
import { HoldfastError } from '../base/errors.js'
import type { ByteRange } from '../base/layout.js'
import type { ClientHold } from './hold.js'
import { sizeOf } from './wire.js'

export interface Piece {
  readonly offset: number
  /** How many bytes, or where they go. */
  readonly length?: number
  readonly into?: Uint8Array
}

/** A piece, and where its bytes go. */
export interface PieceInto {
  readonly offset: number
  readonly into: Uint8Array
}

/** Where the bytes of pieces go. EINVAL for one that says neither how many nor where. */
export function piecesInto(pieces: readonly Piece[]): PieceInto[] {
  return pieces.map(({ offset: at, length, into }) => {
    const offset = sizeOf(at, 'offset')
    if (into !== undefined) {
      if (length === undefined || length === into.length) return { offset, into }
      const said = `${length} bytes into a buffer of ${into.length}`
      throw new HoldfastError('EINVAL', `a piece of ${said}: give one of the two`)
    }
    if (length !== undefined) return { offset, into: new Uint8Array(sizeOf(length, 'length')) }
    throw new HoldfastError('EINVAL', `a piece at ${offset} says neither its length nor into what`)
  })
}

export interface FileLayout extends AsyncDisposable {
  /** What it stands on. */
  readonly hold: ClientHold
  /** Bytes [offset, offset + length) of the file. */
  read(offset: number, length: number): Promise<Uint8Array>
  readInto(offset: number, into: Uint8Array): Promise<void>
  /** Many pieces at once, in the order of the list. */
  readMany(pieces: readonly Piece[]): Promise<Uint8Array[]>
  /** Resolves when the bytes are in the file. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** What was written is durable when it resolves; with `size`, the file has at least that. */
  commit(size?: number): Promise<void>
  /** Gives it back, or the blocks that a range of the file touches. */
  release(range?: ByteRange): Promise<void>
}

/** EINVAL for what is not within a hold; ESTALE when that has ended. */
export function demandWithin(hold: ClientHold, offset: number, length: number): void {
  hold.demandHeld()
  const good = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
  if (good && hold.covers(offset, length)) return
  const covered = `bytes ${hold.offset} to ${hold.offset + hold.length}`
  throw new HoldfastError('EINVAL', `${length} bytes at ${offset}: the layout covers ${covered}`)
}

/** A layout whose bytes go through the connection. */
export class ServedLayout implements FileLayout {
  readonly hold: ClientHold
  readonly #read: (into: Uint8Array, offset: number) => Promise<number>
  readonly #write: (bytes: Uint8Array, offset: number) => Promise<number>

  constructor(
    hold: ClientHold,
    read: (into: Uint8Array, offset: number) => Promise<number>,
    write: (bytes: Uint8Array, offset: number) => Promise<number>,
  ) {
    this.hold = hold
    this.#read = read
    this.#write = write
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const into = new Uint8Array(length)
    await this.readInto(offset, into)
    return into
  }

  async readInto(offset: number, into: Uint8Array): Promise<void> {
    demandWithin(this.hold, offset, into.length)
    const got = await this.#read(into, offset)
    into.fill(0, got) // past the end of the file, in blocks that it covers
  }

  async readMany(pieces: readonly Piece[]): Promise<Uint8Array[]> {
    const all = piecesInto(pieces)
    await Promise.all(all.map(({ offset, into }) => this.readInto(offset, into)))
    return all.map(({ into }) => into)
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    demandWithin(this.hold, offset, bytes.length)
    await this.#write(bytes, offset)
  }

  commit(size?: number): Promise<void> {
    return this.hold.commit(size)
  }

  release(range?: ByteRange): Promise<void> {
    return this.hold.release(range)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}
