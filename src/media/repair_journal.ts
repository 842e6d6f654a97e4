/**
 * The repair journal: what a repair is about to change, whole, before it changes anything. The
 * superblock names its first block; while it does, the volume is only what the journal makes of it.
 *
 *      superblock -> journal block -> journal block -> ...
 *                        | each entry: a page, and the block with its new content
 *
 * Journal and new contents stand in blocks that nothing uses, and in the log ring past its records:
 * to copy them home once, or again after a power cut, comes to the same.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const JOURNAL_MAGIC = magic('HFJ1')
export const JOURNAL_ENTRIES = 336

export const JournalBlock = defineStruct(
  'repair journal block',
  4096,
  'pages that a repair changes',
  {
    magic: [0, 4, "'HFJ1'"],
    checksum: [4, 4, 'CRC32C of the 4096 bytes, this field as zero'],
    block: [8, 4, 'block of the journal block itself: the back-pointer'],
    volume: [12, 4, 'first four bytes of the volume uuid'],
    next: [16, 4, 'next journal block, 0 none'],
    count: [20, 4, 'entries in use, at least 1'],
    reserved: [24, 40, 'zero'],
    entries: [64, JOURNAL_ENTRIES * 12, 'entries of 12 bytes: see repair journal entry'],
  },
)

export const JournalEntry = defineStruct('repair journal entry', 12, 'one page of a repair', {
  target: [0, 4, 'the page'],
  source: [4, 4, 'block that holds its new content'],
  checksum: [8, 4, 'CRC32C of that content'],
})

/** Why the block at `base` is not a journal block of this volume, or null. */
export function invalidJournalBlock(
  bytes: Bytes,
  base: number,
  block: number,
  volume: number,
): string | null {
  const w = base >>> 2
  const at = JournalBlock.word
  const get = (index: number) => bytes.u32[w + index]!
  if (get(at.magic) !== JOURNAL_MAGIC) return `magic ${hex(get(at.magic))}, not a repair journal`
  const sum = checksumOf(bytes, base, JournalBlock)
  if (get(at.checksum) !== sum) return `checksum ${hex(get(at.checksum))}, computed ${hex(sum)}`
  if (get(at.block) !== block) return `journal block of block ${get(at.block)}`
  if (get(at.volume) !== volume) return 'belongs to another volume'
  if (get(at.count) < 1 || get(at.count) > JOURNAL_ENTRIES) return `${get(at.count)} entries`
  return null
}
