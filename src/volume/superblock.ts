/** The superblock in memory: both copies read, the better one taken, updates written one by one. */
import { HoldfastError } from '../base/errors.js'
import type { Bytes } from '../base/bytes.js'
import { checksumOf } from '../base/bytes.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { hex } from '../base/struct.js'
import {
  invalidSuperblock,
  KNOWN_INCOMPAT,
  KNOWN_RO_COMPAT,
  Superblock,
  SUPERBLOCK_BLOCKS,
} from '../media/superblock.js'
import { native } from '../native/native.js'
import type { Region } from '../region/region.js'

const at = Superblock.word

export class SuperblockPair implements Bytes {
  readonly u8 = new Uint8Array(Superblock.size)
  readonly u32 = new Uint32Array(this.u8.buffer)
  #region: Region
  /** Index of the copy that is the superblock. */
  #current = 0

  constructor(region: Region) {
    this.#region = region
  }

  crc32c(offset: number, length: number, seed: number): number {
    return native.crc32cOf(this.u8, offset, length, seed)
  }

  /** Reads both copies and keeps the better one. Throws ENODEV when there is none. */
  read(): void {
    const why: string[] = []
    let best = -1
    let bestSequence = -1
    for (let i = 0; i < SUPERBLOCK_BLOCKS.length; i++) {
      const reason = this.#readCopy(i)
      if (reason !== null) why.push(`block ${SUPERBLOCK_BLOCKS[i]!}: ${reason}`)
      else if (this.sequence > bestSequence) {
        best = i
        bestSequence = this.sequence
      }
    }
    if (best < 0) {
      throw new HoldfastError(
        'ENODEV',
        `no holdfast volume in ${this.#region.path} (${why.join('; ')}); holdfast mkfs makes one`,
      )
    }
    this.#readCopy(best)
    this.#current = best
    this.#checkFeatures()
  }

  #readCopy(index: number): string | null {
    const region = this.#region
    const offset = SUPERBLOCK_BLOCKS[index]! * BLOCK_BYTES
    if (region.byteLength < offset + Superblock.size) return 'past the end of the region'
    region.read(offset, this.u8, 0, Superblock.size)
    region.check()
    return invalidSuperblock(this, 0, Math.floor(region.byteLength / BLOCK_BYTES))
  }

  #checkFeatures(): void {
    const incompat = this.u32[at.featuresIncompat]! & ~KNOWN_INCOMPAT
    if (incompat === 0) return
    throw new HoldfastError(
      'EOPNOTSUPP',
      `${this.#region.path} has features that this version does not know ` +
        `(incompat ${hex(incompat >>> 0)}): use a newer holdfast`,
    )
  }

  /** Features without which the volume may be read and not written. */
  get unknownRoCompat(): number {
    return (this.u32[at.featuresRoCompat]! & ~KNOWN_RO_COMPAT) >>> 0
  }

  /** Writes go to another region from now on: an overlay of the one that was read. */
  use(region: Region): void {
    this.#region = region
  }

  get sequence(): number {
    return this.u32[at.sequence]! + this.u32[at.sequence + 1]! * 0x1_0000_0000
  }

  /** Writes what `u8` holds, with the next sequence, to both copies. */
  write(): void {
    const sequence = this.sequence + 1
    this.u32[at.sequence] = sequence
    this.u32[at.sequence + 1] = sequence / 0x1_0000_0000
    this.u32[at.checksum] = checksumOf(this, 0, Superblock)
    // Never the only good copy first: a cut in the middle of one write must leave the other.
    this.#current = 1 - this.#current
    this.#writeCopy(this.#current)
    this.#writeCopy(1 - this.#current)
  }

  #writeCopy(index: number): void {
    const region = this.#region
    const offset = SUPERBLOCK_BLOCKS[index]! * BLOCK_BYTES
    region.stream(offset, this.u8, 0, Superblock.size)
    // This copy before the other: two torn copies would be no superblock at all.
    if (region.persistence === 'sync') region.sync(offset, Superblock.size)
    else region.fence()
  }

  text(field: 'label' | 'ownerHost'): string {
    const offset = Superblock.at[field]
    const end = offset + (field === 'label' ? 32 : 64)
    const zero = this.u8.indexOf(0, offset)
    return Buffer.from(this.u8.subarray(offset, zero < 0 || zero > end ? end : zero)).toString(
      'utf8',
    )
  }

  setText(field: 'label' | 'ownerHost', text: string): void {
    const offset = Superblock.at[field]
    const width = field === 'label' ? 32 : 64
    this.u8.fill(0, offset, offset + width)
    new TextEncoder().encodeInto(text, this.u8.subarray(offset, offset + width))
  }

  get uuid(): Uint8Array {
    return this.u8.subarray(Superblock.at.uuid, Superblock.at.uuid + 16)
  }

  /** CRC of the uuid: what the tail's check is seeded with. */
  get uuidCrc(): number {
    return native.crc32cOf(this.u8, Superblock.at.uuid, 16, 0)
  }

  /** What the checksums of log records are seeded with: uuid and the salt of the mount. */
  get logSeed(): number {
    return native.crc32cOf(this.u8, Superblock.at.logSalt, 8, this.uuidCrc)
  }

  /** First four bytes of the uuid: the back-pointer of volume-wide structures. */
  get volumeTag(): number {
    return this.u32[at.uuid]!
  }

  get epoch(): number {
    return this.u32[at.mountEpoch]! + this.u32[at.mountEpoch + 1]! * 0x1_0000_0000
  }
}
