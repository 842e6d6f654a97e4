/** What calls of the layout contract do to the model of the tree. */
import { Mode } from '../../src/base/mode.js'
import {
  contentOf,
  cutTo,
  fileAt,
  newFile,
  resized,
  type Call,
  type LayoutCall,
  type ModelFile,
  type Tree,
} from './model.js'

const BLOCK = 4096

const LAYOUT_CALLS: ReadonlySet<string> = new Set<LayoutCall['op']>([
  'fix',
  'unfix',
  'sealWrites',
  'openWrites',
  'policy',
  'snapshot',
  'markBad',
  'grant',
  'store',
  'storeOnly',
  'commit',
  'release',
  'endSession',
  'defer',
  'fence',
  'cloneCopy',
  'fenceClone',
])

export const isLayoutCall = (call: Call): call is LayoutCall => LAYOUT_CALLS.has(call.op)

export function applyLayoutCall(tree: Tree, call: LayoutCall): void {
  switch (call.op) {
    // What a grant promises is known when it returns.
    case 'grant':
    case 'markBad':
      return
    case 'snapshot':
      return copyBelow(tree, call.path, call.to)
    case 'cloneCopy':
      return cloneIn(tree, call.path, call.to)
    case 'fenceClone':
      // Its file moves away from what is still in use.
      fileAt(tree, call.path).places.clear()
      return cloneIn(tree, call.path, call.to)
    case 'release':
    case 'endSession':
      return forget(fileOf(tree, call.path))
    case 'store':
    case 'storeOnly': {
      const node = fileOf(tree, call.path)
      return land(node, contentOf(node.tag, call.offset, call.length), call.offset)
    }
    default:
      applyToFile(fileAt(tree, call.path), call)
  }
}

/** A file that is held, or, when its name has gone, one that nobody sees. */
export function fileOf(tree: Tree, path: string): ModelFile {
  return tree.has(path) ? fileAt(tree, path) : newFile()
}

/** Nobody counts on where its blocks are any more; what is past its end is gone. */
export function forget(node: ModelFile): void {
  if (!node.fixed) node.places.clear()
  node.held = new Uint8Array(0)
}

/** A clone is a copy: what becomes of the one is not seen in the other. */
export function cloneIn(tree: Tree, from: string, to: string): void {
  const source = fileAt(tree, from)
  if (!tree.has(to)) tree.set(to, newFile(Mode.file | (source.mode & 0o777)))
  fileAt(tree, to).content = source.content.slice()
}

function applyToFile(node: ModelFile, call: LayoutCall): void {
  switch (call.op) {
    case 'fix':
      node.fixed = true
      return
    case 'unfix':
      node.fixed = false
      node.places.clear()
      return
    case 'sealWrites':
      node.writeSealed = true
      return
    case 'openWrites':
      node.writeSealed = false
      return
    case 'policy':
      node.policy = call.policy
      return
    case 'commit':
      if (call.size > node.content.length) cutTo(node, call.size)
      return
    case 'defer':
    case 'fence':
      return cutTo(node, call.size)
    default:
      throw new Error(`${call.op} changes no file`)
  }
}

/** Bytes arrive where file blocks were promised; the file shows those that have not left it. */
export function land(node: ModelFile, bytes: Uint8Array, offset: number): void {
  node.held = resized(node.held, Math.max(node.held.length, offset + bytes.length))
  for (let i = 0; i < bytes.length; i++) {
    const at = offset + i
    node.held[at] = bytes[i]!
    if (at >= node.content.length || !node.places.has(Math.floor(at / BLOCK))) continue
    node.content[at] = bytes[i]!
  }
}

/** A copy of all that is at and below a directory; files with several names stay one. */
function copyBelow(tree: Tree, from: string, to: string): void {
  const copies = new Map<ModelFile, ModelFile>()
  for (const [path, node] of [...tree]) {
    if (!`${path}/`.startsWith(`${from}/`)) continue
    const name = to + path.slice(from.length)
    if (node === 'directory') {
      tree.set(name, node)
      continue
    }
    const copy = copies.get(node) ?? {
      ...node,
      links: 0,
      content: node.content.slice(),
      xattrs: new Map(node.xattrs),
      ...{ fixed: false, writeSealed: false, policy: null },
      places: new Map<number, number>(),
      held: new Uint8Array(0),
    }
    copies.set(node, copy)
    copy.links++
    tree.set(name, copy)
  }
}
