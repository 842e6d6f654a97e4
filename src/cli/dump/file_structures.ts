/** Dumps of what files are made of: inodes, slabs, names, tree nodes, value blocks. */
import { displayPath, HoldfastError } from '../../base/errors.js'
import { BLOCK_BYTES } from '../../base/limits.js'
import { Mode } from '../../base/mode.js'
import { hex } from '../../base/struct.js'
import type { Scratch } from '../../check/medium.js'
import {
  EXTENT_WORDS,
  Inode,
  InodeFlag,
  INODES_PER_SLAB,
  INLINE_EXTENTS,
  INLINE_TARGET_BYTES,
  invalidInode,
} from '../../media/inode.js'
import { InodeMapPage, MAP_ENTRIES } from '../../media/inode_map.js'
import { invalidName, NameHeader, NAME_SLOT_BYTES } from '../../media/name.js'
import { invalidSlab, SlabHeader, SlabKind, slotsOf, SLOT_BYTES } from '../../media/slab.js'
import { invalidTreeNode, NODE_RECORDS, RecordKinds, TreeNode } from '../../media/tree_node.js'
import { invalidValueBlock, ValueBlock, VALUE_BLOCK_BYTES } from '../../media/value.js'
import { fieldsOf, hexLines, type Dump, type Field, type Rows } from './fields.js'
import type { Image } from './image.js'

export function dumpInode(image: Image, number: number): Dump {
  const header = image.demandHeader()
  const entry = Math.floor(number / INODES_PER_SLAB)
  image.demandNumber('inode map entry', entry, header.inodeMapBlocks * MAP_ENTRIES)
  const page = image.read(header.inodeMapStart + Math.floor(entry / MAP_ENTRIES))
  const block = page.u32[(InodeMapPage.at.entries >>> 2) + (entry % MAP_ENTRIES) * 2]!
  if (block === 0) {
    throw new HoldfastError('ENOENT', `inode ${number}: the inode map has no slab for it`)
  }
  const slot = number % INODES_PER_SLAB
  const offset = slot * SLOT_BYTES[SlabKind.inodes]
  const scratch = image.read(block)
  const invalid = invalidInode(scratch, offset, number)
  const fields = fieldsOf(Inode, scratch.u8, offset, ['extents']).map(withFlagNames)
  const parts = [contentOf(scratch, offset)]
  return { what: `inode ${number}`, block, offset, invalid, fields, parts }
}

function withFlagNames(field: Field): Field {
  if (field.name !== 'flags') return field
  const bits = Number(field.value)
  const names = Object.entries(InodeFlag).filter(([, bit]) => (bits & bit) !== 0)
  return { ...field, value: [field.value, ...names.map(([name]) => name)].join(' ') }
}

/** What stands in the place of the extents. */
function contentOf(scratch: Scratch, offset: number): Rows {
  const area = offset + Inode.at.extents
  const mode = scratch.u32[(offset >>> 2) + Inode.word.mode]!
  const size = scratch.u32[(offset + Inode.at.size) >>> 2]!
  if ((mode & Mode.typeMask) === Mode.symlink && size <= INLINE_TARGET_BYTES) {
    const target = displayPath(scratch.u8.subarray(area, area + size))
    return { title: 'target', columns: ['text'], rows: [[target]] }
  }
  const rows: number[][] = []
  for (let i = 0; i < INLINE_EXTENTS; i++) {
    const word = (area >>> 2) + i * EXTENT_WORDS
    const extent = [...scratch.u32.subarray(word, word + EXTENT_WORDS)]
    if (extent.some((value) => value !== 0)) rows.push(extent)
  }
  return { title: 'extents', columns: ['file block', 'region block', 'count'], rows }
}

export function dumpSlab(image: Image, block: number): Dump {
  const scratch = image.read(block)
  const kind =
    scratch.u32[SlabHeader.word.kind]! === SlabKind.names ? SlabKind.names : SlabKind.inodes
  const invalid = invalidSlab(scratch, 0, block, kind)
  const fields = fieldsOf(SlabHeader, scratch.u8, 0)
  const part = kind === SlabKind.names ? namesOf(scratch) : inodesOf(scratch)
  const name = kind === SlabKind.names ? 'name slab' : 'inode slab'
  return { what: `${name} ${block}`, block, offset: 0, invalid, fields, parts: [part] }
}

function inUse(scratch: Scratch, slot: number): boolean {
  const word = slot < 32 ? SlabHeader.word.usedLow : SlabHeader.word.usedHigh
  return ((scratch.u32[word]! >>> (slot & 31)) & 1) !== 0
}

