/**
 * Fixed files that are not as such files are: with a hole, or with blocks that others have, too, and
 * that it may write. They are as other files from then on; what they hold stays as it is.
 */
import { BLOCK_BYTES } from '../base/limits.js'
import type { FindingCode } from '../check/codes.js'
import { Inode, InodeFlag } from '../media/inode.js'
import type { ExtentTable } from './extent_table.js'
import type { Ground } from './ground.js'
import type { Shares } from './shares.js'

const at = Inode.word

/** To be called when links, extents and shares are known. */
export function settleFixed(ground: Ground, extents: ExtentTable, shares: Shares): void {
  const { inodes, fixes } = ground
  const fixed = new Set<number>()
  for (let index = 0; index < inodes.length; index++) {
    if (!inodes.isFile(index)) continue
    if ((inodes.get(index, at.flags) & InodeFlag.fixed) !== 0) fixed.add(index)
  }
  if (fixed.size === 0) return
  for (const [index, own] of extents.of(fixed)) {
    const code = wrongWith(ground, extents, shares, index, own)
    if (code === null) continue
    const flags = inodes.get(index, at.flags) & ~InodeFlag.fixed
    inodes.set(index, [[at.flags, flags >>> 0]])
    const why = code === 'fixed-hole' ? 'it has a hole' : 'it shares, and may be written'
    fixes.add(code, `inode ${inodes.numberOf(index)} is not fixed any more: ${why}`)
  }
}

function wrongWith(
  { inodes }: Ground,
  { file, region, count }: ExtentTable,
  shares: Shares,
  index: number,
  own: number[],
): FindingCode | null {
  const sealed = (inodes.get(index, at.flags) & InodeFlag.writeSealed) !== 0
  const shared = own.some((i) => shares.has(region.data[i]!, count.data[i]!))
  if (shared && !sealed) return 'fixed-shared'
  // One without links is being freed.
  if (inodes.get(index, at.links) === 0) return null
  const size = inodes.get(index, at.size) + inodes.get(index, at.size + 1) * 2 ** 32
  let whole = 0
  for (const i of own.sort((a, b) => file.data[a]! - file.data[b]!)) {
    if (file.data[i]! <= whole) whole = Math.max(whole, file.data[i]! + count.data[i]!)
  }
  return whole < Math.ceil(size / BLOCK_BYTES) ? 'fixed-hole' : null
}
