/**
 * Places that files are copied between: a volume, and the host's file system. Both in terms of byte
 * paths, so that a copy does not know which is which.
 */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  futimesSync,
  lstatSync,
  chmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
  type Stats as HostStats,
} from 'node:fs'
import { displayPath, HoldfastError } from '../base/errors.js'
import type { FileSystem } from '../base/filesystem.js'
import type { Target } from './arguments.js'
import { inVolume } from './failure.js'
import { entriesOf, USER, type Purpose, type Session } from './session.js'

export interface Entry {
  /** Same file, same id. */
  readonly id: string
  /** 'other': a symbolic link, FIFO, socket or device. */
  readonly type: 'file' | 'directory' | 'other'
  readonly mode: number
  readonly size: number
  readonly mtimeMs: number
}

export interface Reader {
  read(buffer: Uint8Array): Promise<number>
  close(): Promise<void>
}

export interface Writer {
  write(bytes: Uint8Array): Promise<void>
  /** Gives the file the mode and time of what it is a copy of, as far as the place can. */
  finish(like: Entry): Promise<void>
  close(): Promise<void>
}

export interface Place {
  /** A path as the command line would have it. */
  name(path: Uint8Array): string
  /** What is there, null when nothing. `follow`: through a symbolic link at the end. */
  look(path: Uint8Array, follow: boolean): Promise<Entry | null>
  list(path: Uint8Array): AsyncIterable<Uint8Array>
  openReader(path: Uint8Array): Promise<Reader>
  /** Empties the file, or makes it. */
  openWriter(path: Uint8Array, mode: number): Promise<Writer>
  makeDirectory(path: Uint8Array, mode: number): Promise<void>
  finishDirectory(path: Uint8Array, like: Entry): Promise<void>
  remove(path: Uint8Array): Promise<void>
}

export function placeOf(session: Session, target: Target, purpose: Purpose): Place {
  const { region } = target
  if (region === null) return hostPlace
  return new VolumePlace(session.volume(region, purpose), region)
}

class VolumePlace implements Place {
  readonly #volume: FileSystem
  readonly #region: string

  constructor(volume: FileSystem, region: string) {
    this.#volume = volume
    this.#region = region
  }

  name(path: Uint8Array): string {
    return `${this.#region}:${displayPath(path)}`
  }

  #run<T>(what: () => Promise<T>): Promise<T> {
    return inVolume(this.#region, what)
  }

  look(path: Uint8Array): Promise<Entry | null> {
    return this.#run(async () => {
      try {
        const { ino, generation, type, mode, size, mtimeMs } = await this.#volume.stat(path)
        const kind = type === 'file' || type === 'directory' ? type : 'other'
        return { id: `${this.#region} ${ino}.${generation}`, type: kind, mode, size, mtimeMs }
      } catch (error) {
        if (error instanceof HoldfastError && error.code === 'ENOENT') return null
        throw error
      }
    })
  }

  async *list(path: Uint8Array): AsyncGenerator<Uint8Array> {
    for await (const { name } of entriesOf(this.#volume, path)) yield name
  }

  openReader(path: Uint8Array): Promise<Reader> {
    return this.#run(async () => {
      const file = await this.#volume.open(path, 'r')
      return {
        read: (buffer) => this.#onFile(path, () => file.read(buffer)),
        close: () => file.close(),
      }
    })
  }

  openWriter(path: Uint8Array, mode: number): Promise<Writer> {
    return this.#run(async () => {
      const file = await this.#volume.open(path, 'w', mode & 0o7777, USER)
      return {
        write: (bytes) => this.#onFile(path, async () => void (await file.write(bytes))),
        finish: async () => {}, // the mode came with the opening; a time cannot be set
        close: () => file.close(),
      }
    })
  }

  /** A handle does not know the path that it was opened by; a message should. */
  #onFile<T>(path: Uint8Array, what: () => Promise<T>): Promise<T> {
    return this.#run(async () => {
      try {
        return await what()
      } catch (error) {
        if (!(error instanceof HoldfastError) || error.path !== undefined) throw error
        throw new HoldfastError(error.code, error.detail, { path, cause: error })
      }
    })
  }

  makeDirectory(path: Uint8Array, mode: number): Promise<void> {
    return this.#run(() => this.#volume.mkdir(path, mode & 0o7777, USER))
  }

  async finishDirectory(): Promise<void> {}

  remove(path: Uint8Array): Promise<void> {
    return this.#run(() => this.#volume.unlink(path))
  }
}

// Synchronous calls: nothing else is going on meanwhile, and they are several times faster.
const hostPlace: Place = {
  name: displayPath,

  async look(path, follow) {
    const stat = (follow ? statSync : lstatSync)(bytesOf(path), { throwIfNoEntry: false })
    return stat === undefined ? null : hostEntry(stat)
  },

  async *list(path) {
    yield* readdirSync(bytesOf(path), { encoding: 'buffer' })
  },

  async openReader(path) {
    const fd = openSync(bytesOf(path), 'r')
    return {
      read: async (buffer) => readSync(fd, buffer, 0, buffer.length, null),
      close: async () => closeSync(fd),
    }
  },

  async openWriter(path, mode) {
    const fd = openSync(bytesOf(path), 'w', 0o600 | (mode & 0o777))
    return {
      write: async (bytes) => {
        for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done)
      },
      finish: async (like) => {
        if (!fstatSync(fd).isFile()) return
        fchmodSync(fd, like.mode & 0o7777)
        futimesSync(fd, like.mtimeMs / 1000, like.mtimeMs / 1000)
      },
      close: async () => closeSync(fd),
    }
  },

  async makeDirectory(path, mode) {
    mkdirSync(bytesOf(path), 0o700 | (mode & 0o777))
  },

  async finishDirectory(path, like) {
    chmodSync(bytesOf(path), like.mode & 0o7777)
    utimesSync(bytesOf(path), like.mtimeMs / 1000, like.mtimeMs / 1000)
  },

  async remove(path) {
    unlinkSync(bytesOf(path))
  },
}

function bytesOf(path: Uint8Array): Buffer {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength)
}

function hostEntry(stat: HostStats): Entry {
  const type = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other'
  const { mode, size, mtimeMs } = stat
  return { id: `host ${stat.dev}.${stat.ino}`, type, mode, size, mtimeMs }
}
