/**
 * Mounting a directory and taking that back: as root by mount(2), as anybody else by fusermount3,
 * which asks the same and passes the descriptor on (fusermount3(1)).
 *
 * What mountinfo says of a directory is read, and not the directory itself: a mount whose server
 * hangs answers nobody. One of ours is asked whether it is dead, and has its time for that.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { HoldfastError } from '../base/errors.js'
import { systemTimers } from '../base/timers.js'
import { native } from '../native/native.js'

const { errno } = constants
const DEVICE = '/dev/fuse'
const TYPE = 'fuse.holdfast'
/** Flags of mount(2) and umount2(2). */
const MS_RDONLY = 1
const MS_NOSUID = 2
const MS_NODEV = 4
const MS_NOEXEC = 8
const MNT_DETACH = 2
const S_IFDIR = '40000'
const HELPER = 'fusermount3'
/** Milliseconds that fusermount3 may take. */
const HELPER_MS = 10_000
/** And a server that is asked whether it is there. */
const ASKED_MS = 10_000
/** Ends with the errno of what it was told. */
const ASK = `
  try { require('node:fs').statfsSync(process.argv[1]) } catch (e) { process.exitCode = -e.errno }`

export interface MountOptions {
  /** What is mounted, for /proc/mounts. */
  readonly source: string
  readonly readOnly: boolean
  /** Others than who mounts may come in; root may always say so. */
  readonly allowOther: boolean
  /** Set-user-id programs and devices work (mount(8) as root). */
  readonly suid: boolean
  readonly dev: boolean
  readonly exec: boolean
}

export interface Mounted {
  /** An open /dev/fuse. */
  readonly fd: number
  readonly directory: string
  /** What mountinfo calls it, and its device: major * 2^20 + minor. */
  readonly id: string
  readonly device: number
  /** Ends the mount. `lazily`: from the tree at once, whoever is in it. EBUSY otherwise. */
  unmount(lazily?: boolean): Promise<void>
}

/** EBUSY and the like of mount(2), with what to do. */
export async function mountDirectory(directory: string, options: MountOptions): Promise<Mounted> {
  await cleanStale(directory)
  return process.getuid!() === 0 ? mountAsRoot(directory, options) : mountAsUser(directory, options)
}

function openDevice(): number {
  try {
    return openSync(DEVICE, 'r+')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'modprobe fuse makes it' : 'it wants mode 0666, or root'
    throw new HoldfastError(code === 'EACCES' ? 'EACCES' : 'ENODEV', `${DEVICE}: ${why}`, {
      syscall: 'mount',
    })
  }
}

function mountAsRoot(directory: string, options: MountOptions): Mounted {
  const fd = openDevice()
  const words = [
    `fd=${fd}`,
    `rootmode=${S_IFDIR}`,
    'user_id=0',
    'group_id=0',
    'default_permissions',
  ]
  if (options.allowOther) words.push('allow_other')
  const flags =
    (options.readOnly ? MS_RDONLY : 0) |
    (options.suid ? 0 : MS_NOSUID) |
    (options.dev ? 0 : MS_NODEV) |
    (options.exec ? 0 : MS_NOEXEC)
  try {
    native.mount(options.source, directory, TYPE, flags, words.join(','))
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return {
    fd,
    directory,
    ...numbersOf(directory),
    unmount: async (lazily = false) => {
      await native.unmount(directory, lazily ? MNT_DETACH : 0)
    },
  }
}

async function mountAsUser(directory: string, options: MountOptions): Promise<Mounted> {
  const words = ['default_permissions', `fsname=${escaped(options.source)}`, 'subtype=holdfast']
  if (options.allowOther) words.push('allow_other')
  if (options.readOnly) words.push('ro')
  if (!options.exec) words.push('noexec')
  const [ours, theirs] = native.socketPair()
  try {
    const taken = native.takeDescriptor(ours)
    taken.catch(() => {}) // fusermount3 says why
    const done = helper(['-o', words.join(','), '--', directory], theirs)
    closeSync(theirs)
    await done
    const fd = await taken
    return {
      fd,
      directory,
      ...numbersOf(directory),
      unmount: (lazily = false) => helper(['-u', ...(lazily ? ['-z'] : []), '--', directory]),
    }
  } finally {
    closeSync(ours)
  }
}

/** In options a comma and a backslash are written with a backslash. */
const escaped = (text: string) => text.replace(/[\\,]/g, '\\$&')

/** Runs fusermount3, with a socket for what it opens. */
function helper(args: readonly string[], socket?: number): Promise<void> {
  const said: Buffer[] = []
  const child = spawn(HELPER, args, {
    stdio: ['ignore', 'ignore', 'pipe', socket ?? 'ignore'],
    env: { ...process.env, _FUSE_COMMFD: '3' },
    timeout: HELPER_MS,
  })
  child.stderr!.on('data', (chunk: Buffer) => said.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT'
      const what = missing ? 'it is not installed; apt-get install fuse3' : error.message
      reject(new HoldfastError(missing ? 'ENOENT' : 'EIO', `${HELPER}: ${what}`))
    })
    child.once('close', (code) => {
      if (code === 0) return resolve()
      const text = Buffer.concat(said).toString().trim()
      const busy = /busy/i.test(text)
      reject(new HoldfastError(busy ? 'EBUSY' : 'EPERM', text || `${HELPER} failed`))
    })
  })
}

