/** A verb: what a client may ask of a server, and what it is answered. */
import type { Of, Schema } from './schema.js'

export interface Verb<A = unknown, R = unknown> {
  readonly number: number
  /** As the documents name it. */
  readonly title: string
  /** One sentence. */
  readonly about: string
  readonly args: Schema<A>
  readonly result: Schema<R>
  /** Whether a call may say in whose name it asks; all others go by their session or handle. */
  readonly inNameOf: boolean
}

export const verb = <A, R>(
  number: number,
  title: string,
  about: string,
  args: Schema<A>,
  result: Schema<R>,
  { inNameOf = false } = {},
): Verb<A, R> => ({ number, title, about, args, result, inNameOf })

export type ArgsOf<V> = V extends Verb<infer A, unknown> ? A : never
export type ResultOf<V> =
  V extends Verb<never, infer R> ? R : V extends { result: infer S } ? Of<S> : never

/** What a server tells without being asked. */
export interface NoticeType<B = unknown> {
  readonly number: number
  readonly title: string
  readonly about: string
  readonly body: Schema<B>
}

export const noticeType = <B>(
  number: number,
  title: string,
  about: string,
  body: Schema<B>,
): NoticeType<B> => ({ number, title, about, body })
