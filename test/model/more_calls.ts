/** The operations of more_operations.ts, made to a volume and to the model. */
import assert from 'node:assert/strict'
import type { Credentials } from '../../src/base/filesystem.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import { outcome, sameBytes, sameError } from './compare.js'
import type { RangeKind } from './content.js'
import type { ModelFile } from './filesystem_model.js'
import { USERS, type MoreOperation, type NameCall } from './more_operations.js'
import { pathOf, toPath, type Operation } from './operations.js'
import { patterned, type Pair } from './pair.js'

type Of<K extends MoreOperation['do']> = Extract<MoreOperation, { do: K }>

const MORE: ReadonlySet<string> = new Set<MoreOperation['do']>([
  'symlink',
  'readlink',
  'lstat',
  'chmod',
  'chown',
  'setXattr',
  'removeXattr',
  'range',
  'copy',
  'share',
  'clone',
  'defragment',
  'evacuate',
  'unshareOthers',
  'renameAs',
  'linkAs',
  'openUnnamed',
  'linkHandle',
  'nameAs',
])

export function isMore(operation: Operation | MoreOperation): operation is MoreOperation {
  return MORE.has(operation.do)
}

export class MoreCalls {
  readonly #pair: Pair

  constructor(pair: Pair) {
    this.#pair = pair
  }

  run(op: MoreOperation, what: string): void {
    const { model } = this.#pair
    if ('user' in op) model.as = USERS[op.user]!
    switch (op.do) {
      case 'symlink':
        return this.#symlink(op, what)
      case 'readlink':
      case 'lstat':
        return this.#look(op, what)
      case 'chmod':
      case 'chown':
        return this.#owner(op, what)
      case 'setXattr':
      case 'removeXattr':
        return this.#xattr(op, what)
      case 'range':
        return this.#range(op, what)
      case 'copy':
        return this.#copy(op, what)
      case 'share':
        return this.#share(op, what)
      case 'clone':
        return this.#clone(op, what)
      case 'defragment':
      case 'evacuate':
      case 'unshareOthers':
        return this.#relocate(op.do, op.slot, what)
      case 'renameAs':
      case 'linkAs':
        return this.#twoNames(op, what)
      case 'openUnnamed':
        return this.#openUnnamed(op, what)
      case 'linkHandle':
        return this.#linkHandle(op, what)
      case 'nameAs':
        return this.#nameAs(op.call, pathOf(op.place, model), what)
    }
  }

