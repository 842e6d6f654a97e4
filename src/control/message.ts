/**
 * The envelope of a message: a call, its reply, that a call is given up, a notice.
 *
 *     call:    kind 0, id, milliseconds it may take (0: no limit), who asks (optional), verb, args
 *     reply:   kind 1, id, 0 and the result, or 1 and the failure
 *     cancel:  kind 2, id
 *     notice:  kind 3, number, body
 */
import { ERRNO, HoldfastError, type ErrorCode } from '../base/errors.js'
import type { Credentials } from '../base/filesystem.js'
import { CALL_MILLISECONDS_MAX, ERROR_HOLDS_MAX } from './limits.js'
import { NOTICES, type NoticeName } from './notices.js'
import { optional, type Of, type Schema } from './schema.js'
import { credentials, failure } from './types.js'
import { malformed, type XdrReader, type XdrWriter } from './xdr.js'

export const Kind = { call: 0, reply: 1, cancel: 2, notice: 3 } as const

const asks = optional(credentials)

/** What stands before the arguments of a call. */
export interface CallHead {
  readonly id: number
  /** Milliseconds; 0: no limit. */
  readonly limit: number
  readonly as: Of<typeof credentials> | undefined
  readonly verb: number
}

export function writeCallHead(
  out: XdrWriter,
  id: number,
  limit: number,
  as: Credentials | undefined,
  verb: number,
): void {
  out.u32(Kind.call)
  out.u32(id)
  out.u32(limit)
  const groups = as?.groups ?? []
  asks.write(out, as === undefined ? undefined : { ...as, groups, umask: as.umask ?? 0 })
  out.u32(verb)
}

/** The rest of the head, once its kind and id were read. */
export function readCallHead(from: XdrReader, id: number): CallHead {
  const limit = from.u32()
  if (limit > CALL_MILLISECONDS_MAX) throw malformed(`a call that may take ${limit} ms`)
  return { id, limit, as: asks.read(from), verb: from.u32() }
}

export function writeReply<T>(out: XdrWriter, id: number, result: Schema<T>, value: T): void {
  out.u32(Kind.reply)
  out.u32(id)
  out.u32(0)
  result.write(out, value)
}

export function writeFailure(out: XdrWriter, id: number, error: HoldfastError): void {
  const { code, detail, syscall, path, destination, holds = [] } = error
  out.u32(Kind.reply)
  out.u32(id)
  out.u32(1)
  const errno = ERRNO[code][0]
  const listed = holds.slice(0, ERROR_HOLDS_MAX)
  failure.write(out, { errno, detail, syscall, path, destination, holds: listed })
}

const codes = new Map<number, ErrorCode>(
  Object.entries(ERRNO).map(([code, [number]]) => [number, code as ErrorCode]),
)

/** The result of a reply, once its kind and id were read; or the error that it brings, thrown. */
export function readResult<T>(from: XdrReader, result: Schema<T>): T {
  const status = from.u32()
  if (status === 0) {
    const value = result.read(from)
    from.end()
    return value
  }
  if (status !== 1) throw malformed(`a reply with status ${status}`)
  const { errno, detail, holds, ...places } = failure.read(from)
  from.end()
  const { syscall, path, destination } = places
  throw new HoldfastError(codes.get(errno) ?? 'EIO', detail, {
    holds,
    ...(syscall === undefined ? {} : { syscall }),
    ...(path === undefined ? {} : { path }),
    ...(destination === undefined ? {} : { destination }),
  })
}

export type NoticeBody<N extends NoticeName> = Of<(typeof NOTICES)[N]['body']>
/** A notice with its name. */
export type Notice = {
  [N in NoticeName]: { readonly name: N; readonly body: NoticeBody<N> }
}[NoticeName]

const byNumber = new Map<number, NoticeName>(
  Object.entries(NOTICES).map(([name, { number }]) => [number, name as NoticeName]),
)

export function writeNotice<N extends NoticeName>(
  out: XdrWriter,
  name: N,
  body: NoticeBody<N>,
): void {
  const { number, body: schema } = NOTICES[name]
  out.u32(Kind.notice)
  out.u32(number)
  ;(schema as Schema<unknown>).write(out, body)
}

/** A notice, once its kind was read; null: one of a newer server. */
export function readNotice(from: XdrReader): Notice | null {
  const name = byNumber.get(from.u32())
  if (name === undefined) return null
  const body = NOTICES[name].body.read(from)
  from.end()
  return { name, body } as Notice
}
