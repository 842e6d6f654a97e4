/**
 * A region to be looked at structure by structure, however damaged: nothing is locked, nothing
 * changed. What the log holds is applied in memory, as for who opens the volume, unless it is asked
 * how things stand at home.
 */
import { HoldfastError } from '../../base/errors.js'
import { BLOCK_BYTES } from '../../base/limits.js'
import { Findings } from '../../check/codes.js'
import { Medium, Scratch } from '../../check/medium.js'
import { replayLog } from '../../check/replay.js'
import { readHeader, type Header } from '../../check/volume_header.js'
import { native } from '../../native/native.js'
import { openRegion } from '../../region/file_region.js'
import type { Region } from '../../region/region.js'

export class Image {
  readonly region: Region
  readonly blocks: number
  /** Null when no superblock is valid. */
  readonly header: Header | null
  /** What was wrong with superblocks and log. */
  readonly remarks: readonly string[]
  readonly #medium: Medium
  readonly #home: boolean

  constructor(path: string, home: boolean) {
    this.region = openRegion(path, { readOnly: true })
    this.blocks = Math.floor(this.region.byteLength / BLOCK_BYTES)
    this.#home = home
    const findings = new Findings()
    this.#medium = new Medium(findings)
    this.#medium.reset(this.region)
    const scratch = this.scratch()
    this.header = readHeader(this.#medium, scratch, this.blocks, findings)?.header ?? null
    if (this.header !== null && !home) replayLog(this.#medium, scratch, this.header, findings)
    this.remarks = findings.kept.map(({ place, message }) => `${place}: ${message}`)
  }

  scratch(bytes = BLOCK_BYTES): Scratch {
    return new Scratch(bytes, native.crc32cOf)
  }

  /** The whole block, in a buffer of its own. */
  read(block: number): Scratch {
    this.#demand(block)
    const scratch = this.scratch()
    if (this.#home) this.#medium.readHome(block, 0, scratch.u8, 0, BLOCK_BYTES)
    else this.#medium.read(block, 0, scratch.u8, 0, BLOCK_BYTES)
    return scratch
  }

  /** Bytes at home, over as many blocks as it takes: superblocks and the log. */
  readHome(block: number, offset: number, length: number): Scratch {
    this.#demand(block)
    const scratch = this.scratch(length)
    this.#medium.readHome(block, offset, scratch.u8, 0, length)
    return scratch
  }

  #demand(block: number): void {
    if (Number.isInteger(block) && block >= 0 && block < this.blocks) return
    throw new HoldfastError(
      'EINVAL',
      `block ${block}: ${this.region.path} has 0 to ${this.blocks - 1}`,
    )
  }

  /** What only the superblock says. */
  demandHeader(): Header {
    if (this.header !== null) return this.header
    const why = 'no superblock is valid, so nobody knows where that is; `block N` shows any block'
    throw new HoldfastError('EUCLEAN', why)
  }

  /** A structure by its number among `count`. */
  demandNumber(what: string, number: number, count: number): void {
    if (number < count) return
    throw new HoldfastError('EINVAL', `${what} ${number}: there are 0 to ${count - 1}`)
  }

  close(): void {
    this.#medium.release()
    this.region.close()
  }
}
