/** Copying files and trees from one place to another. */
import { HoldfastError, type ErrorCode } from '../base/errors.js'
import { formatSize } from './arguments.js'
import { displayName } from './display.js'
import { failureLine } from './failure.js'
import { breathe } from './interrupt.js'
import { formatProgress, ProgressLine } from './output.js'
import type { Entry, Place } from './places.js'
import { joinPath, parentOf } from './session.js'

const COPY_BYTES = 1 << 20

/** A directory that is being copied, and what is left of it. */
interface Level {
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly entry: Entry
  readonly names: AsyncIterator<Uint8Array>
}

export class Copy {
  files = 0
  bytes = 0
  /** Symbolic links and special files, which a volume does not have yet. */
  skipped = 0
  /** Files that could not be read. */
  failed = 0

  readonly #from: Place
  readonly #to: Place
  readonly #progress = new ProgressLine()
  readonly #buffer = new Uint8Array(COPY_BYTES)

  constructor(from: Place, to: Place) {
    this.#from = from
    this.#to = to
  }

  /** Copies what is at `from`, a file or a tree, to exactly `to`. */
  async copy(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    try {
      if (entry.type === 'directory') await this.#copyTree(from, entry, to)
      else if (entry.type === 'file') await this.#copyFile(from, entry, to)
      else this.skipped++
    } finally {
      this.#progress.clear()
    }
  }

  async #copyTree(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    await this.#refuseInside(entry, to)
    const levels: Level[] = [await this.#enter(from, entry, to)]
    for (let level = levels[0]; level !== undefined; level = levels[levels.length - 1]) {
      await breathe()
      const next = await level.names.next()
      if (next.done === true) {
        await this.#to.finishDirectory(level.to, level.entry)
        levels.pop()
        continue
      }
      const source = joinPath(level.from, next.value)
      const target = joinPath(level.to, next.value)
      const below = await this.#from.look(source, false)
      if (below === null) continue // gone since it was listed
      if (below.type === 'other') this.skipped++
      else if (below.type === 'file') await this.#tryFile(source, below, target)
      else levels.push(await this.#enter(source, below, target))
    }
  }

  async #enter(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<Level> {
    const there = await this.#to.look(to, true)
    if (there === null) await this.#to.makeDirectory(to, entry.mode)
    else if (there.type !== 'directory') {
      throw this.#refusal('ENOTDIR', 'a directory replaces only a directory', to)
    }
    return { from, to, entry, names: this.#from.list(from)[Symbol.asyncIterator]() }
  }

  /** A tree that is copied into itself would never end. */
  async #refuseInside(entry: Entry, to: Uint8Array): Promise<void> {
    let above = parentOf(to)
    let last = ''
    for (;;) {
      const there = await this.#to.look(above, true)
      if (there === null || there.id === last) return
      if (there.id === entry.id) {
        throw this.#refusal('EINVAL', 'a directory cannot be copied into itself', to)
      }
      last = there.id
      above = joinPath(above, Buffer.from('..'))
    }
  }

  /** A file of a tree that cannot be read is told of, and the others follow. */
  async #tryFile(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    try {
      await this.#copyFile(from, entry, to)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (error instanceof HoldfastError || (code !== 'EACCES' && code !== 'EPERM')) throw error
      this.failed++
      this.#progress.clear()
      process.stderr.write(failureLine('cp', error))
    }
  }

  async #copyFile(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    const there = await this.#to.look(to, true)
    if (there?.id === entry.id) {
      throw this.#refusal('EINVAL', 'source and destination are the same file', to)
    }
    if (there?.type === 'directory') {
      throw this.#refusal('EISDIR', 'a file does not replace a directory', to)
    }
    const reader = await this.#from.openReader(from)
    try {
      await this.#fill(reader.read.bind(reader), entry, to, from)
    } finally {
      await reader.close()
    }
    this.files++
  }

  async #fill(
    read: (buffer: Uint8Array) => Promise<number>,
    entry: Entry,
    to: Uint8Array,
    name: Uint8Array,
  ): Promise<void> {
    const writer = await this.#to.openWriter(to, entry.mode)
    let whole = false
    try {
      for (let done = 0; ;) {
        await breathe()
        this.#progress.show((seconds) => this.#line(done, entry.size, seconds, name))
        const n = await read(this.#buffer)
        if (n === 0) break
        await writer.write(this.#buffer.subarray(0, n))
        done += n
        this.bytes += n
      }
      await writer.finish(entry)
      whole = true
    } finally {
      await writer.close()
      // Half a file under its name would pass for the whole one. (A device stays what it is.)
      if (!whole && (await this.#to.look(to, false))?.type === 'file') await this.#to.remove(to)
    }
  }

  #refusal(code: ErrorCode, detail: string, path: Uint8Array): HoldfastError {
    return new HoldfastError(code, detail, { path: this.#to.name(path) })
  }

  #line(done: number, size: number, seconds: number, name: Uint8Array): string {
    const all = `${this.files} files, ${formatProgress(this.bytes, 0, seconds)}`
    const here = size >= 16 * COPY_BYTES ? ` (${Math.floor((done / size) * 100)}%)` : ''
    return `${all}: ${displayName(name)}${here}`
  }

  /** Adds up what was left out, or null. */
  complaint(): string | null {
    const parts = []
    if (this.skipped > 0) {
      const what = count(
        this.skipped,
        'symbolic link or special file',
        'symbolic links or special files',
      )
      parts.push(`${what} skipped: a volume does not hold them yet`)
    }
    if (this.failed > 0) parts.push(`${count(this.failed, 'file', 'files')} could not be read`)
    if (parts.length === 0) return null
    return `${parts.join('; ')} (${count(this.files, 'file', 'files')}, ${formatSize(this.bytes)} copied)`
  }
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`
}
