/**
 * A stream of node:net, in each form that node has for receiving: 'data' events, whose buffers node
 * allocates; `onread` with one buffer of our own, used again and again; 'in place', `onread` with a
 * function that gives the part of the destination where the bytes belong. Of sending: writes of one
 * size, some under way at a time. What comes is dropped, or copied to the destination and CRC32C
 * computed of it ('in place' has it there; its CRC32C is of the same bytes).
 */
import { once } from 'node:events'
import { connect, Socket, type OnReadOpts } from 'node:net'
import { native } from '../../src/native/native.js'

export interface RawForm {
  readonly receive: 'data' | 'onread' | 'in place'
  /** Of `onread`, bytes. */
  readonly buffer: number
  /** Bytes of one write. */
  readonly write: number
  /** Writes under way at a time. */
  readonly ahead: number
  readonly treat: 'dropped' | 'copied with CRC32C'
}

export const formName = (form: RawForm): string => {
  const size = (bytes: number) => (bytes < 1 << 20 ? `${bytes >> 10} KiB` : `${bytes >> 20} MiB`)
  const receive = form.receive === 'data' ? "'data'" : `${form.receive} ${size(form.buffer)}`
  return `${receive}, writes of ${size(form.write)}${form.ahead > 1 ? ` x ${form.ahead}` : ''}`
}

export const HEADER_BYTES = 64

/** What is done with the bytes that are expected. */
type Wanted = 'header' | 'object'

/** One end of the connection: what comes is counted against what is expected. */
export class End {
  readonly header = Buffer.alloc(HEADER_BYTES)
  readonly destination: Buffer
  crc = 0
  readonly #small = Buffer.alloc(HEADER_BYTES)
  readonly #form: RawForm
  readonly #socket: Socket
  #wanted: Wanted = 'header'
  #left = HEADER_BYTES
  /** Where the next byte goes, in the header or in the destination. */
  #at = 0
  #done: () => void = () => {}

  /** Of a socket that was taken, or to a port. */
  constructor(form: RawForm, destination: Buffer, from: Socket | number) {
    this.#form = form
    this.destination = destination
    const whole = Buffer.allocUnsafeSlow(form.buffer)
    const onread: OnReadOpts = {
      buffer: form.receive === 'in place' ? () => this.#place() : whole,
      callback: (n, bytes) => {
        this.#take(bytes, n)
        return true
      },
    }
    const options = form.receive === 'data' ? {} : { onread }
    if (typeof from === 'number')
      this.#socket = connect({ host: '127.0.0.1', port: from, ...options })
    else {
      // A server's sockets have no `onread` in the public interface; the handle moves to one that
      // has, as node's own cluster does it. The floor is to be as low as it can be.
      const { _handle: handle } = from as unknown as { _handle: unknown }
      this.#socket = new Socket({ handle, ...options } as object)
    }
    this.#socket.setNoDelay(true)
    if (form.receive === 'data') {
      this.#socket.on('data', (bytes: Buffer) => this.#take(bytes, bytes.length))
    } else this.#socket.resume()
  }

  async connected(): Promise<void> {
    await once(this.#socket, 'connect')
  }

  /** `done` when that many more have come. What follows them is expected by then. */
  expect(wanted: Wanted, bytes: number, done: () => void): void {
    this.#wanted = wanted
    this.#left = bytes
    this.#at = 0
    this.#done = done
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** `total` bytes of `source`, from its begin to `end`, again and again. */
  pump(source: Buffer, end: number, total: number): void {
    const { write, ahead } = this.#form
    let sent = 0
    const more = () => {
      if (sent >= total) return
      const at = sent % end
      const length = Math.min(write, total - sent, end - at)
      sent += length
      this.#socket.write(source.subarray(at, at + length), more)
    }
    for (let i = 0; i < ahead; i++) more()
  }

  onClose(run: () => void): void {
    this.#socket.on('error', run).on('close', run)
  }

  close(): void {
    this.#socket.destroy()
  }

  /**
   * For the bytes that come next, never beyond those that are expected. Node asks after each read:
   * what is expected later than that begins in the small buffer.
   */
  #place(): Buffer {
    if (this.#wanted === 'header' || this.#left === 0) return this.#small
    const length = Math.min(this.#left, this.#form.buffer, this.destination.length - this.#at)
    return this.destination.subarray(this.#at, this.#at + length)
  }

  #take(bytes: Uint8Array, n: number): void {
    let from = 0
    while (from < n) {
      const length = Math.min(n - from, this.#left)
      this.#treat(bytes, from, length)
      from += length
      this.#left -= length
      if (this.#left === 0) this.#done()
    }
  }

  #treat(bytes: Uint8Array, from: number, length: number): void {
    const { receive, treat } = this.#form
    if (this.#wanted === 'header') {
      this.header.set(bytes.subarray(from, from + length), this.#at)
      this.#at += length
      return
    }
    const copied = treat === 'copied with CRC32C'
    if (copied) this.crc = native.crc32cOf(bytes, from, length, this.crc)
    const small = receive === 'in place' && bytes.buffer !== this.destination.buffer
    if (small || (copied && receive !== 'in place')) {
      this.#copy(bytes.subarray(from, from + length))
    }
    this.#at = (this.#at + length) % this.destination.length
  }

  #copy(bytes: Uint8Array): void {
    const room = this.destination.length - this.#at
    if (bytes.length <= room) return this.destination.set(bytes, this.#at)
    this.destination.set(bytes.subarray(0, room), this.#at)
    this.destination.set(bytes.subarray(room))
  }
}
