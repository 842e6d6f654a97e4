/** A volume and the model side by side: is what they show the same? */
import assert from 'node:assert/strict'
import { AssertionError, HoldfastError } from '../../src/base/errors.js'
import type { Layout, Path, Stats } from '../../src/base/filesystem.js'
import type { Volume } from '../../src/volume/volume.js'
import { ModelError, type FilesystemModel, type ModelInode } from './filesystem_model.js'
import { toPath } from './operations.js'

/** What a call came to. */
export type Outcome<T> = { readonly value: T } | { readonly error: HoldfastError | ModelError }

export function outcome<T>(call: () => T): Outcome<T> {
  try {
    return { value: call() }
  } catch (error) {
    if (error instanceof HoldfastError || error instanceof ModelError) return { error }
    throw error
  }
}

/** Both failed with a code that the model allows (true), or neither did (false). */
export function sameError(real: Outcome<unknown>, model: Outcome<unknown>, what: string): boolean {
  if ('error' in model) {
    assert(model.error instanceof ModelError)
    const allowed = model.error.codes
    const got = 'error' in real ? real.error : undefined
    assert(got instanceof HoldfastError, `${what}: no error, expected ${allowed.join(' or ')}`)
    const expected = `${what}: ${got.message}, expected ${allowed.join(' or ')}`
    assert((allowed as readonly string[]).includes(got.code), expected)
    return true
  }
  if ('error' in real) {
    const text = real.error instanceof Error ? (real.error.stack ?? '') : ''
    throw new AssertionError(`${what}: ${text}, expected no error`)
  }
  return false
}

export function sameBytes(real: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(real, expected) === 0) return
  let at = 0
  while (real[at] === expected[at]) at++
  const show = (bytes: Uint8Array) => Buffer.from(bytes.subarray(at, at + 16)).toString('hex')
  assert.fail(
    `${what}: ${real.length} bytes, expected ${expected.length}; from byte ${at}: ` +
      `${show(real)}, expected ${show(expected)}`,
  )
}

/** `times` false: they may be older, as after a crash (times of writes in place wait in memory). */
export function sameStat(real: Stats, inode: ModelInode, what: string, times = true): void {
  const { kind } = inode
  const expected = {
    type: kind,
    mode: inode.mode | { file: 0o100000, directory: 0o040000, symlink: 0o120000 }[kind],
    nlink: inode.links,
    uid: inode.uid,
    gid: inode.gid,
    size: {
      file: inode.content.size,
      directory: inode.entries.size * 64,
      symlink: inode.target.length,
    }[kind],
    mtimeMs: times ? inode.modified * 1000 : real.mtimeMs,
    ctimeMs: times ? inode.changed * 1000 : real.ctimeMs,
    birthtimeMs: inode.born * 1000,
    blksize: 4096,
  }
  for (const [field, value] of Object.entries(expected)) {
    const got = real[field as keyof Stats]
    if (got !== value) assert.fail(`${what}: ${field} is ${got}, expected ${value}`)
  }
  if (kind !== 'file') return
  const { blocks, mayBeAhead } = inode.content
  const extra = real.blocks / 8 - blocks.size
  // What was allocated ahead of an append is a block of zeros when the end moves past it.
  const right = extra === 0 || (mayBeAhead && extra > 0)
  assert(right, `${what}: ${real.blocks} / 8 blocks, expected ${blocks.size}`)
}

/** The blocks that are mapped are those that were written, each once and each elsewhere. */
export function sameLayout(layout: Layout, inode: ModelInode, what: string): void {
  const inFile = new Set<number>()
  const inRegion = new Set<number>()
  for (const { fileBlock, regionBlock, count } of layout.extents) {
    for (let i = 0; i < count; i++) {
      assert(!inFile.has(fileBlock + i), `${what}: file block ${fileBlock + i} is mapped twice`)
      const again = inRegion.has(regionBlock + i) && !inode.content.mayRepeat
      assert(!again, `${what}: block ${regionBlock + i} is used twice`)
      inFile.add(fileBlock + i)
      inRegion.add(regionBlock + i)
    }
  }
  const { blocks, mayBeAhead } = inode.content
  for (const block of blocks) assert(inFile.has(block), `${what}: block ${block} is not mapped`)
  if (!mayBeAhead) assert.equal(inFile.size, blocks.size, `${what}: mapped blocks`)
}

function sameXattrs(volume: Volume, path: Path, inode: ModelInode, what: string): void {
  const names = volume.listXattrs(path)
  assert.deepEqual(names, [...inode.xattrs.keys()].sort(), `${what}: attributes`)
  for (const name of names) {
    sameBytes(volume.getXattr(path, name), inode.xattrs.get(name)!, `${what}: ${name}`)
  }
}

export interface TreeComparison {
  readonly times?: boolean
  /** Content is compared by somebody else. */
  readonly contents?: boolean
}

/** Walks both trees: every name, stat and byte. Hard links must be one inode, and others not. */
export function sameTree(
  volume: Volume,
  model: FilesystemModel,
  what: string,
  { times = true, contents = true }: TreeComparison = {},
): void {
  const numbers = new Map<ModelInode, number>()
  const taken = new Map<number, ModelInode>()
  const down = (inode: ModelInode, text: string) => {
    const path = toPath(text === '' ? '/' : text)
    const where = `${what}: ${text === '' ? '/' : text}`
    const stat = volume.lstat(path)
    sameStat(stat, inode, where, times)
    const known = numbers.get(inode)
    assert.equal(stat.ino, known ?? stat.ino, `${where}: links lead to different inodes`)
    assert.equal(taken.get(stat.ino) ?? inode, inode, `${where}: inode ${stat.ino} is two files`)
    numbers.set(inode, stat.ino)
    taken.set(stat.ino, inode)
    if (known === undefined && inode.kind !== 'symlink') sameXattrs(volume, path, inode, where)
    if (inode.kind === 'symlink') {
      const target = Buffer.from(volume.readlink(path)).toString('latin1')
      assert.equal(target, inode.target, `${where}: target`)
      return
    }
    if (inode.kind === 'file') {
      if (contents && known === undefined) {
        sameBytes(volume.readFile(path), inode.content.read(0, Infinity), where)
        sameLayout(volume.extents(path), inode, where)
      }
      return
    }
    const entries = volume.readdir(path)
    const names = entries.map((e) => Buffer.from(e.name).toString('latin1')).sort()
    assert.deepEqual(names, [...inode.entries.keys()].sort(), `${where}: names`)
    for (const entry of entries) {
      const name = Buffer.from(entry.name).toString('latin1')
      const child = inode.entries.get(name)!
      assert.equal(entry.type, child.kind, `${where}/${name}: type of the entry`)
      down(child, `${text}/${name}`)
      assert.equal(entry.ino, numbers.get(child), `${where}/${name}: inode of the entry`)
    }
  }
  down(model.root, '')
}

/** Removes everything, leaves first, and what stands at the root. */
export function deleteAll(volume: Volume): void {
  const down = (path: Uint8Array) => {
    for (const { name, type } of volume.readdir(path)) {
      const child = Buffer.concat([path, Buffer.from('/'), name])
      if (type === 'directory') {
        down(child)
        volume.rmdir(child)
      } else volume.unlink(child)
    }
  }
  down(new Uint8Array([0x2f]))
  for (const name of volume.listXattrs('/')) volume.removeXattr('/', name)
}
