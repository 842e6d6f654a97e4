/**
 * Not tests, but the damages that the tests of fsck and of its repair plant: for each finding that
 * fsck can make, one that is exactly that. The volume is sound but for it, and every checksum fits.
 * Damages to what files hold are in content_damages.ts, to what they have together in
 * share_damages.ts.
 */
import { BitmapChunk, CHUNK_WORDS } from '../../src/media/bitmap.js'
import { Mode } from '../../src/base/mode.js'
import { Inode } from '../../src/media/inode.js'
import { InodeMapPage } from '../../src/media/inode_map.js'
import { PageDescriptor } from '../../src/media/log.js'
import { SlabHeader } from '../../src/media/slab.js'
import { State } from '../../src/media/state.js'
import { Superblock } from '../../src/media/superblock.js'
import { TreeNode } from '../../src/media/tree_node.js'
import './content_damages.js'
import './share_damages.js'
import {
  damage,
  entryOf,
  fullSlab,
  leafOf,
  listedSlab,
  ROOT,
  sample,
  setInode,
  setName,
  setOrphan,
  setSlab,
  setState,
  takeBlock,
} from './damage_tools.js'
import type { Image } from './image.js'
import { appendRecord, BITMAP, DATA_START, MAP, sealRecord } from './image.js'

export { damages, sample } from './damage_tools.js'

const { a, tree, empty, sub, deep, big, unlinked } = sample

// ---- the region and what stands in fixed places ------------------------------------------------

damage(
  'region-fault',
  'memory that failed under a read',
  () => ({
    check(): void {
      throw new Error('EIO: fault at 0x1000')
    },
  }),
  [],
  'unreadable',
)
damage(
  'block-unreadable',
  'a block whose read fails',
  (image) => {
    const region = image.region()
    const bad = image.rootOf(deep) || image.rootOf(sub)
    return {
      read(offset, target, start, length): void {
        if (offset === bad * 4096) throw new Error('EIO')
        region.read(offset, target, start, length)
      },
    }
  },
  ['tree-node-damaged'],
  'unreadable',
)
damage(
  'superblock-missing',
  'two superblocks with wrong checksums',
  (image) => {
    image.u8[Superblock.at.label]! ^= 1
    image.u8[4096 + Superblock.at.label]! ^= 1
  },
  [],
  'unreadable',
)
damage('superblock-copy-damaged', 'one superblock with a wrong checksum', (image) => {
  image.u8[4096 + Superblock.at.label]! ^= 1
})
damage('superblock-copies-disagree', 'superblocks of two volumes', (image) => {
  image.set(4096, Superblock, { hashKey: 1, sequence: 4 })
})
damage(
  'superblock-feature-unknown',
  'an unknown incompatible feature',
  (image) => {
    image.set(0, Superblock, { featuresIncompat: 2 })
    image.set(4096, Superblock, { featuresIncompat: 2 })
  },
  [],
  'unreadable',
)
damage(
  'repair-unfinished',
  'superblocks that name the journal of a repair',
  (image) => {
    image.set(0, Superblock, { repairJournal: 500 })
    image.set(4096, Superblock, { repairJournal: 500 })
  },
  [],
  'unreadable',
)
damage('reserved-not-zero', 'a reserved byte of an inode', (image) => {
  setInode(image, a, { reserved: 0x100 })
})
damage('reserved-not-zero', 'a byte after a name', (image) => {
  const base = image.nameAt(leafOf(image, ROOT), 0)
  image.u8[base + 60] = 1
  setName(image, ROOT, 0, {})
})
damage('log-tail-damaged', 'a log tail with a wrong check', (image) => {
  image.u8[3 * 4096]! ^= 1
})
damage('log-record-invalid', 'a log record for a superblock', (image) => {
  appendRecord(image, 1000, 7, [[1, 0, new Uint8Array(64)]])
})
damage('log-record-invalid', 'a log record for a block past the end of the volume', (image) => {
  appendRecord(image, 1000, 7, [[image.blocks, 0, new Uint8Array(64)]])
})
damage('log-record-invalid', 'a log record with more lines than its pages take', (image) => {
  const base = appendRecord(image, 1000, 7, [[1000, 0, new Uint8Array(64)]])
  image.u32[(base >>> 2) + 16 + PageDescriptor.word.presentLow] = 0
  sealRecord(image, base)
})
damage('log-record-invalid', 'a log record with a line that is present and zero', (image) => {
  const base = appendRecord(image, 1000, 7, [[1000, 0, new Uint8Array(64)]])
  image.u32[(base >>> 2) + 16 + PageDescriptor.word.zeroLow] = 1
  sealRecord(image, base)
})
damage('log-overwrites-data', 'a log record for a block of a file', (image) => {
  const block = image.u32[(image.inode(unlinked) >>> 2) + Inode.word.extents + 1]!
  appendRecord(image, 1000, 7, [[block, 3, new Uint8Array(64)]])
})
damage(
  'state-damaged',
  'a state with a wrong checksum',
  (image) => {
    image.u8[image.state + State.at.inodes]! ^= 1
  },
  [],
  'unreadable',
)

