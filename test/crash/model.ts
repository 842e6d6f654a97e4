/**
 * The tree as it should be: a filesystem of maps, on which each call is one line.
 *
 * Content is made so that it names its origin: each aligned 8 bytes hold a tag of the file, the
 * number of the write and the place. Bytes of another file are recognised as such, wherever they
 * turn up.
 */
import type { HoldKind, Iomode, LayoutPolicy, UnshareMode } from '../../src/base/layout.js'

export interface ModelFile {
  readonly tag: number
  links: number
  content: Uint8Array
  /** Type and permissions. */
  mode: number
  uid: number
  /** Of a symlink. */
  target: string
  /** Of attributes: name -> value. */
  xattrs: Map<string, string>
  fixed: boolean
  writeSealed: boolean
  policy: LayoutPolicy | null
  /** Where it promised its blocks to be: file block -> region block. */
  places: Map<number, number>
  /** All bytes under its hold, also those past its end; none without a hold. */
  held: Uint8Array
}

export type ModelNode = ModelFile | 'directory'

/** One state of the whole tree: path -> node. */
export type Tree = Map<string, ModelNode>

export type Call =
  | { readonly op: 'create' | 'mkdir' | 'rmdir' | 'unlink' | 'openUnlink'; readonly path: string }
  | { readonly op: 'rename' | 'exchange' | 'link'; readonly path: string; readonly to: string }
  | { readonly op: 'symlink'; readonly path: string; readonly length: number }
  | { readonly op: 'mknod' | 'chmod'; readonly path: string; readonly mode: number }
  | { readonly op: 'chown'; readonly path: string; readonly uid: number }
  | {
      readonly op: 'setXattr'
      readonly path: string
      readonly name: string
      readonly length: number
    }
  | { readonly op: 'removeXattr'; readonly path: string; readonly name: string }
  | { readonly op: 'unnamed'; readonly path: string; readonly length: number }
  | { readonly op: 'truncate'; readonly path: string; readonly size: number }
  | {
      readonly op: 'write' | 'punch' | 'zero' | 'collapse' | 'insert' | 'allocate'
      readonly path: string
      readonly offset: number
      readonly length: number
    }
  | { readonly op: 'append'; readonly path: string; readonly length: number }
  | { readonly op: 'clone'; readonly path: string; readonly to: string }
  | {
      readonly op: 'share'
      readonly path: string
      readonly offset: number
      readonly to: string
      readonly toOffset: number
      readonly length: number
    }
  | { readonly op: 'defragment' | 'evacuate' | 'unshareOthers'; readonly path: string }
  | {
      readonly op: 'hold'
      readonly path: string
      /** In file blocks. */
      readonly first: number
      readonly count: number
    }
  | { readonly op: 'letGo' }
  | LayoutCall
  /** How many blocks the volume is to have. */
  | { readonly op: 'shrink'; readonly blocks: number }
  | { readonly op: 'sync' | 'checkpoint' | 'remount' | 'closeAll' }

/** Calls of the layout contract. A path has one hold at most. */
export type LayoutCall =
  | { readonly op: 'fix' | 'unfix' | 'sealWrites' | 'openWrites'; readonly path: string }
  | { readonly op: 'policy'; readonly path: string; readonly policy: LayoutPolicy | null }
  | { readonly op: 'snapshot'; readonly path: string; readonly to: string }
  /** Keeps a block of a file out of use for good; of '' one that is free. */
  | { readonly op: 'markBad'; readonly path: string; readonly block: number }
  | Grant
  /** Bytes stored at the addresses that a hold was granted with, durable or not. */
  | {
      readonly op: 'store' | 'storeOnly'
      readonly path: string
      readonly offset: number
      readonly length: number
    }
  | { readonly op: 'commit'; readonly path: string; readonly size: number }
  | { readonly op: 'release' | 'endSession'; readonly path: string }
  /** Truncates although it is pinned; truncates while a lease is not given back. */
  | { readonly op: 'defer' | 'fence'; readonly path: string; readonly size: number }
  /** Clones what may be shared and copies the rest; clones while a lease is not given back. */
  | { readonly op: 'cloneCopy' | 'fenceClone'; readonly path: string; readonly to: string }

export interface Grant {
  readonly op: 'grant'
  readonly path: string
  readonly kind: HoldKind
  readonly iomode: Iomode | null
  /** In file blocks. */
  readonly first: number
  readonly count: number
  readonly unshare: UnshareMode
  /** Whether its holder can be cut off. */
  readonly revokes: boolean
}

export const describe = (call: Call): string =>
  Object.values(call)
    .map((part) => String(part))
    .join(' ')

let writes = 0

/** Content of a write: 8-byte words of (tag, write number, offset / 8), cut to the range. */
export function contentOf(tag: number, offset: number, length: number): Uint8Array {
  writes = (writes % 0x7fff) + 1
  const first = offset - (offset % 8)
  const words = Math.ceil((offset + length - first) / 8)
  const bytes = new Uint8Array(words * 8)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < words; i++) {
    view.setUint16(i * 8, tag, true)
    view.setUint16(i * 8 + 2, writes, true)
    view.setUint32(i * 8 + 4, first / 8 + i + 1, true)
  }
  return bytes.subarray(offset - first, offset - first + length)
}

/** A copy that later calls do not change: files that are one inode stay one. */
export function copyTree(tree: Tree): Tree {
  const copies = new Map<ModelFile, ModelFile>()
  const copy = new Map<string, ModelNode>()
  for (const [path, node] of tree) {
    if (node === 'directory') copy.set(path, node)
    else {
      let file = copies.get(node)
      if (file === undefined) {
        file = {
          ...node,
          content: node.content.slice(),
          xattrs: new Map(node.xattrs),
          places: new Map(node.places),
          held: node.held.slice(),
        }
        copies.set(node, file)
      }
      copy.set(path, file)
    }
  }
  return copy
}

let tags = 0

export function newFile(mode = 0o100666): ModelFile {
  tags = (tags % 0xfffe) + 1
  const [content, xattrs] = [new Uint8Array(0), new Map<string, string>()]
  return {
    tag: tags,
    links: 1,
    content,
    mode,
    uid: 0,
    target: '',
    xattrs,
    fixed: false,
    writeSealed: false,
    policy: null,
    places: new Map(),
    held: content,
  }
}

export function resized(content: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  bytes.set(content.subarray(0, Math.min(size, content.length)))
  return bytes
}

/** The end moves: what a hold has past it shows, and no block past it is promised any more. */
export function cutTo(node: ModelFile, size: number): void {
  const { content, held, places } = node
  node.content = resized(content, size)
  for (let at = content.length; at < Math.min(size, held.length); at++) {
    if (places.has(Math.floor(at / 4096))) node.content[at] = held[at]!
  }
  if (size >= content.length) return
  for (const block of [...places.keys()]) if (block * 4096 >= size) places.delete(block)
}

export function fileAt(tree: Tree, path: string): ModelFile {
  const node = tree.get(path)
  if (node === undefined || node === 'directory') throw new Error(`the program has no file ${path}`)
  return node
}
