/** A FileSystem as what steps are made to. */
import { formatAcl } from '../../src/base/acl_text.js'
import { HoldfastError } from '../../src/base/errors.js'
import type { Credentials, FileHandle, FileSystem, Time } from '../../src/base/filesystem.js'
import { decodeAcl } from '../../src/base/posix_acl.js'
import type { Stats } from '../../src/base/stats.js'
import { FLAG_BITS, UTIME_NOW, UTIME_OMIT, type Call, type Subject } from './steps.js'

type Run = (subject: VolumeSubject, a: Arguments, as: Credentials) => Promise<unknown>

/** Arguments of a call, by their places. */
class Arguments {
  readonly #args: readonly (number | Buffer)[]

  constructor(args: readonly (number | Buffer)[]) {
    this.#args = args
  }

  bytes(i: number): Buffer {
    return this.#args[i] as Buffer
  }

  text(i: number): string {
    return this.bytes(i).toString('utf8')
  }

  number(i: number): number {
    return this.#args[i] as number
  }

  time(i: number): Time {
    const [seconds, nanoseconds] = [this.number(i), this.number(i + 1)]
    if (nanoseconds === UTIME_NOW) return 'now'
    if (nanoseconds === UTIME_OMIT) return 'omit'
    return { seconds, nanoseconds }
  }

  position(i: number): number | null {
    return this.number(i) < 0 ? null : this.number(i)
  }

  get xattrMode(): { mode?: 'create' | 'replace' } {
    return this.number(3) === 0 ? {} : { mode: this.number(3) === 1 ? 'create' : 'replace' }
  }
}

const NO_FOLLOW = { follow: false }

const CALLS: Record<string, Run> = {
  open: async (s, a, as) => {
    const handle = await s.fs.open(a.bytes(1), a.number(2), a.number(3), as)
    await s.slots.get(a.number(0))?.close()
    s.slots.set(a.number(0), handle)
  },
  close: async (s, a) => {
    await s.handle(a.number(0)).close()
    s.slots.delete(a.number(0))
  },
  read: async (s, a) => {
    const bytes = Buffer.alloc(a.number(1))
    const n = await s.handle(a.number(0)).read(bytes, a.position(2))
    return bytes.toString('latin1', 0, n)
  },
  write: (s, a) => s.handle(a.number(0)).write(a.bytes(1), a.position(2)),
  ftruncate: (s, a) => s.handle(a.number(0)).truncate(a.number(1)),
  truncate: (s, a, as) => s.fs.truncate(a.bytes(0), a.number(1), as),
  mkdir: (s, a, as) => s.fs.mkdir(a.bytes(0), a.number(1), as),
  rmdir: (s, a, as) => s.fs.rmdir(a.bytes(0), as),
  unlink: (s, a, as) => s.fs.unlink(a.bytes(0), as),
  rename: (s, a, as) => {
    const options = { noReplace: (a.number(2) & 1) !== 0, exchange: (a.number(2) & 2) !== 0 }
    return s.fs.rename(a.bytes(0), a.bytes(1), options, as)
  },
  link: (s, a, as) => s.fs.link(a.bytes(0), a.bytes(1), { follow: a.number(2) !== 0 }, as),
  linkfd: (s, a, as) => s.handle(a.number(0)).link(a.bytes(1), as),
  symlink: (s, a, as) => s.fs.symlink(a.bytes(0), a.bytes(1), as),
  readlink: async (s, a, as) => latin1(await s.fs.readlink(a.bytes(0), as)),
  mknod: (s, a, as) => s.fs.mknod(a.bytes(0), a.number(1), a.number(2), as),
  chmod: (s, a, as) => s.fs.chmod(a.bytes(0), a.number(1), as),
  fchmod: (s, a) => s.handle(a.number(0)).chmod(a.number(1)),
  chown: (s, a, as) => s.fs.chown(a.bytes(0), a.number(1), a.number(2), {}, as),
  lchown: (s, a, as) => s.fs.chown(a.bytes(0), a.number(1), a.number(2), NO_FOLLOW, as),
  fchown: (s, a) => s.handle(a.number(0)).chown(a.number(1), a.number(2)),
  utimes: (s, a, as) => s.fs.utimes(a.bytes(0), a.time(1), a.time(3), {}, as),
  lutimes: (s, a, as) => s.fs.utimes(a.bytes(0), a.time(1), a.time(3), NO_FOLLOW, as),
  futimes: (s, a) => s.handle(a.number(0)).utimes(a.time(1), a.time(3)),
  stat: async (s, a, as) => statText(await s.fs.stat(a.bytes(0), as)),
  lstat: async (s, a, as) => statText(await s.fs.lstat(a.bytes(0), as)),
  fstat: async (s, a) => statText(await s.handle(a.number(0)).stat()),
  access: (s, a, as) => s.fs.access(a.bytes(0), a.number(1), as),
  getxattr: async (s, a, as) =>
    valueText(a.text(1), await s.fs.getXattr(a.bytes(0), a.text(1), {}, as)),
  lgetxattr: async (s, a, as) =>
    valueText(a.text(1), await s.fs.getXattr(a.bytes(0), a.text(1), NO_FOLLOW, as)),
  listxattr: async (s, a, as) => (await s.fs.listXattrs(a.bytes(0), {}, as)).join(' '),
  setxattr: (s, a, as) => s.fs.setXattr(a.bytes(0), a.text(1), a.bytes(2), a.xattrMode, as),
  lsetxattr: (s, a, as) =>
    s.fs.setXattr(a.bytes(0), a.text(1), a.bytes(2), { ...a.xattrMode, ...NO_FOLLOW }, as),
  removexattr: (s, a, as) => s.fs.removeXattr(a.bytes(0), a.text(1), {}, as),
  lremovexattr: (s, a, as) => s.fs.removeXattr(a.bytes(0), a.text(1), NO_FOLLOW, as),
  readdir: async (s, a, as) => {
    const entries = await s.fs.readdir(a.bytes(0), 0, Infinity, as)
    return entries
      .map(({ name }) => latin1(name))
      .sort()
      .join(' ')
  },
  fallocate: (s, a) => allocate(s.handle(a.number(0)), a.number(1), a.number(2), a.number(3)),
  seek: (s, a) => s.handle(a.number(0)).seek(a.number(1), a.number(2) === 0 ? 'data' : 'hole'),
  copy: (s, a) => {
    const to = s.handle(a.number(2))
    return s.handle(a.number(0)).copyRange(a.number(1), to, a.number(3), a.number(4))
  },
  clone: (s, a) => {
    const to = s.handle(a.number(2))
    return s.handle(a.number(0)).reflinkRange(a.number(1), to, a.number(3), a.number(4))
  },
  reflink: (s, a, as) => s.fs.reflink(a.bytes(0), a.bytes(1), {}, as),
  chattr: (s, a, as) => {
    const flag = (bit: number) =>
      (a.number(0 + 1) & bit) !== 0 ? true : (a.number(2) & bit) !== 0 ? false : undefined
    const append = flag(FLAG_BITS['a']!)
    const immutable = flag(FLAG_BITS['i']!)
    const flags = {
      ...(append !== undefined && { append }),
      ...(immutable !== undefined && { immutable }),
    }
    return s.fs.setInodeFlags(a.bytes(0), flags, as)
  },
}

