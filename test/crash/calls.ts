/** What each call does: to the model of the tree, and to the volume. */
import { Mode } from '../../src/base/mode.js'
import type { Volume } from '../../src/volume/volume.js'
import { applyLayoutCall, cloneIn, isLayoutCall } from './layout_calls.js'
import {
  contentOf,
  cutTo,
  fileAt,
  newFile,
  resized,
  type Call,
  type ModelFile,
  type Tree,
} from './model.js'

const O_TMPFILE_RDWR = 0o20200002

interface Range {
  readonly op: string
  readonly offset: number
  readonly length: number
}

const targetOf = (length: number) => 'target/'.repeat(length).slice(0, length)
const valueOf = (name: string, length: number) => `${name}=`.repeat(length).slice(0, length)

export function applyCall(tree: Tree, call: Call): void {
  switch (call.op) {
    // None of these changes the tree.
    case 'sync':
    case 'checkpoint':
    case 'remount':
    case 'closeAll':
    case 'hold':
    case 'letGo':
    case 'defragment':
    case 'evacuate':
    case 'unshareOthers':
    case 'shrink':
      return
    case 'clone':
      return cloneIn(tree, call.path, call.to)
    case 'share':
      return shareIn(tree, call)
    case 'create':
      tree.set(call.path, newFile())
      return
    case 'unnamed': {
      const node = newFile()
      node.content = contentOf(node.tag, 0, call.length)
      tree.set(call.path, node)
      return
    }
    case 'mknod':
      tree.set(call.path, newFile(call.mode))
      return
    case 'symlink': {
      const node = newFile(Mode.symlink | 0o777)
      node.target = targetOf(call.length)
      tree.set(call.path, node)
      return
    }
    case 'mkdir':
      tree.set(call.path, 'directory')
      return
    case 'rmdir':
      tree.delete(call.path)
      return
    case 'unlink':
    case 'openUnlink':
      return dropName(tree, call.path)
    case 'rename':
      return renameIn(tree, call.path, call.to)
    case 'exchange':
      return exchangeIn(tree, call.path, call.to)
    case 'link': {
      const node = fileAt(tree, call.path)
      node.links++
      tree.set(call.to, node)
      return
    }
    default:
      if (isLayoutCall(call)) return applyLayoutCall(tree, call)
      return applyToFile(fileAt(tree, call.path), call)
  }
}

function shareIn(tree: Tree, call: Call & { op: 'share' }): void {
  const { offset, toOffset } = call
  const source = fileAt(tree, call.path).content
  const bytes = source.slice(offset, call.length === 0 ? undefined : offset + call.length)
  const target = fileAt(tree, call.to)
  const size = Math.max(target.content.length, toOffset + bytes.length)
  target.content = resized(target.content, size)
  target.content.set(bytes, toOffset)
}

function applyToFile(node: ModelFile, call: Call): void {
  switch (call.op) {
    case 'chmod':
      node.mode = (node.mode & Mode.typeMask) | call.mode
      return
    case 'chown':
      node.uid = call.uid
      return
    case 'setXattr':
      node.xattrs.set(call.name, valueOf(call.name, call.length))
      return
    case 'removeXattr':
      node.xattrs.delete(call.name)
      return
    case 'truncate':
      cutTo(node, call.size)
      return
    case 'write':
    case 'append': {
      const offset = call.op === 'write' ? call.offset : node.content.length
      const bytes = resized(node.content, Math.max(node.content.length, offset + call.length))
      bytes.set(contentOf(node.tag, offset, call.length), offset)
      node.content = bytes
      return
    }
    default:
      applyRange(node, call as Range & Call)
  }
}

function applyRange(node: ModelFile, { op, offset, length }: Range): void {
  const end = offset + length
  const old = node.content
  if (op === 'zero' || op === 'allocate') node.content = resized(old, Math.max(old.length, end))
  if (op === 'zero' || op === 'punch') node.content.fill(0, offset, end)
  if (op === 'collapse') {
    node.content = Uint8Array.from([...old.subarray(0, offset), ...old.subarray(end)])
  }
  if (op === 'insert') {
    node.content = Uint8Array.from([
      ...old.subarray(0, offset),
      ...new Uint8Array(length),
      ...old.subarray(offset),
    ])
  }
}

