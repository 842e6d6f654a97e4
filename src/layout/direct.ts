/**
 * Calls on a volume of this process in the turn that they are asked in, in the name of who asks.
 *
 * Invariant: a call that would have to wait has done nothing, and asks nothing back: its promise
 * form comes after it.
 */
import type {
  Credentials,
  DirectFileSystem,
  Path,
  RenameOptions,
  Stats,
} from '../base/filesystem.js'
import { VolumeHandle } from './handle.js'
import type { VolumeFileSystem } from './filesystem.js'
import type { LayoutVolume } from './volume.js'

const NOBODY = {}

export class DirectVolume implements DirectFileSystem {
  readonly #files: VolumeFileSystem
  readonly #volume: LayoutVolume

  constructor(files: VolumeFileSystem) {
    this.#files = files
    this.#volume = files.volume
  }

  /** Null: something is in its way. */
  #now<T>(run: () => T): { readonly value: T } | null {
    const { arbiter, waiting } = this.#volume
    return waiting.now(() => arbiter.during(this.#files.asker ?? NOBODY, run))
  }

  lookUp(path: Path, as?: Credentials): Stats | null {
    return this.#volume.lookUp(path, as)
  }

  lstat(path: Path, as?: Credentials): Stats {
    return this.#volume.lstat(path, as)
  }

  open(path: Path, flags: number, mode: number, as?: Credentials): VolumeHandle | null {
    const opened = this.#now(() => this.#volume.open(path, flags, mode, as))
    return opened === null ? null : new VolumeHandle(this.#files, opened.value)
  }

  mkdir(path: Path, mode: number, as?: Credentials): boolean {
    return this.#now(() => this.#volume.mkdir(path, mode, as)) !== null
  }

  rmdir(path: Path, as?: Credentials): boolean {
    return this.#now(() => this.#volume.rmdir(path, as)) !== null
  }

  unlink(path: Path, as?: Credentials): boolean {
    return this.#now(() => this.#volume.unlink(path, as)) !== null
  }

  rename(from: Path, to: Path, options: RenameOptions, as?: Credentials): boolean {
    return this.#now(() => this.#volume.rename(from, to, options, as)) !== null
  }
}
