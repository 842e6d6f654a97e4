/**
 * Memory of 100 000 pins of a block each, with their objects, in a process of its own: the engine's
 * heap and its array buffers, garbage taken away. The list that keeps the objects was there before,
 * and all have the same reason. Frame table: a file pinned in one piece, and pinned block by block.
 */
import type { Hold } from '../src/layout/hold.js'
import { LayoutVolume } from '../src/layout/volume.js'
import { memfdRegion } from '../src/region/file_region.js'
import { formatVolume } from '../src/volume/format.js'
import { answer, job } from './child.js'
import { populated } from './layout_holds.js'

export interface MemoryJob {
  readonly holds: number
}

export interface MemoryFound {
  /** Bytes of a hold; of that, its place in the list of reasons. */
  readonly hold: number
  readonly reason: number
  /** Of that, in typed arrays of the table, the index and the frames. */
  readonly table: number
  readonly frames: number
  /** Bytes of the frame table, for each block of a file pinned block by block, and in one piece. */
  readonly framesByBlock: number
  readonly framesInOne: number
}

const BLOCK = 4096
const ROOM = 256 * 1024 * 1024

/** What finalizers and weak cells keep, and what is freed on threads, is gone after some turns. */
async function inUse(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    global.gc!()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function measure({ holds }: MemoryJob): Promise<MemoryFound> {
  const region = memfdRegion(holds * BLOCK + ROOM)
  formatVolume(region)
  const volume = LayoutVolume.mount(region, { sync: 'always' })
  const file = populated(volume, '/held', holds * BLOCK)
  const { frames } = volume.core
  const whole = file.pin({ reason: 'all of it' })
  const framesInOne = frames.byteLength / holds
  whole.release()
  const pin = (block: number) =>
    file.pin({ offset: block * BLOCK, length: BLOCK, reason: 'the same of all' })
  // Compiled, and the first of everything made: that is not what a hold costs.
  for (let i = 0; i < 5000; i++) pin(i % 8).release()
  const kept = new Array<Hold | null>(holds).fill(null)
  const before = await inUse()
  for (let i = 0; i < holds; i++) kept[i] = pin(i)
  const after = await inUse()
  const { table } = volume.holding
  const reasons: string[] = []
  for (let i = 0; i < holds; i++) reasons.push('the same of all')
  const listed = (await inUse()) - after
  // Used here, so that they are still there.
  if (reasons.length !== holds || kept.some((hold) => hold?.released !== false)) {
    throw new Error('what was measured is gone')
  }
  const found = {
    hold: (after - before) / holds,
    reason: listed / holds,
    table: table.byteLength / holds,
    frames: frames.byteLength / holds,
    framesByBlock: frames.byteLength / frames.distinct,
    framesInOne,
  }
  volume.close()
  region.close()
  return found
}

answer(await measure(job() as MemoryJob))
