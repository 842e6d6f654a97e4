/** A volume as a place that files are copied to and from. */
import { displayPath, HoldfastError } from '../base/errors.js'
import type { FileHandle, FileSystem, Timestamp } from '../base/filesystem.js'
import { deviceNumber, deviceOf, timesOf } from './display.js'
import { inVolume, onFile } from './failure.js'
import type { Attribute, Entry, Place, Reader, Writer } from './places.js'
import { creatorOf, entriesOf, volumeId } from './session.js'
import { fileName } from './volume_name.js'

/** What readers read, for writers of the same volume that clone it. */
const sources = new WeakMap<Reader, FileHandle>()

export class VolumePlace implements Place {
  readonly #volume: FileSystem
  readonly #region: string

  constructor(volume: FileSystem, region: string) {
    this.#volume = volume
    this.#region = region
  }

  name(path: Uint8Array): string {
    return fileName(this.#region, displayPath(path))
  }

  #run<T>(what: () => Promise<T>): Promise<T> {
    return inVolume(this.#region, what)
  }

  look(path: Uint8Array, follow: boolean): Promise<Entry | null> {
    return this.#run(async () => {
      try {
        const stats = await (follow ? this.#volume.stat(path) : this.#volume.lstat(path))
        const { ino, generation, type, mode, nlink, uid, gid, size } = stats
        const { atime, mtime } = timesOf(stats)
        const id = `${volumeId(this.#volume)} ${ino}.${generation}`
        const device = deviceOf(stats.rdev)
        return { id, type, mode, links: nlink, uid, gid, size, ...device, atime, mtime }
      } catch (error) {
        if (error instanceof HoldfastError && error.code === 'ENOENT') return null
        throw error
      }
    })
  }

  clones(from: Place): boolean {
    return from instanceof VolumePlace && from.#volume === this.#volume
  }

  async *list(path: Uint8Array): AsyncGenerator<Uint8Array> {
    for await (const { name } of entriesOf(this.#volume, path)) yield name
  }

  openReader(path: Uint8Array): Promise<Reader> {
    return this.#run(async () => {
      const file = await this.#volume.open(path, 'r')
      const reader: Reader = {
        read: (buffer, position) => this.#onFile(path, () => file.read(buffer, position)),
        seek: (position, what) =>
          this.#onFile(path, async () => {
            try {
              return await file.seek(position, what)
            } catch (error) {
              if (error instanceof HoldfastError && error.code === 'ENXIO') return -1
              throw error
            }
          }),
        size: () => this.#onFile(path, async () => (await file.stat()).size),
        close: () => file.close(),
      }
      sources.set(reader, file)
      return reader
    })
  }

  openWriter(path: Uint8Array, mode: number): Promise<Writer> {
    return this.#run(async () => {
      const file = await this.#volume.open(path, 'w', mode & 0o777, creatorOf(this.#volume))
      return {
        seekable: true,
        write: (bytes, position) =>
          this.#onFile(path, async () => void (await file.write(bytes, position))),
        setSize: (size) => this.#onFile(path, () => file.truncate(size)),
        clone: (reader) =>
          this.#onFile(path, async () => {
            const source = sources.get(reader)
            if (source === undefined) throw new HoldfastError('EXDEV')
            await source.reflinkRange(0, file, 0, 0, { share: 'copy' })
          }),
        close: () => file.close(),
      }
    })
  }

  #onFile<T>(path: Uint8Array, what: () => Promise<T>): Promise<T> {
    return this.#run(() => onFile(path, what))
  }

  makeDirectory(path: Uint8Array, mode: number): Promise<void> {
    return this.#run(() => this.#volume.mkdir(path, mode & 0o7777, creatorOf(this.#volume)))
  }

  readLink(path: Uint8Array): Promise<Uint8Array> {
    return this.#run(() => this.#volume.readlink(path))
  }

  makeSymlink(target: Uint8Array, path: Uint8Array): Promise<void> {
    return this.#run(() => this.#volume.symlink(target, path, creatorOf(this.#volume)))
  }

  makeNode(path: Uint8Array, { mode, major, minor }: Entry): Promise<void> {
    return this.#run(() =>
      this.#volume.mknod(path, mode, deviceNumber(major, minor), creatorOf(this.#volume)),
    )
  }

  link(existing: Uint8Array, path: Uint8Array): Promise<void> {
    return this.#run(() => this.#volume.link(existing, path, { follow: false }))
  }

  remove(path: Uint8Array): Promise<void> {
    return this.#run(() => this.#volume.unlink(path))
  }

  setOwner(path: Uint8Array, uid: number, gid: number): Promise<void> {
    return this.#run(() => this.#volume.chown(path, uid, gid, { follow: false }))
  }

  setMode(path: Uint8Array, mode: number): Promise<void> {
    return this.#run(() => this.#volume.chmod(path, mode & 0o7777))
  }

  setTimes(path: Uint8Array, atime: Timestamp, mtime: Timestamp): Promise<void> {
    return this.#run(() => this.#volume.utimes(path, atime, mtime, { follow: false }))
  }

  attributes(path: Uint8Array): Promise<Attribute[]> {
    return this.#run(async () => {
      const found: Attribute[] = []
      for (const name of await this.#volume.listXattrs(path, { follow: false })) {
        found.push({ name, value: await this.#volume.getXattr(path, name, { follow: false }) })
      }
      return found
    })
  }

  setAttribute(path: Uint8Array, { name, value }: Attribute): Promise<void> {
    return this.#run(() => this.#volume.setXattr(path, name, value, { follow: false }))
  }
}
