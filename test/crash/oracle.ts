/** Reads a whole volume back, and says whether it is one of the states that it may be in. */
import { HoldfastError } from '../../src/base/errors.js'
import type { Extent, InodeFlags } from '../../src/base/filesystem.js'
import type { Volume } from '../../src/volume/volume.js'
import type { ModelFile, Tree } from './model.js'

interface Found {
  readonly ino: number
  readonly links: number
  readonly content: Uint8Array
  /** All else that stat and the attributes say. */
  readonly rest: string
  /** Where its blocks are. */
  readonly extents: () => readonly Extent[]
}

type FoundTree = Map<string, Found | 'directory'>

export function readTree(volume: Volume): FoundTree {
  const found: FoundTree = new Map()
  const walk = (directory: string) => {
    for (const { name, type } of volume.readdir(directory === '' ? '/' : directory)) {
      const path = `${directory}/${Buffer.from(name).toString('latin1')}`
      if (type === 'directory') {
        found.set(path, 'directory')
        walk(path)
      } else {
        found.set(path, readFile(volume, path))
      }
    }
  }
  walk('')
  return found
}

function readFile(volume: Volume, path: string): Found {
  const stats = volume.lstat(path)
  const target = stats.isSymbolicLink() ? Buffer.from(volume.readlink(path)).toString('latin1') : ''
  const noFollow = { follow: false }
  const xattrs = new Map<string, string>()
  for (const name of volume.listXattrs(path, noFollow)) {
    xattrs.set(name, Buffer.from(volume.getXattr(path, name, noFollow)).toString('latin1'))
  }
  const content = stats.isFile() ? volume.readFile(path) : new Uint8Array(0)
  const flags = stats.isFile() ? volume.inodeFlags(path) : NO_FLAGS
  const rest = restOf(stats.mode, stats.uid, target, xattrs, flags)
  const extents = () => volume.extents(path).extents
  return { ino: stats.ino, links: stats.nlink, content, rest, extents }
}

type LayoutFlags = Pick<InodeFlags, 'fixed' | 'writeSealed' | 'policy'>

const NO_FLAGS: LayoutFlags = { fixed: false, writeSealed: false, policy: null }

function restOf(
  mode: number,
  uid: number,
  target: string,
  xattrs: Map<string, string>,
  { fixed, writeSealed, policy }: LayoutFlags,
): string {
  const values = [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1))
  const flags = [fixed ? 'fixed' : '', writeSealed ? 'write-sealed' : '', policy ?? ''].join(' ')
  return JSON.stringify([mode.toString(8), uid, target, values, flags.trim()])
}

/** Where a snapshot is made before it gets its name: there what it has come to may be left. */
export interface Leftover {
  readonly at: string
  readonly from: string
  readonly to: string
}

/**
 * Why `volume` is in none of the states allowed, or null. `states`: what the tree was before and
 * after the calls in doubt, oldest first. With `mixed`, bytes that were overwritten in place may be
 * those of any of the states, 8-byte word by word.
 */
export function notAllowed(
  volume: Volume,
  states: readonly Tree[],
  mixed: boolean,
  leftover: Leftover | null = null,
): string | null {
  let found: FoundTree
  try {
    found = readTree(volume)
  } catch (error) {
    if (error instanceof HoldfastError) return `the tree cannot be read: ${error.message}`
    throw error
  }
  let why = ''
  for (let i = states.length - 1; i >= 0; i--) {
    const difference = differs(found, states[i]!, mixed ? states : [], leftover)
    if (difference === null) return null
    why += `\n  not state ${i}: ${difference}`
  }
  return `neither of ${states.length} states:${why}`
}

function differs(
  found: FoundTree,
  state: Tree,
  history: readonly Tree[],
  leftover: Leftover | null,
): string | null {
  for (const [path, there] of found) {
    const why = state.has(path) ? null : surplus(path, there, state, leftover)
    if (why !== null) return why
  }
  const inodes = new Map<number, ModelFile>()
  for (const [path, node] of state) {
    const there = found.get(path)
    if (there === undefined) return `${path} is missing`
    if (node === 'directory' || there === 'directory') {
      if (node !== there) return `${path} is of another type`
      continue
    }
    const twin = inodes.get(there.ino)
    if (twin !== undefined && twin !== node) return `${path} is the inode of another file`
    inodes.set(there.ino, node)
    if (there.links !== node.links) return `${path} has ${there.links} links, not ${node.links}`
    const rest = restOf(node.mode, node.uid, node.target, node.xattrs, node)
    if (there.rest !== rest) {
      return `${path} is ${there.rest.slice(0, 200)}, not ${rest.slice(0, 200)}`
    }
    const why = differentContent(path, there.content, node, history) ?? moved(path, there, node)
    if (why !== null) return why
  }
  return null
}

/** Why that is there although the tree does not have it: a part of a snapshot may be. */
function surplus(
  path: string,
  there: Found | 'directory',
  state: Tree,
  leftover: Leftover | null,
): string | null {
  const made = leftover !== null && `${path}/`.startsWith(`${leftover.at}/`)
  if (!made || state.has(leftover.to)) return `${path} should not be there`
  const source = state.get(leftover.from + path.slice(leftover.at.length))
  if (source === undefined) return `${path} is a copy of nothing`
  if (source === 'directory' || there === 'directory') {
    return source === there ? null : `${path} is of another type than what it copies`
  }
  const whole = Buffer.compare(there.content, source.content) === 0
  return whole || there.content.length === 0 ? null : `${path} is neither empty nor a copy`
}

/** Which of the blocks of a file is not at the place that was promised. */
function moved(path: string, { extents }: Found, { places }: ModelFile): string | null {
  if (places.size === 0) return null
  const list = extents()
  for (const [block, place] of places) {
    const extent = list.find((e) => e.fileBlock <= block && block < e.fileBlock + e.count)
    const now = extent === undefined ? 'nowhere' : extent.regionBlock + block - extent.fileBlock
    if (now !== place) return `block ${block} of ${path} is at ${now}, promised at ${place}`
  }
  return null
}

function differentContent(
  path: string,
  content: Uint8Array,
  file: ModelFile,
  history: readonly Tree[],
): string | null {
  if (content.length !== file.content.length) {
    return `${path} has ${content.length} bytes, not ${file.content.length}`
  }
  if (Buffer.compare(content, file.content) === 0) return null
  const versions = [file.content]
  for (const tree of history) {
    for (const node of tree.values()) {
      if (node !== 'directory' && node.tag === file.tag) versions.push(node.content)
    }
  }
  for (let at = 0; at < content.length; at += 8) {
    const word = content.subarray(at, at + 8)
    const fits = versions.some(
      (version) => Buffer.compare(version.subarray(at, at + word.length), word) === 0,
    )
    if (!fits) return `${path} at ${at}: ${nameOf(word, file)}`
  }
  return null
}

/** What stands there instead: the tag tells whose it is. */
function nameOf(word: Uint8Array, file: ModelFile): string {
  const hex = Buffer.from(word).toString('hex')
  if (word.every((byte) => byte === 0)) return `zeros`
  const tag = word[0]! | (word[1]! << 8)
  return tag === file.tag
    ? `its own bytes of another time (${hex})`
    : `bytes of file ${tag} (${hex})`
}