  #symlink({ target, place }: Of<'symlink'>, what: string): void {
    const { model, volume } = this.#pair
    const path = pathOf(place, model)
    this.#pair.change(
      1,
      what,
      () => volume.symlink(toPath(target), toPath(path)),
      () => model.symlink(target, path),
    )
  }

  #look(op: Of<'readlink' | 'lstat'>, what: string): void {
    const { model, volume } = this.#pair
    const path = pathOf(op.place, model)
    if (op.do === 'readlink') {
      const got = outcome(() => Buffer.from(volume.readlink(toPath(path))).toString('latin1'))
      const expected = outcome(() => model.readlink(path))
      if (!sameError(got, expected, what)) assert.deepEqual(got, expected, what)
      return
    }
    const got = outcome(() => volume.lstat(toPath(path)))
    const expected = outcome(() => model.inode(path, false))
    if (sameError(got, expected, what)) return
    assert('value' in got && 'value' in expected)
    this.#pair.checkStat(got.value, expected.value, what)
  }

  #owner(op: Of<'chmod'> | Of<'chown'>, what: string): void {
    const { model, volume } = this.#pair
    const path = pathOf(op.place, model)
    const { as } = model
    if (op.do === 'chmod') {
      // Set-id bits of files go with the next change, by who makes it: the cases of the filesystem
      // suite have those.
      const found = outcome(() => model.inode(path))
      const isDirectory = 'value' in found && found.value.kind === 'directory'
      const mode = isDirectory ? op.mode : op.mode & 0o1777
      this.#pair.change(
        -1,
        what,
        () => volume.chmod(toPath(path), mode, as),
        () => model.chmod(path, mode),
      )
    } else {
      const { uid, gid, follow } = op
      this.#pair.change(
        -1,
        what,
        () => volume.chown(toPath(path), uid, gid, { follow }, as),
        () => model.chown(path, uid, gid, follow),
      )
    }
  }

  #xattr(op: Of<'setXattr'> | Of<'removeXattr'>, what: string): void {
    const { model, volume } = this.#pair
    const path = pathOf(op.place, model)
    if (op.do === 'removeXattr') {
      return this.#pair.change(
        -1,
        what,
        () => volume.removeXattr(toPath(path), op.name),
        () => model.removeXattr(path, op.name),
      )
    }
    const value = patterned(op.length, op.length)
    const mode = op.mode === 'either' ? undefined : op.mode
    const options = mode === undefined ? {} : { mode }
    this.#pair.change(
      2,
      what,
      () => volume.setXattr(toPath(path), op.name, value, options),
      () => model.setXattr(path, op.name, value, mode),
    )
  }

  #range({ slot, kind, offset, length }: Of<'range'>, what: string): void {
    const handle = this.#pair.handles.get(slot)
    if (handle === undefined) return
    const { content } = handle.model.inode
    // A part of a shared block is zeroed in a copy, which frees nothing.
    const frees = !content.mayShare || content.frees(offset, offset + length)
    const less = kind === 'collapse' || (kind === 'punch' && frees)
    const takes = less ? -1 : kind === 'punch' ? 0 : Math.ceil(length / 4096) + 1
    this.#pair.change(
      takes,
      what,
      () => changeRange(handle.real, kind, offset, length),
      () => handle.model.range(kind, offset, length),
    )
    this.#pair.checkStat(handle.real.stat(), handle.model.inode, what)
  }

  /** A copy that runs out of room has copied some: it is not begun when there may be too little. */
  #copy({ slot, to, offset, toOffset, length }: Of<'copy'>, what: string): void {
    const source = this.#pair.handles.get(slot)
    const target = this.#pair.handles.get(to)
    if (source === undefined || target === undefined) return
    if (!this.#pair.hasRoom(Math.ceil(length / 4096) + 1)) return
    const got = outcome(() => source.real.copyRange(offset, target.real, toOffset, length))
    const expected = outcome(() => source.model.copy(offset, target.model, toOffset, length))
    if (sameError(got, expected, what)) return
    assert.deepEqual(got, expected, what)
    const { inode } = target.model
    this.#pair.checkStat(target.real.stat(), inode, what)
    this.#compareContent(source, target, what)
  }

  #share({ slot, to, offset, toOffset, length }: Of<'share'>, what: string): void {
    const source = this.#pair.handles.get(slot)
    const target = this.#pair.handles.get(to)
    if (source === undefined || target === undefined) return
    this.#pair.change(
      0,
      what,
      () => source.real.reflinkRange(offset, target.real, toOffset, length),
      () => source.model.share(offset, target.model, toOffset, length),
    )
    this.#pair.checkStat(target.real.stat(), target.model.inode, what)
    this.#compareContent(source, target, what)
  }

  #clone({ place, to }: Of<'clone'>, what: string): void {
    const { model, volume } = this.#pair
    const [from, target] = [pathOf(place, model), pathOf(to, model)]
    const { as } = model
    this.#pair.change(
      0,
      what,
      () => volume.reflink(toPath(from), toPath(target), {}, as),
      () => model.clone(from, target),
    )
  }

  /** Blocks move; nothing that can be read does. */
  #relocate(how: 'defragment' | 'evacuate' | 'unshareOthers', slot: number, what: string): void {
    const handle = this.#pair.handles.get(slot)
    if (handle?.model.inode.kind !== 'file') return
    const { real, model } = handle
    const { relocation } = this.#pair.volume
    const { extents } = real.extents()
    const blocks = extents.reduce((sum, { count }) => sum + count, 0)
    const move = () => {
      if (how === 'defragment') return drain(relocation.defragment(real.ino))
      if (how === 'unshareOthers') return void relocation.unshareOthers(real.ino, 0, 0xffff_ffff)
      for (const { regionBlock, count } of extents.slice(0, 4)) {
        drain(relocation.evacuate(regionBlock, regionBlock + count))
      }
    }
    this.#pair.change(blocks, what, move, () => {})
    this.#pair.checkStat(real.stat(), model.inode, what)
    this.#compareContent(handle, handle, what)
  }

  #compareContent(source: Handle, target: Handle, what: string): void {
    for (const { real, model } of [source, target]) {
      const buffer = new Uint8Array(model.inode.content.size)
      const got = outcome(() => real.read(buffer, 0))
      if ('value' in got) sameBytes(buffer, model.inode.content.read(0, Infinity), what)
    }
  }

  #twoNames(op: Of<'renameAs'> | Of<'linkAs'>, what: string): void {
    const { model, volume } = this.#pair
    const [from, to] = [pathOf(op.place, model), pathOf(op.to, model)]
    const { as } = model
    const how = op.do === 'renameAs' ? op.how : 'replace'
    const options = { noReplace: how === 'noReplace', exchange: how === 'exchange' }
    this.#pair.change(
      0,
      what,
      () => {
        if (op.do === 'linkAs') volume.link(toPath(from), toPath(to), {}, as)
        else volume.rename(toPath(from), toPath(to), options, as)
      },
      () => {
        if (op.do === 'linkAs') model.link(from, to)
        else model.rename(from, to, how)
      },
    )
  }

  #openUnnamed({ slot, place }: Of<'openUnnamed'>, what: string): void {
    const { model, volume, handles } = this.#pair
    this.#pair.close(slot)
    const path = pathOf(place, model)
    const real = outcome(() => volume.open(toPath(path), O_TMPFILE | O_RDWR))
    if (this.#pair.outOfSpace(real, 0, what)) return
    const expected = outcome(() => model.openUnnamed(path))
    if (sameError(real, expected, what)) return
    assert('value' in real && 'value' in expected)
    handles.set(slot, { real: real.value, model: expected.value })
    this.#pair.checkStat(real.value.stat(), expected.value.inode, what)
  }

  #linkHandle({ slot, to }: Of<'linkHandle'>, what: string): void {
    const handle = this.#pair.handles.get(slot)
    if (handle === undefined) return
    const path = pathOf(to, this.#pair.model)
    this.#pair.change(
      0,
      what,
      () => handle.real.link(toPath(path)),
      () => this.#pair.model.linkInode(handle.model.inode, path),
    )
    this.#pair.checkStat(handle.real.stat(), handle.model.inode, what)
  }

  #nameAs(call: NameCall, path: string, what: string): void {
    const { model, volume } = this.#pair
    const { as } = model
    const at = toPath(path)
    if (call === 'stat' || call === 'readFile') return this.#lookAs(call, path, as, what)
    const takes = call === 'mkdir' || call === 'create' ? 0 : -1
    this.#pair.change(
      takes,
      what,
      () => {
        if (call === 'create') volume.open(at, 'wx', 0o666, as).close()
        else if (call === 'mkdir') volume.mkdir(at, 0o777, as)
        else if (call === 'empty') volume.truncate(at, 0, as)
        else volume[call](at, as)
      },
      () => {
        if (call === 'create') model.open(path, 'wx').close()
        else if (call === 'empty') model.truncate(path, 0)
        else model[call](path)
      },
    )
  }

  #lookAs(call: 'stat' | 'readFile', path: string, as: Credentials, what: string): void {
    const { model, volume } = this.#pair
    const real = outcome(() => volume.open(toPath(path), 'r', 0, as))
    const expected = outcome(() => model.open(path, 'r'))
    if (sameError(real, expected, what)) return
    assert('value' in real && 'value' in expected)
    const handle = { real: real.value, model: expected.value }
    this.#pair.checkStat(handle.real.stat(), handle.model.inode, what)
    if (call === 'readFile') this.#compareContent(handle, handle, what)
    handle.real.close()
    handle.model.close()
  }
}

interface Handle {
  readonly real: OpenFile
  readonly model: ModelFile
}

function drain(steps: Generator<unknown, unknown>): void {
  while (steps.next().done !== true);
}

/** open(2) on Linux. */
const O_TMPFILE = 0o20200000
const O_RDWR = 2

function changeRange(file: OpenFile, kind: RangeKind, offset: number, length: number): void {
  if (kind === 'punch') file.punch(offset, length)
  else if (kind === 'collapse') file.collapse(offset, length)
  else if (kind === 'insert') file.insert(offset, length)
  else if (kind === 'zero' || kind === 'zeroKeep') {
    file.zeroRange(offset, length, { keepSize: kind === 'zeroKeep' })
  } else file.allocate(offset, length, { keepSize: kind === 'keep' })
}
