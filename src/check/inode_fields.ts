/** What one inode says by itself: its fields, and for a file its extents. */
import type { Bytes } from '../base/bytes.js'
import { BLOCK_BYTES, FILE_BYTES_MAX, TARGET_BYTES_MAX } from '../base/limits.js'
import { Mode } from '../base/mode.js'
import { hex } from '../base/struct.js'
import { EXTENT_WORDS, Inode, InodeFlag, INLINE_EXTENTS } from '../media/inode.js'
import { placeOf, type Findings } from './codes.js'
import type { Extents } from './extents.js'
import { checkReserved } from './reserved.js'
import type { TreeWalker } from './tree.js'

const at = Inode.word
const TIMES = ['modified', 'changed', 'accessed', 'born'] as const
const NANOSECONDS = 1_000_000_000

/** Fields that are zero in an inode whose type has no use for them; the last has two words. */
export const OPTIONAL = ['blocks', 'root', 'count', 'parent', 'device', 'layoutGeneration'] as const

interface Shape {
  /** Optional fields that it has. */
  readonly has: ReadonlyArray<(typeof OPTIONAL)[number]>
  /** Least and greatest size. */
  readonly size: readonly [number, number]
  readonly flags: number
}

const SPECIAL: Shape = { has: [], size: [0, 0], flags: InodeFlag.accessAcl }
const DEVICE: Shape = { ...SPECIAL, has: ['device'] }
/** Flags of files in volumes that have the feature `layout`. */
export const LAYOUT_FLAGS =
  InodeFlag.shares |
  InodeFlag.fixed |
  InodeFlag.writeSealed |
  InodeFlag.policyLow |
  InodeFlag.policyHigh
const KEPT = InodeFlag.append | InodeFlag.immutable | InodeFlag.accessAcl

/** What the inodes of each type may have. */
export const SHAPES: Readonly<Record<number, Shape>> = {
  [Mode.fifo]: SPECIAL,
  [Mode.socket]: SPECIAL,
  [Mode.character]: DEVICE,
  [Mode.block]: DEVICE,
  [Mode.symlink]: { has: ['root'], size: [1, TARGET_BYTES_MAX], flags: 0 },
  [Mode.directory]: {
    has: ['root', 'count', 'parent'],
    size: [0, 0],
    flags: KEPT | InodeFlag.defaultAcl,
  },
  [Mode.file]: {
    has: ['blocks', 'root', 'count', 'layoutGeneration'],
    size: [0, FILE_BYTES_MAX],
    flags: KEPT | InodeFlag.unfinished | InodeFlag.preallocated | LAYOUT_FLAGS,
  },
}

/**
 * Fields that are wrong whatever else is on the volume; false when the size is one of them.
 * `floor`: generation that the inode map says is below those of its slab.
 */
export function checkInodeFields(
  bytes: Bytes,
  base: number,
  number: number,
  block: number,
  floor: number,
  findings: Findings,
): boolean {
  const w = base >>> 2
  const get = (index: number) => bytes.u32[w + index]!
  const wrong = (field: keyof typeof Inode.at, message: string) =>
    findings.add(
      'inode-field-invalid',
      placeOf(`inode ${number}, ${field}`, block, base + Inode.at[field]),
      message,
    )
  const shape = SHAPES[get(at.mode) & Mode.typeMask]!
  for (const field of OPTIONAL) {
    const value = get(at[field]) || (field === 'layoutGeneration' ? get(at[field] + 1) : 0)
    if (value !== 0 && !shape.has.includes(field)) {
      wrong(field, `${value}, expected 0 of its type, ${modeText(get(at.mode))}`)
    }
  }
  const unknown = get(at.flags) & ~shape.flags
  if (unknown !== 0) {
    wrong(
      'flags',
      `flags ${hex(unknown >>> 0)}, which its type, ${modeText(get(at.mode))}, has not`,
    )
  }
  if (get(at.generation) <= floor) {
    wrong('generation', `${get(at.generation)}, expected more than ${floor}`)
  }
  for (const time of TIMES) {
    const nanoseconds = get(at[time] + 1) >>> 2
    if (nanoseconds >= NANOSECONDS) wrong(time, `${nanoseconds} nanoseconds`)
  }
  if ((get(at.root) === 0) !== (get(at.count) === 0) && shape.has.includes('parent')) {
    wrong('count', `${get(at.count)} with the root ${get(at.root)}`)
  }
  checkReserved(bytes, base, Inode, block, base, findings)
  const size = get(at.size) + get(at.size + 1) * 2 ** 32
  const [least, most] = shape.size
  if (size >= least && size <= most) return true
  wrong('size', `${size}, expected ${least === most ? least : `${least} to ${most}`}`)
  return false
}

