/** Trees of files, seen through a mount or by the library, and whether two are the same. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { openVolume, VolumeFileSystem } from '../../src/index.js'

/** All that a copy of a file has to keep. */
export interface Entry {
  readonly ino: number
  /** Type and permissions. */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  /** 0 of a directory: filesystems count as they like. */
  readonly size: number
  /** Nanoseconds since 1970. */
  readonly mtime: bigint
  /** Digest of a file, target of a symlink, number of a device. */
  readonly content: string
}

/** By path from the top, which is '', as Latin-1: names are bytes. */
export type Tree = ReadonlyMap<string, Entry>

const TYPE = 0o170000
const FILE = 0o100000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000
/** Of a read. */
const CHUNK_BYTES = 256 * 1024
const DEVICES: readonly number[] = [0o020000, 0o060000]

/** Where a tree is read from. */
interface Source {
  stat(path: Buffer): Promise<Omit<Entry, 'content'> & { readonly device: string }>
  names(path: Buffer): Promise<Uint8Array[]>
  target(path: Buffer): Promise<Uint8Array>
  /** Hands all bytes of a file to `take`. */
  read(path: Buffer, take: (bytes: Uint8Array) => void): Promise<void>
}

/** Files that are read at a time. */
const AT_ONCE = 16

async function treeOf(source: Source, top: string): Promise<Map<string, Entry>> {
  const tree = new Map<string, Entry>()
  const wanted = ['']
  const visit = async (path: string): Promise<void> => {
    const place = Buffer.from(`${top}/${path}`, 'latin1')
    const { device, ...found } = await source.stat(place)
    const type = found.mode & TYPE
    let content = ''
    if (type === FILE) {
      const hash = createHash('sha256')
      await source.read(place, (bytes) => void hash.update(bytes))
      content = hash.digest('hex')
    } else if (type === SYMLINK) {
      content = Buffer.from(await source.target(place)).toString('latin1')
    } else if (DEVICES.includes(type)) {
      content = device
    } else if (type === DIRECTORY) {
      for (const name of await source.names(place)) {
        const step = Buffer.from(name).toString('latin1')
        wanted.push(path === '' ? step : `${path}/${step}`)
      }
    }
    tree.set(path, { ...found, size: type === DIRECTORY ? 0 : found.size, content })
  }
  while (wanted.length > 0) await Promise.all(wanted.splice(-AT_ONCE).map(visit))
  return tree
}

/** Of a directory of this machine. */
export async function hostTree(top: string): Promise<Map<string, Entry>> {
  const source: Source = {
    stat: async (path) => {
      const found = await lstat(path, { bigint: true })
      // Of Linux's 64-bit device numbers, as the library has them: 12 bits and 20.
      const major = (found.rdev >> 8n) & 0xfffn
      const minor = (found.rdev & 0xffn) | ((found.rdev >> 12n) & 0xfff00n)
      return {
        ino: Number(found.ino),
        mode: Number(found.mode),
        nlink: Number(found.nlink),
        uid: Number(found.uid),
        gid: Number(found.gid),
        size: Number(found.size),
        mtime: found.mtimeNs,
        device: `${major}:${minor}`,
      }
    },
    names: (path) => readdir(path, { encoding: 'buffer' }),
    target: (path) => readlink(path, { encoding: 'buffer' }),
    read: async (path, take) => {
      await using file = await open(path)
      const buffer = new Uint8Array(CHUNK_BYTES)
      for (;;) {
        const { bytesRead } = await file.read(buffer)
        if (bytesRead === 0) return
        take(buffer.subarray(0, bytesRead))
      }
    },
  }
  return await treeOf(source, top)
}

/** Of a volume that nobody has mounted, by the library, and the number of inodes that it uses. */
export async function volumeTree(
  region: string,
): Promise<{ readonly tree: Map<string, Entry>; readonly inodesUsed: number }> {
  await using fs = new VolumeFileSystem(openVolume(region, { readOnly: true }))
  const source: Source = {
    stat: async (path) => {
      const found = await fs.lstat(path)
      return {
        ino: found.ino,
        mode: found.mode,
        nlink: found.nlink,
        uid: found.uid,
        gid: found.gid,
        size: found.size,
        mtime: BigInt(found.mtimeSeconds) * 1_000_000_000n + BigInt(found.mtimeNanoseconds),
        device: `${found.rdev >>> 20}:${found.rdev & 0xfffff}`,
      }
    },
    names: async (path) => (await fs.readdir(path)).map(({ name }) => name),
    target: (path) => fs.readlink(path),
    read: async (path, take) => {
      await using file = await fs.open(path)
      const buffer = new Uint8Array(CHUNK_BYTES)
      for (let at = 0, got; (got = await file.read(buffer, at)) > 0; at += got) {
        take(buffer.subarray(0, got))
      }
    },
  }
  const tree = await treeOf(source, '')
  return { tree, inodesUsed: (await fs.statfs()).files }
}

export interface Comparison {
  /** Of directories and symlinks as well. */
  readonly times?: boolean
  /** Only modes, owners and times of files that have it are compared. */
  readonly owners?: boolean
}

/** What of an entry two trees have to agree on. Inode numbers are each filesystem's own. */
function claim(tree: Tree, path: string, first: ReadonlyMap<number, string>, options: Comparison) {
  const { ino, mode, nlink, uid, gid, size, mtime, content } = tree.get(path)!
  const linked = (mode & TYPE) !== DIRECTORY && nlink > 1
  return {
    mode: mode.toString(8),
    ...(options.owners === false ? {} : { owner: `${uid}:${gid}` }),
    size,
    ...(options.times === false ? {} : { mtime: String(mtime) }),
    content,
    names: linked ? nlink : 1,
    same: linked ? first.get(ino)! : path,
  }
}

/** Of each inode the first of its paths, in order: which names are one file. */
function firstPaths(tree: Tree): Map<number, string> {
  const first = new Map<number, string>()
  for (const path of [...tree.keys()].sort()) {
    const { ino } = tree.get(path)!
    if (!first.has(ino)) first.set(ino, path)
  }
  return first
}

/** How the two differ, a line a file; [] when they do not. */
export function differences(found: Tree, wanted: Tree, options: Comparison = {}): string[] {
  const lines: string[] = []
  const firsts = [firstPaths(found), firstPaths(wanted)] as const
  for (const path of [...new Set([...found.keys(), ...wanted.keys()])].sort()) {
    if (!found.has(path)) lines.push(`${path} is missing`)
    else if (!wanted.has(path)) lines.push(`${path} is there`)
    else {
      const one = JSON.stringify(claim(found, path, firsts[0], options))
      const other = JSON.stringify(claim(wanted, path, firsts[1], options))
      if (one !== other) lines.push(`${path} is ${one}, not ${other}`)
    }
  }
  return lines
}

export function assertSameTree(found: Tree, wanted: Tree, options: Comparison = {}): void {
  const lines = differences(found, wanted, options)
  const shown = lines.slice(0, 20).join('\n')
  assert.equal(lines.length, 0, `${lines.length} files differ:\n${shown}`)
}

/** A tree without some of its paths. */
export function without(tree: Tree, path: RegExp): Map<string, Entry> {
  return new Map([...tree].filter(([name]) => !path.test(name)))
}