// ---- slabs and inodes --------------------------------------------------------------------------

damage(
  'inode-map-damaged',
  'an inode map page with a wrong checksum',
  (image) => {
    image.u8[MAP * 4096 + 100]! ^= 1
  },
  // No inode is known then: nothing of what they own is claimed, and slabs in the list are none.
  ['slab-list-broken', 'root-missing', 'share-owners-wrong', 'reverse-map-extra', 'block-leaked'],
)
damage('inode-map-used-wrong', 'an inode map page that miscounts', (image) => {
  const used = image.get(MAP * 4096, InodeMapPage, 'used')
  image.set(MAP * 4096, InodeMapPage, { used: used + 1 })
})
damage('inode-map-entry-invalid', 'an inode map entry above the high mark', (image) => {
  setState(image, { inodeMapHigh: image.stateOf('inodeMapHigh') - 1 })
})
damage('inode-map-entry-invalid', 'an inode map entry that leads out of the volume', (image) => {
  image.u32[MAP * 1024 + InodeMapPage.word.entries + 400 * 2] = image.blocks
  const used = image.get(MAP * 4096, InodeMapPage, 'used')
  image.set(MAP * 4096, InodeMapPage, { used: used + 1 })
  setState(image, { inodeMapHigh: 401 })
})
damage(
  'slab-damaged',
  'a full inode slab with a wrong checksum',
  (image) => {
    image.u8[image.slab(30) * 4096 + SlabHeader.at.tag]! ^= 1
  },
  ['reverse-map-extra', 'block-leaked'],
)
damage('slab-tag-wrong', 'a slab with the tag of another', (image) => {
  setSlab(image, image.slab(30), { tag: 9 })
})
damage('slab-empty', 'a slab without any inode', (image) => {
  const block = takeBlock(image)
  const head = listedSlab(image)
  image.u8.copyWithin(block * 4096, head * 4096, head * 4096 + 64)
  setSlab(image, block, { block, usedLow: 1, tag: 300, previous: 0, next: head })
  setSlab(image, head, { previous: block })
  image.u32[MAP * 1024 + InodeMapPage.word.entries + 300 * 2] = block
  const used = image.get(MAP * 4096, InodeMapPage, 'used')
  image.set(MAP * 4096, InodeMapPage, { used: used + 1 })
  setState(image, { inodeSlabs: block, inodeMapHigh: 301 })
})
damage('slab-slot-not-zero', 'content in a slot that is not in use', (image) => {
  image.u8[listedSlab(image) * 4096 + 15 * Inode.size + 100] = 1
})
damage('slab-slot-not-zero', 'content after the header of a slab of inodes', (image) => {
  image.u8[listedSlab(image) * 4096 + 80] = 1
})
damage('slab-list-broken', 'a slab list that leads to data', (image) => {
  setSlab(image, listedSlab(image), { next: image.rootOf(sub) })
})
damage('slab-list-broken', 'a slab in the list with a wrong link back', (image) => {
  setSlab(image, listedSlab(image), { previous: 5 })
})
damage('slab-list-cyclic', 'a slab list that comes back', (image) => {
  setSlab(image, listedSlab(image), { next: listedSlab(image) })
})
damage('slab-list-missing', 'a slab with free slots outside of the list', (image) => {
  setSlab(image, listedSlab(image), { listed: 0 })
  setState(image, { inodeSlabs: 0 })
})
damage('slab-list-full', 'a full slab in the list', (image) => {
  const head = listedSlab(image)
  setSlab(image, fullSlab(image), { listed: 1, next: head })
  setSlab(image, head, { previous: fullSlab(image) })
  setState(image, { inodeSlabs: fullSlab(image) })
})
damage('slab-listed-wrong', 'a full slab that says it is in the list', (image) => {
  setSlab(image, fullSlab(image), { listed: 1 })
})
damage('inode-damaged', 'an inode with a wrong checksum', (image) => {
  image.u8[image.inode(empty) + Inode.at.size]! ^= 1
})
damage('inode-damaged', 'an inode with the number of another', (image) => {
  setInode(image, empty, { number: a })
})
damage('inode-field-invalid', 'an unknown flag', (image) => setInode(image, empty, { flags: 2048 }))
damage('inode-field-invalid', 'a directory with a size', (image) =>
  setInode(image, deep, { size: 1 }),
)
damage('inode-field-invalid', 'a time of a thousand million nanoseconds', (image) => {
  const base = image.inode(a)
  image.u32[(base >>> 2) + Inode.word.changed + 1] = (1_000_000_000 << 2) >>> 0
  image.seal(base, Inode)
})
damage('inode-field-invalid', 'an inline extent after the last', (image) => {
  const base = image.inode(empty)
  image.u32[(base >>> 2) + Inode.word.extents + 29] = 1
  image.seal(base, Inode)
})
damage('inode-count-wrong', 'a state that miscounts the inodes', (image) => {
  setState(image, { inodes: image.stateOf('inodes') + 1 })
})
damage('inode-blocks-wrong', 'a file that miscounts its blocks', (image) => {
  setInode(image, a, { blocks: 21 })
})

