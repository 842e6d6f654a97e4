/** What an operation is given, and what comes of it. */
import type { Exchange } from '../exchange.js'
import type { FuseSession } from '../session.js'

/** There is no reply, or it was given. */
export const ANSWERED = -1

/** Bytes of the reply that it put, or ANSWERED. What it throws is answered with its errno. */
export type Operation = (session: FuseSession, x: Exchange) => number | Promise<number>
export type Operations = Readonly<Record<number, Operation>>
