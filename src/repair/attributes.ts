/**
 * Extended attributes. One stays when its name and its value can be read; an odd one (a name of
 * another, another hash) comes after all entries and attributes that are as they should be.
 */
import { halfSipHash } from '../base/halfsiphash.js'
import {
  SLAB_VALUE_BYTES_MAX,
  XATTR_LIST_BYTES_MAX,
  XATTR_VALUE_BYTES_MAX,
} from '../base/limits.js'
import { SHAPES } from '../check/inode_fields.js'
import { Mode } from '../base/mode.js'
import {
  ACCESS_ACL_NAME,
  aclEquivalentMode,
  decodeAcl,
  DEFAULT_ACL_NAME,
  type Acl,
} from '../base/posix_acl.js'
import { HoldfastError } from '../base/errors.js'
import { Inode, InodeFlag } from '../media/inode.js'
import type { Ground } from './ground.js'
import type { NameSlabs } from './name_slabs.js'
import { numberRecords } from './numbers.js'
import { Records } from './tree_builder.js'
import type { Values } from './values.js'

const at = Inode.word
const ACL_FLAGS = InodeFlag.accessAcl | InodeFlag.defaultAcl
/** The attributes that an inode's flags tell of. */
const ACLS: ReadonlyMap<string, number> = new Map([
  [ACCESS_ACL_NAME, InodeFlag.accessAcl],
  [DEFAULT_ACL_NAME, InodeFlag.defaultAcl],
])

type Words = readonly [hash: number, detail: number, block: number, target: number]

export class Attributes {
  readonly #ground: Ground
  readonly #names: NameSlabs
  readonly #values: Values
  /** First blocks of chains that are whole. */
  readonly #chains = new Set<number>()
  /** By slot index: what inodes keep, when it is not what they had. */
  readonly #changed = new Map<number, Records>()
  readonly #odd: Array<{ readonly index: number; readonly words: Words }> = []
  readonly #flags = new Map<number, number>()
  /** What the access control lists say of modes. */
  readonly #modes = new Map<number, number>()
  /** Bytes of the names that an inode keeps, as a list of them has them. */
  readonly #listBytes = new Map<number, number>()

  constructor(ground: Ground, names: NameSlabs, values: Values) {
    this.#ground = ground
    this.#names = names
    this.#values = values
  }

  /** Claims slabs and value blocks. */
  discover(): void {
    const { inodes, trees } = this.#ground
    for (let index = 0; index < inodes.length; index++) {
      const tree = inodes.attributes.data[index]! - 1
      if (tree < 0 || inodes.type.data[index] === 0) continue
      const number = inodes.numberOf(index)
      trees.forEach(tree, (_hash, detail, block, target) => {
        const slot = (detail >>> 8) & 0xff
        this.#names.discover(block, detail & 0xff)
        if (slot !== 0) this.#names.discover(target, slot)
        else if (target !== 0 && !this.#chains.has(target)) {
          const length = this.#values.claim(target, number)
          const fits = length > SLAB_VALUE_BYTES_MAX && length <= XATTR_VALUE_BYTES_MAX
          if (fits) this.#chains.add(target)
          else if (length >= 0) this.#values.free(target)
        }
      })
    }
  }

  /** Looks at all attributes of all inodes; odd ones wait. */
  settle(): void {
    const { inodes } = this.#ground
    for (let index = 0; index < inodes.length; index++) {
      if (inodes.type.data[index] !== 0) this.#settleInode(index)
    }
  }

  #settleInode(index: number): void {
    const { inodes, trees } = this.#ground
    const tree = inodes.attributes.data[index]! - 1
    const kept = new Records()
    const seen = new Set<string>()
    const oddBefore = this.#odd.length
    this.#flags.set(index, 0)
    if (tree >= 0) {
      trees.forEach(tree, (...words) => {
        const text = this.#plainName(index, words)
        if (text === null || seen.has(text) || !this.#claim(words)) {
          this.#odd.push({ index, words })
          return
        }
        seen.add(text)
        this.#keep(index, kept, words, text)
      })
    }
    const sound = tree < 0 ? kept.length === 0 : trees.sound.data[tree] === 1
    const equal = kept.hasEqual(RECORD_KEY)
    if (!sound || equal || this.#odd.length > oddBefore) this.#changed.set(index, kept)
    else if (inodes.get(index, at.xattrCount) !== kept.length) {
      inodes.set(index, [[at.xattrCount, kept.length]])
      const message = `inode ${inodes.numberOf(index)} has ${kept.length} attributes`
      this.#ground.fixes.add('xattr-count-wrong', message)
    }
  }