/** Does to the volume what the model has just had done to it. */
export function performCall(volume: Volume, tree: Tree, call: Call): void {
  switch (call.op) {
    case 'create':
      return volume.open(call.path, 'wx').close()
    case 'mkdir':
      return volume.mkdir(call.path)
    case 'mknod':
      return volume.mknod(call.path, call.mode)
    case 'symlink':
      return volume.symlink(targetOf(call.length), call.path)
    case 'rmdir':
      return volume.rmdir(call.path)
    case 'unlink':
      return volume.unlink(call.path)
    case 'rename':
      return volume.rename(call.path, call.to)
    case 'exchange':
      return volume.rename(call.path, call.to, { exchange: true })
    case 'link':
      return volume.link(call.path, call.to)
    case 'truncate':
      return volume.truncate(call.path, call.size)
    case 'chmod':
      return volume.chmod(call.path, call.mode)
    case 'chown':
      return volume.chown(call.path, call.uid, -1)
    case 'setXattr':
      return volume.setXattr(call.path, call.name, Buffer.from(valueOf(call.name, call.length)))
    case 'removeXattr':
      return volume.removeXattr(call.path, call.name)
    case 'sync':
      return volume.sync()
    case 'checkpoint':
      volume.core.pages.tick()
      return volume.core.transaction.checkpoint()
    case 'unnamed':
      return makeUnnamed(volume, tree, call.path)
    case 'clone':
      return volume.reflink(call.path, call.to)
    case 'share':
      return share(volume, call)
    case 'defragment':
      return finish(volume.relocation.defragment(volume.stat(call.path).ino))
    case 'evacuate':
      return evacuate(volume, call.path)
    case 'shrink':
      volume.core.pages.tick()
      return finish(volume.shrinkTo(call.blocks))
    case 'unshareOthers':
      volume.relocation.unshareOthers(volume.stat(call.path).ino, 0, 0xffff_ffff)
      return
    default:
      return performOnHandle(volume, tree, call)
  }
}

function makeUnnamed(volume: Volume, tree: Tree, path: string): void {
  const file = volume.open('/', O_TMPFILE_RDWR, 0o666)
  file.write(fileAt(tree, path).content, 0)
  file.link(path)
  file.close()
}

function share(volume: Volume, call: Call & { op: 'share' }): void {
  const source = volume.open(call.path)
  const target = volume.open(call.to, 'r+')
  source.reflinkRange(call.offset, target, call.toOffset, call.length)
  target.close()
  source.close()
}

/** Moves whatever lies between the first and the last block of a file. */
function evacuate(volume: Volume, path: string): void {
  const { extents } = volume.extents(path)
  if (extents.length === 0) return
  const from = Math.min(...extents.map(({ regionBlock }) => regionBlock))
  const to = Math.max(...extents.map(({ regionBlock, count }) => regionBlock + count))
  finish(volume.relocation.evacuate(from, to))
}

function finish(steps: Generator<unknown, unknown>): void {
  while (steps.next().done !== true);
}

function performOnHandle(volume: Volume, tree: Tree, call: Call): void {
  if (!('path' in call)) throw new Error(`no such call: ${call.op}`)
  const { content } = fileAt(tree, call.path)
  const file = volume.open(call.path, 'r+')
  if (call.op === 'append') {
    const offset = content.length - call.length
    file.write(content.slice(offset), offset)
  } else if (call.op === 'write') {
    file.write(content.slice(call.offset, call.offset + call.length), call.offset)
  } else {
    const { op, offset, length } = call as Range & Call
    if (op === 'punch') file.punch(offset, length)
    if (op === 'zero') file.zeroRange(offset, length)
    if (op === 'collapse') file.collapse(offset, length)
    if (op === 'insert') file.insert(offset, length)
    if (op === 'allocate') file.allocate(offset, length)
  }
  file.close()
}

function dropName(tree: Tree, path: string): void {
  const node = tree.get(path)
  if (node !== undefined && node !== 'directory') node.links--
  tree.delete(path)
}

function renameIn(tree: Tree, from: string, to: string): void {
  const moved = [...tree].filter(([path]) => path === from || path.startsWith(`${from}/`))
  const same = tree.get(from) !== 'directory' && tree.get(to) === tree.get(from)
  if (same) return
  if (tree.has(to)) dropName(tree, to)
  for (const [path, node] of moved) {
    tree.delete(path)
    tree.set(to + path.slice(from.length), node)
  }
}

function exchangeIn(tree: Tree, from: string, to: string): void {
  const all = [...tree]
  tree.clear()
  for (const [path, node] of all) {
    const [a, b] = path === from || path.startsWith(`${from}/`) ? [from, to] : [to, from]
    const moves = path === a || path.startsWith(`${a}/`)
    tree.set(moves ? b + path.slice(a.length) : path, node)
  }
}
