/**
 * What the files of the fire hold, as objects: a page is what stands at one file block, whatever
 * region block that is. Clones have pages of their own, with the same bytes.
 *
 * A page under a hold leaves its file only by a change that the contract lets through; from then on
 * it is the holder's alone. Pages past the end are kept only while somebody holds them: nobody else
 * can tell what is in them.
 */
export const BLOCK = 4096

export class Page {
  readonly bytes: Uint8Array
  /** Null once it has left its file. */
  file: Content | null
  block: number
  /** Holds that cover it, and those of them through which it may be stored to. */
  holders = 0
  writers = 0
  /** Bytes that were known when it left its file. */
  #left = BLOCK

  constructor(file: Content, block: number, bytes = new Uint8Array(BLOCK)) {
    this.file = file
    this.block = block
    this.bytes = bytes
  }

  /** Bytes from its start that somebody has put there: past the end of the file only holders do. */
  get known(): number {
    if (this.writers > 0 || this.file === null) return this.#left
    return Math.max(0, Math.min(BLOCK, this.file.size - this.block * BLOCK))
  }

  /** It is no file's any more. */
  leave(): void {
    this.#left = this.known
    this.file = null
  }
}

/** Called with each held page that leaves its file. */
export type Leaving = (page: Page) => void

export class Content {
  readonly id: number
  /** Inode number. */
  ino = 0
  size = 0
  fixed = false
  sealed = false
  policy: 'busy' | 'wait' | 'defer' | null = null
  unlinked = false
  readonly pages = new Map<number, Page>()
  /** Layout ids that were seen, each with the layout that it named. */
  readonly layouts = new Map<string, string>()

  constructor(id: number) {
    this.id = id
  }

  get blocks(): number {
    return Math.ceil(this.size / BLOCK)
  }

  /** The page at a file block, made where there is a hole. */
  page(block: number): Page {
    let page = this.pages.get(block)
    if (page === undefined) {
      page = new Page(this, block)
      this.pages.set(block, page)
    }
    return page
  }

  /** Bytes past the end become zeros where nobody holds them, and show where somebody does. */
  #expose(to: number): void {
    if (to <= this.size) return
    for (let p = this.size; p < to;) {
      const block = Math.floor(p / BLOCK)
      const end = Math.min(to, (block + 1) * BLOCK)
      const page = this.pages.get(block)
      if (page?.writers === 0) page.bytes.fill(0, p - block * BLOCK, end - block * BLOCK)
      p = end
    }
  }

  write(position: number, bytes: Uint8Array): void {
    this.#expose(position)
    for (let p = position, end = position + bytes.length; p < end;) {
      const block = Math.floor(p / BLOCK)
      const to = Math.min(end, (block + 1) * BLOCK)
      const part = bytes.subarray(p - position, to - position)
      this.page(block).bytes.set(part, p - block * BLOCK)
      p = to
    }
    this.size = Math.max(this.size, position + bytes.length)
  }

  zero(position: number, length: number, keepSize: boolean): void {
    if (!keepSize) this.#expose(position)
    for (let p = position, end = position + length; p < end;) {
      const block = Math.floor(p / BLOCK)
      const to = Math.min(end, (block + 1) * BLOCK)
      this.pages.get(block)?.bytes.fill(0, p - block * BLOCK, to - block * BLOCK)
      p = to
    }
    if (!keepSize) this.size = Math.max(this.size, position + length)
  }

  /** The end moves up: by a call, or a commit. */
  extend(size: number): void {
    this.#expose(size)
    this.size = Math.max(this.size, size)
  }

  shrink(size: number, leaving: Leaving): void {
    this.#drop(Math.ceil(size / BLOCK), Infinity, leaving)
    this.size = size
  }

  punch(offset: number, length: number, leaving: Leaving): void {
    const end = offset + length
    const reach = end >= this.size ? Math.max(end, this.blocks * BLOCK) : end
    const first = Math.ceil(offset / BLOCK)
    const after = Math.floor(reach / BLOCK)
    const zeroPart = (from: number, to: number) => {
      const block = Math.floor(from / BLOCK)
      if (from < to) this.pages.get(block)?.bytes.fill(0, from - block * BLOCK, to - block * BLOCK)
    }
    zeroPart(offset, Math.min(end, first * BLOCK))
    if (after >= first) zeroPart(after * BLOCK, end)
    this.#drop(first, after, leaving)
  }

  #drop(from: number, to: number, leaving: Leaving): void {
    for (const [block, page] of [...this.pages]) {
      if (block < from || block >= to) continue
      this.pages.delete(block)
      page.leave()
      if (page.holders > 0) leaving(page)
    }
  }

  /** What is from `block` on moves by `by` blocks. A held page must not: `leaving` hears of it. */
  shift(block: number, by: number, leaving: Leaving): void {
    const after = [...this.pages].filter(([at]) => at >= block)
    for (const [at] of after) this.pages.delete(at)
    for (const [at, page] of after) {
      if (by < 0 && at < block - by) {
        page.leave()
      } else {
        page.block = at + by
        this.pages.set(page.block, page)
      }
      if (page.holders > 0) leaving(page)
    }
    this.size += by * BLOCK
  }

  /** File blocks [from, to) of `source` become those from `at` on; the size is `size` at least. */
  share(
    source: Content,
    from: number,
    to: number,
    at: number,
    size: number,
    leaving: Leaving,
  ): void {
    this.#expose(at * BLOCK)
    this.#drop(at, at + (to - from), leaving)
    for (let i = 0; i < to - from; i++) {
      const page = source.pages.get(from + i)
      if (page !== undefined) {
        this.pages.set(at + i, new Page(this, at + i, page.bytes.slice()))
      }
    }
    this.size = Math.max(this.size, size)
  }

  /** A page whose block went another way than its file: the file has a copy from now on. */
  replace(page: Page): void {
    page.leave()
    this.pages.set(page.block, new Page(this, page.block, page.bytes.slice()))
  }

  /** Forgets what nobody can tell any more. */
  forget(page: Page): void {
    if (page.holders === 0 && page.file !== null && page.block >= this.blocks) {
      this.pages.delete(page.block)
    }
  }

  /** The first byte at which `actual` differs from it; -1: none. */
  differsAt(actual: Uint8Array): number {
    if (actual.length !== this.size) return Math.min(actual.length, this.size)
    for (let block = 0; block < this.blocks; block++) {
      const part = actual.subarray(block * BLOCK, (block + 1) * BLOCK)
      const bytes = this.pages.get(block)?.bytes ?? ZEROS
      if (Buffer.compare(part, bytes.subarray(0, part.length)) === 0) continue
      return block * BLOCK + part.findIndex((byte, i) => byte !== bytes[i])
    }
    return -1
  }
}

const ZEROS = new Uint8Array(BLOCK)

/** Bytes of which each eight name the file, and the moment at which they were put there. */
export function pattern(id: number, stamp: number, length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 8) * 2)
  for (let i = 0; i < words.length; i += 2) {
    words[i] = 0xf000_0000 + id
    words[i + 1] = Math.imul(stamp, 0x9e37_79b1) + i
  }
  return new Uint8Array(words.buffer, 0, length)
}
