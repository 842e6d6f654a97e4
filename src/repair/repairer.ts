/**
 * fsck --repair: a volume that checks clean, out of one that does not.
 *
 *     check -> draft in memory: replay, passes until it checks clean -> journal -> home -> check
 *
 * - Nothing is stored into the region before the draft is done, but copies of doubly claimed data
 *   in blocks that nothing uses; a power cut until then leaves the volume as it was.
 * - The draft becomes the volume in one step (journal.ts); a repair that was cut short in it is
 *   finished by the next.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { hex } from '../base/struct.js'
import { Checker, type OnProgress } from '../check/checker.js'
import { Findings, type Finding } from '../check/codes.js'
import { Medium, Scratch, type Crc32cOf } from '../check/medium.js'
import { replayFrom, replayLog } from '../check/replay.js'
import type { Report } from '../check/report.js'
import {
  LAYOUT_OPTIONS_KNOWN,
  POLICY_MAX,
  readHeader,
  type Header,
} from '../check/volume_header.js'
import { LogTail, tailHighWord } from '../media/log.js'
import { Incompat, Superblock, SUPERBLOCK_BLOCKS } from '../media/superblock.js'
import { invalidValueBlock, VALUE_MAGIC, ValueBlock } from '../media/value.js'
import type { Region } from '../region/region.js'
import { storeTail } from '../volume/log.js'
import { SuperblockPair } from '../volume/superblock.js'
import { Draft } from './draft.js'
import { Fixes, type Fix } from './fixes.js'
import { barrier, commitDraft, finishJournal, renewSalt, type LiveLog } from './journal.js'
import { searchLog } from './log_search.js'
import { runPass } from './pass.js'
import { Use, type Space } from './space.js'

/** Passes over the draft; a second one finds what the first made right in part. */
const PASSES_MAX = 4

export interface RepairOptions {
  readonly crc32cOf: Crc32cOf
  /** Says what would be done, and stores nothing. */
  readonly dryRun?: boolean
  readonly onProgress?: OnProgress
}

export interface RepairReport {
  /** 'unreadable': there is no volume to repair, or the medium fails. */
  readonly state: 'clean' | 'repaired' | 'errors' | 'unreadable'
  /** What was found before. */
  readonly before: Report
  /** What was done, a sentence each: the first 1000, and how many in all. */
  readonly fixes: readonly Fix[]
  readonly fixesTotal: number
  /** What could not be done. */
  readonly left: readonly Fix[]
  /** What is found now; in a dry run, what would be. */
  readonly after: Report
}

/** Repairs the volume in `region`. Throws only when the region itself fails. */
export function repairVolume(region: Region, options: RepairOptions): RepairReport {
  return new Repairer(options.crc32cOf).repair(region, options)
}

/** A repairer that keeps its buffers: for who repairs many regions, one after the other. */
export class Repairer {
  readonly #checker: Checker
  readonly #crc32cOf: Crc32cOf
  readonly #findings = new Findings()
  readonly #medium = new Medium(this.#findings)
  readonly #scratch: Scratch

  constructor(crc32cOf: Crc32cOf) {
    this.#crc32cOf = crc32cOf
    this.#checker = new Checker(crc32cOf)
    this.#scratch = new Scratch(BLOCK_BYTES, crc32cOf)
  }

