/**
 * Extended attributes: each has a name and a value; those that hold access control lists agree with
 * the flags and the mode of the inode.
 */
import { HoldfastError } from '../base/errors.js'
import {
  SLAB_VALUE_BYTES_MAX,
  XATTR_LIST_BYTES_MAX,
  XATTR_VALUE_BYTES_MAX,
} from '../base/limits.js'
import {
  ACCESS_ACL_NAME,
  aclEquivalentMode,
  decodeAcl,
  DEFAULT_ACL_NAME,
  type Acl,
} from '../base/posix_acl.js'
import { InodeFlag } from '../media/inode.js'
import { NameHeader } from '../media/name.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Findings } from './codes.js'
import type { Inodes } from './inodes.js'
import { NamedRecords, textOf } from './named_records.js'
import type { Names, ReadName } from './names.js'
import type { TreeWalker } from './tree.js'
import type { Values } from './values.js'
import type { Header } from './volume_header.js'

const ACL_FLAGS = InodeFlag.accessAcl | InodeFlag.defaultAcl
const EMPTY = new Uint8Array(0)

export class Xattrs {
  /** Attributes could not be read: names and values of them are not known. */
  incomplete = false
  readonly #inodes: Inodes
  readonly #names: Names
  readonly #values: Values
  readonly #findings: Findings
  readonly #records: NamedRecords
  /** The inode being walked: number, mode, flags that its ACLs ask for, bytes of its names. */
  #number = 0
  #mode = 0
  #acls = 0
  #listBytes = 0

  constructor(
    inodes: Inodes,
    names: Names,
    values: Values,
    walker: TreeWalker,
    findings: Findings,
  ) {
    this.#inodes = inodes
    this.#names = names
    this.#values = values
    this.#findings = findings
    const kind = RecordKinds.xattrs
    const use = 'attribute of inode'
    this.#records = new NamedRecords(names, walker, findings, kind, use, this.#visit)
  }

  walkAll(header: Header): void {
    this.incomplete = false
    this.#records.begin(header)
    const { number, slot, mode, root, count } = this.#inodes.attributed
    for (let i = 0; i < number.length; i++) {
      this.#number = number.data[i]!
      this.#mode = mode.data[i]!
      this.#acls = 0
      this.#listBytes = 0
      const found = this.#records.walk(root.data[i]!, this.#number)
      if (found < 0) {
        this.incomplete = true
        continue
      }
      const place = this.#inodes.placeOf(slot.data[i]!)
      if (found !== count.data[i]) {
        const message = `xattrCount is ${count.data[i]!}, there are ${found} attributes`
        this.#findings.add('xattr-count-wrong', place, message)
      }
      if (this.#listBytes > XATTR_LIST_BYTES_MAX) {
        const message = `names of ${this.#listBytes} bytes, at most ${XATTR_LIST_BYTES_MAX}`
        this.#findings.add('xattr-list-too-long', place, message)
      }
      this.#checkFlags(slot.data[i]!, place)
    }
  }

  /** The flags say which ACLs there are. One that is being freed may have lost them first. */
  #checkFlags(slot: number, place: string): void {
    const flags = this.#inodes.flags.data[slot]! & ACL_FLAGS
    const extra = this.#inodes.links.data[slot] === 0 ? 0 : flags & ~this.#acls
    const missing = this.#acls & ~flags
    if (extra === 0 && missing === 0) return
    const message = `flags ${flags}, expected ${this.#acls}`
    this.#findings.add('acl-flag-wrong', place, message)
  }

  readonly #visit = (name: ReadName | null, slot: number, block: number): void => {
    const value = this.#valueOf(slot, block)
    if (name === null) return
    this.#listBytes += name.length + 1
    if (name.length !== ACCESS_ACL_NAME.length && name.length !== DEFAULT_ACL_NAME.length) return
    const text = textOf(name)
    if (text === ACCESS_ACL_NAME) this.#acls |= InodeFlag.accessAcl
    else if (text === DEFAULT_ACL_NAME) this.#acls |= InodeFlag.defaultAcl
    else return
    if (value !== null) this.#checkAcl(value, text === ACCESS_ACL_NAME)
  }

  /** The bytes of a value, null when they are lost. */
  #valueOf(slot: number, block: number): Uint8Array | null {
    const place = this.#records.place
    if (slot !== 0) {
      const value = this.#names.take(block, slot, this.#number, 'value of inode', place)
      if (value === null) return null
      return value.scratch.u8.subarray(NameHeader.size, NameHeader.size + value.length)
    }
    if (block === 0) return EMPTY
    const length = this.#values.read(block, this.#number, place)
    if (length < 0) return null
    if (length <= SLAB_VALUE_BYTES_MAX || length > XATTR_VALUE_BYTES_MAX) {
      const range = `${SLAB_VALUE_BYTES_MAX + 1} to ${XATTR_VALUE_BYTES_MAX}`
      const message = `value of ${length} bytes in value blocks, expected ${range}`
      this.#findings.add('value-length-wrong', place(), message)
      return null
    }
    return this.#values.text.subarray(0, length)
  }

  #checkAcl(value: Uint8Array, access: boolean): void {
    const place = this.#records.place
    const acl = aclOf(value)
    if (typeof acl === 'string') {
      this.#findings.add('acl-invalid', place(), acl)
      return
    }
    const said = aclEquivalentMode(acl)
    const bits = this.#mode & 0o777
    if (!access || said === bits) return
    const message = `mode 0${bits.toString(8)}, its ACL says 0${said.toString(8)}`
    this.#findings.add('acl-mode-wrong', place(), message)
  }
}

/** The ACL in a value, or why there is none. */
function aclOf(value: Uint8Array): Acl | string {
  try {
    return decodeAcl(value) ?? 'it has no entries'
  } catch (error) {
    if (error instanceof HoldfastError) return error.message
    throw error
  }
}
