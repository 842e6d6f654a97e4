/**
 * Buffers that connections of a device borrow while something stands in them. Idle connections
 * have none; what came back is kept for the next one, up to a few.
 */

export interface SendBuffer {
  readonly bytes: Uint8Array
  readonly view: DataView
}

/** Room for one frame as long as frames get, and most of another. */
const BUFFER_BYTES = 128 << 10
const KEPT = 16

export class Buffers {
  readonly #kept: SendBuffer[] = []
  readonly #lent = new Map<Uint8Array, SendBuffer>()

  /** Buffers that are in use. */
  get lent(): number {
    return this.#lent.size
  }

  borrow(): SendBuffer {
    const buffer = this.#kept.pop() ?? newBuffer()
    this.#lent.set(buffer.bytes, buffer)
    return buffer
  }

  giveBack(bytes: Uint8Array): void {
    const buffer = this.#lent.get(bytes)!
    this.#lent.delete(bytes)
    if (this.#kept.length < KEPT) this.#kept.push(buffer)
  }
}

function newBuffer(): SendBuffer {
  const buffer = new ArrayBuffer(BUFFER_BYTES)
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer) }
}
