/**
 * Programs that run out of a mount. Who opens one to write has ETXTBSY from the kernel before OPEN
 * comes; who opens it to read, and to truncate it by that, only afterwards (do_open, fs/namei.c),
 * when it is cut.
 */
import { readdir, readlink, stat } from 'node:fs/promises'
import { decodeDevice } from './replies.js'

/**
 * Whether a file is a program that runs now, as far as /proc shows: not what runs in a namespace of
 * processes that is not below this one, by others where this process is not root's, or by a path
 * that does not lead through `directory`, where the mount is.
 *
 * `device`: the mount's, as `Mounted` has it; `ino`: the file's.
 */
export async function isRunning(directory: string, device: number, ino: number): Promise<boolean> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d/.test(pid)) continue
    const link = `/proc/${pid}/exe`
    // What is elsewhere is not asked for: a server that hangs would not answer. In a root of its
    // own this process may be shown the path from the root around it.
    const path = await readlink(link).catch(() => '')
    if (!path.includes(`${directory}/`)) continue
    const found = await stat(link).catch(() => null)
    if (found?.ino === ino && decodeDevice(found.dev) === device) return true
  }
  return false
}
