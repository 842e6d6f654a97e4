/**
 * What does a hold cost: taking and giving back, and being looked for by a change?
 *
 * Three volumes, with sync=always: one on which nothing else is held; one with 100 000 pins of a
 * block in a thousand other files; one with 100 000 pins of a block in the same file. Ranges are
 * walked through the file, so that neither the counts nor the index are where the last operation
 * left them. Floor: the counts in a frame table and the piece in an index, both otherwise empty.
 */
import { rmSync } from 'node:fs'
import { HoldfastError } from '../src/base/errors.js'
import { HoldIndex } from '../src/layout/hold_index.js'
import type { LayoutFile } from '../src/layout/file.js'
import type { Hold } from '../src/layout/hold.js'
import { LayoutVolume } from '../src/layout/volume.js'
import { createRegion } from '../src/region/file_region.js'
import type { MemoryRegion } from '../src/region/memory_region.js'
import { formatVolume } from '../src/volume/format.js'
import { Frames } from '../src/volume/frames.js'
import { runner, type OnVolume, type Question, type Runner } from './layout_rounds.js'
import type { Side } from './pairs.js'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const BLOCK = 4 * KIB
export const HOLDS = 100_000
const FILES = 1000
const REASON = 'bench'

/** A volume with one large file, and what is held elsewhere. */
interface Held extends OnVolume {
  readonly name: string
  readonly volume: LayoutVolume
  readonly region: MemoryRegion
  readonly file: LayoutFile
  /** Where free ranges of the file begin. */
  readonly from: number
  readonly size: number
  readonly holds: readonly Hold[]
}

function open(path: string, bytes: number): { volume: LayoutVolume; region: MemoryRegion } {
  const region = createRegion(path, bytes)
  formatVolume(region)
  return { region, volume: LayoutVolume.mount(region, { sync: 'always' }) }
}

/** A file whose blocks are all there, in one extent. */
export function populated(volume: LayoutVolume, path: string, bytes: number): LayoutFile {
  const file = volume.open(path, 'wx+')
  file.allocate(0, bytes, { contiguous: true })
  const { extents } = file.extents()
  if (extents.length !== 1) throw new Error(`${path} is in ${extents.length} extents`)
  return file
}

function heldNowhere(directory: string): Held {
  const on = open(`${directory}/none`, GIB + 256 * MIB)
  const file = populated(on.volume, '/large', GIB)
  return { ...on, name: 'nothing else held', file, from: 0, size: GIB, holds: [] }
}

function heldInOtherFiles(directory: string): Held {
  const on = open(`${directory}/files`, GIB + 768 * MIB)
  const file = populated(on.volume, '/large', GIB)
  const holds: Hold[] = []
  const each = HOLDS / FILES
  for (let i = 0; i < FILES; i++) {
    const other = populated(on.volume, `/other${i}`, each * BLOCK)
    for (let k = 0; k < each; k++) {
      holds.push(other.pin({ offset: k * BLOCK, length: BLOCK, reason: REASON }))
    }
    other.close()
  }
  return { ...on, name: `${HOLDS} held in other files`, file, from: 0, size: GIB, holds }
}

function heldInThisFile(directory: string): Held {
  const room = 64 * MIB
  // Ranges stand to groups of blocks as they do in the other volumes.
  const from = Math.ceil((HOLDS * BLOCK) / (2 * MIB)) * 2 * MIB
  const on = open(`${directory}/file`, from + room + 256 * MIB)
  const file = populated(on.volume, '/large', from + room)
  const holds: Hold[] = []
  for (let k = 0; k < HOLDS; k++) {
    holds.push(file.pin({ offset: k * BLOCK, length: BLOCK, reason: REASON }))
  }
  return { ...on, name: `${HOLDS} held in this file`, file, from, size: from + room, holds }
}

