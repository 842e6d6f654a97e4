/**
 * Not tests, but damages to what blocks with several owners have: shares, flags, fixed files,
 * clones that are being made, and what the superblock says of them all.
 */
import { Inode, InodeFlag } from '../../src/media/inode.js'
import { Superblock } from '../../src/media/superblock.js'
import { OrphanKind, TreeNode } from '../../src/media/tree_node.js'
import { damage, sample, setInode, setOrphan, setState } from './damage_tools.js'
import { BITMAP, type Image } from './image.js'

const { a, original, clone, twice, sealed, receiver, giver, fixed } = sample

const setSuperblocks = (image: Image, fields: Record<string, number>) => {
  for (const copy of [0, 4096]) image.set(copy, Superblock, fields)
}

/** The node of the shares: that of `original` are its first four. */
const shareRoot = (image: Image) => image.stateOf('shareRoot')
const setShare = (image: Image, i: number, words: Partial<Record<number, number>>) =>
  image.setRecord(shareRoot(image), i, words)
const shareAt = (image: Image, i: number) => image.u32[image.record(shareRoot(image), i)]!

/** Word of the i-th extent in an inode. */
const extentAt = (image: Image, number: number, i: number) =>
  (image.inode(number) >>> 2) + Inode.word.extents + i * 3

const flagsOf = (image: Image, number: number) => image.get(image.inode(number), Inode, 'flags')

function clearFlag(image: Image, number: number, flag: number): void {
  setInode(image, number, { flags: flagsOf(image, number) & ~flag })
}

// ---- the superblock ----------------------------------------------------------------------------

damage('superblock-field-invalid', 'a policy that is none', (image) => {
  setSuperblocks(image, { policy: 3 })
})
damage('superblock-field-invalid', 'an unknown layout option', (image) => {
  setSuperblocks(image, { layoutOptions: 4 })
})
damage('layout-feature-missing', 'a volume with shares without the feature', (image) => {
  setSuperblocks(image, { featuresIncompat: 0 })
})

// ---- shares ------------------------------------------------------------------------------------

damage('share-invalid', 'a share of no blocks', (image) => setShare(image, 3, { 1: 0 }), [
  'block-claimed-twice',
])
damage(
  'share-invalid',
  'a share past the end of the volume',
  (image) => setShare(image, 5, { 1: image.blocks }),
  ['block-claimed-twice'],
)
damage('share-invalid', 'a share in the bitmap', (image) => setShare(image, 0, { 0: BITMAP }), [
  'block-claimed-twice',
])
damage('share-invalid', 'a share with one owner', (image) => setShare(image, 1, { 2: 1 }), [
  'block-claimed-twice',
])
damage('share-invalid', 'a share over the next', (image) => setShare(image, 1, { 1: 2 }), [
  'share-owners-wrong',
  'share-uncut',
])
damage('share-invalid', 'a share with a last word', (image) => setShare(image, 0, { 3: 1 }), [
  'block-claimed-twice',
])
damage('share-owners-wrong', 'a share with an owner too many', (image) => {
  setShare(image, 2, { 2: 5 })
})
damage('share-owners-wrong', 'a share with an owner too few', (image) => {
  setShare(image, 2, { 2: 3 })
})
damage(
  'share-owners-wrong',
  'a share of a block with one owner',
  (image) => setShare(image, 0, { 1: 3 }),
  ['share-uncut'],
)
damage('share-owners-wrong', 'a share of blocks that are free', (image) => {
  const root = shareRoot(image)
  const count = image.get(root * 4096, TreeNode, 'count')
  image.u32.set([1000, 2, 2, 0], root * 1024 + TreeNode.word.records + count * 4)
  image.u8[root * 4096 + TreeNode.at.order + count] = count
  image.set(root * 4096, TreeNode, { count: count + 1 })
})
damage('share-uncut', 'one share of what ends in its middle', (image) => {
  const root = shareRoot(image)
  // Those of `sealed` are the last two; the record that goes is in the last slot then.
  const count = image.get(root * 4096, TreeNode, 'count')
  const words = image.u32.slice(image.record(root, count - 2), image.record(root, count - 2) + 4)
  const records = Array.from({ length: count - 2 }, (_, i) =>
    image.u32.slice(image.record(root, i), image.record(root, i) + 4),
  )
  words[1] = 4
  ;[...records, words].forEach((record, slot) => {
    image.u32.set(record, root * 1024 + TreeNode.word.records + slot * 4)
    image.u8[root * 4096 + TreeNode.at.order + slot] = slot
  })
  image.set(root * 4096, TreeNode, { count: count - 1 })
})
damage('share-flag-missing', 'a clone without the flag', (image) => {
  clearFlag(image, clone, InodeFlag.shares)
})
damage(
  'block-claimed-twice',
  'clones without shares',
  (image) => setState(image, { shareRoot: 0 }),
  ['reverse-map-extra', 'block-leaked'],
)
damage('tree-node-damaged', 'a tree of shares with a wrong checksum', (image) => {
  image.u8[shareRoot(image) * 4096 + 310]! ^= 1
})
damage(
  'block-claimed-twice',
  'a file without the flag on a block of another, and no share',
  (image) => {
    image.u32[extentAt(image, fixed, 0) + 1] = image.u32[extentAt(image, a, 0) + 1]!
    image.u32[extentAt(image, fixed, 0) + 2] = 2
    setInode(image, fixed, { blocks: 2, size: 2 * 4096 })
  },
  ['reverse-map-extra', 'block-leaked'],
)
damage(
  'reverse-map-extra',
  'a reverse map with another file in the place of a clone',
  (image) => {
    const root = image.stateOf('reverseMapRoot')
    const count = image.get(root * 4096, TreeNode, 'count')
    for (let i = 0; i < count; i++) {
      const w = image.record(root, i)
      if (image.u32[w] === shareAt(image, 0) && image.u32[w + 1] === clone) {
        return image.setRecord(root, i, { 1: twice })
      }
    }
    throw new Error('the clone is not in the reverse map')
  },
  ['reverse-map-missing'],
)

