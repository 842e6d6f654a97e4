/**
 * Sizes of the remote files that this client has open, as the server last said: one for all handles
 * of a file, so that what one of them does the others see at once.
 */
export class Sizes {
  readonly #files = new Map<number, { size: number; users: number }>()

  /** A handle begins with the file. */
  open(ino: number): void {
    const known = this.#files.get(ino)
    if (known === undefined) this.#files.set(ino, { size: UNKNOWN, users: 1 })
    else known.users++
  }

  close(ino: number): void {
    const known = this.#files.get(ino)
    if (known !== undefined && --known.users === 0) this.#files.delete(ino)
  }

  /** Bytes; -1: not known. */
  of(ino: number): number {
    return this.#files.get(ino)?.size ?? UNKNOWN
  }

  /** What the server said, also of files that are not open here. */
  set(ino: number, size: number): void {
    const known = this.#files.get(ino)
    if (known !== undefined) known.size = size
  }

  /** It has so many bytes at least. */
  reach(ino: number, size: number): void {
    const known = this.#files.get(ino)
    if (known !== undefined && known.size < size) known.size = size
  }

  /** Nothing is known any more: the session is over. */
  forget(): void {
    for (const known of this.#files.values()) known.size = UNKNOWN
  }
}

const UNKNOWN = -1