// ---- what is mounted ---------------------------------------------------------------------------

export interface MountPoint {
  /** Of this mount and no other that is there. */
  readonly id: string
  /** major * 2^20 + minor. */
  readonly device: number
  readonly directory: string
  readonly type: string
  readonly source: string
}

/** What is mounted at a directory, the last of them; null: nothing is. `directory` is absolute. */
export function mountAt(directory: string): MountPoint | null {
  let found: MountPoint | null = null
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [before, after] = line.split(' - ')
    if (before === undefined || after === undefined) continue
    const [id, , number, , where] = before.split(' ')
    const [major, minor] = number!.split(':').map(Number)
    const at = unescaped(where!)
    const [type, source] = after.split(' ')
    if (at !== directory) continue
    const device = major! * 0x10_0000 + minor!
    found = { id: id!, device, directory, type: type!, source: unescaped(source!) }
  }
  return found
}

/** Of the one that was just mounted there. */
function numbersOf(directory: string): { readonly id: string; readonly device: number } {
  const { id, device } = mountAt(directory) ?? { id: '', device: -1 }
  return { id, device }
}

/** Whether it is the topmost at its directory: umount(2) takes that, whose ever it is. */
export const isOnTop = ({ directory, id }: Mounted): boolean => mountAt(directory)?.id === id

/** mountinfo writes blanks and backslashes in octal (proc(5)). */
const unescaped = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))

/** A path as mountinfo writes it. */
export const escapedPath = (path: string): string =>
  path.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`)

/** A mount of ours whose server is gone is in the way of a new one, and of no use to anybody. */
async function cleanStale(directory: string): Promise<void> {
  for (;;) {
    const there = mountAt(directory)
    if (there?.type !== TYPE || !(await isDead(directory))) return
    if (process.getuid!() === 0) await native.unmount(directory, MNT_DETACH)
    else await helper(['-u', '-z', '--', directory])
  }
}

/**
 * A server that is alive, in this process as well, answers. statfs(2) asks it each time, where
 * stat(2) is told what the kernel has kept of the directory. Another process does: one whose thread
 * waits for a server that hangs could not end. What hangs is not dead.
 */
function isDead(directory: string): Promise<boolean> {
  const child = spawn(process.execPath, ['-e', ASK, directory], { stdio: 'ignore' })
  child.unref()
  return new Promise((resolve) => {
    const cancel = systemTimers.after(ASKED_MS, () => {
      child.kill('SIGKILL')
      resolve(false)
    })
    const said = (code: number | null) => {
      cancel()
      resolve(code === errno.ENOTCONN || code === errno.ECONNABORTED)
    }
    child.once('error', () => said(null))
    child.once('exit', said)
  })
}
