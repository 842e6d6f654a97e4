/**
 * fsck: reads a volume and says what is wrong with it. It changes nothing, takes nothing on trust
 * and ends on every input.
 *
 *      superblocks -> log (replayed in memory) -> state
 *        -> inode map -> shares -> inodes, extents, targets   each walk claims the blocks it meets
 *        -> shares                                            against all extents
 *        -> name slabs -> attributes -> directories
 *           -> orphans -> links                               all against all inodes
 *        -> reverse map                                       against all extents
 *        -> bad blocks -> bitmap                              against all claims
 *
 * It shares only the declarations of src/media with the code that writes volumes: two readings of
 * one format, so that an error of one is seen by the other.
 */
import { BLOCK_BYTES } from '../base/limits.js'
import { BadBlocks } from './bad_blocks.js'
import { Bitmap } from './bitmap.js'
import { Claim, Claims } from './claims.js'
import { Findings, placeOf } from './codes.js'
import { Directories } from './directories.js'
import { Extents } from './extents.js'
import { Inodes } from './inodes.js'
import { checkLayout } from './layout.js'
import { Links } from './links.js'
import { Medium, Scratch, type Crc32cOf, type Readable } from './medium.js'
import { Names } from './names.js'
import { Orphans } from './orphans.js'
import { replayLog } from './replay.js'
import type { Counts, Report, VolumeInfo } from './report.js'
import { TreeWalker } from './tree.js'
import { Values } from './values.js'
import { Shares } from './shares.js'
import { readHeader, readRoots, type Header, type Roots } from './volume_header.js'
import { Xattrs } from './xattrs.js'

export type Phase = 'log' | 'inodes' | 'directories' | 'reverse map' | 'bitmap'
export type OnProgress = (phase: Phase, done: number, total: number) => void

export interface CheckOptions {
  readonly crc32cOf: Crc32cOf
  readonly onProgress?: OnProgress
}

/** Checks the volume in `region`. Never throws for what is on the medium. */
export function checkVolume(region: Readable, options: CheckOptions): Report {
  return new Checker(options.crc32cOf).check(region, options.onProgress)
}

/** A check that keeps its buffers: for who checks many regions, one after the other. */
export class Checker {
  readonly #findings = new Findings()
  readonly #medium = new Medium(this.#findings)
  readonly #claims = new Claims(this.#findings)
  readonly #shares = new Shares(this.#claims, this.#findings)
  readonly #extents = new Extents(this.#claims, this.#shares, this.#findings)
  readonly #scratch: Scratch
  readonly #walker: TreeWalker
  readonly #inodes: Inodes
  readonly #names: Names
  readonly #xattrs: Xattrs
  readonly #directories: Directories
  readonly #orphans: Orphans
  readonly #links: Links
  readonly #badBlocks: BadBlocks
  readonly #bitmap: Bitmap

  constructor(crc32cOf: Crc32cOf) {
    this.#scratch = new Scratch(BLOCK_BYTES, crc32cOf)
    this.#walker = new TreeWalker(this.#medium, this.#claims, this.#findings, crc32cOf)
    const values = new Values(this.#medium, this.#claims, this.#findings, crc32cOf)
    this.#inodes = new Inodes(
      this.#medium,
      this.#claims,
      this.#findings,
      this.#extents,
      this.#walker,
      values,
      crc32cOf,
    )
    this.#names = new Names(this.#medium, this.#claims, this.#findings, crc32cOf)
    this.#xattrs = new Xattrs(this.#inodes, this.#names, values, this.#walker, this.#findings)
    this.#directories = new Directories(this.#inodes, this.#names, this.#walker, this.#findings)
    this.#orphans = new Orphans(this.#inodes, this.#extents, this.#walker, this.#findings)
    this.#links = new Links(this.#inodes, this.#findings)
    this.#badBlocks = new BadBlocks(this.#claims, this.#walker, this.#findings)
    this.#bitmap = new Bitmap(this.#medium, this.#claims, this.#findings, this.#scratch)
  }

  check(region: Readable, onProgress: OnProgress = () => {}): Report {
    this.#findings.reset()
    this.#medium.reset(region)
    this.#medium.checkFaults()
    try {
      return this.#checkRegion(region, onProgress)
    } finally {
      this.#medium.release()
    }
  }

