/**
 * Reclaiming: in the grace period, who holds blocks since before the crash says which, and holds
 * them again.
 *
 * Invariants:
 * - a hold is granted when each of its blocks is where its holder takes it to be: in the file, and
 *   its alone, or in limbo. One that is elsewhere makes all of it ESTALE;
 * - it changes nothing on the medium, and no limit and no permission refuses it: it was granted
 *   before, and its holder goes on with it whatever is answered;
 * - a large one comes in parts, each of which is held as it comes: no list of it is kept.
 *
 * A block in limbo has no file any more that says who may use it, and what a file says now is not
 * what it said then. So who is allowed to reclaim must have shown that it maps the region.
 */
import { HoldfastError } from '../base/errors.js'
import type { HoldKind, Iomode } from '../base/layout.js'
import type { OpenInode } from '../volume/open_inodes.js'
import { checkReason, type Claim, type HoldUser } from './claim.js'
import { demandKind } from './grants.js'
import type { Hold } from './hold.js'
import type { Session } from './session.js'
import { holdClassOf } from './table.js'
import type { LayoutVolume } from './volume.js'

/** A run of blocks, as its holder knows it. */
export interface HeldExtent {
  /** In the file; null: it had left that (deferred). */
  readonly fileBlock: number | null
  /** In the region; null: a hole, of a lease for reading. */
  readonly regionBlock: number | null
  readonly count: number
}

export interface ReclaimOptions {
  readonly kind: HoldKind
  /** Of a lease; null otherwise. */
  readonly iomode: Iomode | null
  readonly extents: readonly HeldExtent[]
  readonly reason?: string | undefined
  readonly user?: HoldUser | null | undefined
  /** What was taken again before this part of it. */
  readonly into?: Hold | undefined
}

export interface Reclaimed {
  readonly slot: number
  /** Of the blocks that were claimed, how many are in the file: the others are in limbo. */
  readonly filed: number
}

/** Takes a hold again, inside a call of the volume. */
export function reclaim(
  volume: LayoutVolume,
  open: OpenInode,
  session: Session,
  options: ReclaimOptions,
): Reclaimed {
  const { kind, iomode, extents, reason = '', user = null, into } = options
  checkReason(reason)
  if (!volume.inGrace) {
    throw new HoldfastError(
      'ESTALE',
      'the volume is in no grace period: what was held before it was mounted has ended',
    )
  }
  if ((kind === 'lease') !== (iomode !== null)) {
    throw new HoldfastError('EINVAL', `a ${kind} with iomode ${String(iomode)}`)
  }
  demandKind(volume, session, kind, iomode)
  const found = new Places(volume, open.number, iomode === 'read')
  for (const extent of extents) found.add(extent)
  const claim: Claim = { session, kind, iomode, open, reason, user }
  const pieces = found.pieces()
  const slot = into === undefined ? -1 : demandPart(volume, into, claim, pieces)
  return { slot: volume.holding.reclaim(claim, pieces, slot), filed: found.filed }
}

/** The slot of a hold that these pieces may belong to. */
function demandPart(
  { holding }: LayoutVolume,
  into: Hold,
  { session, kind, iomode, open }: Claim,
  pieces: readonly number[],
): number {
  const { table } = holding
  const slot = table.slotOf(into.id)
  const same = table.inodeOf(slot) === open.number && table.ownerOf(slot) === session.id
  if (!same || table.classOf(slot) !== holdClassOf(kind, iomode)) {
    throw new HoldfastError('EINVAL', `hold ${into.id} is another one than this is a part of`)
  }
  for (let i = 0; i < pieces.length; i += 3) {
    table.pieces.overlapping(pieces[i]!, pieces[i + 1]!, pieces[i + 2]!, (other, from) => {
      if (other === slot) throw twice(from)
    })
  }
  return slot
}

const twice = (block: number) =>
  new HoldfastError('EINVAL', `block ${block} is in two extents of the hold`)

