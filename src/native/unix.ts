/**
 * Unix sockets: connections of this machine, at a path whose mode says who may connect.
 *
 * Invariants:
 *  - the file of a listener is removed by it alone, while it listens still (so that nobody takes it
 *    for abandoned), and only when it is still the one that it made;
 *  - a listener that was adopted removes nothing: who made it does.
 */
import { lstatSync, unlinkSync } from 'node:fs'
import type { Acceptor, ByteStream } from '../base/byte_stream.js'
import { ERRNO, HoldfastError, type ErrorCode } from '../base/errors.js'
import { systemTimers } from '../base/timers.js'
import { native } from './native.js'
import { SocketListener } from './socket_listener.js'
import { codeOf } from './socket_stream.js'
import type { PollId, Ready } from './sockets.js'
import { UnixStream } from './unix_stream.js'

/** Who is busy is asked again after so many milliseconds, until so many have gone by. */
const RETRY_MILLISECONDS = 20
const CONNECT_MILLISECONDS = 10_000
const LISTEN_MILLISECONDS = 2_000

const REMEDIES: Partial<Record<ErrorCode, string>> = {
  ENOENT: 'start the server, or correct the path',
  ECONNREFUSED: 'nobody listens there any more: start the server',
  EAGAIN: 'it does not get on: look what keeps it',
  EACCES: 'the mode of the socket, or of a directory above it, keeps this user away',
  EPROTOTYPE: 'correct the path',
  EADDRINUSE: 'a process listens there: end it, or choose another path',
  EEXIST: 'what is there is no socket, and stays: choose another path',
  ENAMETOOLONG: 'a path of a socket has at most 107 bytes: choose a shorter one',
  EMFILE: 'close descriptors, or raise RLIMIT_NOFILE',
}

export interface UnixListener extends Acceptor {
  /** Where it listens; '@' and a name where that is no file. */
  readonly path: string
}

function explained(call: string, path: string, error: unknown): unknown {
  const code = codeOf(error)
  if (code === undefined) return error
  const remedy = REMEDIES[code]
  const text = `cannot ${call} ${path}: ${ERRNO[code][1]}`
  return new HoldfastError(code, remedy === undefined ? text : `${text}; ${remedy}`, {
    syscall: String((error as NodeJS.ErrnoException).syscall),
    cause: error,
  })
}

/** Tries until it is something else than EAGAIN. */
async function tried<T>(what: () => T, milliseconds: number, signal?: AbortSignal): Promise<T> {
  const end = systemTimers.now() + milliseconds
  for (;;) {
    signal?.throwIfAborted()
    try {
      return what()
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN' || systemTimers.now() >= end) throw error
    }
    await new Promise<void>((resolve) => systemTimers.after(RETRY_MILLISECONDS, resolve))
  }
}

/** A stream of what was opened with it as its callback. */
function streamOf(peer: string, open: (ready: Ready) => PollId): UnixStream {
  let stream: UnixStream | null = null
  const poll = open((readable, writable) => stream!.ready(readable, writable))
  try {
    stream = new UnixStream(poll, peer, native.peerOf(poll))
    return stream
  } catch (error) {
    native.closeSocket(poll, true)
    throw error
  }
}

/** ENOENT, ECONNREFUSED, EACCES, …; the signal's reason when that is aborted. */
export async function connectUnix(path: string, signal?: AbortSignal): Promise<UnixStream> {
  const connect = () => streamOf(path, (ready) => native.connectUnix(path, ready))
  try {
    return await tried(connect, CONNECT_MILLISECONDS, signal)
  } catch (error) {
    signal?.throwIfAborted()
    throw explained('connect to', path, error)
  }
}

function acceptUnix(listener: PollId, ready: Ready): UnixStream | null {
  const poll = native.acceptUnix(listener, ready)
  if (poll === undefined) return null
  try {
    const credentials = native.peerOf(poll)
    const { pid, uid } = credentials
    return new UnixStream(poll, `process ${pid} of user ${uid}`, credentials)
  } catch (error) {
    native.closeSocket(poll, true)
    throw error
  }
}

class OpenUnixListener extends SocketListener implements UnixListener {
  readonly path: string
  readonly #remove: () => void

  constructor(
    listen: (ready: Ready) => PollId,
    accepted: (stream: ByteStream) => void,
    own: boolean,
  ) {
    super(listen, acceptUnix, accepted)
    this.path = native.unixPath(this.poll)
    this.#remove = own ? removing(this.path) : () => {}
  }

  override close(): void {
    this.#remove()
    super.close()
  }
}

/** Once: removes the file that is at a path now, if it is there still. */
function removing(path: string): () => void {
  const idOf = () => {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
    return found === undefined ? null : `${found.dev}:${found.ino}`
  }
  const own = idOf()
  let removed = false
  return () => {
    if (removed) return
    removed = true
    if (own !== null && idOf() === own) unlinkSync(path)
  }
}

/** Listens at a path. EADDRINUSE: somebody does already. */
export async function listenUnix(
  path: string,
  mode: number,
  accepted: (stream: ByteStream) => void,
): Promise<UnixListener> {
  const listen = () =>
    new OpenUnixListener((ready) => native.listenUnix(path, mode, ready), accepted, true)
  try {
    return await tried(listen, LISTEN_MILLISECONDS)
  } catch (error) {
    throw explained('listen at', path, error)
  }
}

/**
 * Takes over a descriptor that listens already, as a service manager passes it. Of such a socket
 * clients see the credentials of who made it, not this process's.
 */
export function adoptUnix(fd: number, accepted: (stream: ByteStream) => void): UnixListener {
  try {
    return new OpenUnixListener((ready) => native.adoptUnix(fd, ready), accepted, false)
  } catch (error) {
    throw explained('listen with', `descriptor ${fd}`, error)
  }
}
