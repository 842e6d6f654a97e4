/**
 * Every error that Holdfast throws at a caller: one class, one table of codes.
 *
 * An `HoldfastError` is the world's fault (a missing file, a full volume, a corrupt structure) and
 * has the errno's name as its `code`, as errors of node:fs do. A failed `assert` is ours and is an
 * `AssertionError` without a code: it never means that the caller did something wrong.
 */

/** Name, Linux errno (errno(3), asm-generic), and what it means here. */
export const ERRNO = {
  EPERM: [1, 'operation not permitted'],
  ENOENT: [2, 'no such file or directory'],
  EINTR: [4, 'interrupted'],
  EIO: [5, 'input/output error'],
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
  EMFILE: [24, 'too many open files'],
  ETXTBSY: [26, 'sealed'],
  EFBIG: [27, 'file too large'],
  ENOSPC: [28, 'no space left on the volume'],
  EROFS: [30, 'the volume is read-only'],
  EMLINK: [31, 'too many links'],
  ERANGE: [34, 'out of range'],
  EDEADLK: [35, 'it would never end'],
  ENAMETOOLONG: [36, 'name too long'],
  ENOLCK: [37, 'too many locks'],
  ENOTEMPTY: [39, 'directory not empty'],
  ELOOP: [40, 'too many levels of symbolic links'],
  EOVERFLOW: [75, 'value too large'],
  EOPNOTSUPP: [95, 'not supported by this region'],
  ESTALE: [116, 'no longer valid'],
  EUCLEAN: [117, 'the structure needs cleaning'],
} as const satisfies Record<string, readonly [number, string]>

export type ErrorCode = keyof typeof ERRNO

/** What an error is about; each part that is given is shown in the message. */
export interface ErrorContext {
  readonly syscall?: string
  readonly path?: string | Uint8Array
  readonly destination?: string | Uint8Array
  readonly cause?: unknown
}

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
    super(
      `${code}: ${text}${place.length > 0 ? `, ${place.join(' ')}` : ''}`,
      context.cause === undefined ? undefined : { cause: context.cause },
    )
    this.code = code
    this.errno = -ERRNO[code][0]
    this.syscall = context.syscall
    this.path = path
    this.destination = destination
    this.detail = text
  }
}

/** An error again, with the call and the path that the layer above knows. */
export function withContext(error: unknown, context: ErrorContext): unknown {
  if (!(error instanceof HoldfastError) || error.syscall !== undefined) return error
  const again = new HoldfastError(error.code, error.detail, { ...context, cause: error.cause })
  if (error.stack !== undefined) again.stack = error.stack.replace(error.message, again.message)
  return again
}

/** Paths are bytes; for a message, those that are no UTF-8 are shown as \xNN. */
export function displayPath(path: string | Uint8Array): string {
  if (typeof path === 'string') return path
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

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** An invariant of ours. The message says which one, as it ought to be. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`invariant broken: ${invariant}`)
}
