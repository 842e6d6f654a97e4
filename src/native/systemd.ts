/**
 * What a service manager passes to a service, and what it wants to hear: sd_notify(3),
 * sd_listen_fds(3) and sd_watchdog_enabled(3), without its library.
 *
 * The environment is handed in: a test has one of its own. What is there for another process
 * (LISTEN_PID, WATCHDOG_PID) counts as not there.
 */
import { HoldfastError } from '../base/errors.js'
import { native } from './native.js'

type Environment = Readonly<Record<string, string | undefined>>

/** SD_LISTEN_FDS_START. */
const FIRST_DESCRIPTOR = 3
/** More than a process may have open (fs.nr_open). */
const DESCRIPTORS_MAX = 1 << 20
const MICROSECONDS = 1000

export interface ListenDescriptor {
  readonly fd: number
  /** FileDescriptorName= of its unit; 'unknown' where none was said. */
  readonly name: string
}

/**
 * Tells the service manager of a state: 'READY=1', 'STOPPING=1', 'STATUS=…', 'WATCHDOG=1', one a
 * line. False: there is none that listens.
 */
export function notifySystemd(state: string, environment: Environment = process.env): boolean {
  const socket = environment['NOTIFY_SOCKET']
  if (socket === undefined || socket === '') return false
  if (!socket.startsWith('/') && !socket.startsWith('@')) {
    throw new HoldfastError(
      'EINVAL',
      `NOTIFY_SOCKET is '${socket}'; a path, or '@' and a name, is known here`,
    )
  }
  const bytes = Buffer.from(state)
  native.sendDatagram(socket, bytes, 0, bytes.length)
  return true
}

/** The descriptors that listen already (socket activation), in order. */
export function listenDescriptors(
  environment: Environment = process.env,
  pid: number = process.pid,
): ListenDescriptor[] {
  if (numberIn(environment, 'LISTEN_PID') !== pid) return []
  const count = numberIn(environment, 'LISTEN_FDS') ?? 0
  if (count > DESCRIPTORS_MAX) throw unreadable(environment, 'LISTEN_FDS')
  const names = environment['LISTEN_FDNAMES']?.split(':') ?? []
  return Array.from({ length: count }, (_, i) => ({
    fd: FIRST_DESCRIPTOR + i,
    name: names[i] ?? 'unknown',
  }))
}

/** Within how many milliseconds each 'WATCHDOG=1' is to follow the one before; null: none is. */
export function watchdogMilliseconds(
  environment: Environment = process.env,
  pid: number = process.pid,
): number | null {
  const microseconds = numberIn(environment, 'WATCHDOG_USEC') ?? 0
  const meant = numberIn(environment, 'WATCHDOG_PID') ?? pid
  return microseconds === 0 || meant !== pid ? null : microseconds / MICROSECONDS
}

function numberIn(environment: Environment, name: string): number | null {
  const text = environment[name]
  if (text === undefined || text === '') return null
  const number = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) throw unreadable(environment, name)
  return number
}

function unreadable(environment: Environment, name: string): HoldfastError {
  return new HoldfastError('EINVAL', `${name} is '${environment[name]}', which is no number for it`)
}
