/**
 * Not tests, but the operations of the histories that fsck looks at (volume.test.ts): every
 * call that changes a volume, on names, ranges and sizes from few, so that they meet each other.
 */
import { HoldfastError } from '../../src/base/errors.js'
import { Mode } from '../../src/base/mode.js'
import type { Prng } from '../../src/base/prng.js'
import { O } from '../../src/base/open_flags.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import type { Volume } from '../../src/volume/volume.js'
import { aclOf } from './sample.js'

export const DIRECTORIES = ['', '/d1', '/d2', '/d1/e']
const BLOCK = 4096
const HANDLES_MAX = 6
const USERS = [
  { uid: 0, gid: 0 },
  { uid: 0, gid: 0 },
  { uid: 1000, gid: 100, umask: 0o027 },
]

/** Errors that no operation may end with on a sound volume. */
const BROKEN: ReadonlySet<string> = new Set(['EUCLEAN', 'EIO', 'EFAULT', 'EROFS'])

type Operation = (run: History) => void

/** A volume, and the handles that are open on it. */
export class History {
  volume: Volume
  readonly prng: Prng
  readonly handles: OpenFile[] = []
  /** What the last step did, for messages. */
  last = ''
  /** How often each operation was done, and not refused. */
  readonly done = new Map<string, number>()

  constructor(volume: Volume, prng: Prng) {
    this.volume = volume
    this.prng = prng
  }

  /** One operation; what it says when names or space are in its way is part of it. */
  step(): void {
    let at = this.prng.below(TOTAL)
    const [name, , run] = OPERATIONS.find(([, weight]) => (at -= weight) < 0)!
    this.last = name
    try {
      run(this)
      this.done.set(name, (this.done.get(name) ?? 0) + 1)
    } catch (error) {
      if (!(error instanceof HoldfastError) || BROKEN.has(error.code)) throw error
      this.last += `: ${error.message}`
    }
  }

  closeAll(): void {
    for (const file of this.handles.splice(0)) file.close()
  }

  keep(file: OpenFile): void {
    this.handles.push(file)
    if (this.handles.length > HANDLES_MAX) {
      this.handles.splice(this.prng.below(this.handles.length), 1)[0]!.close()
    }
  }

  get as() {
    return this.prng.pick(USERS)
  }

  /** A name that is there, at times one that is not. */
  get path(): string {
    if (this.prng.chance(1, 6)) return this.fresh
    const directory = this.prng.pick(DIRECTORIES)
    try {
      const { name } = this.prng.pick(this.volume.readdir(directory || '/'))
      return `${directory}/${Buffer.from(name).toString()}`
    } catch {
      return this.fresh
    }
  }

  /** A name that may be there or not. */
  get fresh(): string {
    const i = this.prng.below(30)
    const long = i % 7 === 0 ? `-${'x'.repeat(i * 7)}` : ''
    return `${this.prng.pick(DIRECTORIES)}/${i}${long}`
  }

  /** Any name, and the directories too. */
  get any(): string {
    return this.prng.chance(1, 8) ? this.prng.pick(DIRECTORIES) || '/' : this.path
  }

  bytes(most: number): Uint8Array {
    return new Uint8Array(this.prng.below(most + 1)).fill(this.prng.below(256))
  }

  /** A range of file blocks, at times of parts of them. */
  get range(): [offset: number, length: number] {
    const part = () => (this.prng.chance(1, 3) ? this.prng.below(BLOCK) : 0)
    const offset = this.prng.below(40) * BLOCK + part()
    return [offset, (1 + this.prng.below(12)) * BLOCK + part()]
  }

  get blocks(): [offset: number, length: number] {
    return [this.prng.below(30) * BLOCK, (1 + this.prng.below(8)) * BLOCK]
  }

  /** Runs on a file by its name, or on one that is open. */
  on(run: (file: OpenFile) => void): void {
    if (this.handles.length > 0 && this.prng.chance(1, 2)) return run(this.prng.pick(this.handles))
    using file = this.volume.open(this.path, 'r+')
    run(file)
  }
}

const attributeOf = (run: History): string => {
  const i = run.prng.below(12)
  return `user.${i}${i % 4 === 0 ? 'n'.repeat(i * 20) : ''}`
}

/** Sizes around the limits of where a value stands. */
function valueOf(run: History): Uint8Array {
  const most = run.prng.pick([0, 20, 20, 512, 513, 4032, 4033, 65_536])
  const length = run.prng.chance(1, 2) ? most : run.prng.below(most + 1)
  return new Uint8Array(length).fill(run.prng.below(256))
}

