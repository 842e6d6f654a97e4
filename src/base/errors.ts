/**
 * Every error that Holdfast throws at a caller: one class, one table of codes.
 *
 * An `HoldfastError` is the world's fault (a missing file, a full volume, a corrupt structure) and
 * has the errno's name as its `code`, as errors of node:fs do. A failed `assert` is ours and is an
 * `AssertionError` without a code: it never means that the caller did something wrong. (That an
 * argument does not fit the protocol is found where it is written: Caller makes EINVAL of it.)
 */
import type { HoldInfo } from './layout.js'
import { isPath, isPathAt, type Path } from './path.js'

/**
 * Name, Linux errno (errno(3), asm-generic), and what it means here. Names of hosts that are not
 * found have Node's own codes.
 */
export const ERRNO = {
  EPERM: [1, 'operation not permitted'],
  ENOENT: [2, 'no such file or directory'],
  EINTR: [4, 'interrupted'],
  EIO: [5, 'input/output error'],
  ENXIO: [6, 'no such device or address'],
  E2BIG: [7, 'too long'],
  EBADF: [9, 'bad file handle'],
  EAGAIN: [11, 'try again'],
  ENOMEM: [12, 'out of memory'],
  EACCES: [13, 'permission denied'],
  EBUSY: [16, 'in use'],
  EEXIST: [17, 'exists already'],
  EXDEV: [18, 'not on the same volume'],
  ENODEV: [19, 'not a region'],
  ENOTDIR: [20, 'not a directory'],
  EISDIR: [21, 'is a directory'],
  EINVAL: [22, 'invalid argument'],
  ENFILE: [23, 'too many open files in the system'],
  EMFILE: [24, 'too many open files'],
  ETXTBSY: [26, 'sealed'],
  EFBIG: [27, 'file too large'],
  ENOSPC: [28, 'no space left on the volume'],
  EROFS: [30, 'the volume is read-only'],
  EMLINK: [31, 'too many links'],
  EPIPE: [32, 'nobody takes what is sent'],
  ERANGE: [34, 'out of range'],
  EDEADLK: [35, 'waiting would never end'],
  ENAMETOOLONG: [36, 'name too long'],
  ENOLCK: [37, 'no lock left'],
  ENOTEMPTY: [39, 'directory not empty'],
  ELOOP: [40, 'too many levels of symbolic links'],
  ENODATA: [61, 'no such attribute'],
  EOVERFLOW: [75, 'value too large'],
  EPROTO: [71, 'the other end speaks something else'],
  EPROTOTYPE: [91, 'the socket there is of another type'],
  EOPNOTSUPP: [95, 'not supported by this region'],
  EAFNOSUPPORT: [97, 'no such kind of address'],
  EADDRINUSE: [98, 'address in use'],
  EADDRNOTAVAIL: [99, 'no address of this machine'],
  ENETDOWN: [100, 'the network is down'],
  ENETUNREACH: [101, 'no route to the network'],
  ECONNABORTED: [103, 'the connection was given up'],
  ECONNRESET: [104, 'connection reset'],
  ENOBUFS: [105, 'out of network memory'],
  EISCONN: [106, 'connected already'],
  ENOTCONN: [107, 'not connected'],
  ETOOMANYREFS: [109, 'too many descriptors under way'],
  ETIMEDOUT: [110, 'no answer in time'],
  ECONNREFUSED: [111, 'connection refused'],
  EHOSTDOWN: [112, 'the host is down'],
  EHOSTUNREACH: [113, 'no route to the host'],
  ESTALE: [116, 'no longer valid'],
  EUCLEAN: [117, 'the structure needs cleaning'],
  EAI_AGAIN: [3001, 'no answer about the name'],
  ENOTFOUND: [3008, 'no such host'],
} as const satisfies Record<string, readonly [number, string]>

export type ErrorCode = keyof typeof ERRNO

/** What an error is about; each part that is given is shown in the message. */
export interface ErrorContext {
  readonly syscall?: string
  readonly path?: Path
  readonly destination?: Path
  readonly cause?: unknown
  /** The holds in the way. */
  readonly holds?: readonly HoldInfo[]
}

/** Holds that a message names; the error lists all. */
const HOLDS_SHOWN = 3

