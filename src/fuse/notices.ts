/**
 * Telling the kernel that what it has cached is not so any more.
 *
 * Invariants:
 * - none is written by the thread that answers requests: the kernel may wait for such an answer
 *   before it is done with a notice (a page that is dirty is written back first);
 * - those about one inode go one after the other, and wait for no other's: the kernel holds back
 *   the pages of a file while a call that cuts it waits, for minutes if it likes;
 * - what is waiting to be told already is not told twice.
 */
import { native } from '../native/native.js'
import type { PollId } from '../native/sockets.js'
import { OutHeader } from './wire/header.js'
import { NotifyCode, NotifyEntry, NotifyInode } from './wire/notify.js'

/** Notices that may be under way at a time, a thread each. */
const LANES = 32
/** Notices of one inode that go before another's has its turn. */
const TURN = 64

/** Its attributes, and no data. */
const ATTRIBUTES_ONLY = -1

interface Notice {
  readonly key: string
  readonly bytes: Uint8Array
  readonly told: Promise<void>
  readonly done: () => void
}

export class Notices {
  readonly #device: () => PollId | null
  readonly #waiting = new Map<string, Notice>()
  /** The same by the inode that the kernel may have to wait for, first those that came first. */
  readonly #queues = new Map<number, Notice[]>()
  /** Inodes of them that nothing is told of now. */
  readonly #ready = new Set<number>()
  /** Inodes that are being told of. */
  readonly #busy = new Set<number>()
  /** Notices that were written. */
  sent = 0

  /** `device`: null when there is none any more. */
  constructor(device: () => PollId | null) {
    this.#device = device
  }

  /** Data and attributes of an inode. Resolves when the kernel has let go of them. */
  inode(ino: number): Promise<void> {
    return this.#tell(`data ${ino}`, ino, () => inodeNotice(ino, 0))
  }

  attributes(ino: number): Promise<void> {
    const data = this.#waiting.get(`data ${ino}`)
    if (data !== undefined) return data.told
    return this.#tell(`attributes ${ino}`, ino, () => inodeNotice(ino, ATTRIBUTES_ONLY))
  }

  entry(parent: number, name: Uint8Array): Promise<void> {
    const key = `entry ${parent} ${Buffer.from(name).toString('latin1')}`
    return this.#tell(key, parent, () => entryNotice(parent, name))
  }

  #tell(key: string, ino: number, make: () => Uint8Array): Promise<void> {
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) return waiting.told
    let done = () => {}
    const told = new Promise<void>((resolve) => (done = resolve))
    const notice = { key, bytes: make(), told, done }
    this.#waiting.set(key, notice)
    const queue = this.#queues.get(ino)
    if (queue !== undefined) queue.push(notice)
    else this.#queues.set(ino, [notice])
    if (!this.#busy.has(ino)) this.#ready.add(ino)
    this.#begin()
    return told
  }

  #begin(): void {
    for (const ino of this.#ready) {
      if (this.#busy.size >= LANES) return
      this.#ready.delete(ino)
      this.#busy.add(ino)
      void this.#writeAll(ino)
    }
  }

  /** What the kernel does not know, it has not cached; a mount that is gone has nothing. */
  async #writeAll(ino: number): Promise<void> {
    const queue = this.#queues.get(ino)!
    for (let i = 0; i < queue.length && i < TURN; i++) {
      const { key, bytes, done } = queue[i]!
      // What changes from here on is another notice.
      this.#waiting.delete(key)
      const device = this.#device()
      if (device !== null) {
        this.sent++
        await native.notifyFuse(device, bytes)
      }
      done()
    }
    queue.splice(0, TURN)
    this.#busy.delete(ino)
    if (queue.length > 0) this.#ready.add(ino)
    else this.#queues.delete(ino)
    this.#begin()
  }
}

function begin(code: number, length: number): DataView {
  const view = new DataView(new ArrayBuffer(OutHeader.size + length))
  view.setUint32(OutHeader.at.len, OutHeader.size + length, true)
  view.setInt32(OutHeader.at.error, code, true)
  return view
}

const bytesOf = (view: DataView) => new Uint8Array(view.buffer as ArrayBuffer)

function inodeNotice(ino: number, offset: number): Uint8Array {
  const view = begin(NotifyCode.inode, NotifyInode.size)
  const at = OutHeader.size
  view.setUint32(at + NotifyInode.at.ino, ino, true)
  view.setInt32(at + NotifyInode.at.off, offset, true)
  view.setInt32(at + NotifyInode.at.off + 4, offset, true)
  return bytesOf(view)
}

function entryNotice(parent: number, name: Uint8Array): Uint8Array {
  const view = begin(NotifyCode.entry, NotifyEntry.size + name.length + 1)
  const at = OutHeader.size
  view.setUint32(at + NotifyEntry.at.parent, parent, true)
  view.setUint32(at + NotifyEntry.at.namelen, name.length, true)
  const bytes = bytesOf(view)
  bytes.set(name, at + NotifyEntry.size)
  return bytes
}
