/**
 * The host's file system as a place that files are copied to and from. Synchronous calls: nothing
 * else is going on meanwhile, and they are several times faster.
 */
import {
  chmodSync,
  closeSync,
  fstatSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeSync,
  type BigIntStats,
} from 'node:fs'
import { displayPath, HoldfastError } from '../base/errors.js'
import type { Timestamp } from '../base/filesystem.js'
import { typeOfBits } from '../base/stats.js'
import { native } from '../native/native.js'
import type { Attribute, Entry, Place } from './places.js'

export const hostPlace: Place = {
  name: displayPath,

  async look(path, follow) {
    const options = { throwIfNoEntry: false, bigint: true } as const
    const stat = (follow ? statSync : lstatSync)(bufferOf(path), options)
    return stat === undefined ? null : entryOf(stat)
  },

  clones: () => false,

  async *list(path) {
    yield* readdirSync(bufferOf(path), { encoding: 'buffer' })
  },

  async openReader(path) {
    const fd = openSync(bufferOf(path), 'r')
    return {
      read: async (buffer, position) => readSync(fd, buffer, 0, buffer.length, position),
      seek: async (position, what) => native.seek(fd, position, what === 'data'),
      size: async () => fstatSync(fd).size,
      close: async () => closeSync(fd),
    }
  },

  async openWriter(path, mode) {
    const fd = openSync(bufferOf(path), 'w', 0o600 | (mode & 0o777))
    const seekable = fstatSync(fd).isFile()
    return {
      seekable,
      write: async (bytes, position) => {
        for (let done = 0; done < bytes.length;) {
          const at = position === null ? null : position + done
          done += writeSync(fd, bytes, done, bytes.length - done, at)
        }
      },
      setSize: async (size) => ftruncateSync(fd, size),
      clone: async () => {
        throw new HoldfastError('EOPNOTSUPP', 'files of the host are copied')
      },
      close: async () => closeSync(fd),
    }
  },

  async makeDirectory(path, mode) {
    mkdirSync(bufferOf(path), 0o700 | (mode & 0o777))
  },

  async readLink(path) {
    return readlinkSync(bufferOf(path), { encoding: 'buffer' })
  },

  async makeSymlink(target, path) {
    symlinkSync(bufferOf(target), bufferOf(path))
  },

  async makeNode(path, { mode, major, minor }) {
    native.makeNode(path, mode, major, minor)
  },

  async link(existing, path) {
    linkSync(bufferOf(existing), bufferOf(path))
  },

  async remove(path) {
    unlinkSync(bufferOf(path))
  },

  async setOwner(path, uid, gid) {
    lchownSync(bufferOf(path), uid, gid)
  },

  async setMode(path, mode) {
    chmodSync(bufferOf(path), mode & 0o7777)
  },

  async setTimes(path, atime, mtime) {
    native.setTimes(path, atime.seconds, atime.nanoseconds, mtime.seconds, mtime.nanoseconds)
  },

  async attributes(path) {
    const found: Attribute[] = []
    for (const name of namesOf(path)) {
      const value = native.getXattr(path, Buffer.from(name, 'latin1'))
      found.push({ name: Buffer.from(name, 'latin1').toString('utf8'), value })
    }
    return found
  },

  async setAttribute(path, { name, value }) {
    native.setXattr(path, Buffer.from(name), value)
  },
}

/** Names of extended attributes, a character a byte; none where the file system has none. */
function namesOf(path: Uint8Array): string[] {
  try {
    const names = Buffer.from(native.listXattrs(path)).toString('latin1')
    return names.split('\0').filter((name) => name !== '')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EOPNOTSUPP') return []
    throw error
  }
}

function bufferOf(path: Uint8Array): Buffer {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength)
}

const BILLION = 1_000_000_000n

/** Also of times before 1970: nanoseconds count up from the second before. */
export function timestampOf(ns: bigint): Timestamp {
  const nanoseconds = ((ns % BILLION) + BILLION) % BILLION
  return { seconds: Number((ns - nanoseconds) / BILLION), nanoseconds: Number(nanoseconds) }
}

function entryOf(stat: BigIntStats): Entry {
  const mode = Number(stat.mode)
  const rdev = Number(stat.rdev)
  return {
    id: `host ${stat.dev}.${stat.ino}`,
    type: typeOfBits(mode >>> 12),
    mode,
    links: Number(stat.nlink),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: Number(stat.size),
    // As glibc has them (makedev(3)), below 2^32.
    major: (rdev >>> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
    atime: timestampOf(stat.atimeNs),
    mtime: timestampOf(stat.mtimeNs),
  }
}
