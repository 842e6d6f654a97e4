/**
 * The journal of a repair: all pages that change, whole, in blocks that nothing uses, and then a
 * superblock that names it. From there on the volume is what the journal makes of it, however often
 * the copying is cut short; before, it is what it was.
 *
 *     new contents, journal blocks -> durable -> superblock names them
 *       -> copied home -> durable -> superblock names them no longer
 */
import { BLOCK_BYTES, LINES_PER_BLOCK } from '../base/limits.js'
import type { Header } from '../check/volume_header.js'
import type { Crc32cOf } from '../check/medium.js'
import {
  invalidJournalBlock,
  JOURNAL_ENTRIES,
  JOURNAL_MAGIC,
  JournalBlock,
} from '../media/repair_journal.js'
import { Superblock } from '../media/superblock.js'
import type { Region } from '../region/region.js'
import type { SuperblockPair } from '../volume/superblock.js'
import { Page, type Draft } from './draft.js'

const at = JournalBlock.word
const ENTRY_WORDS = 3

/** The log as it stands in the ring: it stays there until the journal is copied home. */
export interface LiveLog {
  readonly tail: number
  readonly end: number
}

/** What was streamed before is durable before anything that comes after. */
export function barrier(region: Region): void {
  if (region.persistence === 'sync') region.sync(0, region.byteLength)
  else region.fence()
  region.check()
}

/** No record that is in the ring is one of the log any more. */
export function renewSalt(superblock: Uint32Array): void {
  superblock[Superblock.word.logSalt]! += 1
}

/** Names the journal in the superblock; `block` 0: it is done, and with it the log. */
function nameJournal(pair: SuperblockPair, block: number): void {
  if (block === 0) renewSalt(pair.u32)
  pair.u32[Superblock.word.repairJournal] = block
  pair.u8.fill(0, Superblock.at.reserved, Superblock.size)
  pair.u8.fill(0, Superblock.at.ownerReserved, Superblock.at.ownerStart)
  pair.write()
}

/** Blocks that may hold the journal: the log ring past its records, and what is free. */
function* journalBlocks(
  header: Header,
  log: LiveLog,
  isFree: (block: number) => boolean,
): Generator<number> {
  const live = lapsOf(log, header.logBlocks)
  for (let i = 0; i < header.logBlocks; i++) if (!live.has(i)) yield header.logStart + i
  for (let block = header.dataStart; block < header.blockCount; block++) {
    if (isFree(block)) yield block
  }
}

/** Blocks of the ring, from 0, with lines of the log, and the one where it goes on. */
function lapsOf({ tail, end }: LiveLog, ringBlocks: number): Set<number> {
  const blocks = new Set<number>()
  const first = Math.floor(tail / LINES_PER_BLOCK)
  const last = Math.floor(end / LINES_PER_BLOCK)
  for (let b = first; b <= last && blocks.size < ringBlocks; b++) blocks.add(b % ringBlocks)
  return blocks
}

/**
 * Makes the draft the volume. `isFree`: whether a block is of no use, neither before nor after.
 * Returns why there is no room for the journal, and has changed nothing then; else null.
 */
export function commitDraft(
  region: Region,
  draft: Draft,
  pair: SuperblockPair,
  header: Header,
  log: LiveLog,
  isFree: (block: number) => boolean,
): string | null {
  const targets = [...draft.changed.keys()].filter((block) => block > 1).sort((a, b) => a - b)
  if (targets.length === 0) {
    nameJournal(pair, 0)
    return null
  }
  const wanted = targets.length + Math.ceil(targets.length / JOURNAL_ENTRIES)
  const blocks = takeBlocks(wanted, header, log, isFree)
  if (blocks.length < wanted) {
    const pages = `the repair changes ${targets.length} pages`
    return `${pages} and needs ${wanted} free blocks for its journal, there are ${blocks.length}`
  }
  const entries = targets.map((target) => ({ target, source: blocks.pop()! }))
  for (const { target, source } of entries) {
    region.stream(source * BLOCK_BYTES, draft.view(target).u8, 0, BLOCK_BYTES)
  }
  const head = writeJournal(region, draft, header, entries, blocks)
  barrier(region) // the journal is whole before anything leads to it
  nameJournal(pair, head)
  for (const { target } of entries) {
    region.stream(target * BLOCK_BYTES, draft.view(target).u8, 0, BLOCK_BYTES)
  }
  barrier(region) // home is whole before the journal is forgotten
  nameJournal(pair, 0)
  return null
}