  #keep(index: number, kept: Records, words: Words, text: string): void {
    kept.push(...words)
    this.#listBytes.set(index, (this.#listBytes.get(index) ?? 0) + text.length + 1)
    this.#flags.set(index, this.#flags.get(index)! | (ACLS.get(text) ?? 0))
    const number = this.#ground.inodes.numberOf(index)
    this.#names.own(words[2], words[1] & 0xff, number)
    const slot = (words[1] >>> 8) & 0xff
    if (slot !== 0) this.#names.own(words[3], slot, number)
  }

  /** The name of an attribute with nothing odd about it, else null. */
  #plainName(index: number, words: Words): string | null {
    const [hash, detail, block, target] = words
    const number = this.#ground.inodes.numberOf(index)
    const name = this.#names.read(block, detail & 0xff, 'attribute of inode')
    if (name === null || this.#hash(name) !== hash) return null
    if (this.#names.owner(block, detail & 0xff) !== number) return null
    const slot = (detail >>> 8) & 0xff
    if (!this.#hasValue(slot, target)) return null
    if (slot !== 0 && this.#names.owner(target, slot) !== number) return null
    const text = Buffer.from(name).toString('latin1')
    return this.#isAllowed(index, text, words) ? text : null
  }

  /**
   * All names together are no longer than a list may be. A list of access rights is one, on a type
   * of inode whose flags can tell of it.
   */
  #isAllowed(index: number, text: string, words: Words): boolean {
    if ((this.#listBytes.get(index) ?? 0) + text.length >= XATTR_LIST_BYTES_MAX) return false
    if (!ACLS.has(text)) return true
    const acl = this.#aclOf(words)
    if (acl === null) return false
    if (text === ACCESS_ACL_NAME) this.#modes.set(index, aclEquivalentMode(acl))
    const flags = SHAPES[this.#ground.inodes.get(index, at.mode) & Mode.typeMask]!.flags
    return (ACLS.get(text)! & ~flags) === 0
  }

  #aclOf([, detail, , target]: Words): Acl | null {
    const slot = (detail >>> 8) & 0xff
    const value =
      slot !== 0
        ? this.#names.read(target, slot, 'value of inode')!
        : target === 0
          ? new Uint8Array(0)
          : this.#values.read(target)
    try {
      return decodeAcl(value)
    } catch (error) {
      if (error instanceof HoldfastError) return null
      throw error
    }
  }

  #hasValue(slot: number, target: number): boolean {
    if (slot !== 0) return this.#names.read(target, slot, 'value of inode') !== null
    return target === 0 || this.#chains.has(target)
  }

  /** Takes the slots of name and value, or none; a chain is one attribute's alone. */
  #claim([, detail, block, target]: Words): boolean {
    if (!this.#names.claim(block, detail & 0xff)) return false
    const slot = (detail >>> 8) & 0xff
    if (
      slot !== 0 ? this.#names.claim(target, slot) : target === 0 || this.#chains.delete(target)
    ) {
      return true
    }
    this.#names.free(block, detail & 0xff)
    return false
  }

  #hash(name: Uint8Array): number {
    const { hashKeyLow, hashKeyHigh } = this.#ground.header
    return halfSipHash(hashKeyLow, hashKeyHigh, name, 0, name.length)
  }

  // ---- odd ones --------------------------------------------------------------------------------

  settleOdd(): void {
    for (const { index, words } of this.#odd) this.#settleOne(index, words)
    this.#freeChains()
    this.#setFlags()
  }

  #settleOne(index: number, words: Words): void {
    const { inodes, fixes } = this.#ground
    const [hash, detail, block, target] = words
    const what = `attribute 0x${hash.toString(16)} of inode ${inodes.numberOf(index)}`
    const name = this.#names.read(block, detail & 0xff, 'attribute of inode')
    const kept = this.#changed.get(index)!
    if (name === null || !this.#hasValue((detail >>> 8) & 0xff, target)) {
      fixes.add('name-damaged', `${what} has no name or no value: it is removed`)
      return
    }
    const right = this.#hash(name)
    const text = Buffer.from(name).toString('latin1')
    if (!this.#isAllowed(index, text, words)) {
      fixes.add('acl-invalid', `${what} cannot be there: it is removed`)
      return
    }
    if (this.#has(kept, right, name) || !this.#claim(words)) {
      fixes.add('name-claimed-twice', `${what} has what another has: it is removed`)
      return
    }
    this.#keep(index, kept, [right, detail, block, target], text)
    fixes.add('name-hash-wrong', `${what} stays, under the hash 0x${right.toString(16)}`)
  }

  #has(kept: Records, hash: number, name: Uint8Array): boolean {
    for (let i = 0; i < kept.length; i++) {
      const [other, detail, block] = kept.at(i)
      if (other !== hash) continue
      const bytes = this.#names.read(block!, detail! & 0xff, 'attribute of inode')
      if (bytes !== null && Buffer.compare(bytes, name) === 0) return true
    }
    return false
  }

  /** Chains of attributes that are gone. */
  #freeChains(): void {
    for (const first of this.#chains) this.#values.free(first)
  }

  #setFlags(): void {
    const { inodes, fixes } = this.#ground
    for (const [index, bits] of this.#modes) {
      const mode = inodes.get(index, at.mode)
      if ((this.#flags.get(index)! & InodeFlag.accessAcl) === 0 || (mode & 0o777) === bits) continue
      inodes.set(index, [[at.mode, (mode & ~0o777) | bits]])
      fixes.add('acl-mode-wrong', `the mode of inode ${inodes.numberOf(index)} is that of its list`)
    }
    for (const [index, acls] of this.#flags) {
      const flags = inodes.get(index, at.flags)
      if ((flags & ACL_FLAGS) === acls) continue
      inodes.set(index, [[at.flags, ((flags & ~ACL_FLAGS) | acls) >>> 0]])
      fixes.add('acl-flag-wrong', `flags of inode ${inodes.numberOf(index)} are those of its lists`)
    }
  }

  /** Writes the trees that changed. */
  write(): void {
    const { inodes, builder, fixes } = this.#ground
    for (const [index, kept] of this.#changed) {
      const number = inodes.numberOf(index)
      numberRecords(kept)
      const tree = inodes.attributes.data[index]! - 1
      const root = tree < 0 ? 0 : builder.replace(tree, kept)
      if (root < 0) {
        fixes.leave('tree-node-damaged', `no room for the attributes of inode ${number}`)
        continue
      }
      inodes.set(index, [
        [at.xattrRoot, root],
        [at.xattrCount, kept.length],
      ])
      fixes.add('tree-node-damaged', `inode ${number} keeps ${kept.length} attributes`)
    }
  }
}

const RECORD_KEY = (record: Uint32Array): number => record[0]! * 65_536 + (record[1]! >>> 16)