// ---- trees and extents -------------------------------------------------------------------------

damage(
  'tree-pointer-invalid',
  'a tree with its root in the bitmap',
  (image) => setInode(image, sub, { root: BITMAP }),
  ['block-leaked'],
)
damage(
  'tree-node-damaged',
  'a node with a wrong checksum',
  (image) => {
    image.u8[image.rootOf(tree) * 4096 + 310]! ^= 1
  },
  ['block-leaked', 'reverse-map-extra'],
)
damage(
  'tree-node-damaged',
  'a lost node where the bitmap has every block in use',
  (image) => {
    image.u8.fill(0, image.rootOf(tree) * 4096, (image.rootOf(tree) + 1) * 4096)
    for (let block = DATA_START; block < image.blocks; block++) image.allocate(block, true)
  },
  ['block-leaked', 'reverse-map-extra'],
)
damage(
  'tree-node-damaged',
  'a node of another inode',
  (image) => image.set(image.rootOf(tree) * 4096, TreeNode, { owner: a }),
  ['block-leaked', 'reverse-map-extra'],
)
damage(
  'tree-level-wrong',
  'an inner node of level 2 over leaves',
  (image) => image.set(image.rootOf(big) * 4096, TreeNode, { level: 2 }),
  ['block-leaked'],
)
damage(
  'tree-keys-unordered',
  'two entries in the wrong order',
  (image) => {
    const leaf = image.rootOf(tree)
    const order = leaf * 4096 + TreeNode.at.order
    const [first, second] = [image.u8[order]!, image.u8[order + 1]!]
    image.u8[order] = second
    image.u8[order + 1] = first
    image.seal(leaf * 4096, TreeNode)
  },
  ['extents-overlap'],
)
damage('tree-keys-outside', 'a separator above the keys below it', (image) => {
  const root = image.rootOf(big)
  const second = image.record(root, 1)
  image.setRecord(root, 1, { 0: image.u32[second]! + 1 })
})
damage('tree-keys-outside', 'a separator not above the keys before it', (image) => {
  const root = image.rootOf(big)
  const leaf = image.u32[image.record(root, 0) + 3]!
  const last = image.record(leaf, image.get(leaf * 4096, TreeNode, 'count') - 1)
  image.setRecord(root, 1, { 0: image.u32[last]!, 1: image.u32[last + 1]! })
})

/** Words of the i-th inline extent of `a`. */
const extentOf = (image: Image, i: number) => (image.inode(a) >>> 2) + Inode.word.extents + i * 3

