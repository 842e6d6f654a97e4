/** A relay between two ends, as tests use it (relay.ts is the program). */
import { Actor } from '../processes/actor.js'
import type { Place, Programs } from '../processes/program.js'
import type { Conditions, Way } from './relay.js'

const BOTH: readonly Way[] = ['there', 'back']

export interface Counts {
  readonly connections: number
  readonly there: number
  readonly back: number
  readonly silenced: number
  readonly taken: Readonly<Record<Way, number>>
}

export class Relay {
  readonly #actor: Actor
  readonly #seed: number
  readonly #host: string

  private constructor(actor: Actor, seed: number, host: string) {
    this.#actor = actor
    this.#seed = seed
    this.#host = host
  }

  /** On this machine, or on a host, by its address. */
  static async start(
    programs: Programs,
    seed: number,
    { place, host = '127.0.0.1' }: { readonly place?: Place; readonly host?: string } = {},
  ): Promise<Relay> {
    const at = place === undefined ? {} : { place }
    const actor = await Actor.start(programs, import.meta.url, './relay.js', at)
    return new Relay(actor, seed, host)
  }

  /** Where to connect to, to reach what it passes connections on to. */
  async to(target: { readonly host: string; readonly port: number }) {
    const args = { host: this.#host, to: target, seed: this.#seed }
    return { host: this.#host, port: await this.#actor.call<number>('listen', args) }
  }

  /** Conditions from now on: both ways, or (`there`: to the server) one. */
  async set(changes: Partial<Conditions>, way?: Way): Promise<void> {
    await this.#actor.call('set', { ways: way === undefined ? BOTH : [way], ...changes })
  }

  /** Ends every connection by a reset. */
  async cut(): Promise<void> {
    await this.#actor.call('cut')
  }

  /** Takes no connection any more. */
  async refuse(): Promise<void> {
    await this.#actor.call('refuse')
  }

  /** Connections, bytes that were handed on there and back, thrown away, and taken in. */
  counts(): Promise<Counts> {
    return this.#actor.call('counts')
  }
}