const named = (bytes: number): string =>
  bytes >= GIB ? `${bytes / GIB} GiB` : bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`

/** Ranges of the file, one after another, far from each other. */
function* walk(held: Held, length: number, shift: number): Generator<number, never> {
  const slots = Math.floor((held.size - held.from - shift) / length)
  for (let slot = 0; ; slot = (slot + 7919) % slots) yield held.from + shift + slot * length
}

function pinning(held: Held, length: number, count: number, shift = 0): Runner {
  const { file } = held
  const ranges = walk(held, length, shift)
  const options = Array.from({ length: count }, () => {
    return { offset: ranges.next().value, length, reason: REASON }
  })
  const side: Side = {
    name: held.name,
    run: (n) => {
      for (let i = 0; i < n; i++) file.pin(options[i]!).release()
    },
  }
  return runner(side, count, held)
}

function bookkeeping(length: number, count: number): Runner {
  const blocks = length / BLOCK
  const frames = new Frames(GIB / BLOCK)
  const index = new HoldIndex()
  const slots = GIB / length
  const nothing = () => {}
  const side: Side = {
    name: 'counts and index alone',
    run: (n) => {
      for (let i = 0, slot = 0; i < n; i++, slot = (slot + 7919) % slots) {
        const at = slot * blocks
        frames.add(at, blocks)
        index.add(0, 1, at, at + blocks)
        index.cutHold(0, 1, at, at + blocks, nothing)
        frames.drop(at, blocks)
      }
    },
  }
  return runner(side, count)
}

function pins(none: Held, files: Held, file: Held): Question[] {
  return [
    { length: 4 * KIB, count: 500, most: 2000 },
    { length: 64 * KIB, count: 500, most: 2000 },
    { length: 2 * MIB, count: 500, most: 2000 },
    { length: GIB, count: 50, most: 50_000 },
  ].flatMap(({ length, count, most }) => {
    const question = `pin + unpin ${named(length)}`
    const alone = pinning(none, length, count)
    const floor = bookkeeping(length, count)
    const crowded = length === GIB ? [files] : [files, file]
    return [
      { question, ours: alone, most, others: [{ runner: floor }] },
      ...crowded.map((held) => ({
        question: `${question}, ${held.name}`,
        ours: pinning(held, length, count),
        others: [{ runner: alone, most: 1.2 }],
      })),
      ...(length === 2 * MIB ? [askew(none, length, count, alone)] : []),
    ]
  })
}

/** From the middle of a group of blocks to the middle of the next: counted block by block. */
function askew(none: Held, length: number, count: number, aligned: Runner): Question {
  return {
    question: `pin + unpin ${named(length)}, from the middle of a group of blocks`,
    ours: pinning(none, length, count, MIB),
    most: 2000,
    others: [{ runner: { ...aligned, name: 'from its start' } }],
  }
}

/** The check alone, as a truncate makes it. */
function checking(held: Held, count: number): Runner {
  const { volume, file } = held
  const from = held.from / BLOCK
  const side: Side = {
    name: held.name,
    run: (n) => {
      for (let i = 0; i < n; i++) volume.arbiter.demand('shrink', file.ino, from, Infinity)
    },
  }
  return runner(side, count, held)
}

/** Byte by byte, inside the last block: what is checked is all that is done beside one record. */
function truncating(held: Held, count: number): Runner {
  const { volume } = held
  const small = volume.open('/small', 'wx+')
  small.allocate(0, 2 * BLOCK)
  small.pin({ offset: 0, length: BLOCK, reason: REASON })
  const side: Side = {
    name: held.name,
    prepare: () => small.truncate(2 * BLOCK),
    run: (n) => {
      for (let i = 1; i <= n; i++) small.truncate(2 * BLOCK - i)
    },
  }
  return runner(side, count, held)
}

function refused(held: Held, count: number): Runner {
  const { volume } = held
  const pinned = volume.open('/pinned', 'wx+')
  pinned.allocate(0, BLOCK)
  pinned.pin({ reason: REASON })
  const side: Side = {
    name: held.name,
    run: (n) => {
      for (let i = 0; i < n; i++) {
        try {
          pinned.truncate(0)
        } catch (error) {
          if ((error as HoldfastError).code === 'EBUSY') continue
          throw error
        }
        throw new Error('a truncate of pinned blocks was not refused')
      }
    },
  }
  return runner(side, count, held)
}

/** The error that a refused change makes, and nothing else. */
function throwing(held: Held, count: number): Runner {
  const { holding } = held.volume
  const slot = holding.table.slotOf(held.volume.holds()[0]!.id)
  let caught = 0
  const side: Side = {
    name: 'making and throwing the error',
    run: (n) => {
      for (let i = 0; i < n; i++) {
        try {
          throw new HoldfastError('EBUSY', 'cutting blocks off', { holds: [holding.info(slot)] })
        } catch {
          caught++
        }
      }
    },
  }
  if (caught < 0) throw new Error('unreachable')
  return runner(side, count)
}

function checks(none: Held, files: Held, file: Held): Question[] {
  const COUNT = 500
  const alone = checking(none, COUNT)
  const truncate = truncating(none, COUNT)
  const refuse = refused(none, COUNT)
  return [
    ...[files, file].map((held) => ({
      question: `conflict check of a truncate, ${held.name}`,
      ours: checking(held, COUNT),
      most: 2000,
      others: [{ runner: alone }],
    })),
    {
      question: `truncate in the last block, ${files.name}`,
      ours: truncating(files, COUNT),
      others: [{ runner: truncate, most: 1.2 }],
    },
    {
      question: `truncate refused, ${files.name}`,
      ours: refused(files, COUNT),
      others: [{ runner: refuse, most: 1.2 }, { runner: throwing(none, COUNT) }],
    },
  ]
}

/** The questions, with the volumes that they are asked on; `end` closes those. */
export function holdQuestions(directory: string): { questions: Question[]; end: () => void } {
  const all = [heldNowhere(directory), heldInOtherFiles(directory), heldInThisFile(directory)]
  const [none, files, file] = all as [Held, Held, Held]
  return {
    questions: [...pins(none, files, file), ...checks(none, files, file)],
    end: () => {
      for (const { volume, region } of all) {
        volume.close()
        region.close()
        rmSync(region.path)
      }
    },
  }
}
