/**
 * Not tests, but damages to what inodes hold: targets, attributes, access control lists, and the
 * work on the blocks of files; and to the list of bad blocks.
 */
import { blocksAtMost } from '../../src/media/bitmap.js'
import { Inode, InodeFlag } from '../../src/media/inode.js'
import { InodeMapPage } from '../../src/media/inode_map.js'
import { NameHeader } from '../../src/media/name.js'
import { OrphanKind, TreeNode } from '../../src/media/tree_node.js'
import { ValueBlock } from '../../src/media/value.js'
import {
  attributeOf,
  damage,
  entryOf,
  leafOf,
  sample,
  setInode,
  setName,
  setOrphan,
  setSlab,
} from './damage_tools.js'
import { BITMAP, MAP, type Image } from './image.js'
import { buildSample } from './sample.js'

const { a, tree, empty, sub, deep, short, long, fifo } = sample
const { punched, collapsed, inserted, unlinked } = sample

/** Byte offset of a value block. */
const valueAt = (block: number): number => block * 4096

/** The node of the attributes of an inode, and a record of it. */
const xattrRoot = (image: Image, number: number) =>
  image.get(image.inode(number), Inode, 'xattrRoot')
const xattrRecord = (image: Image, number: number, name: string) =>
  image.record(xattrRoot(image, number), attributeOf(image, number, name))

/** Byte offset of the value of an attribute, which stands in a slab. */
function valueOf(image: Image, number: number, name: string): number {
  const w = xattrRecord(image, number, name)
  return image.u32[w + 3]! * 4096 + ((image.u32[w + 1]! >>> 8) & 0xff) * 64
}

/** Seals a name or value. */
function sealName(image: Image, base: number, fields: Record<string, number> = {}): void {
  image.set(base, NameHeader, fields, (image.get(base, NameHeader, 'length') >>> 16) * 64)
}

// ---- inodes of each type -----------------------------------------------------------------------

damage('inode-field-invalid', 'a FIFO with a size', (image) => setInode(image, fifo, { size: 1 }))
damage('inode-field-invalid', 'a FIFO with an extent', (image) => {
  image.u32[(image.inode(fifo) >>> 2) + Inode.word.extents + 2] = 1
  setInode(image, fifo, {})
})
damage('inode-field-invalid', 'a file with a device number', (image) => {
  setInode(image, a, { device: 1 })
})
damage('inode-field-invalid', 'a directory with blocks past its end', (image) => {
  setInode(image, deep, { flags: InodeFlag.preallocated })
})
damage('inode-field-invalid', 'a directory with a layout generation', (image) => {
  const base = image.inode(deep)
  image.u32[(base >>> 2) + Inode.word.layoutGeneration + 1] = 1
  image.seal(base, Inode)
})
damage('inode-field-invalid', 'a generation that the inode map says was used before', (image) => {
  image.u32[MAP * 1024 + InodeMapPage.word.entries + 3] = 1
  image.seal(MAP * 4096, InodeMapPage)
})
damage('inode-field-invalid', 'a symlink without a target', (image) => {
  setInode(image, short, { size: 0 })
})
damage('inode-field-invalid', 'a byte after the target of a symlink', (image) => {
  image.u8[image.inode(short) + Inode.at.extents + 119] = 1
  setInode(image, short, {})
})
damage('inode-field-invalid', 'a short target with value blocks', (image) => {
  setInode(image, short, { root: 1000 })
})
damage(
  'inode-field-invalid',
  'a long target without value blocks',
  (image) => setInode(image, long, { root: 0 }),
  ['block-leaked'],
)
damage('slab-tag-wrong', 'a slab of names with a tag', (image) => {
  setSlab(image, image.stateOf('nameSlabs'), { tag: 1 })
})

// ---- targets and values ------------------------------------------------------------------------

