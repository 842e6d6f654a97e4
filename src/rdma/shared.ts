/** What connections of a device share. */
import type { Timers } from '../base/timers.js'
import type { SendBuffer } from './send_buffer.js'
import type { Stags } from './stags.js'

/** Bytes that are taken in at a time. */
export const STAGING_BYTES = 1 << 20

export interface Shared {
  readonly timers: Timers
  readonly stags: Stags
  readonly sendBuffer: SendBuffer
  /** Payloads that are shorter are copied; of what comes, those of which less is to come. */
  readonly sendCopyBelow: number
  readonly receiveCopyBelow: number
  /** Bytes that came behind messages that wait for receives. */
  parkedBytes: number
  /**
   * Where streams are read to: what is not a whole frame at the end of a turn is kept elsewhere.
   */
  readonly staging: Uint8Array
}
