/** Fields of an inode that are wrong whatever else is on the volume, and what they become. */
import { Mode } from '../base/mode.js'
import { OPTIONAL, SEALED, SHAPES } from '../check/inode_fields.js'
import { EXTENT_WORDS, Inode, InodeFlag, INLINE_EXTENTS } from '../media/inode.js'
import type { Draft } from './draft.js'
import type { Fixes } from './fixes.js'

const at = Inode.word
const TIMES = ['modified', 'changed', 'accessed', 'born'] as const
const NANOSECONDS = 1_000_000_000
const RESERVED_END = at.reserved + (Inode.at.layoutGeneration - Inode.at.reserved) / 4
const INLINE_END = at.extents + INLINE_EXTENTS * EXTENT_WORDS

/** Word of the inode, and what it ought to be. */
type Change = readonly [word: number, value: number]

/** `floor`: every inode of its slab has a generation above it. */
export function sanitize(
  draft: Draft,
  block: number,
  slot: number,
  number: number,
  floor: number,
  fixes: Fixes,
): void {
  const w = slot * (Inode.size / 4)
  const words = draft.view(block).u32.subarray(w, w + Inode.size / 4)
  const changes = wrongFields(words)
  // Higher, and not the floor lower: number and generation name one file for ever.
  if (words[at.generation]! <= floor) changes.push([at.generation, floor + 1])
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
  const zero = (word: number, end = word + 1) => {
    for (let i = word; i < end; i++) if (words[i] !== 0) changes.push([i, 0])
  }
  const type = words[at.mode]! & Mode.typeMask
  const shape = SHAPES[type]!
  let flags = words[at.flags]! & shape.flags
  if ((flags & SEALED) === InodeFlag.writeSealed) flags &= ~InodeFlag.writeSealed
  if (words[at.flags] !== flags >>> 0) changes.push([at.flags, flags >>> 0])
  for (const field of OPTIONAL) {
    if (shape.has.includes(field)) continue
    zero(at[field], at[field] + (field === 'layoutGeneration' ? 2 : 1))
  }
  const size = words[at.size]! + words[at.size + 1]! * 2 ** 32
  const [, most] = shape.size
  if (size > most) changes.push([at.size, most >>> 0], [at.size + 1, Math.floor(most / 2 ** 32)])
  // Of a file and a symlink it may be that `root` is wrong: its content says.
  if (type !== Mode.file && type !== Mode.symlink) zero(at.extents, INLINE_END)
  for (const time of TIMES) {
    if (words[at[time] + 1]! >>> 2 >= NANOSECONDS) {
      changes.push([at[time] + 1, words[at[time] + 1]! & 3])
    }
  }
  zero(at.reserved, RESERVED_END)
  return changes
}
