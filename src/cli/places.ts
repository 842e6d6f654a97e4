/**
 * Places that files are copied between: a volume, and the host's file system. Both in terms of byte
 * paths, so that a copy does not know which is which.
 */
import type { FileType, Timestamp } from '../base/filesystem.js'
import type { Target } from './arguments.js'
import { hostPlace } from './host_place.js'
import type { Purpose, Session } from './session.js'
import { VolumePlace } from './volume_place.js'

/** What is known of a file, so that a copy can be the same. */
export interface Entry {
  /** Same file, same id. */
  readonly id: string
  readonly type: FileType
  readonly mode: number
  readonly links: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Of a device. */
  readonly major: number
  readonly minor: number
  readonly atime: Timestamp
  readonly mtime: Timestamp
}

export interface Reader {
  /** Fewer at the end; `position` null: where the last read ended. */
  read(buffer: Uint8Array, position: number | null): Promise<number>
  /** The next byte from `position` on that is in data or in a hole, -1 past the end. */
  seek(position: number, what: 'data' | 'hole'): Promise<number>
  /** Bytes, as of now. */
  size(): Promise<number>
  close(): Promise<void>
}

export interface Writer {
  /** False of a pipe or a terminal: bytes in a row, no size. */
  readonly seekable: boolean
  write(bytes: Uint8Array, position: number | null): Promise<void>
  setSize(size: number): Promise<void>
  /** Makes the file a clone of the one that `reader` reads; only where `Place.clones` says so. */
  clone(reader: Reader): Promise<void>
  close(): Promise<void>
}

/** An extended attribute; ACLs are among them. */
export interface Attribute {
  readonly name: string
  readonly value: Uint8Array
}

export interface Place {
  /** A path as the command line would have it. */
  name(path: Uint8Array): string
  /** What is there, null when nothing. `follow`: through a symbolic link at the end. */
  look(path: Uint8Array, follow: boolean): Promise<Entry | null>
  /** Whether files of `from` can be cloned here, being on the same volume. */
  clones(from: Place): boolean
  list(path: Uint8Array): AsyncIterable<Uint8Array>
  openReader(path: Uint8Array): Promise<Reader>
  /** Empties the file, or makes it. */
  openWriter(path: Uint8Array, mode: number): Promise<Writer>
  makeDirectory(path: Uint8Array, mode: number): Promise<void>
  readLink(path: Uint8Array): Promise<Uint8Array>
  makeSymlink(target: Uint8Array, path: Uint8Array): Promise<void>
  /** A FIFO, socket or device like another. */
  makeNode(path: Uint8Array, like: Entry): Promise<void>
  link(existing: Uint8Array, path: Uint8Array): Promise<void>
  remove(path: Uint8Array): Promise<void>

  // None of these follows a symbolic link.
  setOwner(path: Uint8Array, uid: number, gid: number): Promise<void>
  setMode(path: Uint8Array, mode: number): Promise<void>
  setTimes(path: Uint8Array, atime: Timestamp, mtime: Timestamp): Promise<void>
  attributes(path: Uint8Array): Promise<Attribute[]>
  setAttribute(path: Uint8Array, attribute: Attribute): Promise<void>
}

export async function placeOf(session: Session, target: Target, purpose: Purpose): Promise<Place> {
  const { region } = target
  if (region === null) return hostPlace
  return new VolumePlace(await session.volume(region, purpose), region)
}
