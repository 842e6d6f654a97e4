/**
 * A running server: the volume of a region, where it listens, and its end.
 *
 * Invariants:
 * - a volume is open before anybody is listened to, and nobody is listened to any more when it is
 *   closed;
 * - it is closed in order only when nobody maps it any more: else it is left as after a crash,
 *   whose limbo and free blocks the next owner leaves alone until the mappings are gone.
 */
import type { Crypto } from '../base/crypto.js'
import type { StreamListener } from '../base/byte_stream.js'
import type { Timers } from '../base/timers.js'
import { EmbeddedVolume, type OpenVolumeOptions } from '../layout/embedded.js'
import { VolumeFileSystem } from '../layout/filesystem.js'
import { listenUnix, adoptUnix, type UnixListener } from '../native/unix.js'
import type { UnixStream } from '../native/unix_stream.js'
import { Device, type Listener } from '../rdma/index.js'
import { ownSocket } from '../region/server_socket.js'
import { serveMonitor, type Monitor } from './http.js'
import { LoopDelay, type Quantiles } from './loop_delay.js'
import { ServerMount, type ServerMountOptions } from './mounts.js'
import { KeyFile } from './key_file.js'
import { serveLocal } from './local.js'
import type { Log } from './log.js'
import type { MapGroup } from './mapping.js'
import { PlainEndpoint, type Exposure } from './plain.js'
import { RemoteEndpoint } from './remote.js'
import { Server, SESSIONS_MAX } from './server.js'

export interface ServiceOptions {
  readonly region: string
  readonly open?: OpenVolumeOptions
  /** Path of the socket for local clients; by the uuid of the volume unless given. */
  readonly socket?: string | undefined
  /** Mode of the socket: everybody may connect unless it says otherwise. */
  readonly socketMode?: number | undefined
  /** A listening socket that was handed over (systemd). */
  readonly adopted?: number | undefined
  /** Where remote clients are listened to, and the keys that they show. */
  readonly listen?:
    { readonly host: string; readonly port: number; readonly keys: string } | undefined
  /** Where monitors ask how it is, over HTTP. */
  readonly http?: { readonly host: string; readonly port: number } | undefined
  /** Whether it measures how long its event loop keeps clients waiting. */
  readonly watchLoop?: boolean
  /** Files for clients that speak verbs alone, and where: whoever reaches it is let in. */
  readonly plain?:
    | { readonly host: string; readonly port: number; readonly expose: readonly Exposure[] }
    | undefined
  readonly mapGroup?: MapGroup | null
  readonly maxSessions?: number | undefined
  /** Milliseconds between two signs of life of a remote client; three may be missed. */
  readonly keepalive?: number | undefined
  /** Where it shows the volume to all programs of this host. */
  readonly mount?: ServerMountOptions | undefined
  readonly timers: Timers
  readonly log: Log
  readonly crypto: Crypto
}

const SOCKET_MODE = 0o666
/** Milliseconds that clients have to give back what they hold, when the server stops. */
const STOP_MILLISECONDS = 5000
const MILLISECONDS = 1000

export class Service {
  readonly server: Server
  readonly local: UnixListener
  readonly remote: Listener | null
  /** How long its event loop keeps clients waiting, where that is measured. */
  loop: LoopDelay | null = null
  /** Where monitors ask; null: nowhere. */
  #monitor: Monitor | null = null
  /** Where clients that speak verbs alone are listened to. */
  readonly plain: Listener | null
  readonly #endpoint: RemoteEndpoint | null
  readonly #device: Device

  private constructor(
    server: Server,
    device: Device,
    local: UnixListener,
    remote: { listener: Listener; endpoint: RemoteEndpoint } | null,
    plain: Listener | null,
  ) {
    this.server = server
    this.local = local
    this.remote = remote?.listener ?? null
    this.plain = plain
    this.#endpoint = remote?.endpoint ?? null
    this.#device = device
  }

  static async start(options: ServiceOptions): Promise<Service> {
    const { region, open, timers, log, listen, maxSessions, keepalive } = options
    const keys = listen === undefined ? null : new KeyFile(listen.keys)
    const volume = EmbeddedVolume.open(region, { ...open, survivors: 'grace' })
    const files = new VolumeFileSystem(volume)
    const device = new Device({
      timers,
      maxConnections: 4 * (maxSessions ?? SESSIONS_MAX),
    })
    const server = new Server(files, {
      timers,
      crypto: options.crypto,
      log,
      device,
      mapGroup: options.mapGroup ?? null,
      ...(maxSessions === undefined ? {} : { maxSessions }),
      ...(keepalive === undefined ? {} : { keepalive }),
    })
    let local: UnixListener | null = null
    try {
      local = await listenLocal(server, options)
      const remote = await listenRemote(server, options, keys)
      const plain = await listenPlain(server, options)
      const service = new Service(server, device, local, remote, plain)
      if (options.watchLoop === true) service.#watchLoop()
      if (options.http !== undefined) await service.#watched(options.http)
      if (options.mount !== undefined) {
        server.mount = await ServerMount.start(server, options.mount)
      }
      return service
    } catch (error) {
      local?.close()
      server.close()
      device.close() // its listener, too
      await files.close()
      throw error
    }
  }

