/**
 * What has to be true of blocks, seen from outside: who owns a block is read off the layouts of all
 * files, who holds it off the engine.
 */
import { BLOCK, type Content } from './contents.js'
import { Violation, type Piece, type Transfer } from './dma.js'
import type { Fire } from './fire.js'

interface Place {
  readonly file: Content
  readonly block: number
}

/** The blocks of a hold, as the volume lists them. */
export class Listed {
  /** Region block of each file block. */
  readonly file = new Map<number, number>()
  /** Region blocks that have left the file. */
  readonly limbo = new Set<number>()
  /** Region blocks that it was fenced from, and may still use. */
  readonly ghosts = new Set<number>()

  has({ page, at }: Piece): boolean {
    return this.limbo.has(at) || this.file.get(page.block) === at
  }

  delete({ page, at }: Piece): boolean {
    if (this.file.get(page.block) === at) return this.file.delete(page.block)
    return this.limbo.delete(at)
  }
}

export class Witness {
  readonly #fire: Fire

  constructor(fire: Fire) {
    this.#fire = fire
  }

  /** Where the volume says that a hold has its blocks; null: it has ended. */
  blocksOf(transfer: Transfer): Listed | null {
    const { holding, core } = this.#fire.volume
    const slot = holding.table.find(transfer.id)
    if (slot < 0) return null
    core.pages.tick()
    const listed = new Listed()
    for (const [file, at, count] of holding.pieces(slot)) {
      for (let i = 0; i < count; i++) {
        if (file < 0) listed.limbo.add(at + i)
        else listed.file.set(file + i, at + i)
      }
    }
    holding.ghosts.each(slot, (at, count) => {
      for (let i = 0; i < count; i++) listed.ghosts.add(at + i)
    })
    return listed
  }

  /** Region block of each file block. */
  layout(file: Content): Map<number, number> {
    const { volume } = this.#fire
    volume.core.pages.tick()
    const layout = volume.layoutOf(file.ino)
    const blocks = new Map<number, number>()
    for (const { fileBlock, regionBlock, count } of layout.extents) {
      for (let i = 0; i < count; i++) blocks.set(fileBlock + i, regionBlock + i)
    }
    this.#demandOneLayout(file, `${layout.epoch}.${layout.generation}`, joined(blocks))
    return blocks
  }

