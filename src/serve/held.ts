/** A hold of a client: what it is told about it, and what stands on it. */
import type { Recall } from '../base/layout.js'
import type { Granted } from '../control/types.js'
import type { Hold } from '../layout/hold.js'
import type { LayoutFile } from '../layout/file.js'
import type { ArgsOf } from '../control/verb.js'
import type { VERBS } from '../control/verbs/index.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { ITEMS_MAX } from '../control/limits.js'
import type { ClientSession } from './client_session.js'
import type { Registration } from './registrations.js'
import { SLICE_BYTES, WriteBack } from './write_back.js'

type Wish = ArgsOf<typeof VERBS.pin>['wish']
export type Extents = Granted['extents']

export class HeldByClient {
  readonly hold: Hold
  readonly session: ClientSession
  readonly registrations = new Set<Registration>()
  /** Of a lease of a remote client: its file; else 0. */
  readonly #ino: number

  constructor(session: ClientSession, hold: Hold) {
    this.session = session
    this.hold = hold
    session.holds.set(hold.id, this)
    this.#ino = session.remote && hold.kind === 'lease' ? hold.info().ino : 0
    if (this.#ino !== 0) session.server.sizes.add(session, this.#ino)
  }

  /** Where its blocks are in the file, from a file block on. */
  extents(from: number): { extents: Extents; more: boolean } {
    const some = this.hold.extents(from, ITEMS_MAX + 1)
    return { extents: some.slice(0, ITEMS_MAX), more: some.length > ITEMS_MAX }
  }

  granted(file: LayoutFile): Granted {
    const { epoch, generation } = this.session.volume.layoutId(file)
    const ranges = this.hold.info().ranges
    const offset = ranges[0]?.offset ?? 0
    const last = ranges.at(-1)
    const end = last === undefined ? 0 : last.offset + last.length
    const layout = { epoch, generation }
    return { id: this.hold.id, layout, offset, length: end - offset, ...this.extents(0) }
  }

  /**
   * What its holder has stored through a mapping of its own is written back, by turns: lines of it
   * may be in a cache still.
   */
  async flush(): Promise<void> {
    const { hold } = this
    if (hold.iomode === 'read') return
    const { volume } = this.session
    const all = new WriteBack(volume, (from, to) => {
      if (hold.released) return
      const blocks = hold.extents(Math.floor(from / BLOCK_BYTES), SLICE_BYTES / BLOCK_BYTES)
      for (const { fileBlock, regionBlock, count } of blocks) {
        const start = fileBlock * BLOCK_BYTES
        const first = Math.max(from, start)
        const end = Math.min(to, start + count * BLOCK_BYTES)
        if (first < end)
          volume.region.flush(regionBlock * BLOCK_BYTES + (first - start), end - first)
      }
    })
    for (const { offset, length } of hold.info().ranges) all.add(offset, length)
    await all.all()
  }

  /** Its holder gives back a range, or all of it. */
  giveBack(range: { readonly offset: number; readonly length: number } | undefined): void {
    if (range === undefined) return this.release()
    for (const { source } of this.registrations) {
      if ('dropped' in source) source.dropped(range.offset, range.length)
    }
    this.hold.returnRange(range.offset, range.length)
    if (this.hold.released) this.forget()
  }

  release(): void {
    this.forget()
    this.hold.release()
  }

  /** All one-sided access through it ends, at once. Returns the STags that are no more. */
  cutOff(): number[] {
    const stags = [...this.registrations].map(({ region }) => region.stag)
    for (const registration of [...this.registrations]) registration.end()
    return stags
  }

  /** It has ended. */
  forget(): void {
    this.cutOff()
    if (!this.session.holds.delete(this.hold.id)) return
    if (this.#ino !== 0) this.session.server.sizes.drop(this.session, this.#ino)
  }
}

/** What a hold is taken with, from what the client asks for. */
export function holdOptions(wish: Wish) {
  const { offset, length, reason, unshare, timeout, deadline } = wish
  return { offset, length, reason, unshare, timeout, deadline }
}

/** Tells a client that a lease is asked back. */
export function tellRecall(session: ClientSession, id: number, recall: Recall): void {
  const { ino, offset, length, change, deadline } = recall
  const left = Math.max(0, Math.floor(deadline))
  session.tell('recall', { id, ino, wanted: { offset, length }, change, deadline: left })
}