damage('symlink-target-invalid', 'a short target with NUL', (image) => {
  image.u8[image.inode(short) + Inode.at.extents + 3] = 0
  setInode(image, short, {})
})
damage('symlink-target-invalid', 'a long target with NUL', (image) => {
  const base = valueAt(image.rootOf(long))
  image.u8[base + ValueBlock.at.bytes + 4000] = 0
  image.seal(base, ValueBlock)
})
damage(
  'value-pointer-invalid',
  'a target with its blocks in the bitmap',
  (image) => setInode(image, long, { root: BITMAP }),
  ['block-leaked'],
)
damage('value-damaged', 'a value block with a wrong checksum', (image) => {
  const second = image.get(valueAt(image.rootOf(long)), ValueBlock, 'next')
  image.u8[valueAt(second) + ValueBlock.at.bytes]! ^= 1
})
damage(
  'value-damaged',
  'a value block of another inode',
  (image) => image.set(valueAt(image.rootOf(long)), ValueBlock, { owner: short }),
  ['block-leaked'],
)
damage('value-length-wrong', 'a target with another size than its blocks', (image) => {
  setInode(image, long, { size: 4093 })
})
damage('value-length-wrong', 'a value block that is not full and not the last', (image) => {
  image.set(valueAt(image.rootOf(long)), ValueBlock, { length: 4000 })
  setInode(image, long, { size: 4062 })
})
damage(
  'value-length-wrong',
  'a value in a block that has room in a slab',
  (image) => {
    const first = image.u32[xattrRecord(image, a, 'user.large') + 3]!
    image.set(valueAt(first), ValueBlock, { length: 100, next: 0 })
  },
  ['block-leaked'],
)
damage(
  'block-claimed-twice',
  'a chain of value blocks that comes back',
  (image) => {
    const first = image.rootOf(long)
    image.set(valueAt(first), ValueBlock, { next: first })
  },
  ['block-leaked'],
)
damage('reserved-not-zero', 'a reserved byte of a value block', (image) => {
  image.set(valueAt(image.rootOf(long)), ValueBlock, { reserved: 1 })
})

// ---- attributes --------------------------------------------------------------------------------

damage('xattr-count-wrong', 'a file that miscounts its attributes', (image) => {
  setInode(image, a, { xattrCount: 5 })
})
damage('xattr-count-wrong', 'a file that counts attributes and has none', (image) => {
  setInode(image, empty, { xattrCount: 1 })
})
damage('xattr-list-too-long', 'a file with too many long names of attributes', (image) => {
  const names = Array.from({ length: 257 }, (_, i) => `user.${'x'.repeat(247)}${i + 100}`)
  const attributes = Object.fromEntries(names.map((name) => [name, new Uint8Array(0)]))
  image.u8.set(buildSample(600, attributes).image.u8)
})
damage(
  'entry-invalid',
  'an attribute whose value is in slot 64',
  (image) => {
    const i = attributeOf(image, a, 'user.small')
    const word = image.u32[image.record(xattrRoot(image, a), i) + 1]!
    image.setRecord(xattrRoot(image, a), i, { 1: (word & 0xffff00ff) | (64 << 8) })
  },
  ['name-unowned'],
)
damage('name-owner-wrong', 'a value of another inode', (image) => {
  sealName(image, valueOf(image, a, 'user.small'), { owner: empty })
})
damage('name-claimed-twice', 'two attributes with one value', (image) => {
  const from = xattrRecord(image, a, 'user.small')
  const value = (image.u32[from + 1]! >>> 8) & 0xff
  const i = attributeOf(image, a, 'user.empty')
  const word = image.u32[image.record(xattrRoot(image, a), i) + 1]!
  image.setRecord(xattrRoot(image, a), i, { 1: word | (value << 8), 3: image.u32[from + 3]! })
})
damage(
  'name-forbidden',
  'the name of an attribute with NUL',
  (image) => {
    const base = image.nameAt(xattrRoot(image, a), attributeOf(image, a, 'user.empty'))
    image.u8[base + NameHeader.size + 6] = 0
    sealName(image, base)
  },
  ['name-hash-wrong'],
)
damage('name-hash-wrong', 'an attribute under the hash of another', (image) => {
  const i = attributeOf(image, a, 'user.small')
  const hash = image.u32[image.record(xattrRoot(image, a), i)]!
  image.setRecord(xattrRoot(image, a), i, { 0: hash ^ 1 })
})
damage(
  'name-damaged',
  'a name of more than 255 bytes',
  (image) => {
    const i = entryOf(image, sub, empty)
    setName(image, sub, i, { length: 256 | (5 << 16) })
  },
  ['name-unowned'],
)
damage(
  'tree-node-damaged',
  'a tree of attributes with a wrong checksum',
  (image) => {
    image.u8[xattrRoot(image, a) * 4096 + 310]! ^= 1
  },
  ['block-leaked'],
)

// ---- access control lists ----------------------------------------------------------------------