class Places {
  readonly #volume: LayoutVolume
  readonly #inode: number
  readonly #reads: boolean
  /** First block, and the one after, of each run: of the file, and of limbo. */
  readonly #inFile: [from: number, to: number][] = []
  readonly #inLimbo: [from: number, to: number][] = []
  /** Blocks of the region that are in the file. */
  filed = 0

  constructor(volume: LayoutVolume, inode: number, reads: boolean) {
    this.#volume = volume
    this.#inode = inode
    this.#reads = reads
  }

  /** Inode, from, to, of each piece that the hold has. */
  pieces(): number[] {
    const limbo = this.#volume.core.limbo.number
    const pieces = joined(this.#inFile).flatMap(([from, to]) => [this.#inode, from, to])
    pieces.push(...joined(this.#inLimbo).flatMap(([from, to]) => [limbo, from, to]))
    if (pieces.length > 0) return pieces
    throw new HoldfastError('EINVAL', 'a hold covers some blocks')
  }

  add({ fileBlock, regionBlock, count }: HeldExtent): void {
    const numbers = [fileBlock ?? 0, regionBlock ?? 0, count, (fileBlock ?? 0) + count]
    const good = numbers.every((n) => Number.isInteger(n) && n >= 0 && n <= 0xffff_ffff)
    if (!good || count === 0 || (fileBlock === null && regionBlock === null)) {
      throw new HoldfastError('EINVAL', `${count} blocks at ${fileBlock} in ${regionBlock}`)
    }
    for (let done = 0; done < count;) {
      const file = fileBlock === null ? null : fileBlock + done
      const region = regionBlock === null ? null : regionBlock + done
      done += this.#run(file, region, count - done)
    }
  }

  /** Where a run is, at most `most` blocks; returns of how many that is so. */
  #run(file: number | null, region: number | null, most: number): number {
    if (file !== null) {
      const n = region === null ? this.#hole(file, most) : this.#own(file, region, most)
      if (n > 0) {
        this.#inFile.push([file, file + n])
        if (region !== null) this.filed += n
        return n
      }
    }
    const n = region === null ? 0 : this.#volume.core.limbo.runAt(region, most)
    if (n > 0) {
      this.#inLimbo.push([region!, region! + n])
      return n
    }
    const what = region === null ? 'a hole' : `block ${region}`
    const where = file === null ? 'in limbo' : `file block ${file} or in limbo`
    throw new HoldfastError('ESTALE', `${what} of the region is not ${where} any more`)
  }

  /** Blocks from `file` on that are these of the region, and the file's alone. */
  #own(file: number, region: number, most: number): number {
    const { copies, core } = this.#volume
    const { inodes, extents, pages } = core
    pages.tick()
    if (!extents.find(inodes.get(this.#inode), file)) return 0
    if (extents.regionBlock + (file - extents.fileBlock) !== region) return 0
    const n = Math.min(most, extents.fileBlock + extents.count - file)
    if (this.#reads) return n
    const shared = copies.shared(this.#inode, file, file + n)
    if (shared === 0) return n
    throw new HoldfastError('ESTALE', `file block ${file}: ${shared} blocks have other owners`)
  }

  #hole(file: number, most: number): number {
    const { inodes, extents, pages } = this.#volume.core
    pages.tick()
    if (!this.#reads || extents.find(inodes.get(this.#inode), file)) return 0
    return extents.count === 0 ? most : Math.min(most, extents.fileBlock - file)
  }
}

/** Neighbours joined. EINVAL where one block is there twice. */
function joined(runs: [from: number, to: number][]): [from: number, to: number][] {
  const list: [from: number, to: number][] = []
  for (const [from, to] of runs.sort((a, b) => a[0] - b[0])) {
    const last = list.at(-1)
    if (last !== undefined && from < last[1]) throw twice(from)
    if (last?.[1] === from) last[1] = to
    else list.push([from, to])
  }
  return list
}