export const isErrorCode = (name: string): name is ErrorCode => Object.hasOwn(ERRNO, name)

/** An error of the world, with the errno's name in `code` and its (negative) number in `errno`. */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError'
  readonly code: ErrorCode
  /** Negative, as node:fs has it. */
  readonly errno: number
  readonly syscall: string | undefined
  readonly path: string | undefined
  readonly destination: string | undefined
  /** The sentence after the code: what was expected and what was found. */
  readonly detail: string
  /** The holds in the way; undefined when no hold is the cause. */
  readonly holds: readonly HoldInfo[] | undefined

  constructor(code: ErrorCode, detail?: string, context: ErrorContext = {}) {
    const path = context.path === undefined ? undefined : displayPath(context.path)
    const destination =
      context.destination === undefined ? undefined : displayPath(context.destination)
    const place = [
      context.syscall,
      path === undefined ? undefined : `'${path}'`,
      destination === undefined ? undefined : `-> '${destination}'`,
    ].filter((part) => part !== undefined)
    const text = detail ?? ERRNO[code][1]
    const holds = context.holds?.length === 0 ? undefined : context.holds
    const held = holds === undefined ? '' : `; held: ${displayHolds(holds)}`
    super(
      `${code}: ${text}${place.length > 0 ? `, ${place.join(' ')}` : ''}${held}`,
      context.cause === undefined ? undefined : { cause: context.cause },
    )
    this.code = code
    this.errno = -ERRNO[code][0]
    this.syscall = context.syscall
    this.path = path
    this.destination = destination
    this.detail = text
    this.holds = holds
  }
}

/** An error again, with the call and the path that the layer above knows. */
export function withContext(error: unknown, context: ErrorContext): unknown {
  if (!(error instanceof HoldfastError) || error.syscall !== undefined) return error
  const again = new HoldfastError(error.code, error.detail, {
    ...(error.holds === undefined ? {} : { holds: error.holds }),
    ...context,
    cause: error.cause,
  })
  if (error.stack !== undefined) again.stack = error.stack.replace(error.message, again.message)
  return again
}

/** An error of a call by handles, with the paths that the layer above knows. */
export function withPaths(error: unknown, path: Path, destination: Path): unknown {
  if (!(error instanceof HoldfastError) || error.path !== undefined) return error
  const { code, detail, holds = [], cause } = error
  const call = error.syscall === undefined ? {} : { syscall: error.syscall }
  return new HoldfastError(code, detail, { ...call, path, destination, holds, cause })
}

/**
 * Paths are bytes; for a message, those that are no UTF-8 are shown as \xNN, and a file that is
 * known by its number as #NUMBER.
 */
export function displayPath(path: Path): string {
  if (typeof path === 'string') return path
  if (!isPath(path)) return String(path)
  if (isPathAt(path)) {
    const below = displayPath(path.path)
    return below === '' ? `#${path.ino}` : `#${path.ino}/${below}`
  }
  const text = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('utf8')
  if (Buffer.from(text, 'utf8').equals(path)) return text
  let out = ''
  for (const byte of path) {
    out +=
      byte >= 0x20 && byte < 0x7f && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return out
}

/** Holds on one line, whose and what for: `pin 12 of session 3 (nic0, uid 1000): NIC 0`. */
export function displayHolds(holds: readonly HoldInfo[]): string {
  const shown = holds.slice(0, HOLDS_SHOWN).map(({ kind, iomode, id, owner, reason, state }) => {
    const what = iomode === null ? kind : `${iomode} ${kind}`
    const whose = `session ${owner.session} (${oneLine(owner.name)}, uid ${owner.uid})`
    const how = state === 'held' ? '' : ` (${state})`
    return `${what} ${id} of ${whose}${how}${reason === '' ? '' : `: ${oneLine(reason)}`}`
  })
  const more = holds.length - shown.length
  return shown.join(', ') + (more > 0 ? `, and ${more} more` : '')
}

/** Names and reasons are another program's text, and are shown in terminals and logs. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
}

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
  /** As it ought to be. */
  readonly invariant: string

  constructor(invariant: string) {
    super(`invariant broken: ${invariant}`)
    this.invariant = invariant
  }
}

/** An invariant of ours. The message says which one. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(invariant)
}
