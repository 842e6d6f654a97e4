/**
 * A mount as its server sees it: requests come from /dev/fuse, one is carried out after the other,
 * or several at a time where they have to wait, and each gets one reply.
 *
 * Invariants:
 * - a request that does not wait is answered in the turn that it was read in;
 * - an exchange is one request's until that was answered;
 * - who may do what was decided by the kernel (default_permissions, POSIX_ACL); what a name leads
 *   to and what is flagged, held or sealed is decided here.
 */
import { HoldfastError } from '../base/errors.js'
import type {
  Credentials,
  DirectFileSystem,
  FileSystem,
  StatFs,
  Stats,
} from '../base/filesystem.js'
import { systemTimers } from '../base/timers.js'
import { native } from '../native/native.js'
import type { PollId } from '../native/sockets.js'
import { Coherence, type CoherenceOptions } from './coherence.js'
import { Exchange } from './exchange.js'
import { Gather } from './gather.js'
import { Handles, releasePins, type OpenHandle } from './handles.js'
import { answerInit } from './initial.js'
import { Locks } from './locks.js'
import { Nodes } from './nodes.js'
import { Notices } from './notices.js'
import { ANSWERED, type Operation } from './operations/operation.js'
import { OPERATIONS } from './operations/index.js'
import type { Validity } from './replies.js'
import { InterruptIn } from './wire/files.js'
import { Opcode } from './wire/header.js'
import { ForgetIn } from './wire/names.js'

const EINTR = 4
const EIO = 5
const ENOSYS = 38
const ENODEV = 19
const ECONNABORTED = 103
/** Milliseconds for closing what the kernel had open. */
const CLOSING_MS = 3000
/** Errnos that the kernel takes. */
const ERRNO_MAX = 511
/** Requests that are carried out before others of this process have their turn. */
const BATCH = 16
/**
 * Who asks alone waits for each answer, so that a second look in the same turn finds nothing, and
 * costs a system call: after so many of those in a row one is made in so many turns.
 */
const ALONE = 8
const PROBE = 8
/** Exchanges that are kept for later. */
const SPARE = 8

/** Errors of a connection, of which programs that work with files know nothing. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'ENOTCONN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'EPROTO',
])

export interface FuseOptions extends CoherenceOptions {
  /** Where it is mounted. */
  readonly directory: string
  /** Of the mount: major * 2^20 + minor. */
  readonly device: number
  /** How long names and attributes may be kept. */
  readonly validity: Validity
  /** Calls are made in the name of who asks; else in that of the connection, which decides. */
  readonly decides: boolean
  /** False while the server of the volume is lost. */
  readonly reachable: () => boolean
  /** What went wrong here, and not in the world. */
  readonly failed: (error: unknown) => void
}

export class FuseSession {
  readonly fs: FileSystem
  /** Calls that are answered in their turn; undefined: all wait. */
  readonly direct: DirectFileSystem | undefined
  readonly options: FuseOptions
  readonly nodes: Nodes
  /** What was last known of the root. */
  root: Stats
  /** And of the room in the volume; null: nobody has asked. */
  room: StatFs | null = null
  readonly handles = new Handles()
  readonly locks = new Locks(this.handles)
  readonly gather = new Gather()
  readonly notices: Notices
  readonly coherence: Coherence
  readonly device: PollId
  /** Resolves when it was unmounted; rejects never. */
  readonly over: Promise<void>
  /** Requests that were read. */
  requests = 0
  #current = new Exchange()
  readonly #spare: Exchange[] = []
  /** Those that wait, by the name of their request. */
  readonly #waiting = new Map<number, Exchange>()
  /** Files without a name that may get one. */
  readonly #unnamed = new Map<number, OpenHandle>()
  #as: Credentials = { uid: 0, gid: 0, umask: 0, decided: true }
  /** How often a second look in one turn has found nothing, in a row; and how many there were. */
  #alone = 0
  #looks = 0
  #ended = false
  #end = () => {}
  #cancelEnd = () => {}

