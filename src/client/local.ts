/** A client on the same machine: over a Unix socket. */
import { HoldfastError } from '../base/errors.js'
import { connectUnix } from '../native/unix.js'
import { PassedRegion } from '../region/passed_region.js'
import { VERBS } from '../control/verbs/index.js'
import { Client, type ClientOptions } from './client.js'
import { LocalFile } from './local_file.js'

/** The region, as far as this client was passed it. */
class Passed {
  #region: Promise<PassedRegion> | null = null
  readonly #slots: number[] = []

  get slots(): readonly number[] {
    return this.#slots
  }

  /** The descriptor is asked for once a session, when something is mapped. */
  region(client: Client): Promise<PassedRegion> {
    this.#region ??= this.#ask(client).catch((error: unknown) => {
      this.#region = null
      throw error
    })
    return this.#region
  }

  async #ask(client: Client): Promise<PassedRegion> {
    const { caller, hello } = await client.connection.session()
    const { stream } = caller.channel
    const { slot } = await caller.call(VERBS.descriptor, {})
    const [received] = stream.takeDescriptors?.() ?? []
    if (received === undefined) throw new HoldfastError('EPROTO', 'no descriptor came')
    const { path, kind, bytes, grain, persistence, coherent } = hello.region
    this.#slots.push(slot)
    return new PassedRegion(received.fd, {
      path,
      kind,
      byteLength: bytes,
      grain,
      persistence,
      coherent,
    })
  }

  /** Mappings live on; what is mapped from now on comes from the next server. */
  lost(): void {
    const region = this.#region
    this.#region = null
    region?.then(
      (one) => one.close(),
      () => {},
    )
  }
}

/** Connects to the server that listens at the path of a Unix socket. */
export function connectLocal(path: string, options: ClientOptions = {}): Promise<Client> {
  const passed = new Passed()
  const connect = async (signal: AbortSignal) => {
    const stream = await connectUnix(path, signal)
    stream.wantDescriptors(1)
    return { stream }
  }
  return Client.connect(
    path,
    connect,
    {
      file: (client) => (opened, flags) =>
        new LocalFile(client, () => passed.region(client), opened, flags),
      lost: () => passed.lost(),
      slots: () => passed.slots,
      closed: () => passed.lost(),
    },
    options,
  )
}
