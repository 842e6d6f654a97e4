/** Which volume is in the region: the two superblocks and the volume state. */
import type { Bytes } from '../base/bytes.js'
import { LABEL_BYTES_MAX } from '../base/limits.js'
import { hex } from '../base/struct.js'
import { invalidState, State } from '../media/state.js'
import {
  Incompat,
  invalidSuperblock,
  KNOWN_INCOMPAT,
  LayoutOption,
  Superblock,
  SUPERBLOCK_BLOCKS,
} from '../media/superblock.js'
import { placeOf, type Findings } from './codes.js'
import type { Medium, Scratch } from './medium.js'
import type { VolumeInfo } from './report.js'
import { checkReserved } from './reserved.js'

/** What the other phases need of the superblock: validated, all areas within the region. */
export interface Header {
  blockCount: number
  tailBlock: number
  logStart: number
  logBlocks: number
  bitmapStart: number
  bitmapBlocks: number
  inodeMapStart: number
  inodeMapBlocks: number
  dataStart: number
  /** First four bytes of the uuid. */
  volume: number
  hashKeyLow: number
  hashKeyHigh: number
  /** CRC32C of the uuid, and of uuid and log salt. */
  uuidSeed: number
  recordSeed: number
  /** First block of the journal of a repair that was cut short, 0 none. */
  repairJournal: number
  /** What may have shares, fixed files and policies, and what the volume itself has of it. */
  layoutFeature: boolean
  policy: number
  layoutOptions: number
}

export interface Roots {
  freeBlocks: number
  inodes: number
  nameSlabs: number
  inodeSlabs: number
  reverseMapRoot: number
  orphanRoot: number
  inodeMapHigh: number
  badBlockRoot: number
  shareRoot: number
  /** Blocks that the bitmap answers for; those behind are still to be added. */
  blocks: number
}

const at = Superblock.word
/** Set by mkfs and never changed: what both copies must agree on, as ranges of words. */
const FIXED_WORDS = [
  [at.uuid, at.label],
  [at.blockBytes, at.blockCount],
  [at.stateBlock, at.mountEpoch],
] as const

/** The superblock and what is to be reported of it, or null when there is none to go by. */
export function readHeader(
  medium: Medium,
  scratch: Scratch,
  regionBlocks: number,
  findings: Findings,
): { header: Header; info: VolumeInfo } | null {
  const reasons = SUPERBLOCK_BLOCKS.map((block, copy) => {
    if (block >= regionBlocks) return `region of ${regionBlocks} blocks`
    const base = copy * Superblock.size
    medium.readHome(block, 0, scratch.u8, base, Superblock.size)
    return invalidSuperblock(scratch, base, regionBlocks)
  })
  if (reasons[0] !== null && reasons[1] !== null) {
    findings.add('superblock-missing', placeOf('superblock', 0), `${reasons[0]}; ${reasons[1]}`)
    return null
  }
  const current = chooseCopy(scratch, reasons as [string | null, string | null])
  const damaged = reasons.findIndex((reason) => reason !== null)
  if (damaged >= 0) {
    findings.add('superblock-copy-damaged', placeOf('superblock', damaged), reasons[damaged]!)
  } else {
    compareCopies(scratch, findings)
  }
  const w = (current * Superblock.size) >>> 2
  const incompat = scratch.u32[w + at.featuresIncompat]!
  if ((incompat & ~KNOWN_INCOMPAT) !== 0) {
    const message = `incompatible features ${hex(incompat)}, known ${hex(KNOWN_INCOMPAT)}`
    findings.add('superblock-feature-unknown', placeOf('superblock', current), message)
    return null
  }
  checkReserved(scratch, w << 2, Superblock, current, 0, findings)
  const header = headerOf(scratch, w)
  checkOptions(header, current, findings)
  return { header, info: infoOf(scratch, w, current, damaged >= 0) }
}

const sequenceOf = (bytes: Bytes, copy: number): number => {
  const w = ((copy * Superblock.size) >>> 2) + at.sequence
  return bytes.u32[w]! + bytes.u32[w + 1]! * 2 ** 32
}

function chooseCopy(bytes: Bytes, reasons: [string | null, string | null]): number {
  if (reasons[0] !== null) return 1
  if (reasons[1] !== null) return 0
  return sequenceOf(bytes, 1) > sequenceOf(bytes, 0) ? 1 : 0
}

function compareCopies(bytes: Bytes, findings: Findings): void {
  const second = Superblock.size >>> 2
  for (const [start, end] of FIXED_WORDS) {
    for (let i = start; i < end; i++) {
      if (bytes.u32[i] === bytes.u32[second + i]) continue
      const words = `${hex(bytes.u32[i]!)} and ${hex(bytes.u32[second + i]!)}`
      const message = `the words at ${i * 4} are ${words}`
      findings.add('superblock-copies-disagree', placeOf('superblock', 1, i * 4), message)
      return
    }
  }
}

