/** Bits of a file's mode (inode(7)). */
import { HoldfastError } from './errors.js'

export const Mode = {
  typeMask: 0o170000,
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
  setUid: 0o4000,
  setGid: 0o2000,
  sticky: 0o1000,
} as const

/** Whether a mode is of a type that there is: bits 12 to 15 are 1, 2, 4, 6, 8, 10 or 12. */
export function isKnownType(mode: number): boolean {
  return ((0x1556 >>> (mode >>> 12)) & 1) !== 0 && mode >>> 16 === 0
}

/**
 * Mode without what a write takes away: set-user-id, and set-group-id where the group may execute
 * it; without that the bit is another thing (setattr_should_drop_suidgid of fs/attr.c).
 */
export function withoutSetIds(mode: number): number {
  return mode & ~Mode.setUid & ((mode & 0o010) === 0 ? -1 : ~Mode.setGid)
}

/** What is asked of a file (access(2)). */
export const Want = { exists: 0, execute: 1, write: 2, read: 4 } as const

/** EPERM or EINVAL for what mknod(2) does not make. */
export function checkNode(mode: number, device: number): void {
  const type = mode & Mode.typeMask
  if (type === Mode.directory) throw new HoldfastError('EPERM', 'mkdir makes directories')
  const made: readonly number[] = [0, Mode.file, Mode.fifo, Mode.socket, Mode.character, Mode.block]
  const isNumber = Number.isInteger(device) && device >= 0 && device <= 0xffff_ffff
  if (!isNumber) throw new HoldfastError('EINVAL', `device ${device}: major * 2^20 + minor`)
  if (made.includes(type)) return
  throw new HoldfastError('EINVAL', `mode 0${mode.toString(8)}: no such type`)
}
