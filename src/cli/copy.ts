/** Copying files and trees from one place to another. */
import { HoldfastError, type ErrorCode } from '../base/errors.js'
import { formatSize } from './arguments.js'
import { displayName } from './display.js'
import { failureLine } from './failure.js'
import { breathe } from './interrupt.js'
import { formatProgress, ProgressLine } from './output.js'
import type { Entry, Place, Reader, Writer } from './places.js'
import { joinPath, parentOf } from './session.js'

const COPY_BYTES = 1 << 20

export interface CopyOptions {
  /** Owners, extended attributes, ACLs and hard links too. */
  readonly all: boolean
  /** Whether files are cloned: where that can be, or nothing else, or not. */
  readonly reflink: 'auto' | 'always' | 'never'
}

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
  /** Files that could not be read or made. */
  failed = 0
  /** Extended attributes that the destination would not have. */
  attributesLost = 0

  readonly #from: Place
  readonly #to: Place
  readonly #all: boolean
  #reflink: CopyOptions['reflink']
  readonly #progress = new ProgressLine()
  readonly #buffer = new Uint8Array(COPY_BYTES)
  /** Where a file with several names was copied to, by its id. */
  readonly #copied = new Map<string, Uint8Array>()

  constructor(from: Place, to: Place, { all, reflink }: CopyOptions) {
    this.#from = from
    this.#to = to
    this.#all = all
    this.#reflink = reflink
    if (to.clones(from)) return
    if (reflink === 'always') {
      throw new HoldfastError('EXDEV', 'only a file of the same volume is cloned')
    }
    this.#reflink = 'never'
  }

  /** Copies what is at `from`, a file or a tree, to exactly `to`. */
  async copy(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    try {
      if (entry.type === 'directory') await this.#copyTree(from, entry, to)
      else await this.#copyOther(from, entry, to)
    } finally {
      this.#progress.clear()
    }
  }

  /** What is told of a device or a FIFO: its bytes, to their end. */
  async copyBytes(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    try {
      await this.#copyFile(from, entry, to)
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
        await this.#finish(level.from, level.entry, level.to)
        levels.pop()
        continue
      }
      const source = joinPath(level.from, next.value)
      const target = joinPath(level.to, next.value)
      const below = await this.#from.look(source, false)
      if (below === null) continue // gone since it was listed
      if (below.type === 'directory') levels.push(await this.#enter(source, below, target))
      else await this.#tryOther(source, below, target)
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

  /** A file of a tree that cannot be read or made is told of, and the others follow. */
  async #tryOther(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    try {
      await this.#copyOther(from, entry, to)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (error instanceof HoldfastError || (code !== 'EACCES' && code !== 'EPERM')) throw error
      this.failed++
      this.#progress.clear()
      process.stderr.write(failureLine('cp', error))
    }
  }

  /** What is no directory. */
  async #copyOther(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    const known = this.#all && entry.links > 1 ? this.#copied.get(entry.id) : undefined
    if (known !== undefined) {
      await this.#makeRoom(entry, to)
      await this.#to.link(known, to)
    } else if (entry.type === 'file') await this.#copyFile(from, entry, to)
    else {
      await this.#makeRoom(entry, to)
      if (entry.type === 'symlink') {
        await this.#to.makeSymlink(await this.#from.readLink(from), to)
      } else await this.#to.makeNode(to, entry)
      await this.#finish(from, entry, to)
    }
    if (entry.links > 1 && this.#all) this.#copied.set(entry.id, to)
    if (entry.type !== 'file' || known !== undefined) this.files++
  }

  /** A link or a special file is made anew: what has the name goes. */
  async #makeRoom(entry: Entry, to: Uint8Array): Promise<void> {
    const there = await this.#to.look(to, false)
    if (there === null) return
    this.#refuseOver(entry, there, to)
    await this.#to.remove(to)
  }

  #refuseOver(entry: Entry, there: Entry, to: Uint8Array): void {
    if (there.id === entry.id) {
      throw this.#refusal('EINVAL', 'source and destination are the same file', to)
    }
    if (there.type === 'directory') {
      throw this.#refusal('EISDIR', 'a file does not replace a directory', to)
    }
  }

  async #copyFile(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    const there = await this.#to.look(to, true)
    if (there !== null) this.#refuseOver(entry, there, to)
    const reader = await this.#from.openReader(from)
    try {
      const writer = await this.#to.openWriter(to, entry.mode)
      let whole = false
      try {
        if (entry.type === 'file' && (await this.#clone(reader, writer))) this.bytes += entry.size
        else if (entry.type === 'file' && writer.seekable)
          await this.#fill(reader, writer, entry, from)
        else await this.#pour(reader, writer, entry, from)
        await writer.close()
        if (writer.seekable && entry.type === 'file') await this.#finish(from, entry, to)
        whole = true
      } catch (error) {
        await writer.close().catch(() => {})
        throw error
      } finally {
        // Half a file under its name would pass for the whole one. (A device stays what it is.)
        if (!whole && (await this.#to.look(to, false))?.type === 'file') await this.#to.remove(to)
      }
    } finally {
      await reader.close()
    }
    this.files++
  }

  /** False: it is to be copied. A static volume has no clones. */
  async #clone(reader: Reader, writer: Writer): Promise<boolean> {
    if (this.#reflink === 'never') return false
    try {
      await writer.clone(reader)
      return true
    } catch (error) {
      const unknown = error instanceof HoldfastError && error.code === 'EOPNOTSUPP'
      if (!unknown || this.#reflink === 'always') throw error
      this.#reflink = 'never'
      return false
    }
  }

  /** Data where there is data: holes stay holes. */
  async #fill(reader: Reader, writer: Writer, entry: Entry, name: Uint8Array): Promise<void> {
    let done = 0
    for (;;) {
      const start = await reader.seek(done, 'data')
      if (start < 0) break
      const end = await reader.seek(start, 'hole')
      done = start
      while (done < end) {
        await this.#step(done, entry, name)
        const wanted = Math.min(end - done, COPY_BYTES)
        const n = await reader.read(this.#buffer.subarray(0, wanted), done)
        if (n === 0) break // cut meanwhile
        await writer.write(this.#buffer.subarray(0, n), done)
        done += n
        this.bytes += n
      }
      if (done < end) break
    }
    await writer.setSize(Math.max(done, await reader.size()))
  }

  /** From or to something that has no offsets. */
  async #pour(reader: Reader, writer: Writer, entry: Entry, name: Uint8Array): Promise<void> {
    for (let done = 0; ;) {
      await this.#step(done, entry, name)
      const n = await reader.read(this.#buffer, null)
      if (n === 0) return
      await writer.write(this.#buffer.subarray(0, n), null)
      done += n
      this.bytes += n
    }
  }

  async #step(done: number, entry: Entry, name: Uint8Array): Promise<void> {
    await breathe()
    this.#progress.show((seconds) => this.#line(done, entry.size, seconds, name))
  }

  /** Gives a copy what its original has beside content. Times come last: all else moves them. */
  async #finish(from: Uint8Array, entry: Entry, to: Uint8Array): Promise<void> {
    const { type, uid, gid, mode, atime, mtime } = entry
    let bits = this.#all ? mode : mode & ~0o6000
    if (this.#all) {
      // As cp(1): who may not give files away keeps them, without their set-id bits.
      if (!(await this.#tryOwner(to, uid, gid))) bits &= ~0o6000
      await this.#copyAttributes(from, to)
    }
    if (type !== 'symlink') await this.#to.setMode(to, bits)
    await this.#to.setTimes(to, atime, mtime)
  }

  async #tryOwner(to: Uint8Array, uid: number, gid: number): Promise<boolean> {
    try {
      await this.#to.setOwner(to, uid, gid)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error
      return false
    }
  }

  async #copyAttributes(from: Uint8Array, to: Uint8Array): Promise<void> {
    for (const attribute of await this.#from.attributes(from)) {
      try {
        await this.#to.setAttribute(to, attribute)
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code !== 'EOPNOTSUPP' && code !== 'EPERM') throw error
        this.attributesLost++
      }
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
    if (this.failed > 0) {
      parts.push(`${count(this.failed, 'file', 'files')} could not be read or made`)
    }
    if (this.attributesLost > 0) {
      const what = count(this.attributesLost, 'extended attribute', 'extended attributes')
      parts.push(`${what} not kept: the destination does not take them`)
    }
    if (parts.length === 0) return null
    return `${parts.join('; ')} (${count(this.files, 'file', 'files')}, ${formatSize(this.bytes)} copied)`
  }
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`
}
