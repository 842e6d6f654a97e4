/** What one inode says by itself: its fields, and for a file its extents. */
import type { Bytes } from '../base/bytes.js'
import { FILE_BYTES_MAX, TARGET_BYTES_MAX } from '../base/limits.js'
import { hex } from '../base/struct.js'
import {
  EXTENT_WORDS,
  flagsOf,
  Inode,
  INLINE_EXTENTS,
  INLINE_TARGET_BYTES,
} from '../media/inode.js'
import { Mode } from '../base/mode.js'
import { placeOf, type Findings } from './codes.js'
import type { Extents } from './extents.js'
import { checkReserved } from './reserved.js'
import type { TreeWalker } from './tree.js'
import type { Values } from './values.js'

const at = Inode.word
const MODE_BITS = 0o177777
const TIMES = ['modified', 'changed', 'accessed', 'born'] as const
const NANOSECONDS = 1_000_000_000
/** Largest size by type; of all others 0. */
const LARGEST: Readonly<Record<number, number>> = {
  [Mode.file]: FILE_BYTES_MAX,
  [Mode.symlink]: TARGET_BYTES_MAX,
}

/** Fields that are wrong whatever else is on the volume. */
export function checkInodeFields(
  bytes: Bytes,
  base: number,
  number: number,
  block: number,
  findings: Findings,
): void {
  const w = base >>> 2
  const get = (index: number) => bytes.u32[w + index]!
  const wrong = (field: keyof typeof Inode.at, message: string) =>
    findings.add(
      'inode-field-invalid',
      placeOf(`inode ${number}, ${field}`, block, base + Inode.at[field]),
      message,
    )
  const type = get(at.mode) & Mode.typeMask
  const directory = type === Mode.directory
  if (get(at.mode) > MODE_BITS) wrong('mode', `${hex(get(at.mode))}, expected 16 bits`)
  const unknown = get(at.flags) & ~flagsOf(type)
  if (unknown !== 0) wrong('flags', `unknown flags ${hex(unknown)}`)
  const size = get(at.size) + get(at.size + 1) * 2 ** 32
  const largest = LARGEST[type] ?? 0
  if (size > largest) wrong('size', `${size}, expected at most ${largest}`)
  const device = type === Mode.character || type === Mode.block
  if (!device && get(at.device) !== 0) wrong('device', `${get(at.device)}, expected 0`)
  if (type !== Mode.file && get(at.blocks) !== 0) wrong('blocks', `${get(at.blocks)}, expected 0`)
  if (!directory && get(at.parent) !== 0) wrong('parent', `${get(at.parent)}, expected 0`)
  if ((get(at.xattrRoot) === 0) !== (get(at.xattrCount) === 0)) {
    wrong('xattrCount', `${get(at.xattrCount)} with the root ${get(at.xattrRoot)}`)
  }
  for (const time of TIMES) {
    const nanoseconds = get(at[time] + 1) >>> 2
    if (nanoseconds >= NANOSECONDS) wrong(time, `${nanoseconds} nanoseconds`)
  }
  const content = type === Mode.file || directory
  if (!content && get(at.count) !== 0) wrong('count', `${get(at.count)}, expected 0`)
  const rooted = content || type === Mode.symlink
  if (!rooted && get(at.root) !== 0) wrong('root', `${get(at.root)}, expected 0`)
  if (directory || get(at.root) !== 0 || !rooted) {
    checkInlineUnused(bytes, w, 0, number, block, findings)
    if (content && (get(at.root) === 0) !== (get(at.count) === 0)) {
      wrong('count', `${get(at.count)} with the root ${get(at.root)}`)
    }
  }
  checkReserved(bytes, base, Inode, block, base, findings)
}

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
  extents.begin(number)
  if (root !== 0) {
    extents.walk(walker, root)
    // What is below a lost node is not counted, and that is no second finding.
    if (walker.broken) return
  } else {
    const inline = Math.min(count, INLINE_EXTENTS)
    for (let i = 0; i < inline; i++)
      extents.add(bytes.u32, w + at.extents + i * EXTENT_WORDS, block)
    checkInlineUnused(bytes, w, inline, number, block, findings)
  }
  const place = placeOf(`inode ${number}`, block, base)
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

/** The target of a symlink, in the inode or in value blocks. */
export function checkSymlink(
  bytes: Bytes,
  base: number,
  number: number,
  block: number,
  values: Values,
  findings: Findings,
): void {
  const w = base >>> 2
  const root = bytes.u32[w + at.root]!
  const length = bytes.u32[w + at.size]!
  const place = placeOf(`inode ${number}`, block, base)
  if (length === 0 || length > TARGET_BYTES_MAX || length > INLINE_TARGET_BYTES !== (root !== 0)) {
    const message = `target of ${length} bytes, first value block ${root}`
    findings.add('symlink-invalid', place, message)
    if (root === 0) return
  }
  if (root !== 0) {
    values.walk(root, number, length, place)
    return
  }
  const from = base + Inode.at.extents
  const target = bytes.u8.subarray(from, from + INLINE_TARGET_BYTES)
  const inside = target.subarray(0, length)
  const after = target.subarray(length)
  if (inside.includes(0) || after.some((byte) => byte !== 0)) {
    const message = `${inside.includes(0) ? 'NUL in the target' : 'bytes after the target'}`
    findings.add('symlink-invalid', place, message)
  }
}

/** The extents in the inode from the `first` on are zero. */
function checkInlineUnused(
  bytes: Bytes,
  w: number,
  first: number,
  number: number,
  block: number,
  findings: Findings,
): void {
  for (let i = first * EXTENT_WORDS; i < INLINE_EXTENTS * EXTENT_WORDS; i++) {
    if (bytes.u32[w + at.extents + i] === 0) continue
    const place = placeOf(`inode ${number}, extents`, block, (w + at.extents + i) * 4)
    findings.add('inode-field-invalid', place, `unused, and word ${i} is not zero`)
    return
  }
}