damage(
  'extent-invalid',
  'an extent of no blocks',
  (image) => {
    image.u32[extentOf(image, 9) + 2] = 0
    setInode(image, a, { blocks: 18 })
  },
  ['reverse-map-extra', 'block-leaked'],
)
damage(
  'extent-invalid',
  'an extent past the end of the volume',
  (image) => {
    image.u32[extentOf(image, 9) + 1] = image.blocks - 1
    setInode(image, a, {})
  },
  ['reverse-map-extra', 'block-leaked'],
)
damage(
  'extents-overlap',
  'two extents for one block of a file',
  (image) => {
    image.u32[extentOf(image, 1)] = 1
    setInode(image, a, {})
  },
  ['reverse-map-extra', 'reverse-map-missing'],
)
damage('extent-count-wrong', 'a file with more extents than it counts', (image) => {
  setInode(image, tree, { count: 61 })
})
damage('reverse-map-extra', 'a reverse map with an extent that is free', (image) => {
  const root = image.stateOf('reverseMapRoot')
  const last = image.get(root * 4096, TreeNode, 'count') - 1
  const slot = last + 1
  const words = [1010, a, 90, 1]
  image.u32.set(words, root * 1024 + TreeNode.word.records + slot * 4)
  image.u8[root * 4096 + TreeNode.at.order + slot] = slot
  image.set(root * 4096, TreeNode, { count: slot + 1 })
})
damage(
  'reverse-map-extra',
  'a reverse map with another owner',
  (image) => image.setRecord(image.stateOf('reverseMapRoot'), 0, { 1: 77 }),
  ['reverse-map-missing'],
)
damage('reverse-map-missing', 'a reverse map without its last record', (image) => {
  const root = image.stateOf('reverseMapRoot')
  // The last in order stands in slot 0, so the one in the last slot takes its place.
  const count = image.get(root * 4096, TreeNode, 'count')
  const last = root * 1024 + TreeNode.word.records + (count - 1) * 4
  const order = root * 4096 + TreeNode.at.order
  image.u32.copyWithin(root * 1024 + TreeNode.word.records, last, last + 4)
  image.u8[order] = 0
  image.set(root * 4096, TreeNode, { count: count - 1 })
})

// ---- directories and names ---------------------------------------------------------------------

