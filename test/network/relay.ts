/**
 * A program that passes TCP connections on, and does to them what a network does: later, in other
 * pieces, slowly, not now, not any more; each way by itself. What comes out is what came in, in its
 * order: only `silent` takes bytes away, and then all that come.
 */
import { createServer, connect, type Server, type Socket } from 'node:net'
import { Prng } from '../../src/base/prng.js'
import { serve, tell } from '../processes/serve.js'

/** What happens to what goes one way. */
export interface Conditions {
  /** Milliseconds that bytes are on their way, and as many more at most, by chance. */
  readonly delay: number
  readonly jitter: number
  /** 0: as many as come. */
  readonly bytesPerSecond: number
  /** Bytes are handed on in pieces of one to so many, each by itself. 0: as they come. */
  readonly piece: number
  /** Nothing is handed on until it is not stalled any more. */
  readonly stalled: boolean
  /** All that comes is thrown away. The kernel goes on to answer that it came. */
  readonly silent: boolean
}

export type Way = 'there' | 'back'

/** Bytes that a way has taken in and not handed on; with more, who sends waits. */
const HELD_MAX = 1 << 20

const SOUND: Conditions = {
  delay: 0,
  jitter: 0,
  bytesPerSecond: 0,
  piece: 0,
  stalled: false,
  silent: false,
}

const conditions: Record<Way, Conditions> = { there: SOUND, back: SOUND }
const counts = { connections: 0, there: 0, back: 0, silenced: 0, taken: { there: 0, back: 0 } }
const flows = new Set<Flow>()
let prng = new Prng(1)

/** Bytes, or (null) the end of them, and when they are handed on. */
interface Held {
  readonly bytes: Uint8Array | null
  readonly due: number
}

/** One way of one connection. */
class Flow {
  readonly #way: Way
  readonly #from: Socket
  readonly #to: Socket
  readonly #held: Held[] = []
  #heldBytes = 0
  /** When the last that is held is handed on: nothing overtakes it. */
  #last = 0
  #full = false
  #cancel: (() => void) | null = null

  constructor(way: Way, from: Socket, to: Socket) {
    this.#way = way
    this.#from = from
    this.#to = to
    from.on('data', (bytes) => this.#take(bytes))
    from.on('end', () => this.#hold(null))
    to.on('drain', () => {
      this.#full = false
      this.pass()
    })
    flows.add(this)
  }

  /** Both ways of its connection end at once, by a reset. */
  reset(): void {
    this.#to.resetAndDestroy()
    this.end()
  }

  end(): void {
    this.#cancel?.()
    this.#held.length = 0
    flows.delete(this)
  }

  /** Hands on what is due. */
  pass(): void {
    this.#cancel?.()
    this.#cancel = null
    const { stalled, piece } = conditions[this.#way]
    while (!stalled && !this.#full && this.#held.length > 0) {
      const wait = this.#held[0]!.due - performance.now()
      if (wait > 0) {
        this.#later(wait)
        break
      }
      this.#handOn(this.#held.shift()!)
      // In the next turn, so that the kernel sends each by itself.
      if (piece > 0 && this.#held.length > 0) {
        this.#later(0)
        break
      }
    }
    if (this.#heldBytes < HELD_MAX) this.#from.resume()
  }

  /** In the next turn, or after so many milliseconds. */
  #later(milliseconds: number): void {
    const pass = () => this.pass()
    if (milliseconds === 0) {
      const soon = setImmediate(pass)
      this.#cancel = () => clearImmediate(soon)
    } else {
      const timer = setTimeout(pass, milliseconds)
      this.#cancel = () => clearTimeout(timer)
    }
  }

  #take(bytes: Uint8Array): void {
    const { silent, piece } = conditions[this.#way]
    counts.taken[this.#way] += bytes.length
    if (silent) {
      counts.silenced += bytes.length
      return
    }
    for (let at = 0; at < bytes.length;) {
      const length = piece === 0 ? bytes.length : 1 + prng.below(piece)
      this.#hold(bytes.subarray(at, at + length))
      at += length
    }
    if (this.#heldBytes >= HELD_MAX) this.#from.pause()
  }

  #hold(bytes: Uint8Array | null): void {
    const { delay, jitter, bytesPerSecond, silent } = conditions[this.#way]
    if (silent) return
    const due = Math.max(this.#last, performance.now() + delay + prng.below(jitter + 1))
    const length = bytes?.length ?? 0
    const seconds = bytesPerSecond === 0 ? 0 : length / bytesPerSecond
    this.#last = due + seconds * 1000
    this.#held.push({ bytes, due: this.#last })
    this.#heldBytes += length
    if (this.#held.length === 1) this.pass()
  }

  #handOn({ bytes }: Held): void {
    if (bytes === null) {
      this.#to.end()
      this.end()
      return
    }
    this.#heldBytes -= bytes.length
    counts[this.#way] += bytes.length
    this.#full = !this.#to.write(bytes)
  }
}

/** A connection, and the one that is made for it. */
function relay(near: Socket, far: Socket): void {
  counts.connections++
  const both = [new Flow('there', near, far), new Flow('back', far, near)]
  const gone = () => {
    for (const flow of both) flow.end()
  }
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.setNoDelay(true)
    one.on('error', () => {
      if (!other.destroyed) other.resetAndDestroy()
      gone()
    })
  }
  tell('relayed')
}

let server: Server | null = null

interface Listen {
  readonly host: string
  readonly to: { readonly host: string; readonly port: number }
  readonly seed: number
}

function listen({ host, to, seed }: Listen): Promise<number> {
  prng = new Prng(seed)
  const made = createServer({ allowHalfOpen: true }, (near) => {
    relay(near, connect({ ...to, allowHalfOpen: true }))
  })
  server = made
  return new Promise((resolve, reject) => {
    made.once('error', reject)
    made.listen(0, host, () => resolve((made.address() as { port: number }).port))
  })
}

serve({
  listen,
  /** From now on, and for what is held already where that makes sense. */
  set: ({ ways, ...changes }: { ways: readonly Way[] } & Partial<Conditions>) => {
    for (const way of ways) conditions[way] = { ...conditions[way], ...changes }
    for (const flow of flows) flow.pass()
  },
  /** Ends every connection by a reset, both ways. */
  cut: () => {
    for (const flow of [...flows]) flow.reset()
  },
  /** Takes no connection any more. */
  refuse: () => void server?.close(),
  counts: () => counts,
})