  /** Owns `fd`, an open /dev/fuse that is mounted. */
  constructor(fs: FileSystem, fd: number, root: Stats, options: FuseOptions) {
    this.fs = fs
    this.direct = fs.direct
    this.options = options
    this.root = root
    this.nodes = new Nodes(root)
    this.over = new Promise((resolve) => (this.#end = resolve))
    this.device = native.poll(fd, () => this.#ready())
    this.notices = new Notices(() => (this.#ended ? null : this.device))
    this.coherence = new Coherence(fs, options, this.nodes, this.notices)
    native.watch(this.device, true, false)
  }

  get validity(): Validity {
    return this.options.validity
  }

  // ---- for operations --------------------------------------------------------------------------

  /** In whose name a request is carried out. */
  as(x: Exchange, umask = 0): Credentials | undefined {
    if (!this.options.decides) return undefined
    const { uid, gid } = x
    const last = this.#as
    if (last.uid === uid && last.gid === gid && last.umask === umask) return last
    return (this.#as = { uid, gid, umask, decided: true })
  }

  /** Aborted when the request is given up. */
  signalOf(x: Exchange): AbortSignal {
    x.abort ??= new AbortController()
    return x.abort.signal
  }

  /** A file without a name that may be given one, by its inode. */
  unnamed(ino: number): OpenHandle | undefined {
    return this.#unnamed.get(ino)
  }

  /** Who asks is told of an inode. Who was interrupted hears of none, and forgets none. */
  learn(x: Exchange, stats: Stats): void {
    if (!x.given) this.nodes.learn(stats)
  }

  /** The number of what was opened; who was interrupted will not close it. */
  handOut(x: Exchange, handle: OpenHandle, unnamed = false): number {
    if (x.given) {
      handle.file.close().catch((error: unknown) => {
        // Of a server that is lost it is not open either.
        if (!(error instanceof HoldfastError)) this.options.failed(error)
      })
      return 0
    }
    if (unnamed) this.#unnamed.set(handle.ino, handle)
    return this.handles.add(handle)
  }

  dropUnnamed(handle: OpenHandle): void {
    if (this.#unnamed.get(handle.ino) === handle) this.#unnamed.delete(handle.ino)
  }

  // ---- requests --------------------------------------------------------------------------------

  #ready(): void {
    for (let i = 0; i < BATCH && !this.#ended; i++) {
      if (i === 1 && this.#alone > ALONE && ++this.#looks % PROBE !== 0) return
      const length = this.#current.take(this.device)
      if (length === 0) {
        if (i === 1) this.#alone++
        return
      }
      if (i === 1) this.#alone = 0
      if (length === -ENODEV || length === -ECONNABORTED) return this.#unmounted()
      if (length < 0) {
        this.options.failed(new HoldfastError('EIO', `/dev/fuse: errno ${-length}`))
        return this.#unmounted()
      }
      this.requests++
      this.#serve(this.#current)
    }
  }

  #serve(x: Exchange): void {
    const { opcode } = x
    switch (opcode) {
      case Opcode.forget:
        return this.#forget(x.node, x.u64(ForgetIn.word.nlookup))
      case Opcode.batchForget:
        return this.#forgetAll(x)
      case Opcode.interrupt:
        return this.#interrupt(x.u64(InterruptIn.word.unique))
      case Opcode.init:
        return void this.#answer(x, answerInit(x, this.options))
    }
    const operation: Operation | undefined = OPERATIONS[opcode]
    if (operation === undefined) return this.sent(x.reply(this.device, 0, ENOSYS))
    let result
    try {
      result = operation(this, x)
    } catch (error) {
      return this.#fail(x, error)
    }
    if (typeof result === 'number') this.#answer(x, result)
    else this.#wait(x, result)
  }

  /**
   * A signal came to who asks. What can be given up is; what waits for a server that is lost is
   * answered, and comes to its end unheard: programs there can be killed.
   */
  #interrupt(unique: number): void {
    const x = this.#waiting.get(unique)
    if (x === undefined) return
    x.abort?.abort()
    if (!this.reachable && !x.given) {
      this.sent(x.reply(this.device, 0, EINTR))
      x.given = true
    }
  }

  /** Whether the server of the volume can be asked now. */
  get reachable(): boolean {
    return this.options.reachable()
  }

  /** Another exchange takes the next request, until this one was answered. */
  #wait(x: Exchange, result: Promise<number>): void {
    this.#current = this.#spare.pop() ?? new Exchange()
    const { unique } = x
    this.#waiting.set(unique, x)
    void result
      .then(
        (length) => this.#answer(x, length),
        (error: unknown) => this.#fail(x, error),
      )
      .finally(() => {
        this.#waiting.delete(unique)
        x.given = false
        if (this.#spare.length < SPARE && !this.#ended) this.#spare.push(x)
        else x.close()
        if (this.#ended) this.#finish()
      })
  }

  #answer(x: Exchange, length: number): void {
    x.abort = null
    if (length !== ANSWERED && !x.given && !this.#ended) this.sent(x.reply(this.device, length))
  }

  #fail(x: Exchange, error: unknown): void {
    x.abort = null
    let errno = EIO
    if (!(error instanceof HoldfastError)) this.options.failed(error)
    else if (!UNREACHABLE.has(error.code)) errno = -error.errno
    if (errno > ERRNO_MAX) errno = EIO
    if (!x.given && !this.#ended) this.sent(x.reply(this.device, 0, errno))
  }

  /** ENOENT: who asked was interrupted, and asks no more. */
  sent(errno: number): void {
    if (errno === ENODEV) this.#unmounted()
  }

  #forget(ino: number, lookups: number): void {
    this.nodes.forget(ino, lookups)
  }

  #forgetAll(x: Exchange): void {
    const count = x.u32(0)
    for (let i = 0; i < count; i++) this.#forget(x.u64(2 + 4 * i), x.u64(4 + 4 * i))
  }

  // ---- the end ---------------------------------------------------------------------------------

  /** Ends it though it is mounted: programs in it have ENOTCONN. */
  abort(): void {
    this.#unmounted()
  }

  #unmounted(): void {
    if (this.#ended) return
    this.#ended = true
    this.coherence.end()
    native.closePoll(this.device)
    for (const x of this.#waiting.values()) x.abort?.abort()
    // Not now: a request may be in the middle of it.
    setImmediate(() => this.#current.close())
    // What waits for a server that is lost is not waited for.
    this.#cancelEnd = systemTimers.after(CLOSING_MS, () => this.#end())
    this.#finish()
  }

  /** Once nothing is under way any more: what the kernel had open is closed. */
  #finish(): void {
    if (this.#waiting.size > 0) return
    for (const x of this.#spare.splice(0)) x.close()
    const closing = [...this.handles.values()].map((handle) =>
      releasePins(handle)
        .finally(() => handle.file.close())
        .catch((error: unknown) => this.options.failed(error)),
    )
    void Promise.all(closing).then(() => {
      this.#cancelEnd()
      this.#end()
    })
  }
}