function headerOf(bytes: Bytes, w: number): Header {
  const get = (index: number) => bytes.u32[w + index]!
  const uuidSeed = bytes.crc32c((w + at.uuid) * 4, 16, 0)
  return {
    blockCount: get(at.blockCount),
    tailBlock: get(at.tailBlock),
    logStart: get(at.logStart),
    logBlocks: get(at.logBlocks),
    bitmapStart: get(at.bitmapStart),
    bitmapBlocks: get(at.bitmapBlocks),
    inodeMapStart: get(at.inodeMapStart),
    inodeMapBlocks: get(at.inodeMapBlocks),
    dataStart: get(at.dataStart),
    volume: get(at.uuid),
    hashKeyLow: get(at.hashKey),
    hashKeyHigh: get(at.hashKey + 1),
    uuidSeed,
    recordSeed: bytes.crc32c((w + at.logSalt) * 4, 8, uuidSeed),
    repairJournal: get(at.repairJournal),
    layoutFeature: (get(at.featuresIncompat) & Incompat.layout) !== 0,
    policy: get(at.policy),
    layoutOptions: get(at.layoutOptions),
  }
}

function infoOf(bytes: Bytes, w: number, current: number, damaged: boolean): VolumeInfo {
  const byte = w * 4
  const number = (index: number) => bytes.u32[w + index]! + bytes.u32[w + index + 1]! * 2 ** 32
  const label = bytes.u8.subarray(
    byte + Superblock.at.label,
    byte + Superblock.at.label + LABEL_BYTES_MAX,
  )
  const end = label.indexOf(0)
  const uuid = Buffer.from(bytes.u8.buffer, byte + Superblock.at.uuid, 16).toString('hex')
  const sequence = number(at.sequence)
  const other = sequenceOf(bytes, 1 - current)
  return {
    uuid: uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    label: Buffer.from(end < 0 ? label : label.subarray(0, end)).toString('utf8'),
    blocks: bytes.u32[w + at.blockCount]!,
    mountEpoch: number(at.mountEpoch),
    superblock: current,
    otherCopy: damaged ? 'damaged' : other < sequence ? 'older' : 'same',
    ownerPid: bytes.u32[w + at.ownerPid]!,
  }
}

/** Values of the policy, and bits of the layout options. */
export const POLICY_MAX = 2
export const LAYOUT_OPTIONS_KNOWN = Object.values(LayoutOption).reduce((all, bit) => all | bit, 0)

function checkOptions({ policy, layoutOptions }: Header, copy: number, findings: Findings): void {
  const wrong = (field: 'policy' | 'layoutOptions', message: string) => {
    const place = placeOf(`superblock, ${field}`, copy, Superblock.at[field])
    findings.add('superblock-field-invalid', place, message)
  }
  if (policy > POLICY_MAX) wrong('policy', `${policy}, expected 0 to ${POLICY_MAX}`)
  const unknown = layoutOptions & ~LAYOUT_OPTIONS_KNOWN
  if (unknown !== 0) {
    wrong('layoutOptions', `unknown ${hex(unknown >>> 0)}, known ${hex(LAYOUT_OPTIONS_KNOWN)}`)
  }
}

/** The volume state as replay left it, or null. */
export function readRoots(
  medium: Medium,
  scratch: Scratch,
  header: Header,
  findings: Findings,
): Roots | null {
  medium.read(2, 0, scratch.u8, 0, State.size)
  const reason = invalidState(scratch, 0, header.volume)
  if (reason !== null) {
    findings.add('state-damaged', placeOf('state', 2), reason)
    return null
  }
  checkReserved(scratch, 0, State, 2, 0, findings)
  const get = (index: number) => scratch.u32[index]!
  const blocks = get(State.word.blocks)
  if (blocks <= header.dataStart || blocks > header.blockCount) {
    const message = `${blocks} blocks in a volume of ${header.blockCount}`
    findings.add('state-damaged', placeOf('state', 2), message)
    return null
  }
  return {
    blocks,
    freeBlocks: get(State.word.freeBlocks),
    inodes: get(State.word.inodes),
    nameSlabs: get(State.word.nameSlabs),
    inodeSlabs: get(State.word.inodeSlabs),
    reverseMapRoot: get(State.word.reverseMapRoot),
    orphanRoot: get(State.word.orphanRoot),
    inodeMapHigh: get(State.word.inodeMapHigh),
    badBlockRoot: get(State.word.badBlockRoot),
    shareRoot: get(State.word.shareRoot),
  }
}