damage('acl-invalid', 'an ACL of an unknown version', (image) => {
  const base = valueOf(image, a, 'system.posix_acl_access')
  image.u8[base + NameHeader.size] = 3
  sealName(image, base)
})
damage('acl-invalid', 'an ACL without the entry of its mask', (image) => {
  const base = valueOf(image, sub, 'system.posix_acl_default')
  image.u8[base + NameHeader.size + 4 + 3 * 8] = 0x40
  sealName(image, base)
})
damage('acl-flag-wrong', 'a file with an ACL and without the flag', (image) => {
  setInode(image, a, { flags: 0 })
})
damage('acl-flag-wrong', 'a directory with the flag and without an ACL', (image) => {
  setInode(image, deep, { flags: InodeFlag.defaultAcl })
})
damage('acl-mode-wrong', 'a file with other bits for its group than its ACL', (image) => {
  setInode(image, a, { mode: 0o100644 })
})

// ---- work on the blocks of files ---------------------------------------------------------------

damage('orphan-record-invalid', 'a punch that ends before it begins', (image) => {
  setOrphan(image, punched, OrphanKind.punch, { 2: 9 })
})
damage('orphan-record-invalid', 'a collapse that moves past the start of the file', (image) => {
  setOrphan(image, collapsed, OrphanKind.collapse, { 3: 9 })
})
damage('orphan-record-invalid', 'an insertion of nothing', (image) => {
  setOrphan(image, inserted, OrphanKind.insert, { 3: 0 })
})
damage(
  'orphan-record-invalid',
  'an orphan record of an unknown kind',
  (image) => setOrphan(image, unlinked, OrphanKind.unlinked, { 1: 10 }),
  ['inode-unreachable'],
)
damage('orphan-work-impossible', 'an end of an insertion without its beginning', (image) => {
  setOrphan(image, inserted, OrphanKind.insert, { 1: OrphanKind.punch })
})
damage('orphan-work-impossible', 'an insertion that has come past its offset', (image) => {
  setOrphan(image, inserted, OrphanKind.insertEnd, { 2: 2 })
})
damage('orphan-work-impossible', 'an insertion over blocks that are there', (image) => {
  setOrphan(image, inserted, OrphanKind.insertEnd, { 2: 6 })
})
damage('orphan-work-impossible', 'a collapse over blocks that are there', (image) => {
  setOrphan(image, collapsed, OrphanKind.collapse, { 2: 14 })
})
damage('orphan-work-impossible', 'a collapse of more than the file has', (image) => {
  setInode(image, collapsed, { size: 4 * 4096 })
})
damage(
  'orphan-work-impossible',
  'the end of a directory to be cut off',
  (image) => {
    // The flag is one that a directory cannot have.
    setOrphan(image, tree, OrphanKind.beyond, { 0: deep })
    setInode(image, tree, { flags: 0 })
  },
  ['orphan-flag-wrong'],
)
damage(
  'orphan-work-impossible',
  'the end of a file without a name to be cut off',
  (image) => setOrphan(image, unlinked, OrphanKind.unlinked, { 1: OrphanKind.beyond }),
  ['inode-unreachable', 'orphan-flag-wrong'],
)
damage('orphan-flag-wrong', 'a punch of a file without the flag', (image) => {
  setInode(image, punched, { flags: 0 })
})
damage(
  'extents-unmerged',
  'an extent in two pieces',
  (image) => {
    const w = (image.inode(unlinked) >>> 2) + Inode.word.extents
    const region = image.u32[w + 1]!
    image.u32.set([0, region, 1, 1, region + 1, 2], w)
    setInode(image, unlinked, { count: 2 })
  },
  ['reverse-map-extra', 'reverse-map-missing'],
)

// ---- bad blocks --------------------------------------------------------------------------------

const badRoot = (image: Image) => image.stateOf('badBlockRoot')

damage(
  'bad-block-invalid',
  'a bad block that the volume can never have',
  (image) => image.setRecord(badRoot(image), 1, { 0: blocksAtMost(1) }),
  ['block-leaked'],
)
damage('bad-block-invalid', 'a bad block in the bitmap', (image) => {
  image.setRecord(badRoot(image), 0, { 0: BITMAP })
})
damage('bad-block-invalid', 'a bad block with a last word', (image) => {
  image.setRecord(badRoot(image), 0, { 3: 1 })
})
damage('block-unallocated', 'a bad block that is free', (image) => image.allocate(1020, false))
damage(
  'tree-node-damaged',
  'a list of bad blocks with a wrong checksum',
  (image) => {
    image.set(badRoot(image) * 4096, TreeNode, { owner: 1 })
  },
  ['block-leaked'],
)
damage('entry-type-wrong', 'an entry that takes a symlink for a file', (image) => {
  const leaf = leafOf(image, 1)
  const i = entryOf(image, 1, short)
  const word = image.u32[image.record(leaf, i) + 1]!
  image.setRecord(leaf, i, { 1: (word & 0xffff00ff) | (8 << 8) })
})
