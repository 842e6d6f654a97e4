/** The content of a file of the model: its bytes, and which blocks were ever written. */
const BLOCK = 4096
const AHEAD_FROM_BYTES = 64 * 1024

export type RangeKind = 'allocate' | 'keep' | 'punch' | 'zero' | 'zeroKeep' | 'collapse' | 'insert'

export class Content {
  size = 0
  /** It once was so large that blocks may have been allocated ahead of appends. */
  mayBeAhead = false
  /** Some of its blocks may have other owners. */
  mayShare = false
  /** It may have a block twice. */
  mayRepeat = false
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
    // What was allocated past the end with keep-size stays when the end comes nearer to it.
    const cuts = size <= this.size
    this.#setSize(size)
    if (!cuts) return
    for (const block of this.blocks) if (block * BLOCK >= size) this.blocks.delete(block)
  }

  /** What stands against a range call, null when nothing does. */
  refuses(kind: RangeKind, offset: number, length: number): 'EINVAL' | null {
    if (kind !== 'collapse' && kind !== 'insert') return null
    if (offset % BLOCK !== 0 || length % BLOCK !== 0) return 'EINVAL'
    const most = kind === 'collapse' ? offset + length : offset
    return most >= this.size ? 'EINVAL' : null
  }

  range(kind: RangeKind, offset: number, length: number): void {
    this.version++
    const end = offset + length
    if (kind === 'punch') this.#punch(offset, end)
    else if (kind === 'collapse') this.#shift(offset / BLOCK, -length / BLOCK)
    else if (kind === 'insert') this.#shift(offset / BLOCK, length / BLOCK)
    else {
      const keeps = kind === 'keep' || kind === 'zeroKeep'
      if (!keeps && end > this.size) this.#setSize(end)
      if (kind === 'zero' || kind === 'zeroKeep') this.#bytes.fill(0, offset, end)
      for (let block = Math.floor(offset / BLOCK); block * BLOCK < end; block++)
        this.blocks.add(block)
    }
  }

  /** Whether a punch takes blocks away. */
  frees(offset: number, end: number): boolean {
    const reach = end >= this.size ? Math.max(end, Math.ceil(this.size / BLOCK) * BLOCK) : end
    return [...this.blocks].some((one) => one * BLOCK >= offset && (one + 1) * BLOCK <= reach)
  }

  /** Whole blocks go, and the last one of the file when nothing of it is left. */
  #punch(offset: number, end: number): void {
    this.#bytes.fill(0, offset, end)
    const reach = end >= this.size ? Math.max(end, Math.ceil(this.size / BLOCK) * BLOCK) : end
    for (const block of this.blocks) {
      if (block * BLOCK >= offset && (block + 1) * BLOCK <= reach) this.blocks.delete(block)
    }
  }

  /** Blocks from `first` on move by `count`; with a negative one as many before them are lost. */
  #shift(first: number, count: number): void {
    const bytes = this.read(0, this.size)
    const moved = [...this.blocks].filter((block) => block >= first - Math.min(0, count))
    for (const block of this.blocks) if (block >= first) this.blocks.delete(block)
    for (const block of moved) this.blocks.add(block + count)
    const size = this.size + count * BLOCK
    const tail = bytes.subarray((first - Math.min(0, count)) * BLOCK)
    this.#setSize(Math.max(size, this.size))
    this.#bytes.fill(0, first * BLOCK, this.size)
    this.#bytes.set(tail, (first + Math.max(0, count)) * BLOCK)
    this.#setSize(size)
  }

  /** Holes stay holes, as far as whole blocks of them go. */
  copyFrom(from: Content, offset: number, toOffset: number, count: number): void {
    const bytes = from.read(offset, count)
    // What was allocated ahead there is data to a copy.
    if (from.mayBeAhead) this.mayBeAhead = true
    // Whole blocks are shared, when they are many.
    this.#sharesWith(from)
    for (let done = 0; done < count;) {
      const block = Math.floor((offset + done) / BLOCK)
      const isData = from.blocks.has(block)
      let next = block
      while (next * BLOCK < offset + count && from.blocks.has(next) === isData) next++
      const n = Math.min(count, next * BLOCK - offset) - done
      const to = toOffset + done
      if (isData) this.write(to, bytes.subarray(done, done + n))
      else {
        const end = to + n
        this.#punch(to, end < this.size ? end : Math.ceil(end / BLOCK) * BLOCK)
        if (end > this.size) this.#setSize(end)
        this.version++
      }
      done += n
    }
  }

  /** Blocks of another file, or of this one, take the place of what was here; holes do as well. */
  shareFrom(from: Content, offset: number, toOffset: number, count: number): void {
    const bytes = from.read(offset, count)
    const [first, to] = [offset / BLOCK, toOffset / BLOCK]
    this.version++
    this.#sharesWith(from)
    if (from.mayBeAhead) this.mayBeAhead = true
    if (toOffset + count > this.size) this.#setSize(toOffset + count)
    this.#bytes.set(bytes, toOffset)
    for (let i = 0; i < Math.ceil(count / BLOCK); i++) {
      if (from.blocks.has(first + i)) this.blocks.add(to + i)
      else this.blocks.delete(to + i)
    }
  }

  /** What two files shared already comes again when it is shared once more, at another place. */
  #sharesWith(from: Content): void {
    const both = from === this || (from.mayShare && this.mayShare)
    if (both || from.mayRepeat) this.mayRepeat = true
    this.mayShare = from.mayShare = true
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
