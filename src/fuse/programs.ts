/**
 * Programs that run out of a mount. Who opens one to write has ETXTBSY from the kernel before OPEN
 * comes; who opens it to read, and to truncate it by that, only afterwards (do_open, fs/namei.c),
 * when it is cut.
 */
import { readdir, readlink, stat } from 'node:fs/promises'

/**
 * Whether a file is a program that runs now, as far as /proc shows: not what runs in a namespace of
 * processes that is not below this one, or by others where this process is not root's.
 *
 * `directory`: where the mount is; `device`: its number (stat(2)), `ino`: the file's.
 */
export async function isRunning(directory: string, device: number, ino: number): Promise<boolean> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d/.test(pid)) continue
    const link = `/proc/${pid}/exe`
    // Other mounts are not asked: one whose server hangs would not answer.
    const path = await readlink(link).catch(() => '')
    if (!path.startsWith(`${directory}/`)) continue
    const found = await stat(link).catch(() => null)
    if (found?.ino === ino && found.dev === device) return true
  }
  return false
}
