/**
 * What a file says of its own layout: fixed, write-sealed, and what happens to its pinned blocks.
 */
import { HoldfastError } from '../base/errors.js'
import type { Credentials, Path } from '../base/filesystem.js'
import type { LayoutPolicy } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { InodeFlag } from '../media/inode.js'
import type { LayoutVolume } from './volume.js'

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
   * Populates and unshares all of the file, makes that durable, and then its layout does not change
   * any more, nor its size. EBUSY when anything of it is held.
   */
  fix(path: Path, as?: Credentials): void {
    this.#onFile('fix', path, as, (number) => {
      const { core, ranges } = this.#volume
      const { inodes, opens, transaction, log, access } = core
      access.demandOwner(inodes.get(number), 'fix it')
      if (inodes.has(inodes.get(number), InodeFlag.fixed)) return
      this.#demandUnheld(number, false)
      const size = inodes.size(inodes.get(number))
      const open = opens.open(number)
      try {
        // What appends have taken ahead would go with the last close: now, or never.
        this.#volume.files.trimAhead(open)
        if (size > 0) ranges.own(open, 0, size)
      } finally {
        this.#volume.releaseInode(open)
      }
      if (log.durable !== log.head) transaction.flush()
      this.#set(number, InodeFlag.fixed, InodeFlag.fixed)
    })
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
          throw new HoldfastError('EBUSY', `${shared} blocks of it have other owners`)
        }
        return this.#set(number, InodeFlag.writeSealed, 0)
      }
      if (!inodes.has(inodes.get(number), InodeFlag.fixed)) {
        throw new HoldfastError('EINVAL', 'only a fixed file is write-sealed: holdfast fix first')
      }
      this.#demandUnheld(number, true)
      this.#set(number, InodeFlag.writeSealed, InodeFlag.writeSealed)
    })
  }

  setPolicy(path: Path, policy: LayoutPolicy | null, as?: Credentials): void {
    this.#onFile('policy', path, as, (number) => {
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
    if (slots.size === 0) return
    const holds = [...slots].map((slot) => holding.info(slot))
    throw new HoldfastError('EBUSY', 'it is held; that has to end first', { holds })
  }

  #onFile(
    syscall: string,
    path: Path,
    as: Credentials | undefined,
    run: (number: number) => void,
  ): void {
    const volume = this.#volume
    volume.onFile(syscall, path, as, (number) => {
      const { inodes } = volume.core
      volume.checkWritable()
      if (!inodes.isFile(inodes.get(number))) {
        throw new HoldfastError('EINVAL', 'only a file has a layout')
      }
      volume.work.settle(number)
      run(number)
    })
  }
}
