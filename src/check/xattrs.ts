/**
 * Extended attributes: named records of an inode, each with a name in a slab, and a value in a slab
 * or in a chain of blocks.
 */
import { halfSipHash } from '../base/halfsiphash.js'
import { XATTR_VALUE_BYTES_MAX } from '../base/limits.js'
import { ACCESS_ACL_NAME, DEFAULT_ACL_NAME } from '../base/posix_acl.js'
import { hex } from '../base/struct.js'
import { InodeFlag } from '../media/inode.js'
import { NameHeader } from '../media/name.js'
import { RecordKinds } from '../media/tree_node.js'
import { placeOf, type Findings } from './codes.js'
import type { Inodes } from './inodes.js'
import type { Names } from './names.js'
import type { TreeWalker } from './tree.js'
import type { Values } from './values.js'
import type { Header } from './volume_header.js'

const ACL_FLAGS = InodeFlag.accessAcl | InodeFlag.defaultAcl
/** The attributes that an inode's flags tell of. */
const ACLS: ReadonlyMap<string, number> = new Map([
  [ACCESS_ACL_NAME, InodeFlag.accessAcl],
  [DEFAULT_ACL_NAME, InodeFlag.defaultAcl],
])

export class Xattrs {
  /** Part of the attributes could not be read: name slots without an owner are no finding. */
  incomplete = false
  readonly #inodes: Inodes
  readonly #names: Names
  readonly #walker: TreeWalker
  readonly #values: Values
  readonly #findings: Findings
  #keyLow = 0
  #keyHigh = 0
  /** The inode being looked at, the leaf and hash of the record, and the names of this hash. */
  #number = 0
  #block = 0
  #hash = -1
  #ordinal = -1
  #group = new Set<string>()
  #acls = 0

  constructor(
    inodes: Inodes,
    names: Names,
    walker: TreeWalker,
    values: Values,
    findings: Findings,
  ) {
    this.#inodes = inodes
    this.#names = names
    this.#walker = walker
    this.#values = values
    this.#findings = findings
  }

  walkAll(header: Header): void {
    this.incomplete = false
    this.#keyLow = header.hashKeyLow
    this.#keyHigh = header.hashKeyHigh
    const { number, slot, root, count } = this.#inodes.attributed
    for (let i = 0; i < number.length; i++) {
      this.#number = number.data[i]!
      this.#hash = -1
      this.#acls = 0
      this.#walker.walk(root.data[i]!, RecordKinds.xattrs, this.#number, this.#visit)
      const place = this.#inodes.placeOf(slot.data[i]!)
      if (this.#walker.broken) {
        this.incomplete = true
        continue
      }
      if (this.#walker.records !== count.data[i]) {
        const message = `count is ${count.data[i]!}, there are ${this.#walker.records} attributes`
        this.#findings.add('xattr-count-wrong', place, message)
      }
      const flags = this.#inodes.flags.data[slot.data[i]!]! & ACL_FLAGS
      if (flags !== this.#acls) {
        const message = `flags ${flags}, its attributes are those of ${this.#acls}`
        this.#findings.add('acl-flag-wrong', place, message)
      }
    }
    this.#group.clear()
  }

  readonly #place = (): string =>
    placeOf(`attribute ${hex(this.#hash)} of inode ${this.#number}`, this.#block)

  readonly #visit = (words: Uint32Array, w: number, block: number): void => {
    this.#block = block
    const hash = words[w]!
    const detail = words[w + 1]!
    const target = words[w + 3]!
    if (hash !== this.#hash) {
      this.#hash = hash
      this.#ordinal = -1
      this.#group.clear()
    }
    if (this.#ordinal === detail >>> 16) {
      const message = `number ${detail >>> 16} among the names of its hash`
      this.#findings.add('entry-number-duplicate', this.#place(), message)
    }
    this.#ordinal = detail >>> 16
    this.#checkName(words[w + 2]!, detail & 0xff)
    this.#checkValue((detail >>> 8) & 0xff, target)
  }

  #checkName(block: number, slot: number): void {
    const name = this.#names.take(block, slot, this.#number, this.#place, 'attribute')
    if (name === null) return
    const bytes = name.scratch.u8
    const computed = halfSipHash(this.#keyLow, this.#keyHigh, bytes, NameHeader.size, name.length)
    if (computed !== this.#hash) {
      const message = `hash ${hex(this.#hash)}, computed ${hex(computed)}`
      this.#findings.add('name-hash-wrong', this.#place(), message)
    }
    const text = Buffer.from(bytes.buffer, NameHeader.size, name.length).toString('latin1')
    if (this.#group.has(text)) {
      this.#findings.add('name-duplicate', this.#place(), JSON.stringify(text))
    }
    this.#group.add(text)
    this.#acls |= ACLS.get(text) ?? 0
  }

  #checkValue(slot: number, target: number): void {
    if (slot !== 0) {
      this.#names.take(target, slot, this.#number, this.#place, 'value')
    } else if (target !== 0) {
      const length = this.#values.walk(target, this.#number, -1, this.#place())
      if (length <= XATTR_VALUE_BYTES_MAX) return
      this.#findings.add('xattr-invalid', this.#place(), `value of ${length} bytes`)
    }
  }
}