  /** A layout id names one layout, for ever. */
  #demandOneLayout(file: Content, id: string, layout: string): void {
    const known = file.layouts.get(id)
    if (known !== undefined && known !== layout) {
      throw new Violation(`file ${file.id}: layout ${id} was ${known} and is ${layout}`)
    }
    if (file.layouts.size > 64) file.layouts.delete(file.layouts.keys().next().value!)
    file.layouts.set(id, layout)
  }

  /**
   * Of leases that could not be cut off, the file may have moved away, and what it did not take
   * along it has a copy of. Those that were let be in the end are as before.
   */
  reconcile(): void {
    const { engine } = this.#fire
    for (const transfer of engine.transfers.values()) {
      if (transfer.phase !== 'fenced') continue
      const blocks = this.blocksOf(transfer)
      if (blocks === null) throw new Violation(`${transfer}: ended by somebody else`)
      for (const piece of transfer.pieces) {
        if (piece.lost || blocks.has(piece) || !blocks.ghosts.has(piece.at)) continue
        piece.lost = true
        if (transfer.access !== 'read') piece.page.writers--
      }
      this.#detach(transfer)
      const all = transfer.pieces.every(({ lost, page }) => !lost && page.file !== null)
      const { draining } = this.#fire.volume.holding
      if (all && !draining.has(transfer.id)) transfer.phase = 'live'
    }
  }

  #detach(transfer: Transfer): void {
    const layouts = new Map<Content, Map<number, number>>()
    for (const { page, at } of transfer.pieces) {
      const { file } = page
      if (file === null) continue
      const layout = layouts.get(file) ?? this.layout(file)
      layouts.set(file, layout)
      if (layout.get(page.block) !== at) file.replace(page)
    }
  }

  /** Everything that has to be true of blocks. */
  check(): void {
    const fire = this.#fire
    const { volume, engine } = fire
    const owners = new Map<number, Place[]>()
    for (const file of fire.contents()) {
      for (const [block, at] of this.layout(file)) {
        const others = owners.get(at)
        if (others === undefined) owners.set(at, [{ file, block }])
        else others.push({ file, block })
      }
    }
    for (const transfer of engine.transfers.values()) this.#checkTransfer(transfer, owners)
    const counts = engine.counts()
    const { frames, allocator, limbo, pages } = volume.core
    pages.tick()
    const gone = new Set<number>()
    for (const [at, count] of counts) {
      if (frames.of(at) !== count) {
        const users = [...engine.transfers.values()].filter(({ pieces }) =>
          pieces.some((piece) => piece.at === at),
        )
        throw new Violation(
          `block ${at} is counted ${frames.of(at)} times and held ${count} times: ${users.join(', ')}`,
        )
      }
      if (allocator.freeIn(at, at + 1) !== 0) throw new Violation(`held block ${at} is free`)
      if (!owners.has(at)) gone.add(at)
    }
    if (frames.distinct !== counts.size) {
      throw new Violation(`${frames.distinct} blocks are counted, ${counts.size} are held`)
    }
    const inLimbo = limbo.number === 0 ? [] : this.#limboBlocks()
    for (const at of inLimbo) {
      if (!gone.delete(at)) throw new Violation(`block ${at} is in limbo, and owned or not held`)
    }
    for (const at of gone) throw new Violation(`held block ${at} is no file's and not in limbo`)
  }

  /** Nobody has a block of [from, to) any more, but who holds one in limbo. */
  demandEmpty(from: number, to: number): void {
    for (const file of this.#fire.contents()) {
      for (const [block, at] of this.layout(file)) {
        if (at < from || at >= to) continue
        throw new Violation(`file ${file.id}: block ${block} is still at ${at}`)
      }
    }
  }

  #limboBlocks(): number[] {
    const { volume } = this.#fire
    volume.core.pages.tick()
    const { extents } = volume.layoutOf(volume.core.limbo.number)
    return extents.flatMap(({ regionBlock, count }) =>
      Array.from({ length: count }, (_, i) => regionBlock + i),
    )
  }

  #checkTransfer(transfer: Transfer, owners: ReadonlyMap<number, readonly Place[]>): void {
    const blocks = this.blocksOf(transfer)
    if (blocks === null) throw new Violation(`${transfer}: ended by somebody else`)
    const fenced = transfer.phase === 'fenced'
    for (const piece of transfer.pieces) {
      const { page, at } = piece
      const gone = page.file === null
      if (
        gone ? blocks.file.get(page.block) === at && !blocks.limbo.has(at) : blocks.limbo.has(at)
      ) {
        throw new Violation(
          `${transfer}: region block ${at}, ${gone ? 'gone from' : 'in'} its file, is listed otherwise`,
        )
      }
      if (!blocks.delete(piece) && !fenced) {
        throw new Violation(`${transfer}: region block ${at} has been taken out of it`)
      }
      const places = owners.get(at) ?? []
      if (!gone) this.#checkAttached(transfer, piece, places)
      else if (transfer.access !== 'pin' && !fenced) {
        throw new Violation(`${transfer}: region block ${at} has left the file, and was not fenced`)
      } else if (places.length > 0 && transfer.access !== 'read') {
        throw new Violation(`${transfer}: block ${at} has left its file, and has an owner`)
      }
    }
    for (const at of [...blocks.file.values(), ...blocks.limbo]) {
      throw new Violation(`${transfer}: covers region block ${at}, which it did not get`)
    }
  }

  #checkAttached(transfer: Transfer, { page, at }: Piece, places: readonly Place[]): void {
    const own = places.some(({ file, block }) => file === page.file && block === page.block)
    if (!own) throw new Violation(`${transfer}: file block ${page.block} is not at ${at} any more`)
    if (places.length > 1 && transfer.access !== 'read') {
      throw new Violation(`${transfer}: region block ${at} has ${places.length} owners`)
    }
  }

  /** A file shows the bytes that were put into it. */
  verifyFile(file: Content, bytes: Uint8Array): void {
    const at = file.differsAt(bytes)
    if (at < 0) return
    const found = Buffer.from(bytes.subarray(at & ~7, (at & ~7) + 8)).toString('hex')
    const block = Math.floor(at / BLOCK)
    throw new Violation(
      `file ${file.id} (inode ${file.ino}, ${file.size} bytes, read ${bytes.length}): byte ${at} of ` +
        `block ${block} is not its own: ${found}`,
    )
  }
}

function joined(blocks: ReadonlyMap<number, number>): string {
  let text = ''
  let run = 0
  let last: readonly [number, number] | null = null
  for (const [block, at] of blocks) {
    if (last !== null && block === last[0] + run && at === last[1] + run) {
      run++
      continue
    }
    if (last !== null) text += `${last[0]}@${last[1]}+${run} `
    last = [block, at]
    run = 1
  }
  return last === null ? '' : `${text}${last[0]}@${last[1]}+${run}`
}
