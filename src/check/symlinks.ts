/** Targets of symlinks: in the inode up to 120 bytes, in value blocks beyond. */
import { Inode, INLINE_TARGET_BYTES } from '../media/inode.js'
import type { Bytes } from '../base/bytes.js'
import { placeOf, type Findings } from './codes.js'
import type { Values } from './values.js'

const at = Inode.word
const AREA_BYTES = Inode.at.extents + INLINE_TARGET_BYTES

/** The target of the symlink at `base`, whose size is one that a target may have. */
export function checkTarget(
  bytes: Bytes,
  base: number,
  number: number,
  block: number,
  values: Values,
  findings: Findings,
): void {
  const w = base >>> 2
  const size = bytes.u32[w + at.size]!
  const root = bytes.u32[w + at.root]!
  const place = () => placeOf(`symlink ${number}`, block, base)
  const inline = size <= INLINE_TARGET_BYTES
  const unusedFrom = base + Inode.at.extents + (inline ? size : 0)
  for (let i = unusedFrom; i < base + AREA_BYTES; i++) {
    if (bytes.u8[i] === 0) continue
    const message = `byte ${i - base - Inode.at.extents} of the extents is not zero`
    findings.add('inode-field-invalid', place(), message)
    break
  }
  if (inline) {
    if (root !== 0) findings.add('inode-field-invalid', place(), `root ${root}, expected 0`)
    const start = base + Inode.at.extents
    const end = bytes.u8.indexOf(0, start)
    if (end >= 0 && end < start + size) addNul(findings, place(), end - start)
  } else if (root === 0) {
    // One that is being freed has lost its target, and its names before.
    if (bytes.u32[w + at.links] === 0) return
    findings.add('inode-field-invalid', place(), `root 0, with a target of ${size} bytes`)
  } else {
    const length = values.read(root, number, place)
    if (length < 0) return
    if (length !== size) {
      findings.add('value-length-wrong', place(), `size ${size}, its blocks have ${length} bytes`)
    }
    const nul = values.text.subarray(0, length).indexOf(0)
    if (nul >= 0) addNul(findings, place(), nul)
  }
}

function addNul(findings: Findings, place: string, index: number): void {
  findings.add('symlink-target-invalid', place, `byte ${index} of the target is NUL`)
}