const modeText = (mode: number): string => `0${mode.toString(8)}`

/** The extents of a file, in the inode or in a tree, and the inode's counts of them. */
export function checkFileContent(
  bytes: Bytes,
  base: number,
  number: number,
  block: number,
  extents: Extents,
  walker: TreeWalker,
  findings: Findings,
): void {
  const w = base >>> 2
  const root = bytes.u32[w + at.root]!
  const count = bytes.u32[w + at.count]!
  const flags = bytes.u32[w + at.flags]!
  extents.begin(number, (flags & InodeFlag.shares) !== 0)
  if (root !== 0) {
    checkInlineUnused(bytes, base, 0, number, block, findings)
    extents.walk(walker, root)
  } else {
    const inline = Math.min(count, INLINE_EXTENTS)
    for (let i = 0; i < inline; i++)
      extents.add(bytes.u32, w + at.extents + i * EXTENT_WORDS, block)
    checkInlineUnused(bytes, base, inline, number, block, findings)
  }
  const place = placeOf(`inode ${number}`, block, base)
  checkSharing(flags, extents, place, findings)
  // What is below a lost node is not counted, and that is no second finding.
  if (root !== 0 && walker.broken) return
  checkFixed(bytes, w, extents, place, findings)
  if (extents.fileExtents !== count) {
    const message = `count is ${count}, there are ${extents.fileExtents} extents`
    findings.add('extent-count-wrong', place, message)
  }
  const blocks = bytes.u32[w + at.blocks]!
  if (extents.fileBlocks !== blocks) {
    const message = `blocks is ${blocks}, its extents have ${extents.fileBlocks}`
    findings.add('inode-blocks-wrong', place, message)
  }
}

/** A file with shared blocks says so, and whoever has no place to move to does not share. */
function checkSharing(flags: number, extents: Extents, place: string, findings: Findings): void {
  if (!extents.fileShared) return
  if ((flags & InodeFlag.shares) === 0) {
    findings.add('share-flag-missing', place, 'a share has blocks of it, the flag is clear')
  }
  if ((flags & InodeFlag.fixed) !== 0 && (flags & InodeFlag.writeSealed) === 0) {
    findings.add('fixed-shared', place, 'a share has blocks of it, and it may be written')
  }
}

/** A fixed file has all its blocks; one without links is being freed. */
function checkFixed(
  bytes: Bytes,
  w: number,
  extents: Extents,
  place: string,
  findings: Findings,
): void {
  if ((bytes.u32[w + at.flags]! & InodeFlag.fixed) === 0 || bytes.u32[w + at.links] === 0) return
  const size = bytes.u32[w + at.size]! + bytes.u32[w + at.size + 1]! * 2 ** 32
  const blocks = Math.ceil(size / BLOCK_BYTES)
  if (extents.fileWhole >= blocks) return
  const message = `no block at file block ${extents.fileWhole}, expected ${blocks} without a hole`
  findings.add('fixed-hole', place, message)
}

/** The extents in the inode from the `first` on are zero. */
export function checkInlineUnused(
  bytes: Bytes,
  base: number,
  first: number,
  number: number,
  block: number,
  findings: Findings,
): void {
  const w = base >>> 2
  for (let i = first * EXTENT_WORDS; i < INLINE_EXTENTS * EXTENT_WORDS; i++) {
    if (bytes.u32[w + at.extents + i] === 0) continue
    const place = placeOf(`inode ${number}, extents`, block, (w + at.extents + i) * 4)
    findings.add('inode-field-invalid', place, `unused, and word ${i} is not zero`)
    return
  }
}
