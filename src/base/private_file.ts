/**
 * Files with secrets in them: read only when nobody else reads or writes them, and changed whole.
 *
 * Rights are looked at on the open descriptor, so that the file that was looked at is the one that
 * is read. The group's bits are also the mask of an ACL: with one that names other users they are
 * set.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  type Stats,
} from 'node:fs'
import { dirname } from 'node:path'
import { HoldfastError } from './errors.js'
import { systemCall, systemError } from './system_call.js'

const PERMISSIONS = 0o777
const PRIVATE_MODE = 0o600

export interface PrivateFileOptions {
  /** Bytes of a file that is still read. */
  readonly most: number
  /** Only one of this process's user, or of root: another could put secrets of theirs into it. */
  readonly own?: boolean
}

/** The text of a file. EACCES: others reach it. */
export function readPrivateFile(path: string, { most, own = false }: PrivateFileOptions): string {
  // Without NONBLOCK, opening a FIFO would wait for a writer.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK
  const fd = systemCall('open', path, () => openSync(path, flags))
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) throw new HoldfastError('EINVAL', 'it is no regular file', { path })
    const why = reachable(stats, own)
    if (why !== null) throw new HoldfastError('EACCES', why, { path })
    return decode(path, readAll(path, fd, most))
  } finally {
    closeSync(fd)
  }
}

/** Who else reaches a file, and what helps, null: nobody. */
function reachable({ mode, uid }: Stats, own: boolean): string | null {
  const self = process.geteuid!()
  if (own && uid !== 0 && uid !== self) {
    return `it belongs to user ${uid}, who could write secrets of theirs into it; chown it to user ${self}`
  }
  // root's file may be read by a group: of a service, or of those whom an ACL names.
  const others = uid === 0 ? 0o037 : 0o077
  if ((mode & others) === 0) return null
  const shown = (mode & PERMISSIONS).toString(8).padStart(4, '0')
  return `its mode is ${shown}: others reach the secrets in it; chmod 600 helps, and new secrets`
}

function readAll(path: string, fd: number, most: number): Buffer {
  const bytes = Buffer.alloc(most + 1)
  let length = 0
  for (;;) {
    const read = systemCall('read', path, () =>
      readSync(fd, bytes, length, bytes.length - length, null),
    )
    if (read === 0) return bytes.subarray(0, length)
    length += read
    if (length > most) throw new HoldfastError('EFBIG', `more than ${most} bytes`, { path })
  }
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new HoldfastError('EINVAL', 'it is not UTF-8', { path })
  }
}

/**
 * Changes a file whole: whoever reads it finds the old text or the new one, also after a crash.
 * `change` gets what was there, null when nothing was, and gives what is to be there. A file beside
 * it, FILE.lock, is both the new text and what keeps two changes apart; owner and mode stay.
 */
export function changePrivateFile(
  path: string,
  options: PrivateFileOptions,
  change: (before: string | null) => string,
): void {
  const target = followed(path)
  const lock = `${target}.lock`
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  const fd = lockFile(lock, flags)
  let done = false
  try {
    const before = existing(target, options)
    const text = change(before)
    if (before !== null) keepOwner(target, fd)
    systemCall('write', lock, () => {
      writeFileSync(fd, text)
      fsyncSync(fd)
    })
    systemCall('rename', target, () => renameSync(lock, target))
    done = true
  } finally {
    closeSync(fd)
    if (!done) unlinkSync(lock)
  }
  systemCall('fsync', target, () => syncDirectory(dirname(target)))
}

function lockFile(lock: string, flags: number): number {
  try {
    return openSync(lock, flags, PRIVATE_MODE)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw systemError(error, { syscall: 'open', path: lock })
    const detail = 'another process changes the file; if none does, one was killed: remove this'
    throw new HoldfastError('EBUSY', detail, { path: lock })
  }
}

function existing(path: string, options: PrivateFileOptions): string | null {
  try {
    return readPrivateFile(path, options)
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'ENOENT') return null
    throw error
  }
}

function keepOwner(path: string, fd: number): void {
  const old = systemCall('open', path, () => openSync(path, constants.O_RDONLY))
  try {
    const { uid, gid, mode } = fstatSync(old)
    systemCall('fchown', path, () => {
      fchownSync(fd, uid, gid)
      fchmodSync(fd, mode & PERMISSIONS)
    })
  } finally {
    closeSync(old)
  }
}

/** A symbolic link stays one: what it leads to is changed. */
function followed(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
