/**
 * What a file says of its own layout: fixed, write-sealed, and what happens to its pinned blocks.
 */
import { checkChoice } from '../base/choice.js'
import { HoldfastError } from '../base/errors.js'
import type { Credentials, Path } from '../base/filesystem.js'
import type { LayoutPolicy } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { InodeFlag } from '../media/inode.js'
import { LAYOUT_POLICIES } from '../media/superblock.js'
import type { OpenInode } from '../volume/open_inodes.js'
import type { LayoutVolume } from './volume.js'

/** Bytes that are populated and unshared in one step. */
const STEP_BYTES = 16 << 20

const POLICY_BITS: Readonly<Record<LayoutPolicy, number>> = {
  busy: InodeFlag.policyLow,
  wait: InodeFlag.policyHigh,
  defer: InodeFlag.policyLow | InodeFlag.policyHigh,
}

export class Fixing {
  readonly #volume: LayoutVolume

  constructor(volume: LayoutVolume) {
    this.#volume = volume
  }

  /**
   * Steps that populate and unshare all of the file, each yields the blocks it looked at; then that
   * is made durable, and its layout does not change any more, nor its size. EBUSY when anything of
   * it is held. Between two steps the volume may be used; given up, it is not fixed.
   */
  *fix(path: Path, as?: Credentials): Generator<number, void> {
    const volume = this.#volume
    const { inodes, opens, access, grace } = volume.core
    const open = this.#onFile('fix', path, as, (number) => {
      access.demandOwner(inodes.get(number), 'fix it')
      if (inodes.has(inodes.get(number), InodeFlag.fixed)) return null
      grace.demandOver()
      this.#demandUnheld(number, false)
      return opens.open(number)
    })
    if (open === null) return
    try {
      for (let offset = 0; offset < inodes.size(inodes.get(open.number)); offset += STEP_BYTES) {
        volume.call('fix', path, as, () => this.#own(open, offset, STEP_BYTES))
        yield STEP_BYTES / BLOCK_BYTES
      }
      // The flag comes last, with whatever somebody has taken out of it since.
      volume.call('fix', path, as, () => this.#finish(open))
    } finally {
      if (!volume.closed) volume.enterHolds(() => volume.releaseInode(open))
    }
  }

  #own(open: OpenInode, offset: number, length: number): void {
    const { inodes } = this.#volume.core
    this.#volume.checkWritable()
    const size = inodes.size(inodes.get(open.number))
    if (offset < size) this.#volume.ranges.own(open, offset, Math.min(length, size - offset))
  }

  #finish(open: OpenInode): void {
    const { inodes, transaction, log, access } = this.#volume.core
    const { number } = open
    access.demandOwner(inodes.get(number), 'fix it')
    this.#demandUnheld(number, false)
    // What appends have taken ahead would go with the last close: now, or never.
    this.#volume.files.trimAhead(open)
    this.#own(open, 0, Infinity)
    this.#set(number, InodeFlag.fixed, InodeFlag.fixed)
    // Whoever goes by its addresses from here on finds the file there, also after a crash.
    if (log.durable !== log.head) transaction.flush()
  }

  unfix(path: Path, as?: Credentials): void {
    this.#onFile('unfix', path, as, (number) => {
      const { inodes } = this.#volume.core
      if (inodes.has(inodes.get(number), InodeFlag.writeSealed)) {
        throw new HoldfastError('EPERM', 'it is write-sealed: take that seal away first')
      }
      this.#set(number, InodeFlag.fixed, 0)
    })
  }

  /**
   * Nobody writes to a fixed file any more. EBUSY when somebody could past the calls: a pin, a
   * seal, a lease or a mapping for writing. `off`: its data may change again, unless blocks of it
   * have other owners.
   */
  sealWrites(path: Path, off: boolean, as?: Credentials): void {
    this.#onFile('seal-writes', path, as, (number) => {
      const { core, copies } = this.#volume
      const { inodes } = core
      const size = inodes.size(inodes.get(number))
      if (off) {
        const shared = copies.shared(number, 0, Math.ceil(size / BLOCK_BYTES))
        if (shared > 0) {
          throw new HoldfastError(
            'EBUSY',
            `${shared} blocks of it have other owners, ${this.#others(number, size)}`,
          )
        }
        return this.#set(number, InodeFlag.writeSealed, 0)
      }
      if (!inodes.has(inodes.get(number), InodeFlag.fixed)) {
        throw new HoldfastError('EINVAL', 'only a fixed file is write-sealed: holdfast fix first')
      }
      core.grace.demandOver() // before that, who may write past the calls is not known
      this.#demandUnheld(number, true)
      this.#set(number, InodeFlag.writeSealed, InodeFlag.writeSealed)
    })
  }

  /** Who shares the first of its blocks that are shared. */
  #others(number: number, size: number): string {
    const { copies, relocation, core } = this.#volume
    const end = Math.ceil(size / BLOCK_BYTES)
    for (let block = 0; block < end; block += copies.count) {
      if (!copies.runAt(number, block, end - block)) continue
      const { extents, inodes } = core
      extents.find(inodes.get(number), block)
      const owners = relocation.owners(extents.regionBlock + (block - extents.fileBlock))
      const others = [...new Set(owners.map(({ inode }) => inode))].filter((n) => n !== number)
      if (others.length === 0) return 'other places of it'
      return `as inode ${others.slice(0, 4).join(', ')}`
    }
    return 'held by a lease'
  }

  setPolicy(path: Path, policy: LayoutPolicy | null, as?: Credentials): void {
    this.#onFile('policy', path, as, (number) => {
      if (policy !== null) checkChoice('policy', policy, LAYOUT_POLICIES)
      const mask = InodeFlag.policyLow | InodeFlag.policyHigh
      this.#set(number, mask, policy === null ? 0 : POLICY_BITS[policy])
    })
  }

  #set(number: number, mask: number, value: number): void {
    this.#volume.core.pages.tick()
    this.#volume.attributes.setLayoutFlags(number, mask, value)
  }

  /** EBUSY, with the holds; `writersOnly`: only those through which data could change. */
  #demandUnheld(number: number, writersOnly: boolean): void {
    const { holding } = this.#volume
    const slots = new Set<number>()
    holding.table.pieces.overlapping(number, 0, Infinity, (slot) => {
      const reads = holding.table.iomodeOf(slot) === 'read'
      const follows = holding.users.get(slot)?.follows === true
      if (writersOnly ? !reads : !follows) slots.add(slot)
    })
    if (writersOnly && holding.haunts) {
      // Fenced, it covers nothing of the file any more, and may still store to what it knew.
      holding.eachRun(number, 0, Infinity, (block, count) =>
        holding.ghosts.over(block, count, (slot) => {
          if (holding.table.iomodeOf(slot) !== 'read') slots.add(slot)
        }),
      )
    }
    if (slots.size === 0) return
    const holds = [...slots].map((slot) => holding.info(slot))
    throw new HoldfastError('EBUSY', 'it is held; that has to end first', { holds })
  }

  #onFile<T>(
    syscall: string,
    path: Path,
    as: Credentials | undefined,
    run: (number: number) => T,
  ): T {
    const volume = this.#volume
    return volume.onFile(syscall, path, as, (number) => {
      const { inodes } = volume.core
      volume.checkWritable()
      if (!inodes.isFile(inodes.get(number))) {
        throw new HoldfastError('EINVAL', 'only a file has a layout')
      }
      volume.work.settle(number)
      return run(number)
    })
  }
}
