/** Asking for holds: what is common to files of all clients. */
import { HoldfastError } from '../base/errors.js'
import type { Iomode, UnshareMode, WaitOptions } from '../base/layout.js'
import { sizeOf } from './wire.js'
import type { OnRecall } from './hold.js'

export interface TakeOptions extends WaitOptions {
  /** First byte in the file; 0 unless given. */
  readonly offset?: number
  /** Bytes; to the end of the file unless given. It may reach past it. */
  readonly length?: number
  /** Why, in words: it is shown to whoever is in the way. */
  readonly reason?: string
  /** Who moves where blocks are shared; 'self' unless given. */
  readonly unshare?: UnshareMode
}

export interface LayoutOptions extends TakeOptions {
  /** 'read' unless given. */
  readonly iomode?: Iomode
  readonly onRecall?: OnRecall
}

/** Milliseconds between two tries of what is under recall, at first and at most. */
const AGAIN_MIN = 2
const AGAIN_MAX = 100
/** As long as a recall may take, and a little. */
const AGAIN_MILLISECONDS = 70_000

export function wishOf(handle: number, options: TakeOptions) {
  const { offset = 0, length, reason = '', unshare, timeout, deadline } = options
  const range = {
    offset: sizeOf(offset, 'offset'),
    length: length === undefined ? undefined : sizeOf(length, 'length'),
  }
  return { handle, ...range, reason, unshare, timeout, deadline }
}

/** Asks again while the range is under recall. */
export async function whenFree<T>(
  after: (milliseconds: number, run: () => void) => void,
  ask: () => Promise<T>,
): Promise<T> {
  let waited = 0
  for (let wait = AGAIN_MIN; ; wait = Math.min(AGAIN_MAX, 2 * wait)) {
    try {
      return await ask()
    } catch (error) {
      const again = error instanceof HoldfastError && error.code === 'EAGAIN'
      if (!again || waited > AGAIN_MILLISECONDS) throw error
    }
    waited += wait
    await new Promise<void>((resolve) => after(wait, resolve))
  }
}