// ---- fixed files -------------------------------------------------------------------------------

damage('fixed-hole', 'a fixed file with a hole at its end', (image) => {
  setInode(image, fixed, { size: 3 * 4096 + 1 })
})
damage(
  'fixed-hole',
  'a fixed file with a hole at its start',
  (image) => {
    image.u32[extentAt(image, sealed, 0)] = 1
    setInode(image, sealed, { size: 5 * 4096 })
  },
  ['reverse-map-extra', 'reverse-map-missing'],
)
damage('fixed-shared', 'a fixed file with a clone that may be written', (image) => {
  clearFlag(image, sealed, InodeFlag.writeSealed)
})
damage('inode-field-invalid', 'a file that is write-sealed and not fixed', (image) => {
  setInode(image, fixed, { flags: InodeFlag.writeSealed })
})
damage('inode-field-invalid', 'a directory that is fixed', (image) => {
  setInode(image, sample.deep, { flags: InodeFlag.fixed })
})
damage('inode-field-invalid', 'a FIFO with a policy', (image) => {
  setInode(image, sample.fifo, { flags: InodeFlag.policyLow })
})

// ---- clones that are being made ----------------------------------------------------------------

damage('orphan-record-invalid', 'a clone of a range that ends before it begins', (image) => {
  setOrphan(image, receiver, OrphanKind.receive, { 2: 7 })
})
damage('orphan-record-invalid', 'a clone from inode 0', (image) => {
  setOrphan(image, receiver, OrphanKind.receiveFrom, { 2: 0 })
})
damage('orphan-record-invalid', 'a giver with a second argument', (image) => {
  setOrphan(image, giver, OrphanKind.giver, { 3: 1 })
})
damage('orphan-work-impossible', 'a clone from a file that gives nothing', (image) => {
  setOrphan(image, receiver, OrphanKind.receiveFrom, { 2: original })
})
damage('orphan-work-impossible', 'a giver that gives to another file', (image) => {
  setOrphan(image, giver, OrphanKind.giver, { 2: original })
})
damage('orphan-work-impossible', 'a clone of more than the range', (image) => {
  setOrphan(image, receiver, OrphanKind.receive, { 3: 5 })
})
damage('orphan-work-impossible', 'a clone of less than the giver has', (image) => {
  setOrphan(image, receiver, OrphanKind.receive, { 2: 5 })
})
damage('orphan-work-impossible', 'a clone with the end of an insertion', (image) => {
  setOrphan(image, receiver, OrphanKind.receive, { 1: OrphanKind.insertEnd, 3: 0 })
})
damage(
  'orphan-work-impossible',
  'a giver that is not recorded as unlinked',
  (image) => setOrphan(image, giver, OrphanKind.unlinked, { 1: OrphanKind.beyond }),
  ['inode-unreachable', 'orphan-flag-wrong'],
)
damage('orphan-flag-wrong', 'a clone that is being made without the flag', (image) => {
  clearFlag(image, receiver, InodeFlag.unfinished)
})
