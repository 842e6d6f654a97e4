/**
 * The region, as far as this client was passed it: in each session in which something is mapped, a
 * descriptor of its own, which holds a lock by which servers know that the mappings are there.
 *
 * Invariants:
 * - a descriptor is open as long as a mapping was made with it, and while its session lasts: what
 *   the mapping does with it later does not reach another file;
 * - it is shown to the next server exactly as long, by which that knows the mappings.
 */
import { HoldfastError } from '../base/errors.js'
import { VERBS } from '../control/verbs/index.js'
import { PassedRegion } from '../region/passed_region.js'
import type { Client } from './client.js'
import type { Alive } from './link.js'

/** What one session has passed. */
class Grant {
  readonly region: PassedRegion
  readonly slot: number
  readonly #onClose: (grant: Grant) => void
  #users = 0
  /** Its session is the one that there is. */
  current = true

  constructor(region: PassedRegion, slot: number, onClose: (grant: Grant) => void) {
    this.region = region
    this.slot = slot
    this.#onClose = onClose
  }

  use(): RegionUse {
    this.#users++
    return new RegionUse(this)
  }

  left(): void {
    this.#users--
    this.#look()
  }

  retire(): void {
    this.current = false
    this.#look()
  }

  #look(): void {
    if (this.current || this.#users > 0) return
    this.region.close()
    this.#onClose(this)
  }
}

/** One mapping's part in it. */
export class RegionUse {
  readonly #grant: Grant
  #over = false

  constructor(grant: Grant) {
    this.#grant = grant
  }

  get region(): PassedRegion {
    return this.#grant.region
  }

  get slot(): number {
    return this.#grant.slot
  }

  /** Whether the session that passed it is still the one that there is. */
  get current(): boolean {
    return this.#grant.current
  }

  /** Nothing of it is mapped. Once is enough. */
  release(): void {
    if (this.#over) return
    this.#over = true
    this.#grant.left()
  }
}

export class Passed {
  #current: Promise<Grant> | null = null
  readonly #grants = new Set<Grant>()

  /** Whether mappings of this client hold locks of the region, or are about to. */
  get maps(): boolean {
    return this.#grants.size > 0
  }

  /** The descriptor is asked for once a session, when something is mapped. */
  async use(client: Client): Promise<RegionUse> {
    return (await (this.#current ??= this.#begin(client))).use()
  }

  #begin(client: Client): Promise<Grant> {
    const asked: Promise<Grant> = this.#ask(client).catch((error: unknown) => {
      // That of the next session stays.
      if (this.#current === asked) this.#current = null
      throw error
    })
    return asked
  }

  async #ask(client: Client): Promise<Grant> {
    const { caller, hello } = await client.connection.session()
    const { stream } = caller.channel
    const { slot } = await caller.call(VERBS.descriptor, {})
    const [received] = stream.takeDescriptors?.() ?? []
    if (received === undefined && caller.ended) {
      throw new HoldfastError('ECONNRESET', 'the connection was lost as the descriptor came')
    }
    if (received === undefined) throw new HoldfastError('EPROTO', 'no descriptor came')
    const { path, kind, bytes, grain, persistence, coherent } = hello.region
    const told = { path, kind, byteLength: bytes, grain, persistence, coherent }
    const region = new PassedRegion(received.fd, told)
    const grant = new Grant(region, slot, (one) => this.#grants.delete(one))
    this.#grants.add(grant)
    // The session may have been lost since: `lost` has not seen this one.
    if (caller.ended) grant.retire()
    return grant
  }

  /**
   * Shows a new server what is mapped, by the descriptors that it was mapped with. Returns their
   * slots, but of those that the server does not want.
   */
  async show({ caller }: Alive): Promise<number[]> {
    const shown: number[] = []
    for (const grant of [...this.#grants]) {
      const use = grant.use() // so that it is open until it has come
      try {
        caller.channel.attach(use.region.fd)
        shown.push((await caller.call(VERBS.showMapping, {})).slot)
      } catch (error) {
        if (caller.ended) throw error
      } finally {
        use.release()
      }
    }
    return shown
  }

  /** Mappings live on; what is mapped from now on comes from the next server. */
  lost(): void {
    this.#current = null
    for (const grant of [...this.#grants]) grant.retire()
  }
}
