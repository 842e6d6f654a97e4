/**
 * Every finding that fsck can make: its code, which never changes its meaning, and what it says.
 * The order is that of the phases which make them.
 */
export const FINDINGS = {
  // ---- the region and what stands in fixed places ----------------------------------------------
  'region-fault': 'the medium failed while it was read; what was read there is not to be trusted',
  'block-unreadable': 'a block could not be read',
  'superblock-missing': 'neither copy of the superblock is valid',
  'superblock-copy-damaged': 'one of the two copies of the superblock is not valid',
  'superblock-copies-disagree': 'both copies are valid and describe different volumes',
  'superblock-feature-unknown': 'the volume has features that this program does not know',
  'superblock-field-invalid': 'a field of the superblock has a value that it cannot have',
  'layout-feature-missing':
    'there are shares, fixed files or a policy, and the superblock has no feature for them',
  'repair-unfinished': 'a repair was cut short: holdfast fsck --repair finishes it',
  'reserved-not-zero': 'bytes without a meaning are not zero',
  'log-tail-damaged': 'the word that says where replay begins does not pass its check',
  'log-record-invalid': 'a log record with a good checksum asks for what no record may',
  'log-overwrites-data': 'replay stores a metadata page onto a block that holds data of a file',
  'state-damaged': 'the volume state is not valid',

  // ---- slabs and inodes ------------------------------------------------------------------------
  'inode-map-damaged': 'a page of the inode map is not valid',
  'inode-map-used-wrong': 'a page of the inode map miscounts its entries',
  'inode-map-entry-invalid': 'an entry of the inode map names a block or stands where it must not',
  'slab-damaged': 'the header of a slab is not valid',
  'slab-tag-wrong':
    'a slab names another entry of the inode map than its own, or names one as a slab of names',
  'slab-empty': 'a slab without a used slot, which ought to be freed',
  'slab-slot-not-zero':
    'a slot that is not in use, or the header after its first line, has content',
  'slab-list-broken': 'a list of slabs leads to what is no slab, or its links disagree',
  'slab-list-cyclic': 'a list of slabs comes back to a slab that it has passed',
  'slab-list-missing': 'a slab with a free slot is not in the list of those',
  'slab-list-full': 'a slab without a free slot is in the list of those that have one',
  'slab-listed-wrong': "a slab's own note of being in the list is wrong",
  'inode-damaged': 'a slot in use does not hold the inode that it should',
  'inode-field-invalid': 'a field of an inode has a value that it cannot have',
  'inode-count-wrong': 'the state miscounts the inodes',
  'inode-blocks-wrong': 'an inode miscounts its blocks',
  'symlink-target-invalid': 'the target of a symlink contains NUL',
  'value-pointer-invalid': 'a chain of value blocks leads to a block that cannot be one',
  'value-damaged': 'a value block is not valid',
  'value-length-wrong': 'value blocks have another length than they should',

  // ---- trees and extents -----------------------------------------------------------------------
  'tree-pointer-invalid': 'a tree leads to a block that cannot be a node',
  'tree-node-damaged': 'a node of a tree is not valid',
  'tree-level-wrong': 'a node stands at another level than the one above it says',
  'tree-keys-unordered': 'the keys of a node do not ascend',
  'tree-keys-outside': 'a key stands outside of what the nodes above allow',
  'extent-invalid': 'an extent is empty, or leaves the file or the data area',
  'extents-overlap': 'two extents of a file stand for the same block of it, or are out of order',
  'extents-unmerged': 'two extents of a file that continue each other are not one',
  'extent-count-wrong': 'an inode miscounts its extents',
  'share-invalid':
    'a share is empty, leaves the data area, is over another, or has fewer than two owners',
  'share-owners-wrong': 'a share has another number of owners than there are extents',
  'share-uncut': 'an extent starts or ends within a share',
  'share-flag-missing': "an inode has blocks with several owners and not the flag 'shares'",
  'fixed-hole': 'a fixed file has a hole',
  'fixed-shared': 'a fixed file that is not write-sealed has blocks with several owners',
  'reverse-map-extra': 'the reverse map has an extent that no file has',
  'reverse-map-missing': 'the reverse map lacks an extent of a file',

  // ---- names, attributes, links -----------------------------------------------------------------
  'root-missing': 'inode 1 is not a directory',
  'entry-invalid': 'a directory entry or attribute names a slab or slot that cannot be',
  'entry-number-duplicate': 'two names of one hash have the same number',
  'entry-target-missing': 'a directory entry leads to an inode that is not in use',
  'entry-type-wrong': 'a directory entry and its inode are of different types',
  'name-damaged': 'a name, or a value of an attribute, is not valid',
  'name-owner-wrong': 'a name or value says that it belongs to another inode',
  'name-slot-unused': 'a name or value stands in slots that its slab takes for free',
  'name-claimed-twice': 'two names or values share a slot',
  'name-unowned': 'a used name slot belongs to no directory entry and no attribute',
  'name-forbidden': "a name is '.' or '..', or contains '/' or NUL",
  'name-hash-wrong': 'a directory entry or attribute has another hash than its name',
  'name-duplicate': 'a directory, or the attributes of an inode, have the same name twice',
  'xattr-count-wrong': 'an inode miscounts its attributes',
  'xattr-list-too-long': 'the names of the attributes of an inode are too long together',
  'acl-invalid': 'the value of an attribute that holds an access control list is none',
  'acl-flag-wrong': 'the flags of an inode and its access control lists disagree',
  'acl-mode-wrong': 'the mode of an inode and its access control list disagree',
  'directory-count-wrong': 'a directory miscounts its entries',
  'directory-linked-twice': 'a directory has more than one entry',
  'directory-parent-wrong': 'a directory names another parent than the one that holds it',
  'directory-cycle': 'directories hold each other in a circle',
  'inode-unreachable': 'an inode has no name and no orphan record',
  'links-wrong': 'an inode miscounts its links',
  'orphan-record-invalid': 'an orphan record has words that it cannot have',
  'orphan-target-missing': 'an orphan record names an inode that is not in use',
  'orphan-still-linked': 'an inode that is recorded as unlinked has a name or entries',
  'orphan-work-impossible': 'the orphan records of an inode ask for work that does not fit it',
  'orphan-flag-wrong': "an inode's flag 'unfinished' and the orphan records disagree",

  // ---- space -----------------------------------------------------------------------------------
  'block-claimed-twice': 'two structures claim the same block',
  'bad-block-invalid': 'the list of bad blocks has a record that cannot be',
  'bitmap-damaged': 'a chunk of the bitmap is not valid',
  'bitmap-end-clear': 'bits of blocks past the end of the volume are clear',
  'bitmap-free-wrong': 'a chunk of the bitmap miscounts its clear bits',
  'block-leaked': 'blocks are in use in the bitmap and nothing claims them',
  'block-unallocated': 'blocks are claimed, or listed as bad, and free in the bitmap',
  'free-blocks-wrong': 'the state miscounts the free blocks',
} as const

export type FindingCode = keyof typeof FINDINGS

/**
 * Findings that are kept; those past it are only counted, so that a ruin does not fill the
 * memory.
 */
export const FINDINGS_KEPT = 1000

export interface Finding {
  readonly code: FindingCode
  /** The structure, its block in decimal, its byte offset in the region in hex. */
  readonly place: string
  /** What was expected and what was found. */
  readonly message: string
}

export class Findings {
  kept: Finding[] = []
  total = 0

  reset(): void {
    this.kept = []
    this.total = 0
  }

  add(code: FindingCode, place: string, message: string): void {
    this.total++
    if (this.kept.length < FINDINGS_KEPT) this.kept.push({ code, place, message })
  }
}

/** `place` of a structure at byte `offset` of `block`. */
export function placeOf(structure: string, block: number, offset = 0): string {
  return `${structure}, block ${block} (0x${(block * 4096 + offset).toString(16)})`
}
