/** What client and server say to each other: messages of JSON, in RDMA Sends. */
import type { Peer } from 'holdfast/rdma'

export interface Range {
  readonly offset: number
  readonly length: number
}

export type Request = { readonly id: number } & (
  | ({ readonly op: 'layoutget'; readonly path: string; readonly write: boolean } & Range)
  | { readonly op: 'layoutcommit'; readonly layout: number; readonly size: number }
  | { readonly op: 'layoutreturn'; readonly layout: number }
  | { readonly op: 'size'; readonly path: string }
)

/** Without the number, as it is asked. */
export type Asked = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never

export interface Lent extends Range {
  readonly layout: number
  readonly stag: number
}

/** An answer, or word that a layout is wanted back or gone. */
export interface Said {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string }
  readonly recall?: { readonly layout: number; readonly change: string; readonly deadline: number }
  readonly fenced?: number
}

export const say = (peer: Peer, message: Said | Request) =>
  peer.send(new TextEncoder().encode(JSON.stringify(message)))

export const heard = <T>(bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)) as T