  #checkRegion(region: Readable, onProgress: OnProgress): Report {
    const regionBlocks = Math.floor(region.byteLength / BLOCK_BYTES)
    const found = readHeader(this.#medium, this.#scratch, regionBlocks, this.#findings)
    if (found === null) return this.#report(0, null, false)
    const { header, info } = found
    if (header.repairJournal !== 0) {
      const message = `its journal begins at block ${header.repairJournal}`
      this.#findings.add('repair-unfinished', placeOf('superblock', info.superblock), message)
      return this.#report(0, info, false)
    }
    onProgress('log', 0, 1)
    const { records } = replayLog(this.#medium, this.#scratch, header, this.#findings)
    onProgress('log', 1, 1)
    const roots = readRoots(this.#medium, this.#scratch, header, this.#findings)
    if (roots === null) return this.#report(records, info, false)
    this.#reset(header, roots)
    this.#checkStructures(header, roots, onProgress)
    this.#checkReplayed()
    return this.#report(records, info, true)
  }

  #reset(header: Header, roots: Roots): void {
    this.#claims.reset(roots.blocks, header.dataStart)
    this.#extents.reset()
    this.#walker.reset()
    this.#inodes.reset()
    this.#names.reset()
  }

  #checkStructures(header: Header, roots: Roots, onProgress: OnProgress): void {
    const inodes = this.#inodes
    inodes.scanMap(header, roots)
    this.#shares.read(this.#walker, roots.shareRoot)
    inodes.scanSlabs(roots, (done, total) => onProgress('inodes', done, total))
    this.#shares.settle()
    inodes.slabs.walkList(roots.inodeSlabs, (block) =>
      this.#claims.kind[block] === Claim.inodeSlab ? this.#claims.index[block]! : -1,
    )
    inodes.slabs.checkMembership()
    this.#names.slabs.walkList(roots.nameSlabs, this.#names.find)
    this.#xattrs.walkAll(header)
    this.#directories.walkAll(header, (done, total) => onProgress('directories', done, total))
    this.#names.slabs.checkMembership()
    this.#names.checkUnowned(this.#directories.incomplete || this.#xattrs.incomplete)
    this.#orphans.walk(roots.orphanRoot)
    checkLayout(header, roots, inodes.allFlags, this.#orphans.allKinds, this.#findings)
    this.#links.check(this.#directories.incomplete, this.#orphans.lost)
    onProgress('reverse map', 0, 1)
    this.#extents.checkReverseMap(this.#walker, roots.reverseMapRoot)
    onProgress('reverse map', 1, 1)
    this.#badBlocks.check(header, roots.badBlockRoot)
    this.#bitmap.check(header, roots, (done, total) => onProgress('bitmap', done, total))
  }

  /** Replay stores metadata pages; a block that holds data by now would lose it. */
  #checkReplayed(): void {
    for (const block of this.#medium.overlay.keys()) {
      if (this.#claims.kind[block] !== Claim.data) continue
      const message = 'a log record changes it, and after the log it is data of a file'
      this.#findings.add('log-overwrites-data', placeOf('page', block), message)
    }
  }

  #report(replayed: number, volume: VolumeInfo | null, checked: boolean): Report {
    this.#medium.checkFaults()
    const { kept, total } = this.#findings
    const unreadable = !checked || this.#medium.faulted
    return {
      state: unreadable ? 'unreadable' : total > 0 ? 'errors' : 'clean',
      replayed,
      findings: kept,
      findingsTotal: total,
      counts: checked ? this.#counts() : NOTHING,
      volume,
    }
  }

  #counts(): Counts {
    const { used, blockCount } = this.#claims
    return {
      files: this.#inodes.files,
      directories: this.#inodes.directories.number.length,
      blocksUsed: used,
      blocksFree: blockCount - used,
      extents: this.#extents.length,
      nodes: this.#walker.nodes,
      names: this.#directories.entries,
    }
  }
}

const NOTHING: Counts = {
  files: 0,
  directories: 0,
  blocksUsed: 0,
  blocksFree: 0,
  extents: 0,
  nodes: 0,
  names: 0,
}