function allocate(handle: FileHandle, kind: number, offset: number, length: number) {
  const keepSize = (kind & 1) !== 0
  if ((kind & 2) !== 0) return handle.punch(offset, length)
  if ((kind & 8) !== 0) return handle.collapse(offset, length)
  if ((kind & 16) !== 0) return handle.zeroRange(offset, length, { keepSize })
  if ((kind & 32) !== 0) return handle.insert(offset, length)
  return handle.allocate(offset, length, { keepSize })
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

/** An ACL is shown as text. */
export function valueText(name: string, value: Uint8Array): string {
  if (!name.startsWith('system.posix_acl_')) return latin1(value)
  const acl = decodeAcl(value)
  return acl === null ? '' : formatAcl(acl)
}

function statText(s: Stats): string {
  const time = (seconds: number, nanoseconds: number) =>
    `${seconds}.${String(nanoseconds).padStart(9, '0')}`
  return [
    s.mode.toString(8),
    s.nlink,
    s.uid,
    s.gid,
    s.size,
    `${s.rdev >>> 20},${s.rdev & 0xfffff}`,
    time(s.atimeSeconds, s.atimeNanoseconds),
    time(s.mtimeSeconds, s.mtimeNanoseconds),
    time(s.ctimeSeconds, s.ctimeNanoseconds),
    s.ino,
  ].join(' ')
}

export class VolumeSubject implements Subject {
  fs: FileSystem
  readonly slots = new Map<number, FileHandle>()

  readonly #remount: (() => Promise<FileSystem>) | undefined

  /** `remount`: mounts it again, for reading only. */
  constructor(fs: FileSystem, remount?: () => Promise<FileSystem>) {
    this.fs = fs
    this.#remount = remount
  }

  handle(slot: number): FileHandle {
    const handle = this.slots.get(slot)
    if (handle === undefined) throw new HoldfastError('EBADF', `nothing is open as ${slot}`)
    return handle
  }

  async run(as: Credentials, { name, args }: Call): Promise<string> {
    try {
      return String((await CALLS[name]!(this, new Arguments(args), as)) ?? '')
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      return error.code
    }
  }

  /** The clock of a volume never stands still. */
  async tick(): Promise<void> {}

  async readOnly(): Promise<void> {
    await this.finish()
    this.fs = await this.#remount!()
  }

  async finish(): Promise<void> {
    for (const handle of this.slots.values()) await handle.close()
    this.slots.clear()
  }
}