damage(
  'root-missing',
  'a root that is a file',
  (image) => setInode(image, ROOT, { mode: Mode.file, root: 0, count: 0, links: 1, parent: 0 }),
  ['inode-unreachable', 'block-leaked', 'name-unowned', 'links-wrong'],
)
damage(
  'entry-invalid',
  'an entry whose name is in slot 64',
  (image) => {
    const i = entryOf(image, ROOT, a)
    const w = image.record(leafOf(image, ROOT), i)
    image.setRecord(leafOf(image, ROOT), i, { 1: (image.u32[w + 1]! & ~0xff) | 64 })
  },
  ['name-unowned'],
)
damage(
  'entry-number-duplicate',
  'two entries of one hash with the same number',
  (image) => {
    const leaf = leafOf(image, sub)
    const [first, second] = [image.record(leaf, 0), image.record(leaf, 1)]
    // The slots tell the keys apart, and go up with the order or are put so.
    const low = Math.min(image.u32[first + 1]! & 0xff, image.u32[second + 1]! & 0xff)
    const swapped = (image.u32[first + 1]! & 0xff) !== low
    const words = [image.u32.slice(first, first + 4), image.u32.slice(second, second + 4)]
    if (swapped) words.reverse()
    // Types differ, and stand above the slots: give both the type of what they lead to, in order.
    words.sort((x, y) => x[1]! - y[1]!)
    words[1]![0] = words[0]![0]!
    image.u32.set(words[0]!, first)
    image.u32.set(words[1]!, second)
    image.seal(leaf * 4096, TreeNode)
  },
  ['name-hash-wrong'],
)
damage(
  'entry-target-missing',
  'an entry that leads to no inode',
  (image) => image.setRecord(leafOf(image, ROOT), entryOf(image, ROOT, a), { 3: 16 * 300 + 1 }),
  ['links-wrong'],
)
damage('entry-type-wrong', 'an entry that takes a file for a directory', (image) => {
  const leaf = leafOf(image, ROOT)
  const i = entryOf(image, ROOT, a)
  const word = image.u32[image.record(leaf, i) + 1]!
  image.setRecord(leaf, i, { 1: (word & 0xffff00ff) | (4 << 8) })
})
damage('name-damaged', 'a name with a wrong checksum', (image) => {
  image.u8[image.nameAt(leafOf(image, ROOT), 0) + 16]! ^= 1
})
damage('name-owner-wrong', 'a name of another directory', (image) => {
  setName(image, ROOT, 0, { owner: sub })
})
damage('name-slot-unused', 'a name in a slot that is not in use', (image) => {
  // In a slab that is not full: no list changes.
  const listed = image.stateOf('nameSlabs')
  const names = Array.from({ length: 20 }, (_, i) => image.nameAt(leafOf(image, ROOT), i))
  const base = names.find((at) => Math.floor(at / 4096) === listed)!
  const [block, slot] = [Math.floor(base / 4096), (base % 4096) / 64]
  const field = slot < 32 ? 'usedLow' : 'usedHigh'
  const used = image.get(block * 4096, SlabHeader, field)
  setSlab(image, block, { [field]: (used & ~(1 << (slot & 31))) >>> 0 })
})
damage(
  'name-claimed-twice',
  'two entries with one name',
  (image) => {
    const leaf = leafOf(image, ROOT)
    const [first, second] = [image.record(leaf, 0), image.record(leaf, 1)]
    const slot = image.u32[first + 1]! & 0xff
    const word = image.u32[second + 1]!
    image.setRecord(leaf, 1, { 1: (word & ~0xff) | slot, 2: image.u32[first + 2]! })
  },
  ['name-hash-wrong', 'name-unowned'],
)
damage('name-unowned', 'a used name slot without an entry', (image) => {
  const block = image.stateOf('nameSlabs')
  setSlab(image, block, {
    usedHigh: (image.get(block * 4096, SlabHeader, 'usedHigh') | 0x8000_0000) >>> 0,
  })
})
for (const [name, what] of [
  ['x/y', 'a slash'],
  ['x\0y', 'NUL'],
] as const) {
  damage(
    'name-forbidden',
    `a name with ${what}`,
    (image) => {
      const base = image.nameAt(leafOf(image, ROOT), 0)
      image.u8.fill(0, base + 16, base + 64)
      image.u8.set(Buffer.from(name), base + 16)
      setName(image, ROOT, 0, { length: 3 | (1 << 16) })
    },
    ['name-hash-wrong'],
  )
}
damage(
  'name-forbidden',
  'the name of two dots',
  (image) => {
    const base = image.nameAt(leafOf(image, ROOT), 0)
    image.u8.fill(0, base + 16, base + 64)
    image.u8.fill(0x2e, base + 16, base + 18)
    setName(image, ROOT, 0, { length: 2 | (1 << 16) })
  },
  ['name-hash-wrong'],
)
damage('name-hash-wrong', 'a name under the hash of another', (image) => {
  const leaf = leafOf(image, ROOT)
  image.setRecord(leaf, 0, { 0: image.u32[image.record(leaf, 0)]! ^ 1 })
})
damage('name-duplicate', 'a directory with the same name twice', (image) => {
  const leaf = leafOf(image, ROOT)
  const [one, two] = [image.nameAt(leaf, 0), image.nameAt(leaf, 1)]
  image.u8.copyWithin(two, one, one + 64)
  const [first, second] = [image.record(leaf, 0), image.record(leaf, 1)]
  const word = (1 << 16) | (image.u32[second + 1]! & 0xffff)
  image.setRecord(leaf, 1, { 0: image.u32[first]!, 1: word })
})
damage('directory-count-wrong', 'a directory that miscounts its entries', (image) => {
  setInode(image, sub, { count: 4 })
})

/** Lets the entry of `from` that leads to `target` lead to `other`, with its type. */
function redirect(image: Image, from: number, target: number, other: number, type: number): void {
  const leaf = leafOf(image, from)
  const i = entryOf(image, from, target)
  const word = image.u32[image.record(leaf, i) + 1]!
  image.setRecord(leaf, i, { 1: (word & 0xffff00ff) | (type << 8), 3: other })
}