  #watchLoop(): void {
    const { timers, registry } = this.server
    const loop = (this.loop = new LoopDelay(timers, registry))
    const ask = (quantile: string, of: (delay: Quantiles) => number) => {
      registry.asked(
        'holdfast_event_loop_delay_quantile_seconds',
        'The same since the start, by quantile.',
        () => of(loop.summary().delay) / MILLISECONDS,
        { quantile },
      )
    }
    ask('0.5', ({ p50Ms }) => p50Ms)
    ask('0.99', ({ p99Ms }) => p99Ms)
    ask('0.999', ({ p999Ms }) => p999Ms)
    loop.watch()
  }

  async #watched(at: { host: string; port: number }): Promise<void> {
    const { server } = this
    this.#monitor = await serveMonitor({
      ...at,
      metrics: () => server.statistics(),
      unhealthy: () => this.unhealthy,
      unready: () => this.unready,
      failed: (error) =>
        server.log.error('a bug of holdfast, please report it', { error: error as Error }),
    })
  }

  /** Where monitors ask; null: nowhere. */
  get monitor(): Pick<Monitor, 'host' | 'port'> | null {
    return this.#monitor
  }

  /** Where remote clients reach it; null: nowhere. */
  get address(): Pick<StreamListener, 'host' | 'port'> | null {
    return this.remote
  }

  /** Why it does not serve: only a new start helps. Null: it does. */
  get unhealthy(): string | null {
    const { volume } = this.server.files
    if (volume.closed) return 'the volume is closed'
    return volume.core.transaction.usable ? null : 'the volume has failed; the log says why'
  }

  /** Why new clients go elsewhere; null: they may come. */
  get unready(): string | null {
    const { server, unhealthy } = this
    if (unhealthy !== null) return unhealthy
    if (server.stopping) return 'the server stops'
    return server.connections < server.maxSessions ? null : 'as many clients as may be are there'
  }

  /** Reads the keys again. */
  reload(): void {
    this.#endpoint?.reload()
  }

  /**
   * Takes no more clients, asks all leases back, ends all sessions and closes the volume. Resolves
   * with whether that was in order: false, somebody still maps the region, and the volume was left
   * as it is.
   */
  async stop(milliseconds = STOP_MILLISECONDS): Promise<boolean> {
    const { server } = this
    server.stop()
    this.local.close()
    this.remote?.close()
    this.plain?.close()
    if (server.mount !== null) await server.mount.stop()
    await server.dismissAll(milliseconds)
    server.close()
    this.#device.close()
    this.loop?.close()
    await this.#monitor?.close()
    const survivors = server.mapping.held
    if (survivors > 0 || server.files.volume.inGrace) {
      server.log.warn('processes still map the region: the volume is left to be recovered', {
        survivors,
      })
      await server.files.sync()
      return false
    }
    await server.files.close()
    return true
  }
}

async function listenRemote(server: Server, options: ServiceOptions, keys: KeyFile | null) {
  const { listen, crypto } = options
  if (listen === undefined || keys === null) return null
  const { host, port } = listen
  const listener = await server.device.listen({ host, port })
  const endpoint = new RemoteEndpoint(server, keys, crypto)
  void endpoint.serve(listener)
  return { listener, endpoint }
}

async function listenPlain(server: Server, { plain }: ServiceOptions): Promise<Listener | null> {
  if (plain === undefined) return null
  const { host, port, expose } = plain
  const endpoint = new PlainEndpoint(server, expose)
  // Plain clients say nothing of themselves: the kernel asks whether they are there.
  const listener = await server.device.listen({ host, port, silence: server.silence })
  void endpoint.serve(listener)
  return listener
}

async function listenLocal(server: Server, options: ServiceOptions): Promise<UnixListener> {
  const owner = process.getuid?.() ?? 0
  const accepted = (stream: unknown) => serveLocal(server, stream as UnixStream, owner)
  const { adopted, socket, socketMode = SOCKET_MODE } = options
  if (adopted !== undefined) return adoptUnix(adopted, accepted)
  const path = socket ?? ownSocket(server.files.volume.summary().uuid)
  return listenUnix(path, socketMode, accepted)
}