  repair(region: Region, options: Pick<RepairOptions, 'dryRun' | 'onProgress'>): RepairReport {
    const fixes = new Fixes()
    const first = this.#checker.check(region, options.onProgress)
    if (first.state === 'clean' || !isRepairable(first)) return reportOf(first, fixes, first)
    const pair = new SuperblockPair(region)
    pair.read()
    if (pair.unknownRoCompat !== 0) {
      const message = `only a newer holdfast may change it (ro-compat ${hex(pair.unknownRoCompat)})`
      fixes.leave('superblock-feature-unknown', message)
      return reportOf(first, fixes, first)
    }
    let before = first
    if (has(first, 'repair-unfinished') && options.dryRun !== true) {
      const header = this.#header(region)
      if (finishJournal(region, pair, header, this.#crc32cOf)) {
        fixes.add('repair-unfinished', 'the repair that was cut short is finished')
        before = this.#checker.check(region)
        if (before.state === 'clean') return reportOf(first, fixes, before)
      } else {
        fixes.add('repair-unfinished', 'its journal is not whole, and is not used')
      }
    }
    const after = this.#draftAndCommit(region, pair, fixes, options.dryRun === true)
    return reportOf(first, fixes, after)
  }

  #header(region: Region): Header {
    this.#findings.reset()
    this.#medium.reset(region)
    const blocks = Math.floor(region.byteLength / BLOCK_BYTES)
    const found = readHeader(this.#medium, this.#scratch, blocks, this.#findings)
    if (found === null) throw new HoldfastError('ENODEV', `no volume in ${region.path}`)
    return found.header
  }

  #draftAndCommit(region: Region, pair: SuperblockPair, fixes: Fixes, dryRun: boolean): Report {
    const header = this.#header(region)
    const draft = new Draft(region, this.#crc32cOf)
    settleOptions(pair, header, fixes)
    draftSuperblocks(draft, pair)
    const log = this.#replay(draft, header, fixes)
    const origin = new Uint8Array(header.blockCount)
    const copyBlocks = dryRun ? () => {} : copier(region)
    let space: Space | null = null
    let report: Report | null = null
    for (let i = 0; i < PASSES_MAX && report?.state !== 'clean'; i++) {
      const pass = runPass({ draft, header, fixes, copyBlocks, origin, first: i === 0 })
      space = pass.space
      if (pass.layout && addLayout(pair, fixes)) draftSuperblocks(draft, pair)
      report = this.#checker.check(draft)
    }
    region.check()
    if (dryRun) return report!
    draft.prune()
    const isFree = (block: number) => origin[block] === 0 && space!.isFree(block)
    const commit = (live: LiveLog) => {
      const why = commitDraft(region, draft, pair, header, live, isFree)
      if (why !== null && live.tail === live.end) fixes.leave('block-leaked', why)
      return why === null
    }
    if (!commit(log) && log.tail !== log.end) {
      this.#emptyLog(region, header, log, space!)
      commit({ tail: log.end, end: log.end })
    }
    return this.#checker.check(region)
  }

  /**
   * Replays the log for good, as a mount does, to have its ring for the journal. Data that a record
   * would overwrite stays.
   */
  #emptyLog(region: Region, header: Header, log: LiveLog, space: Space): void {
    for (const block of this.#medium.overlay.keys()) {
      const use = space.kind[block]
      if (use === Use.data || use === Use.value) continue
      region.stream(block * BLOCK_BYTES, this.#medium.overlaid(block), 0, BLOCK_BYTES)
    }
    barrier(region) // home is durable before the log is forgotten
    storeTail(region, header.tailBlock, log.end, header.uuidSeed)
  }

  /** The draft as it is after the log, with an empty log. */
  #replay(draft: Draft, header: Header, fixes: Fixes): LiveLog {
    const [medium, scratch, findings] = [this.#medium, this.#scratch, this.#findings]
    let log = replayLog(medium, scratch, header, findings)
    const lost = log.tail < 0
    if (lost) {
      const position = searchLog(medium, scratch, header)
      log = replayFrom(position, medium, scratch, header, findings)
      fixes.add('log-tail-damaged', `the tail of the log is lost: ${log.records} records found`)
    }
    if (findings.kept.some(({ code }) => code === 'log-record-invalid')) {
      fixes.add('log-record-invalid', 'what log records must not change is left as it is')
    }
    for (const block of medium.overlay.keys()) {
      if (lost && isValueAtHome(draft, block)) continue
      draft.fresh(block).u8.set(medium.overlaid(block))
    }
    const page = draft.page(header.tailBlock)
    const position = Math.max(0, log.end)
    page.u8.fill(0, 0, LogTail.size)
    page.u32[LogTail.word.positionLow] = position >>> 0
    const high = Math.floor(position / 2 ** 32)
    page.u32[LogTail.word.positionHighAndCheck] = high
    page.u32[LogTail.word.positionHighAndCheck] = tailHighWord(
      high,
      page.crc32c(0, 6, header.uuidSeed),
    )
    return { tail: Math.max(0, log.tail), end: position }
  }
}

/**
 * Whether a block holds a part of a text. Records from before a lost tail may be of a page that
 * stood there earlier; texts are not logged.
 */
function isValueAtHome(draft: Draft, block: number): boolean {
  const page = draft.view(block)
  const owner = page.u32[ValueBlock.word.owner]!
  return page.u32[0] === VALUE_MAGIC && invalidValueBlock(page, 0, block, owner) === null
}

/** Both superblocks as they will be, for the check of the draft; the journal writes them itself. */
function draftSuperblocks(draft: Draft, pair: SuperblockPair): void {
  for (const block of SUPERBLOCK_BLOCKS) {
    const page = draft.page(block)
    page.u8.set(pair.u8)
    page.u32[Superblock.word.repairJournal] = 0
    renewSalt(page.u32)
    page.u8.fill(0, Superblock.at.reserved, Superblock.size)
    page.u8.fill(0, Superblock.at.ownerReserved, Superblock.at.ownerStart)
    page.seal(Superblock)
  }
}

/** What the volume wants of layouts: values that are none become the default. */
function settleOptions(pair: SuperblockPair, header: Header, fixes: Fixes): void {
  const at = Superblock.word
  const policy = header.policy > POLICY_MAX ? 0 : header.policy
  const layoutOptions = header.layoutOptions & LAYOUT_OPTIONS_KNOWN
  if (policy === header.policy && layoutOptions === header.layoutOptions) return
  header.policy = pair.u32[at.policy] = policy
  header.layoutOptions = pair.u32[at.layoutOptions] = layoutOptions
  const message = `the policy of the volume is ${policy}, its layout options ${layoutOptions}`
  fixes.add('superblock-field-invalid', message)
}

/** Makes the superblock have the feature `layout`; false when it has. */
function addLayout(pair: SuperblockPair, fixes: Fixes): boolean {
  const at = Superblock.word
  if ((pair.u32[at.featuresIncompat]! & Incompat.layout) !== 0) return false
  pair.u32[at.featuresIncompat]! |= Incompat.layout
  fixes.add('layout-feature-missing', 'the superblock has the feature for shares and the like now')
  return true
}

/** Copies blocks of the region to others, a piece at a time. */
function copier(region: Region): (from: number, to: number, count: number) => void {
  const bytes = new Uint8Array(64 * BLOCK_BYTES)
  return (from, to, count) => {
    for (let done = 0; done < count; done += 64) {
      const length = Math.min(64, count - done) * BLOCK_BYTES
      region.read((from + done) * BLOCK_BYTES, bytes, 0, length)
      region.stream((to + done) * BLOCK_BYTES, bytes, 0, length)
    }
  }
}

const has = (report: Report, code: Finding['code']): boolean =>
  report.findings.some((finding) => finding.code === code)

/** Whether there is a volume whose medium can be read and whose features are known. */
function isRepairable(report: Report): boolean {
  if (report.volume === null) return false
  return !has(report, 'region-fault') && !has(report, 'block-unreadable')
}

function reportOf(before: Report, fixes: Fixes, after: Report): RepairReport {
  const repaired = before.state === 'clean' ? 'clean' : 'repaired'
  const state = after.state === 'clean' ? repaired : after.state
  const { kept, total, left } = fixes
  return { state, before, fixes: kept, fixesTotal: total, left, after }
}
