/** Targets of symlinks. A symlink whose target cannot be read is of no use: it is removed. */
import { TARGET_BYTES_MAX } from '../base/limits.js'
import { Mode } from '../base/mode.js'
import { Inode, INLINE_TARGET_BYTES } from '../media/inode.js'
import type { Ground } from './ground.js'
import type { Values } from './values.js'

const at = Inode.word
const INLINE_WORDS = INLINE_TARGET_BYTES / 4

export function settleSymlinks(ground: Ground, values: Values): void {
  const { inodes } = ground
  for (let index = 0; index < inodes.length; index++) {
    if (inodes.type.data[index] === Mode.symlink >>> 12) settle(ground, values, index)
  }
}

function settle({ inodes, fixes }: Ground, values: Values, index: number): void {
  const number = inodes.numberOf(index)
  const root = inodes.get(index, at.root)
  const size = inodes.get(index, at.size) + inodes.get(index, at.size + 1) * 2 ** 32
  const inline = new Uint32Array(INLINE_WORDS).map((_, i) => inodes.get(index, at.extents + i))
  const bytes = new Uint8Array(inline.buffer)
  const length = root === 0 ? -1 : values.claim(root, number)
  const whole = length > INLINE_TARGET_BYTES && length <= TARGET_BYTES_MAX
  if (whole && !values.read(root).includes(0)) {
    if (size === length && bytes.every((byte) => byte === 0)) return
    inodes.set(index, [
      [at.size, length],
      [at.size + 1, 0],
      ...[...inline].map((_, i) => [at.extents + i, 0] as const),
    ])
    fixes.add('symlink-target-invalid', `symlink ${number} has a target of ${length} bytes`)
    return
  }
  const short = length > 0 && length <= INLINE_TARGET_BYTES
  // A root that leads to no text may be what is wrong, and the inode right.
  const inside = root === 0 || (length < 0 && size <= INLINE_TARGET_BYTES)
  const text = short ? values.read(root) : inside ? bytes : new Uint8Array(0)
  if (length >= 0) values.free(root)
  const end = text.indexOf(0)
  const target = end < 0 ? text : text.subarray(0, end)
  const most = inside ? Math.min(size, target.length) : target.length
  if (most === 0) {
    inodes.remove(index)
    fixes.add(
      'symlink-target-invalid',
      `symlink ${number} has no target that can be read: it is removed`,
    )
    return
  }
  const kept = new Uint8Array(INLINE_TARGET_BYTES)
  kept.set(target.subarray(0, most))
  const same = root === 0 && size === most && Buffer.compare(kept, bytes) === 0
  if (same) return
  const words = new Uint32Array(kept.buffer)
  inodes.set(index, [
    [at.size, most],
    [at.size + 1, 0],
    [at.root, 0],
    ...[...words].map((word, i) => [at.extents + i, word] as const),
  ])
  fixes.add('symlink-target-invalid', `the target of symlink ${number} ends after ${most} bytes`)
}
