/**
 * The locks by which the kernel says whether anybody still maps a region.
 *
 * Who may map the region itself gets an open file description of its own, with an OFD read lock
 * (fcntl(2)) on one byte far beyond the region: its slot. Each mapping refers to the description
 * that it was made with, so that the lock outlives close and fork, and goes with the last mapping
 * and the last descriptor, however the process ended.
 *
 * Invariants:
 * - this side keeps no descriptor of such a description longer than it takes to pass it on: its own
 *   would hold the lock as well;
 * - a slot is probed only through the region's own description, which never locks one.
 *
 * The kernel keeps the locks with the inode, for files and devices alike. Where a filesystem puts
 * another file of its own under a mapping (overlayfs), closing ends the lock: `grantDescriptor`
 * tries it, and refuses.
 */
import { closeSync, constants, openSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { MapFlag, native } from '../native/native.js'
import { deviceNumbers } from './kind.js'
import type { MemoryRegion } from './memory_region.js'
import { systemCall } from '../base/system_call.js'

/** Slot n is the byte at `offset + n`. */
export const SURVIVOR_LOCKS = { offset: 2 ** 52, slots: 2 ** 20 } as const

/** What of a region is asked for here. */
export type LockedRegion = Pick<MemoryRegion, 'fd' | 'path' | 'grain' | 'unmappable'>

export interface GrantOptions {
  /** The descriptor permits no mapping for writing. */
  readonly readOnly?: boolean
}

/**
 * A descriptor for somebody else to map the region with, whose description holds the lock of a
 * slot: pass it on, and close it here. EBUSY: the slot is held.
 */
export function grantDescriptor(
  region: LockedRegion,
  slot: number,
  { readOnly = false }: GrantOptions = {},
): number {
  if (region.unmappable !== null) throw new HoldfastError('EOPNOTSUPP', region.unmappable)
  if (!Number.isInteger(slot) || slot < 0 || slot >= SURVIVOR_LOCKS.slots) {
    throw new HoldfastError('EINVAL', `slot ${slot} is not in [0, ${SURVIVOR_LOCKS.slots})`)
  }
  if (isHeld(region, slot)) throw isTaken(region, slot)
  requireLasting(region, slot)
  return openLocked(region, slot, readOnly)
}

/** Slots that are held, in order. */
export function heldSlots(region: Pick<LockedRegion, 'fd'>): number[] {
  const { offset, slots } = SURVIVOR_LOCKS
  const held: number[] = []
  for (let next = 0; next < slots;) {
    const at = native.firstLock(region.fd, offset + next, slots - next)
    if (at < 0) break
    held.push(at - offset)
    next = at - offset + 1
  }
  return held
}

export function isHeld(region: Pick<LockedRegion, 'fd'>, slot: number): boolean {
  return native.firstLock(region.fd, SURVIVOR_LOCKS.offset + slot, 1) >= 0
}

/**
 * The slot whose lock an open file description has, of which a descriptor came from somebody: so
 * they have it from an owner of the region. EPERM when it has none, and when it is not alone to
 * have that one: who has a descriptor can place a read lock beside that of somebody else.
 *
 * The descriptor may be of anything. So the kernel's own list of its locks is read, and its
 * filesystem is asked nothing before that has shown it to be the region: it might never answer.
 */
export function shownSlot(region: Pick<LockedRegion, 'fd' | 'path'>, fd: number): number {
  const file = locksOf(region.fd)[0]?.file
  const { offset, slots } = SURVIVOR_LOCKS
  const found = locksOf(fd).filter((lock) => lock.file === file && lock.from >= offset)
  const [lock] = found
  const slot = lock === undefined ? -1 : lock.from - offset
  if (found.length !== 1 || lock!.to !== lock!.from || slot >= slots) {
    throw new HoldfastError('EPERM', `the descriptor has no lock of a slot of ${region.path}`)
  }
  if (native.firstLock(fd, lock!.from, 1) < 0) return slot
  throw new HoldfastError('EPERM', `slot ${slot} of ${region.path} is held by somebody else, too`)
}

interface FileLock {
  /** Device and inode, as the kernel writes them. */
  readonly file: string
  readonly from: number
  readonly to: number
}

/** Locks of an open file description of this process (proc_pid_fdinfo(5)). */
function locksOf(fd: number): FileLock[] {
  const text = systemCall('open', '/proc/self/fdinfo', () =>
    readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'),
  )
  const lines = text.matchAll(/^lock:\s+\d+: OFDLCK\s.*?(\S+:\d+) (\d+) (\d+|EOF)$/gm)
  return [...lines].map(([, file = '', from, to]) => ({ file, from: Number(from), to: Number(to) }))
}

const isTaken = ({ path }: LockedRegion, slot: number) =>
  new HoldfastError('EBUSY', `slot ${slot} of ${path} is held by somebody`)

function openLocked(region: LockedRegion, slot: number, readOnly: boolean): number {
  const flags = readOnly ? constants.O_RDONLY : constants.O_RDWR
  const fd = systemCall('open', region.path, () => openSync(`/proc/self/fd/${region.fd}`, flags))
  try {
    const at = SURVIVOR_LOCKS.offset + slot
    if (systemCall('fcntl', region.path, () => native.lock(fd, at, 1, false))) return fd
    throw isTaken(region, slot)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** EOPNOTSUPP where a mapping alone does not keep the lock: it is tried. */
function requireLasting(region: LockedRegion, slot: number): void {
  const memory = native.reserve(region.grain)
  try {
    const fd = openLocked(region, slot, true)
    try {
      systemCall('mmap', region.path, () =>
        native.map(memory, 0, fd, 0, region.grain, MapFlag.read),
      )
    } finally {
      closeSync(fd)
    }
    if (isHeld(region, slot)) return
  } finally {
    native.unmap(memory)
  }
  throw new HoldfastError(
    'EOPNOTSUPP',
    `${region.path}: its filesystem does not keep a lock for as long as a mapping; ` +
      'put the region on tmpfs, ext4, xfs or DAX',
  )
}

export interface Mapper {
  readonly pid: number
  readonly name: string
}

/** Processes that map a region, as far as this one may look: for texts. */
export function whoMaps(path: string): Mapper[] {
  const { dev, ino } = statSync(path, { bigint: true })
  const { major, minor } = deviceNumbers(dev)
  const hex = (number: number) => number.toString(16).padStart(2, '0')
  // Addresses, access, offset, device, inode (proc(5)).
  const mapped = new RegExp(`^\\S+ \\S+ \\S+ ${hex(major)}:${hex(minor)} ${ino} `, 'm')
  const found: Mapper[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!mapped.test(readFileSync(`/proc/${pid}/maps`, 'latin1'))) continue
      const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
      found.push({ pid: Number(pid), name })
    } catch {
      // It has ended, or belongs to another user.
    }
  }
  return found
}
