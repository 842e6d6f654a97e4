/** Fields of an inode that are wrong whatever else is on the volume, and what they become. */
import { FILE_BYTES_MAX } from '../base/limits.js'
import { Mode } from '../base/mode.js'
import { EXTENT_WORDS, Inode, InodeFlag, INLINE_EXTENTS } from '../media/inode.js'
import type { Draft } from './draft.js'
import type { Fixes } from './fixes.js'

const at = Inode.word
const TIMES = ['modified', 'changed', 'accessed', 'born'] as const
const FLAGS_KNOWN = InodeFlag.unfinished
const NANOSECONDS = 1_000_000_000
const RESERVED_WORDS = [
  at.reserved,
  (Inode.at.layoutGeneration - Inode.at.reserved) / 4 + at.reserved,
] as const

/** Word of the inode, and what it ought to be. */
type Change = readonly [word: number, value: number]

export function sanitize(
  draft: Draft,
  block: number,
  slot: number,
  number: number,
  fixes: Fixes,
): void {
  const w = slot * (Inode.size / 4)
  const words = draft.view(block).u32.subarray(w, w + Inode.size / 4)
  const changes = wrongFields(words)
  if (changes.length === 0) return
  const page = draft.page(block)
  for (const [word, value] of changes) page.u32[w + word] = value
  page.seal(Inode, slot * Inode.size)
  const fields = [...new Set(changes.map(([word]) => fieldAt(word * 4)))]
  const code = fields.every((name) => name === 'reserved')
    ? 'reserved-not-zero'
    : 'inode-field-invalid'
  fixes.add(code, `inode ${number}: ${fields.join(', ')} set to what they can be`)
}

function fieldAt(offset: number): string {
  for (const { name, offset: start, width } of Inode.fields) {
    if (offset >= start && offset < start + width) return name
  }
  return 'inode'
}

function wrongFields(words: Uint32Array): Change[] {
  const changes: Change[] = []
  const mode = words[at.mode]!
  const directory = (mode & Mode.typeMask) === Mode.directory
  if (mode > 0xffff) changes.push([at.mode, mode & 0xffff])
  if ((words[at.flags]! & ~FLAGS_KNOWN) !== 0) {
    changes.push([at.flags, (words[at.flags]! & FLAGS_KNOWN) >>> 0])
  }
  const size = words[at.size]! + words[at.size + 1]! * 2 ** 32
  const largest = directory ? 0 : FILE_BYTES_MAX
  if (size > largest) {
    changes.push([at.size, largest >>> 0], [at.size + 1, Math.floor(largest / 2 ** 32)])
  }
  if (words[at.device] !== 0) changes.push([at.device, 0])
  if (directory && words[at.blocks] !== 0) changes.push([at.blocks, 0])
  if (!directory && words[at.parent] !== 0) changes.push([at.parent, 0])
  for (const time of TIMES) {
    if (words[at[time] + 1]! >>> 2 >= NANOSECONDS) {
      changes.push([at[time] + 1, words[at[time] + 1]! & 3])
    }
  }
  for (let i = RESERVED_WORDS[0]; i < RESERVED_WORDS[1]; i++) {
    if (words[i] !== 0) changes.push([i, 0])
  }
  // Of a file it may be that `root` is wrong and the extents are right: its content says.
  if (directory) {
    for (let i = at.extents; i < at.extents + INLINE_EXTENTS * EXTENT_WORDS; i++) {
      if (words[i] !== 0) changes.push([i, 0])
    }
  }
  return changes
}
