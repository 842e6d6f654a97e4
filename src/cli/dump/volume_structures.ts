/** Dumps of what there is once in a volume: superblocks, state, log, bitmap, inode map. */
import { BLOCK_BYTES, LINE_BYTES, LINES_PER_BLOCK } from '../../base/limits.js'
import {
  BitmapChunk,
  CHUNK_BLOCKS,
  CHUNK_WORDS,
  CHUNKS_PER_BLOCK,
  invalidBitmapChunk,
} from '../../media/bitmap.js'
import { invalidInodeMapPage, InodeMapPage, MAP_ENTRIES } from '../../media/inode_map.js'
import {
  invalidRecordHeader,
  LogRecord,
  LogTail,
  PageDescriptor,
  RecordKind,
  tailHighWord,
  tornRecord,
} from '../../media/log.js'
import { invalidJournalBlock, JournalBlock, JournalEntry } from '../../media/repair_journal.js'
import { invalidState, State } from '../../media/state.js'
import { invalidSuperblock, Superblock, SUPERBLOCK_BLOCKS } from '../../media/superblock.js'
import { native } from '../../native/native.js'
import type { Scratch } from '../../check/medium.js'
import type { Header } from '../../check/volume_header.js'
import { fieldsOf, type Dump } from './fields.js'
import type { Image } from './image.js'

export function dumpSuperblock(image: Image, copy: number): Dump {
  image.demandNumber('superblock', copy, SUPERBLOCK_BLOCKS.length)
  const block = SUPERBLOCK_BLOCKS[copy]!
  const scratch = image.readHome(block, 0, Superblock.size)
  const invalid = invalidSuperblock(scratch, 0, image.blocks)
  const fields = fieldsOf(Superblock, scratch.u8, 0)
  return { what: `superblock ${copy}`, block, offset: 0, invalid, fields, parts: [] }
}

/** Where they are in every volume of this format. */
const STATE_BLOCK = 2
const TAIL_BLOCK = 3

export function dumpState(image: Image): Dump {
  const scratch = image.read(STATE_BLOCK)
  // Without a superblock nobody knows whose it should be.
  const volume = image.header?.volume ?? scratch.u32[State.word.volume]!
  const invalid = invalidState(scratch, 0, volume)
  const fields = fieldsOf(State, scratch.u8, 0)
  return { what: 'state', block: STATE_BLOCK, offset: 0, invalid, fields, parts: [] }
}

export function dumpTail(image: Image): Dump {
  const scratch = image.readHome(TAIL_BLOCK, 0, LogTail.size)
  const { position, invalid } = tailOf(scratch, image.header)
  const fields = fieldsOf(LogTail, scratch.u8, 0)
  const part = { title: 'replay begins at', columns: ['position'], rows: [[position]] }
  return { what: 'log tail', block: TAIL_BLOCK, offset: 0, invalid, fields, parts: [part] }
}

function tailOf(
  scratch: Scratch,
  header: Header | null,
): { position: number; invalid: string | null } {
  const [low, high] = [scratch.u32[0]!, scratch.u32[1]!]
  const position = low + (high & 0xffff) * 2 ** 32
  if (header === null) return { position, invalid: 'no superblock to check it by' }
  const crc = native.crc32cOf(scratch.u8, 0, 6, header.uuidSeed)
  const fits = tailHighWord(high & 0xffff, crc) === high
  return { position, invalid: fits ? null : 'its check does not fit' }
}

/** The records from the tail on that a mount replays. */
export function dumpLog(image: Image): Dump {
  const header = image.demandHeader()
  const { position: start, invalid } = tailOf(image.readHome(TAIL_BLOCK, 0, LogTail.size), header)
  const rows: (number | string)[][] = []
  const ring = header.logBlocks * LINES_PER_BLOCK
  let position = start
  let sequence = -1
  let why = invalid
  while (why === null && position - start < ring) {
    const { scratch, reason } = readRecord(image, header, position, sequence)
    why = reason
    if (reason !== null) break
    const get = (word: number) => scratch.u32[word]!
    sequence = get(LogRecord.word.sequence) + get(LogRecord.word.sequence + 1) * 2 ** 32 + 1
    const lines = get(LogRecord.word.lines)
    rows.push([
      position,
      sequence - 1,
      kindOf(get(LogRecord.word.kind)),
      lines,
      get(LogRecord.word.pages),
    ])
    position += lines
  }
  const columns = ['position', 'sequence', 'kind', 'lines', 'pages']
  const title = `records, up to position ${position}: ${why ?? 'the whole ring'}`
  const parts = [{ title, columns, rows }]
  return { what: 'log', block: header.logStart, offset: 0, invalid, fields: [], parts }
}

const kindOf = (kind: number): string =>
  Object.entries(RecordKind).find(([, value]) => value === kind)?.[0] ?? String(kind)

