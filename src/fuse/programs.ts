/**
 * Programs that run out of a mount. Who opens one to write has ETXTBSY from the kernel before OPEN
 * comes; who opens it to read, and to truncate it by that, only afterwards (do_open, fs/namei.c),
 * when it is cut.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { decodeDevice } from './replies.js'

/** Of a device as `Stats` has it. */
const MINOR_BITS = 20

/**
 * Whether a file is a program that runs now, as far as /proc shows: not what runs in a namespace of
 * processes that is not below this one, or by others where this process is not root's. What is
 * mapped is told without a question to the file's server, which may hang.
 *
 * `device`: that of the mount (stat(2)); `ino`: the file's.
 */
export async function isRunning(device: number, ino: number): Promise<boolean> {
  const number = decodeDevice(device)
  const [major, minor] = [number >>> MINOR_BITS, number & ((1 << MINOR_BITS) - 1)]
  const file = ` ${hex(major)}:${hex(minor)} ${ino} `
  for (const pid of await readdir('/proc')) {
    if (!/^\d/.test(pid)) continue
    // Of who has ended meanwhile, or is none of ours, nothing.
    const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '')
    const mapped = maps.split('\n').filter((line) => line.includes(file))
    if (mapped.length === 0) continue
    const path = await readlink(`/proc/${pid}/exe`).catch(() => null)
    if (path !== null && mapped.some((line) => line.endsWith(` ${path}`))) return true
  }
  return false
}

/** As /proc/PID/maps writes numbers of devices (proc(5)). */
const hex = (number: number) => number.toString(16).padStart(2, '0')
