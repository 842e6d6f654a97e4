/** A file of a client that takes holds of it. */
import type { CallOptions } from '../control/caller.js'
import { VERBS } from '../control/verbs/index.js'
import type { Client } from './client.js'
import { ServedFile, type Opened } from './file.js'
import type { ClientHold, HoldFacts } from './hold.js'
import { wishOf, type LayoutOptions, type TakeOptions } from './taking.js'

export class HoldingFile extends ServedFile {
  protected readonly client: Client

  constructor(client: Client, opened: Opened, flags: number) {
    super(client.connection, opened, flags)
    this.client = client
  }

  /** Pins a range: its blocks stay where they are, until it is released. */
  pin(options: TakeOptions = {}): Promise<ClientHold> {
    return this.take('pin', options)
  }

  /** Lends a range (LAYOUTGET), to be given back when it is asked for. */
  lease(options: LayoutOptions = {}): Promise<ClientHold> {
    return this.take('lease', options)
  }

  protected async take(
    kind: HoldFacts['kind'],
    options: LayoutOptions,
    forgotten: HoldFacts['onRecall'] = undefined,
  ): Promise<ClientHold> {
    const { iomode = 'read', onRecall = forgotten, reason = '', signal } = options
    const { ino, generation } = this
    const facts = { kind, iomode: kind === 'lease' ? iomode : null, ino, generation, reason }
    const call: CallOptions = { signal }
    const { handle, session: alive } = await this.opened()
    const wish = wishOf(handle, options)
    return this.client.take(alive, { ...facts, onRecall }, () =>
      kind === 'lease'
        ? alive.caller.call(VERBS.layoutGet, { wish, iomode }, call)
        : alive.caller.call(kind === 'pin' ? VERBS.pin : VERBS.seal, { wish }, call),
    )
  }
}
