/**
 * The witness: an engine that does DMA. It took the addresses of a hold when that was granted,
 * knows nothing of files' layouts or of the frame table, and goes on reading and writing there, as
 * a device would, until the hold ends.
 *
 * What it must find at each address is the page that stood there: what it, or a call on the file,
 * last put there.
 */
import type { Region } from '../../src/region/region.js'
import { BLOCK, type Content, type Page } from './contents.js'

export class Violation extends Error {}

export type Access = 'pin' | 'seal' | 'read' | 'rw'

/**
 * - `live`: as granted, or asked back;
 * - `draining`: it is being cut off, and transfers are still under way;
 * - `fenced`: it was not given back in time and nothing can cut it off: it goes on as before.
 */
export type Phase = 'live' | 'draining' | 'fenced'

export interface Piece {
  readonly page: Page
  /** Region block. */
  readonly at: number
  /** The volume no longer lists it, and could not cut it off either. */
  lost: boolean
}

/** What the engine does about a recall. */
export type Manner = 'at once' | 'soon' | 'in parts' | 'at the last moment' | 'never'

export class Transfer {
  phase: Phase = 'live'
  pieces: Piece[] = []
  manner: Manner = 'soon'
  /** Asked back, and not answered yet. */
  recalled = false
  /** The step at which it does what it has put off. */
  due = Infinity
  /** Tells who waits for the drain that it is over. */
  drained: (() => void) | null = null

  readonly id: number
  readonly access: Access
  /** Number of its session. */
  readonly session: number
  readonly file: Content
  readonly end: () => void
  readonly giveBack: (offset: number, length: number) => void

  constructor(
    id: number,
    access: Access,
    session: number,
    file: Content,
    end: () => void,
    giveBack: (offset: number, length: number) => void,
  ) {
    this.id = id
    this.access = access
    this.session = session
    this.file = file
    this.end = end
    this.giveBack = giveBack
  }

  get writes(): boolean {
    return this.access !== 'read' && !this.file.sealed
  }

  toString(): string {
    return `${this.access} ${this.id} of session ${this.session} on file ${this.file.id} (${this.phase})`
  }
}

export class DmaEngine {
  readonly transfers = new Map<number, Transfer>()
  readonly #region: Region
  readonly #buffer = new Uint8Array(BLOCK)

  constructor(region: Region) {
    this.#region = region
  }

  /** Takes the addresses of a hold: [file block, region block, count] each. */
  begin(transfer: Transfer, runs: readonly (readonly [number, number, number])[]): void {
    const { file } = transfer
    for (const [block, at, count] of runs) {
      if (block < 0) throw new Violation(`${transfer}: granted a block that is in no file`)
      for (let i = 0; i < count; i++) this.#take(transfer, file, block + i, at + i)
    }
    this.transfers.set(transfer.id, transfer)
    this.verify(transfer)
  }

  #take(transfer: Transfer, file: Content, block: number, at: number): void {
    const page = file.page(block)
    const writes = transfer.access !== 'read'
    if (writes && page.writers === 0) {
      // Nobody could tell until now what is past the end; it is the holder's from here on.
      const { known } = page
      if (known < BLOCK) this.#region.read(at * BLOCK + known, page.bytes, known, BLOCK - known)
    }
    page.holders++
    if (writes) page.writers++
    transfer.pieces.push({ page, at, lost: false })
  }

  /** It no longer uses those pieces. */
  drop(transfer: Transfer, gone: (piece: Piece) => boolean): void {
    const left: Piece[] = []
    for (const piece of transfer.pieces) {
      if (!gone(piece)) {
        left.push(piece)
        continue
      }
      const { page } = piece
      page.holders--
      if (transfer.access !== 'read' && !piece.lost) page.writers--
      page.file?.forget(page)
    }
    transfer.pieces = left
  }

  /** It uses none of its addresses any more. */
  stop(transfer: Transfer): void {
    this.drop(transfer, () => true)
    this.transfers.delete(transfer.id)
  }

  /** The machine has gone down. */
  clear(): void {
    for (const transfer of [...this.transfers.values()]) this.stop(transfer)
  }

  /** Reads through it: each page must be there. */
  verify(transfer: Transfer): void {
    for (const { page, at } of transfer.pieces) {
      const { known } = page
      const found = this.#buffer.subarray(0, known)
      this.#region.read(at * BLOCK, found, 0, known)
      if (Buffer.compare(found, page.bytes.subarray(0, known)) === 0) continue
      const byte = found.findIndex((b, i) => b !== page.bytes[i])
      const word = Buffer.from(found.subarray(byte & ~7, (byte & ~7) + 8)).toString('hex')
      const state = page.file === null ? 'that has left its file' : `at file block ${page.block}`
      throw new Violation(
        `${transfer}: at region block ${at}, of a page ${state}, byte ${byte} is not its own: ${word}`,
      )
    }
  }

  verifyAll(): void {
    for (const transfer of this.transfers.values()) this.verify(transfer)
  }

  /** Writes `bytes` at `offset` of a piece, past everybody. */
  write({ page, at }: Piece, offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > page.known) return
    this.#region.stream(at * BLOCK + offset, bytes, 0, bytes.length)
    page.bytes.set(bytes, offset)
  }

  /** Region blocks that it uses, each with how often. */
  counts(): Map<number, number> {
    const counts = new Map<number, number>()
    for (const { pieces } of this.transfers.values()) {
      for (const { at } of pieces) counts.set(at, (counts.get(at) ?? 0) + 1)
    }
    return counts
  }
}