const OPERATIONS: ReadonlyArray<readonly [name: string, weight: number, run: Operation]> = [
  ['write file', 8, (r) => r.volume.writeFile(r.fresh, r.bytes(20_000), 0o666, r.as)],
  [
    'write',
    12,
    (r) =>
      r.on((f) => {
        f.write(r.bytes(r.prng.chance(1, 8) ? 200_000 : 9000), r.prng.below(300_000))
      }),
  ],
  ['append', 4, (r) => r.on((f) => f.write(r.bytes(9000), f.stat().size))],
  [
    'pieces',
    2,
    (r) =>
      r.on((f) => {
        const first = r.prng.below(20)
        const step = 2 + r.prng.below(2)
        const pieces = r.prng.pick([12, 30, 100, 400])
        for (let i = 0; i < pieces; i++) f.write(r.bytes(BLOCK), (first + i * step) * BLOCK)
      }),
  ],
  ['truncate', 4, (r) => r.on((f) => f.truncate(r.prng.below(300_000)))],
  ['truncate path', 2, (r) => r.volume.truncate(r.path, r.prng.below(300_000))],
  ['open', 4, (r) => r.keep(r.volume.open(r.path, r.prng.pick(['r+', 'w+', 'a+'])))],
  ['close', 2, (r) => r.handles.pop()?.close()],
  ['unlink', 6, (r) => r.volume.unlink(r.path)],
  ['mkdir', 2, (r) => r.volume.mkdir(r.fresh, 0o777, r.as)],
  ['rmdir', 2, (r) => r.volume.rmdir(r.path)],
  ['link', 3, (r) => r.volume.link(r.path, r.fresh)],
  ['rename', 4, (r) => r.volume.rename(r.path, r.fresh)],
  ['rename noreplace', 1, (r) => r.volume.rename(r.path, r.fresh, { noReplace: true })],
  ['rename exchange', 4, (r) => r.volume.rename(r.path, r.path, { exchange: true })],
  ['symlink', 4, (r) => r.volume.symlink('t'.repeat(1 + r.prng.below(200)), r.fresh)],
  ['long symlink', 2, (r) => r.volume.symlink('t'.repeat(4000 + r.prng.below(96)), r.fresh)],
  ['readlink', 1, (r) => void r.volume.readlink(r.path)],
  [
    'mknod',
    3,
    (r) => {
      const type = r.prng.pick([Mode.fifo, Mode.socket, Mode.character, Mode.block, Mode.file])
      r.volume.mknod(r.fresh, type | 0o660, 0x105, r.as)
    },
  ],
  ['unnamed file', 2, (r) => r.keep(r.volume.open('/', O.TMPFILE | O.RDWR, 0o600))],
  ['link unnamed', 2, (r) => r.handles.at(-1)?.link(r.fresh)],
  ['punch', 6, (r) => r.on((f) => f.punch(...r.range))],
  ['zero', 3, (r) => r.on((f) => f.zeroRange(...r.range, { keepSize: r.prng.chance(1, 2) }))],
  ['collapse', 6, (r) => r.on((f) => f.collapse(...r.blocks))],
  ['insert', 6, (r) => r.on((f) => f.insert(...r.blocks))],
  [
    'allocate',
    5,
    (r) =>
      r.on((f) => {
        const [keepSize, contiguous] = [r.prng.chance(1, 2), r.prng.chance(1, 4)]
        f.allocate(...r.range, { keepSize, contiguous })
      }),
  ],
  [
    'copy',
    3,
    (r) => {
      const [from, length] = r.range
      r.on((f) => r.on((to) => f.copyRange(from, to, r.prng.below(200_000), length)))
    },
  ],
  ['reflink', 6, (r) => r.volume.reflink(r.path, r.path)],
  [
    'reflink range',
    8,
    (r) => {
      const [from, length] = r.blocks
      const share = r.prng.chance(1, 6) ? 'copy' : 'strict'
      r.on((f) => r.on((to) => f.reflinkRange(from, to, r.blocks[0], length, { share })))
    },
  ],
  ['set xattr', 8, (r) => r.volume.setXattr(r.any, attributeOf(r), valueOf(r))],
  ['trusted xattr', 2, (r) => r.volume.setXattr(r.any, 'trusted.t', valueOf(r), { follow: false })],
  [
    'remove xattr',
    5,
    (r) => {
      const path = r.any
      r.volume.removeXattr(path, r.prng.pick(r.volume.listXattrs(path)) ?? 'user.none')
    },
  ],
  [
    'set acl',
    4,
    (r) => r.volume.setXattr(r.any, 'system.posix_acl_access', aclOf(r.prng.below(512))),
  ],
  ['remove acl', 1, (r) => r.volume.removeXattr(r.any, 'system.posix_acl_access')],
  [
    'set default acl',
    2,
    (r) => r.volume.setXattr(r.any, 'system.posix_acl_default', aclOf(r.prng.below(512))),
  ],
  ['remove default acl', 1, (r) => r.volume.removeXattr(r.any, 'system.posix_acl_default')],
  ['chmod', 3, (r) => r.volume.chmod(r.any, r.prng.below(0o10000))],
  ['chown', 2, (r) => r.volume.chown(r.any, r.prng.below(3), r.prng.below(3))],
  ['utimes', 2, (r) => r.volume.utimes(r.any, r.prng.below(2 ** 31) - 2 ** 30, 'now')],
  [
    'flags',
    1,
    (r) => {
      const path = r.path
      r.volume.setInodeFlags(path, { append: true, immutable: r.prng.chance(1, 2) })
      if (r.prng.chance(3, 4)) r.volume.setInodeFlags(path, { append: false, immutable: false })
    },
  ],
  // A few, or there is nothing left after a while.
  ['bad block', 1, (r) => r.volume.markBad(40 + 9 * r.prng.below(8))],
  ['sync', 1, (r) => r.volume.sync()],
]

const TOTAL = OPERATIONS.reduce((sum, [, weight]) => sum + weight, 0)