function takeBlocks(
  wanted: number,
  header: Header,
  log: LiveLog,
  isFree: (block: number) => boolean,
): number[] {
  const blocks: number[] = []
  for (const block of journalBlocks(header, log, isFree)) {
    blocks.push(block)
    if (blocks.length === wanted) break
  }
  return blocks
}
interface Entry {
  readonly target: number
  readonly source: number
}

/** Writes the journal blocks; returns the first. */
function writeJournal(
  region: Region,
  draft: Draft,
  header: Header,
  entries: readonly Entry[],
  blocks: number[],
): number {
  let next = 0
  for (let from = 0; from < entries.length; from += JOURNAL_ENTRIES) {
    const some = entries.slice(from, from + JOURNAL_ENTRIES)
    const block = blocks.pop()!
    const page = draft.scratch()
    page.u32[at.magic] = JOURNAL_MAGIC
    page.u32[at.block] = block
    page.u32[at.volume] = header.volume
    page.u32[at.next] = next
    page.u32[at.count] = some.length
    some.forEach(({ target, source }, i) => {
      const w = at.entries + i * ENTRY_WORDS
      page.u32[w] = target
      page.u32[w + 1] = source
      page.u32[w + 2] = draft.view(target).crc32c(0, BLOCK_BYTES, 0)
    })
    page.seal(JournalBlock)
    region.stream(block * BLOCK_BYTES, page.u8, 0, BLOCK_BYTES)
    next = block
  }
  return next
}

/**
 * Finishes the repair whose journal the superblock names. False when the journal is not whole:
 * then nothing is copied, and the volume is to be repaired as it is.
 */
export function finishJournal(
  region: Region,
  pair: SuperblockPair,
  header: Header,
  crc32cOf: Crc32cOf,
): boolean {
  const entries = readJournal(region, header, crc32cOf)
  if (entries === null) return false
  const page = new Page(crc32cOf)
  for (const { target, source } of entries) {
    region.read(source * BLOCK_BYTES, page.u8, 0, BLOCK_BYTES)
    region.stream(target * BLOCK_BYTES, page.u8, 0, BLOCK_BYTES)
  }
  barrier(region)
  nameJournal(pair, 0)
  return true
}

/** All entries, every one of them good; null when the journal cannot be believed. */
function readJournal(region: Region, header: Header, crc32cOf: Crc32cOf): Entry[] | null {
  const entries: Entry[] = []
  const page = new Page(crc32cOf)
  const content = new Page(crc32cOf)
  const sources = new Set<number>()
  const targets = new Set<number>()
  for (let block = header.repairJournal; block !== 0;) {
    if (!isSource(header, block) || sources.has(block)) return null
    sources.add(block)
    region.read(block * BLOCK_BYTES, page.u8, 0, BLOCK_BYTES)
    if (invalidJournalBlock(page, 0, block, header.volume) !== null) return null
    for (let i = 0; i < page.u32[at.count]!; i++) {
      const w = at.entries + i * ENTRY_WORDS
      const [target, source] = [page.u32[w]!, page.u32[w + 1]!]
      if (!isTarget(header, target) || !isSource(header, source)) return null
      if (targets.has(target) || sources.has(source)) return null
      targets.add(target)
      sources.add(source)
      region.read(source * BLOCK_BYTES, content.u8, 0, BLOCK_BYTES)
      if (content.crc32c(0, BLOCK_BYTES, 0) !== page.u32[w + 2]) return null
      entries.push({ target, source })
    }
    block = page.u32[at.next]!
  }
  region.check()
  for (const target of targets) if (sources.has(target)) return null
  return entries
}

/** State, tail, and everything behind the log. */
function isTarget({ bitmapStart, blockCount }: Header, block: number): boolean {
  return block === 2 || block === 3 || (block >= bitmapStart && block < blockCount)
}

/** The ring, and everything that files and trees may use. */
function isSource(header: Header, block: number): boolean {
  const { logStart, bitmapStart, dataStart, blockCount } = header
  return (block >= logStart && block < bitmapStart) || (block >= dataStart && block < blockCount)
}
