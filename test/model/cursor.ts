/** A directory listed piece by piece while it changes: what readdir promises of its cookies. */
import assert from 'node:assert/strict'
import type { DirectoryEntry } from '../../src/base/filesystem.js'
import type { Volume } from '../../src/volume/volume.js'
import type { FilesystemModel, ModelInode } from './filesystem_model.js'
import { toPath } from './operations.js'

export class Cursor {
  readonly #directory: ModelInode
  /** Entries that stood there at the start and at every moment since. */
  readonly #standing: Map<string, ModelInode>
  readonly #seen = new Map<string, ModelInode>()
  #cookie = 0
  done = false

  constructor(directory: ModelInode) {
    this.#directory = directory
    this.#standing = new Map(directory.entries)
  }

  /** After each operation. */
  observe(): void {
    for (const [name, inode] of this.#standing) {
      if (this.#directory.entries.get(name) !== inode) this.#standing.delete(name)
    }
    for (const [name, inode] of this.#seen) {
      // Gone and made anew, it may be seen again.
      if (this.#directory.entries.get(name) !== inode) this.#seen.delete(name)
    }
  }

  next(volume: Volume, model: FilesystemModel, limit: number): void {
    const path = model.paths('directory').find((p) => model.inode(p) === this.#directory)
    if (this.done || path === undefined) return
    const entries = volume.readdir(toPath(path), this.#cookie, limit)
    for (const entry of entries) this.#take(entry, path)
    if (entries.length === limit) return
    this.done = true
    for (const name of this.#standing.keys()) {
      assert(
        this.#seen.has(name),
        `readdir of ${path} never showed '${name}', which stood throughout`,
      )
    }
  }

  #take(entry: DirectoryEntry, path: string): void {
    const name = Buffer.from(entry.name).toString('latin1')
    const inode = this.#directory.entries.get(name)
    assert(inode !== undefined, `readdir of ${path} shows '${name}', which is not there`)
    assert(!this.#seen.has(name), `readdir of ${path} shows '${name}' twice`)
    assert(Number.isSafeInteger(entry.cookie) && entry.cookie > this.#cookie, 'cookies rise')
    this.#seen.set(name, inode)
    this.#cookie = entry.cookie
  }
}
