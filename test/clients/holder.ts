/**
 * A client that speaks the protocol itself: it knows what it was granted, and nothing takes its
 * mappings away. They are those of a keeper, a process in C that has the descriptor.
 */
import { systemTimers } from '../../src/base/timers.js'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { Caller } from '../../src/control/caller.js'
import { PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from '../../src/control/limits.js'
import type { Notice } from '../../src/control/message.js'
import type { Granted } from '../../src/control/types.js'
import type { ResultOf } from '../../src/control/verb.js'
import { VERBS } from '../../src/control/verbs/index.js'
import { connectUnix } from '../../src/native/unix.js'
import { flagNumber } from '../../src/base/open_flags.js'
import type { OpenFlags } from '../../src/base/filesystem.js'
import type { Programs } from '../processes/program.js'
import { Keeper } from '../processes/keeper.js'

export type Opened = ResultOf<typeof VERBS.open>

/** A hold as its holder knows it, whatever becomes of the server. */
export interface Held {
  readonly opened: Opened
  readonly granted: Granted
  readonly kind: 'pin' | 'seal' | 'lease'
  readonly iomode: 'read' | 'rw' | undefined
}

/** What maps, and the descriptor that it maps with, which is to be closed here. */
export interface Kept {
  readonly keeper: Keeper
  readonly slot: number
  readonly fd: number
}

export class Holder {
  readonly caller: Caller
  readonly notices: Notice[] = []
  readonly hello: ResultOf<typeof VERBS.hello>

  private constructor(caller: Caller, hello: ResultOf<typeof VERBS.hello>, notices: Notice[]) {
    this.caller = caller
    this.hello = hello
    this.notices = notices
  }

  static async connect(socket: string, name = 'a holder'): Promise<Holder> {
    const stream = await connectUnix(socket)
    stream.wantDescriptors(1)
    const notices: Notice[] = []
    const caller = new Caller(stream, systemTimers, {
      notice: (notice) => notices.push(notice),
      ended: () => {},
    })
    const hello = await caller.call(VERBS.hello, {
      version: PROTOCOL_VERSION,
      versionMin: PROTOCOL_VERSION_MIN,
      capabilities: 0,
      name,
      umask: 0o022,
    })
    return new Holder(caller, hello, notices)
  }

  open(path: string, flags: OpenFlags): Promise<Opened> {
    const waits = { timeout: undefined, deadline: undefined }
    const options = { policy: undefined, share: undefined, force: false, ...waits }
    const args = { path: Buffer.from(path), flags: flagNumber(flags), mode: 0o666, options }
    return this.caller.call(VERBS.open, args)
  }

  async seal(opened: Opened, offset = 0, length?: number): Promise<Held> {
    const granted = await this.caller.call(VERBS.seal, { wish: wish(opened, offset, length) })
    return { opened, granted, kind: 'seal', iomode: undefined }
  }

  async lease(opened: Opened, iomode: 'read' | 'rw'): Promise<Held> {
    const args = { wish: wish(opened, 0, undefined), iomode }
    const granted = await this.caller.call(VERBS.layoutGet, args)
    return { opened, granted, kind: 'lease', iomode }
  }

  /** A keeper with the descriptor that the server passes. */
  async keeper(programs: Programs): Promise<Kept> {
    const { slot } = await this.caller.call(VERBS.descriptor, {})
    const [{ fd } = { fd: -1 }] = this.caller.channel.stream.takeDescriptors!()
    return { keeper: await Keeper.start(programs, fd), slot, fd }
  }

  /** Shows by its descriptor what a keeper maps. */
  async show({ fd }: Pick<Kept, 'fd'>): Promise<number> {
    this.caller.channel.attach(fd)
    return (await this.caller.call(VERBS.showMapping, {})).slot
  }

  /** Takes again, in a new session, what it was granted in another one, or more of it. */
  async reclaim({ opened, granted, kind, iomode }: Held, into?: number): Promise<Held> {
    const { ino, generation } = opened
    const { layout, offset, length, extents } = granted
    const { id, layout: now } = await this.caller.call(VERBS.reclaim, {
      ino,
      generation,
      layout,
      kind,
      iomode,
      offset,
      length,
      extents,
      reason: 'taken again',
      into,
    })
    return { opened, granted: { ...granted, id, layout: now }, kind, iomode }
  }

  async reclaimDone(slots: readonly number[]): Promise<void> {
    await this.caller.call(VERBS.reclaimDone, { slots })
  }

  /** The next notice of a name, also one that came before. */
  told(name: Notice['name']): boolean {
    return this.notices.some((notice) => notice.name === name)
  }

  /** Its socket ends, and nothing else of it. */
  disconnect(): void {
    this.caller.abort()
  }
}

function wish(opened: Opened, offset: number, length: number | undefined) {
  const rest = { unshare: undefined, timeout: undefined, deadline: undefined }
  return { handle: opened.handle, offset, length, reason: 'a keeper maps it', ...rest }
}

/** The keeper maps all of what was granted; blocks of the file, in order, are its pages. */
export async function mapGranted(keeper: Keeper, { granted }: Held): Promise<void> {
  for (const { regionBlock, count } of granted.extents) {
    await keeper.map(regionBlock * BLOCK_BYTES, count * BLOCK_BYTES)
  }
}
