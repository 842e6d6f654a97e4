/**
 * Serving a volume until a signal ends it, and what the manager of services hears of it.
 *
 * Invariants:
 * - the line on stdout, and READY=1, come when clients can come, and not before;
 * - whoever reads the log, or does not, keeps nobody waiting.
 */
import { systemCrypto } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'
import { systemTimers } from '../base/timers.js'
import { listenDescriptors } from '../native/systemd.js'
import { Log, type Level, type LogFormat } from '../serve/log.js'
import { LogSink } from '../serve/log_sink.js'
import type { MapGroup } from '../serve/mapping.js'
import type { Exposure } from '../serve/plain.js'
import { Service } from '../serve/service.js'
import { CommandError } from './failure.js'
import { lastUntilStopped } from './interrupt.js'
import { mountWish, realDirectory } from './mount.js'
import { noMountWords, type MountWords } from './mount_options.js'
import type { JsonOption } from './options.js'
import { formatHostPort, type HostPort } from './rdma_options.js'
import { ServiceManager } from './service_manager.js'

export interface ServeOptions extends JsonOption {
  readonly listen?: HostPort
  readonly keys?: string
  readonly socket?: string
  readonly mapGroup?: MapGroup
  readonly http?: HostPort
  readonly mount?: string
  readonly mountOptions?: MountWords
  readonly plain?: HostPort
  readonly expose?: readonly Exposure[]
  readonly maxClients?: number
  /** Seconds. */
  readonly stopTimeout: number
  readonly logFormat?: LogFormat
  readonly logLevel: Level
}

const STDERR = 2
const MILLISECONDS = 1000

export async function runServer(region: string, options: ServeOptions): Promise<void> {
  const sink = new LogSink(STDERR)
  const format = options.logFormat ?? (process.stderr.isTTY ? 'text' : 'json')
  const log = new Log({ timers: systemTimers, format, level: options.logLevel, write: sink.write })
  // Also when a second signal ends it, or a bug.
  process.on('exit', () => sink.flush())
  process.on('uncaughtExceptionMonitor', (error) => {
    log.error('a bug of holdfast, please report it', { error })
  })
  try {
    await serve(region, options, log)
  } finally {
    log.close()
  }
}

async function serve(region: string, options: ServeOptions, log: Log): Promise<void> {
  const manager = new ServiceManager(log)
  let reload = () => {}
  await lastUntilStopped(
    async (stopped) => {
      const start = Service.start(serviceOptions(region, options, log))
      const service = await start.catch((error: unknown) => {
        throw missing(error, region, options) ?? error
      })
      reload = () => manager.reloading(() => service.reload())
      await announce(service, region, options, log)
      manager.ready(`serving ${region}`, () => service.unhealthy === null)
      if (!stopped.aborted) {
        await new Promise<void>((resolve) => {
          stopped.addEventListener('abort', () => resolve(), { once: true })
        })
      }
      log.info('the server stops', { timeout: options.stopTimeout })
      manager.stopping()
      const inOrder = await service.stop(options.stopTimeout * MILLISECONDS)
      if (!inOrder) throw leftBehind(region)
      log.info('the volume is closed')
    },
    () => reload(),
  )
}

/** Of files that are not there, which one is. */
function missing(error: unknown, region: string, { keys }: ServeOptions): HoldfastError | null {
  const { code, path } = error as NodeJS.ErrnoException
  if (code !== 'ENOENT' || path === undefined || (path !== region && path !== keys)) return null
  const detail = path === region ? 'there is no such region' : 'there is no such key file'
  return new HoldfastError('ENOENT', detail, { path, cause: error })
}

function serviceOptions(region: string, options: ServeOptions, log: Log) {
  const { listen, keys, socket, mapGroup, http, maxClients, plain, expose = [] } = options
  return {
    region,
    socket,
    adopted: adoptedSocket(socket),
    listen: listen === undefined ? undefined : { ...listen, keys: keys! },
    mapGroup: mapGroup ?? null,
    http,
    watchLoop: true,
    mount: mountOf(options),
    plain: plain === undefined ? undefined : { ...plain, expose },
    maxSessions: maxClients,
    timers: systemTimers,
    log,
    crypto: systemCrypto,
  }
}

/** Where it shows the volume itself, if that was asked for. */
function mountOf({ mount, mountOptions = noMountWords() }: ServeOptions) {
  if (mount === undefined) return undefined
  if (mountOptions.mode === 'exclusive') {
    throw new HoldfastError('EINVAL', 'exclusive is for one user, and a server has many')
  }
  return { directory: realDirectory(mount), ...mountWish(mountOptions) }
}

/** The socket that the manager of services made, if it made one. */
function adoptedSocket(socket: string | undefined): number | undefined {
  const [first, ...more] = listenDescriptors()
  if (first === undefined) return undefined
  if (more.length === 0 && socket === undefined) return first.fd
  throw new HoldfastError(
    'EINVAL',
    more.length > 0
      ? `${more.length + 1} sockets were passed (LISTEN_FDS), and one is served: one ListenStream=`
      : 'a socket was passed (LISTEN_FDS): leave --socket out',
  )
}

/** Says that it serves, once. A reader who has gone is none of its clients. */
async function announce(
  service: Service,
  region: string,
  options: ServeOptions,
  log: Log,
): Promise<void> {
  const { local } = service
  const { uuid } = service.server.files.volume.summary()
  const listen = hostPort(service.address)
  const plain = hostPort(service.plain)
  const http = hostPort(service.monitor)
  const { pid } = process
  log.info('the server is ready', {
    region,
    volume: uuid,
    socket: local.path,
    ...(listen === null ? {} : { listen: formatHostPort(listen) }),
    ...(plain === null ? {} : { plain: formatHostPort(plain) }),
    ...(http === null ? {} : { http: formatHostPort(http) }),
  })
  if (listen !== null && !isLoopback(listen.host)) {
    log.warn('remote clients are listened to: what they read and write is not encrypted', {
      listen: formatHostPort(listen),
    })
  }
  if (plain !== null) {
    log.warn('whoever reaches this address has the files that are exposed', {
      plain: formatHostPort(plain),
      files: (options.expose ?? []).map(({ path }) => path).join(' '),
    })
  }
  const places = [
    local.path,
    ...(listen === null ? [] : [formatHostPort(listen)]),
    ...(plain === null ? [] : [`${formatHostPort(plain)} (plain)`]),
    ...(http === null ? [] : [`http://${formatHostPort(http)}/metrics`]),
  ]
  const text = `serving ${region} at ${places.join(', ')} (volume ${uuid}, pid ${pid})`
  const json = JSON.stringify({ socket: local.path, listen, plain, http, volume: uuid, pid })
  await new Promise<void>((done) => {
    process.stdout.write(`${options.json === true ? json : text}\n`, () => done())
  })
}

const hostPort = (at: HostPort | null): HostPort | null =>
  at === null ? null : { host: at.host, port: at.port }

const isLoopback = (host: string) => /^(::ffff:)?127\.|^::1$/.test(host)

function leftBehind(region: string): CommandError {
  return new CommandError(
    `EBUSY: processes still map ${region}: what is in it is durable, and the volume was left to be ` +
      'recovered; the next server waits for them, and no other command opens it before they have gone',
  )
}