function readRecord(
  image: Image,
  header: Header,
  position: number,
  sequence: number,
): { scratch: Scratch; reason: string | null; block: number; offset: number } {
  const ring = header.logBlocks * LINES_PER_BLOCK
  const line = position % ring
  const block = header.logStart + Math.floor(line / LINES_PER_BLOCK)
  const offset = (line % LINES_PER_BLOCK) * LINE_BYTES
  let scratch = image.readHome(block, offset, LINE_BYTES)
  let reason = invalidRecordHeader(scratch, 0, position, sequence, ring - line)
  if (reason === null) {
    const lines = scratch.u32[LogRecord.word.lines]!
    scratch = image.readHome(block, offset, lines * LINE_BYTES)
    reason = tornRecord(scratch, 0, header.recordSeed)
  }
  return { scratch, reason, block, offset }
}

export function dumpRecord(image: Image, position: number): Dump {
  const header = image.demandHeader()
  const { scratch, reason, block, offset } = readRecord(image, header, position, -1)
  const fields = fieldsOf(LogRecord, scratch.u8, 0)
  const room = Math.floor((scratch.u8.length - LogRecord.size) / PageDescriptor.size)
  const count = Math.min(room, scratch.u32[LogRecord.word.pages]!)
  const rows = Array.from({ length: Math.max(0, count) }, (_, i) =>
    fieldsOf(PageDescriptor, scratch.u8, LogRecord.size + i * PageDescriptor.size).map(
      ({ value }) => value,
    ),
  )
  const columns = fieldsOf(PageDescriptor, new Uint8Array(PageDescriptor.size), 0).map(
    ({ name }) => name,
  )
  const parts = rows.length === 0 ? [] : [{ title: 'page descriptors', columns, rows }]
  return { what: `log record ${position}`, block, offset, invalid: reason, fields, parts }
}

export function dumpBitmap(image: Image, index: number): Dump {
  const header = image.demandHeader()
  image.demandNumber('bitmap chunk', index, Math.ceil(header.blockCount / CHUNK_BLOCKS))
  const block = header.bitmapStart + Math.floor(index / CHUNKS_PER_BLOCK)
  const offset = (index % CHUNKS_PER_BLOCK) * BitmapChunk.size
  const scratch = image.read(block)
  const invalid = invalidBitmapChunk(scratch, offset, index)
  const fields = fieldsOf(BitmapChunk, scratch.u8, offset, ['bits'])
  const rows = runsOf(scratch, (offset + BitmapChunk.at.bits) >>> 2, index * CHUNK_BLOCKS)
  const parts = [{ title: 'blocks', columns: ['first', 'count', 'state'], rows }]
  return { what: `bitmap chunk ${index}`, block, offset, invalid, fields, parts }
}

/** Runs of blocks in use and free, by their bits. */
function runsOf({ u32 }: Scratch, word: number, first: number): (number | string)[][] {
  const rows: (number | string)[][] = []
  let start = 0
  const inUse = (bit: number) => ((u32[word + (bit >>> 5)]! >>> (bit & 31)) & 1) !== 0
  for (let bit = 1; bit <= CHUNK_WORDS * 32; bit++) {
    if (bit < CHUNK_WORDS * 32 && inUse(bit) === inUse(start)) continue
    rows.push([first + start, bit - start, inUse(start) ? 'in use' : 'free'])
    start = bit
  }
  return rows
}

export function dumpMapPage(image: Image, index: number): Dump {
  const header = image.demandHeader()
  image.demandNumber('inode map page', index, header.inodeMapBlocks)
  const block = header.inodeMapStart + index
  const scratch = image.read(block)
  const invalid = invalidInodeMapPage(scratch, 0, index)
  const fields = fieldsOf(InodeMapPage, scratch.u8, 0, ['entries'])
  const rows: number[][] = []
  for (let i = 0; i < MAP_ENTRIES; i++) {
    const [slab, generation] = [scratch.u32[8 + i * 2]!, scratch.u32[9 + i * 2]!]
    const entry = index * MAP_ENTRIES + i
    if (slab !== 0 || generation !== 0) rows.push([entry, entry * 16, slab, generation])
  }
  const columns = ['entry', 'first inode', 'block', 'generation']
  const parts = [{ title: 'entries that are or were in use', columns, rows }]
  return { what: `inode map page ${index}`, block, offset: 0, invalid, fields, parts }
}

export function dumpJournal(image: Image, block: number): Dump {
  const scratch = image.read(block)
  const volume = image.header?.volume ?? scratch.u32[JournalBlock.word.volume]!
  const invalid = invalidJournalBlock(scratch, 0, block, volume)
  const fields = fieldsOf(JournalBlock, scratch.u8, 0, ['entries'])
  const rows: (number | string)[][] = []
  const count = invalid === null ? scratch.u32[JournalBlock.word.count]! : 0
  for (let i = 0; i < count; i++) {
    const at = JournalBlock.at.entries + i * JournalEntry.size
    if (at + JournalEntry.size > BLOCK_BYTES) break
    rows.push(fieldsOf(JournalEntry, scratch.u8, at).map(({ value }) => value))
  }
  const columns = ['target', 'source', 'checksum']
  const parts = [{ title: 'entries', columns, rows }]
  return { what: `repair journal block ${block}`, block, offset: 0, invalid, fields, parts }
}