damage('directory-linked-twice', 'a directory with two entries', (image) => {
  redirect(image, sub, a, deep, 4)
  setInode(image, a, { links: 1 })
  setInode(image, sub, { links: 4 })
})
damage('directory-linked-twice', 'an entry that leads to the root', (image) => {
  redirect(image, sub, a, ROOT, 4)
  setInode(image, a, { links: 1 })
  setInode(image, sub, { links: 4 })
})
damage('directory-parent-wrong', 'a directory with another parent', (image) => {
  setInode(image, deep, { parent: big })
})
damage('directory-parent-wrong', 'a root with a parent', (image) => {
  setInode(image, ROOT, { parent: sub })
})
damage('directory-cycle', 'two directories that hold each other', (image) => {
  // `sub` loses its entry in the root, and takes itself in the place of `deep`.
  redirect(image, ROOT, sub, empty, 8)
  redirect(image, sub, deep, sub, 4)
  setInode(image, sub, { parent: sub })
  setInode(image, ROOT, { links: 3 })
  setInode(image, empty, { links: 3 })
  redirect(image, sub, a, deep, 4)
  setInode(image, a, { links: 1 })
  setInode(image, sub, { links: 4 })
})
damage('inode-unreachable', 'a file without a name', (image) => {
  redirect(image, ROOT, empty, a, 8)
  redirect(image, sub, empty, a, 8)
  setInode(image, a, { links: 4 })
})
damage('links-wrong', 'a file that miscounts its links', (image) =>
  setInode(image, a, { links: 3 }),
)
damage('links-wrong', 'a directory that miscounts its links', (image) => {
  setInode(image, ROOT, { links: 3 })
})

damage('orphan-record-invalid', 'an orphan record with a last word', (image) => {
  setOrphan(image, unlinked, 1, { 3: 1 })
})
damage(
  'orphan-target-missing',
  'an orphan record of no inode',
  (image) => setOrphan(image, unlinked, 1, { 0: 16 }),
  ['inode-unreachable'],
)
damage('orphan-still-linked', 'an orphan record of a file with a name', (image) => {
  setOrphan(image, tree, 2, { 1: 1 })
  setInode(image, tree, { flags: 0, links: 0 })
})
damage('orphan-flag-wrong', 'a truncating file without the flag', (image) => {
  setInode(image, tree, { flags: 0 })
})
damage('orphan-flag-wrong', 'a file with the flag and no orphan record', (image) => {
  setInode(image, empty, { flags: 1 })
})

// ---- space -------------------------------------------------------------------------------------

damage(
  'block-claimed-twice',
  'two extents with one block',
  (image) => {
    image.u32[extentOf(image, 9) + 1] = image.u32[extentOf(image, 8) + 1]!
    setInode(image, a, {})
  },
  ['reverse-map-extra', 'block-leaked'],
)
damage(
  'block-claimed-twice',
  'a tree that leads to itself',
  (image) => {
    const root = image.rootOf(big)
    image.setRecord(root, 2, { 3: root })
  },
  ['block-leaked'],
)
damage('bitmap-damaged', 'a bitmap chunk with a wrong checksum', (image) => {
  image.u8[BITMAP * 4096 + 200]! ^= 1
})
damage('bitmap-end-clear', 'a clear bit past the end of the volume', (image) => {
  const base = BITMAP * 4096
  image.u32[(base >>> 2) + BitmapChunk.word.bits + 32] = 0
  image.seal(base, BitmapChunk)
})
damage('bitmap-free-wrong', 'a bitmap chunk that miscounts', (image) => {
  const free = image.get(BITMAP * 4096, BitmapChunk, 'free')
  image.set(BITMAP * 4096, BitmapChunk, { free: free - 1 })
})
damage(
  'bitmap-free-wrong',
  'a bitmap chunk that has every block free and counts none',
  (image) => {
    const bits = (BITMAP * 4096 + BitmapChunk.at.bits) >>> 2
    image.u32.fill(0, bits, bits + CHUNK_WORDS)
    image.set(BITMAP * 4096, BitmapChunk, { free: 0 })
  },
  ['bitmap-end-clear', 'block-unallocated', 'free-blocks-wrong'],
)
damage('block-leaked', 'blocks in use that nothing claims', (image) => {
  image.allocate(1000, true)
  image.allocate(1001, true)
})
damage('block-unallocated', 'a block of a file that is free', (image) => {
  image.allocate(image.u32[extentOf(image, 0) + 1]!, false)
})
damage('free-blocks-wrong', 'a state that miscounts the free blocks', (image) => {
  setState(image, { freeBlocks: image.stateOf('freeBlocks') - 1 })
})