function inodesOf(scratch: Scratch): Rows {
  const rows: (number | string)[][] = []
  const entry = scratch.u32[SlabHeader.word.tag]!
  for (let slot = 1; slot < slotsOf(SlabKind.inodes); slot++) {
    if (!inUse(scratch, slot)) continue
    const number = entry * INODES_PER_SLAB + slot
    const base = slot * SLOT_BYTES[SlabKind.inodes]
    rows.push([slot, number, invalidInode(scratch, base, number) ?? 'valid'])
  }
  return { title: 'slots in use', columns: ['slot', 'inode', 'state'], rows }
}

function namesOf(scratch: Scratch): Rows {
  const rows: (number | string)[][] = []
  const slots = slotsOf(SlabKind.names)
  for (let slot = 1; slot < slots; slot++) {
    if (!inUse(scratch, slot)) continue
    const base = slot * NAME_SLOT_BYTES
    const why = invalidName(scratch, base, slots - slot)
    if (why !== null) {
      rows.push([slot, '', why, ''])
      continue
    }
    const owner = scratch.u32[(base >>> 2) + NameHeader.word.owner]!
    const word = scratch.u32[(base >>> 2) + NameHeader.word.length]!
    const start = base + NameHeader.size
    const text = displayPath(scratch.u8.subarray(start, start + (word & 0xffff)))
    rows.push([slot, owner, 'valid', text])
    slot += (word >>> 16) - 1 // the slots of the name itself
  }
  return { title: 'names', columns: ['slot', 'owner', 'state', 'text'], rows }
}

export function dumpNode(image: Image, block: number): Dump {
  const scratch = image.read(block)
  const get = (word: number) => scratch.u32[word]!
  const kindNumber = get(TreeNode.word.kind)
  const owner = get(TreeNode.word.owner)
  const found = Object.entries(RecordKinds).find(([, { id }]) => id === kindNumber)
  const invalid = invalidTreeNode(scratch, 0, block, kindNumber, owner)
  const why = invalid ?? (found === undefined ? `kind ${kindNumber}` : null)
  const fields = fieldsOf(TreeNode, scratch.u8, 0, ['order', 'records'])
  const leaf = get(TreeNode.word.level) === 0
  const words = found?.[1].words ?? ['word 0', 'word 1', 'word 2', 'word 3']
  const columns = leaf ? words.map(shortName) : [...words.slice(0, 3).map(shortName), 'child']
  const rows: (number | string)[][] = []
  const count = Math.min(get(TreeNode.word.count), NODE_RECORDS)
  for (let i = 0; i < count; i++) {
    const slot = scratch.u8[TreeNode.at.order + i]!
    if (slot >= NODE_RECORDS) continue
    const word = (TreeNode.at.records >>> 2) + slot * 4
    const values = [...scratch.u32.subarray(word, word + 4)]
    rows.push(values.map((value, j) => (packed(columns[j]!) ? hex(value) : value)))
  }
  const title = `records of kind ${found?.[0] ?? kindNumber}, in the order of their keys`
  const parts = [{ title, columns, rows }]
  return { what: `tree node ${block}`, block, offset: 0, invalid: why, fields, parts }
}

/** Several numbers in one word. */
const packed = (column: string): boolean => column === PACKED
const PACKED = 'number, type or slot, slot'

function shortName(word: string): string {
  return word.startsWith('bits') ? PACKED : word.split(/[:,;]/)[0]!
}

export function dumpValue(image: Image, block: number): Dump {
  const scratch = image.read(block)
  const invalid = invalidValueBlock(scratch, 0, block, scratch.u32[ValueBlock.word.owner]!)
  const fields = fieldsOf(ValueBlock, scratch.u8, 0, ['bytes'])
  const length = Math.min(scratch.u32[ValueBlock.word.length]!, VALUE_BLOCK_BYTES)
  const text = scratch.u8.subarray(ValueBlock.at.bytes, ValueBlock.at.bytes + length)
  const parts = [{ title: 'bytes', columns: ['hex'], rows: hexLines(text).map((line) => [line]) }]
  return { what: `value block ${block}`, block, offset: 0, invalid, fields, parts }
}

export function dumpHex(image: Image, block: number): Dump {
  const rows = hexLines(image.read(block).u8).map((line) => [line])
  const parts = [{ title: `${BLOCK_BYTES} bytes`, columns: ['hex'], rows }]
  return { what: `block ${block}`, block, offset: 0, invalid: null, fields: [], parts }
}
