/** The content of a file of the model: its bytes, and which blocks were ever written. */
const BLOCK = 4096
const AHEAD_FROM_BYTES = 64 * 1024

export class Content {
  size = 0
  /** It once was so large that blocks may have been allocated ahead of appends. */
  mayBeAhead = false
  /** Rises with each change. */
  version = 0
  /** File blocks that are there; the others are holes. */
  readonly blocks = new Set<number>()
  #bytes = new Uint8Array(0)

  read(position: number, length: number): Uint8Array {
    const end = Math.min(this.size, position + length)
    return this.#bytes.slice(position, Math.max(position, end))
  }

  write(position: number, bytes: Uint8Array): void {
    const end = position + bytes.length
    this.version++
    if (end > this.size && end >= AHEAD_FROM_BYTES) this.mayBeAhead = true
    if (end > this.size) this.#setSize(end)
    this.#bytes.set(bytes, position)
    for (let block = Math.floor(position / BLOCK); block * BLOCK < end; block++)
      this.blocks.add(block)
  }

  truncate(size: number): void {
    this.version++
    this.#setSize(size)
    for (const block of this.blocks) if (block * BLOCK >= size) this.blocks.delete(block)
  }

  #setSize(size: number): void {
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2))
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    if (size < this.size) this.#bytes.fill(0, size, this.size)
    this.size = size
  }
}
