/**
 * Keys of files by number: who opened a file by its path has one, and with it may open the file
 * again, after its connection was lost, or the server. Numbers and generations are counted, so
 * that anybody could guess them, and so reach a file below a directory that may not be searched.
 *
 *     key = HMAC(HMAC(hash key of the volume, "holdfast handle 1" | 0 | uuid), number | generation)
 *
 * Invariant: a key is the same for every server of the volume, and says nothing about another file.
 */
import type { Crypto } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'
import { HANDLE_KEY_BYTES } from '../control/limits.js'
import type { LayoutVolume } from '../layout/volume.js'
import { Superblock } from '../media/superblock.js'

const LABEL = Buffer.from('holdfast handle 1\0', 'latin1')

export class HandleKeys {
  readonly #crypto: Crypto
  readonly #secret: Uint8Array

  constructor({ core, uuid }: LayoutVolume, crypto: Crypto) {
    const { u8 } = core.superblock
    const at = Superblock.at.hashKey
    this.#crypto = crypto
    this.#secret = crypto.hmac(u8.slice(at, at + 8), LABEL, Uint8Array.from(uuid))
  }

  keyOf(ino: number, generation: number): Uint8Array {
    const name = new DataView(new ArrayBuffer(8))
    name.setUint32(0, ino)
    name.setUint32(4, generation)
    const mac = this.#crypto.hmac(this.#secret, new Uint8Array(name.buffer))
    return mac.slice(0, HANDLE_KEY_BYTES)
  }

  /** EACCES for a key that is not that of the file. */
  demand(ino: number, generation: number, key: Uint8Array | undefined): void {
    if (key !== undefined && this.#crypto.equal(key, this.keyOf(ino, generation))) return
    throw new HoldfastError(
      'EACCES',
      `inode ${ino} is opened by its number with the key that OPEN answered, or by root`,
    )
  }
}
