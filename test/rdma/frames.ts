/**
 * Segments and frames made for tests from the declarations of the headers, and taken apart by them:
 * nothing here knows an offset, and nothing of what sends in production is used but the framing.
 */
import { FpduWriter } from '../../src/rdma/fpdu.js'
import type { Segment } from '../../src/rdma/segment.js'
import {
  AtomicRequest,
  AtomicResponse,
  Opcode,
  putControl,
  queueOf,
  ReadRequest,
  TaggedHeader,
  UntaggedHeader,
} from '../../src/rdma/wire/ddp.js'
import type { Header } from '../../src/rdma/wire/header.js'

/** Fields of 8 bytes are bigints, all others are numbers. */
type Values<Name extends string> = Readonly<Record<Name, number | bigint>>

export const NOTHING = new Uint8Array(0)

export const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
export const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex.replace(/\s/g, ''), 'hex'))

/** Bytes that tell where they are from. */
export const pattern = (length: number, salt: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + salt * 17 + (i >>> 8)) & 0xff)

export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts))
}

export function encodeHeader<Name extends string>(
  header: Header<Name>,
  values: Values<Name>,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(header.size)
  const view = new DataView(bytes.buffer)
  for (const { name, offset, width } of header.fields) {
    const value = BigInt(values[name])
    if (value < 0n || value >> BigInt(8 * width) !== 0n) throw new RangeError(`${name}: ${value}`)
    for (let i = 0; i < width; i++) {
      view.setUint8(offset + i, Number((value >> BigInt(8 * (width - 1 - i))) & 0xffn))
    }
  }
  return bytes
}

export function decodeHeader<Name extends string>(
  header: Header<Name>,
  bytes: Uint8Array,
): Values<Name> {
  const values = {} as Record<Name, number | bigint>
  for (const { name, offset, width } of header.fields) {
    let value = 0n
    for (let i = 0; i < width; i++) value = (value << 8n) | BigInt(bytes[offset + i]!)
    values[name] = width === 8 ? value : Number(value)
  }
  return values
}

export type SegmentFields = {
  readonly opcode: Opcode
  /** Unless it says otherwise, a segment is its message. */
  readonly last?: boolean
  readonly payload?: Uint8Array
} & (
  | { readonly stag: number; readonly to: bigint }
  | {
      readonly msn: number
      readonly qn?: number
      readonly mo?: number
      readonly invalidateStag?: number
    }
)

/** A ULPDU. */
export function segmentOf(fields: SegmentFields): Uint8Array<ArrayBuffer> {
  const { opcode, last = true, payload = NOTHING } = fields
  const control = { ddp: 0, rdmap: 0 }
  const header =
    'stag' in fields
      ? encodeHeader(TaggedHeader, { ...control, stag: fields.stag, to: fields.to })
      : encodeHeader(UntaggedHeader, {
          ...control,
          invalidateStag: fields.invalidateStag ?? 0,
          qn: fields.qn ?? queueOf(opcode)!,
          msn: fields.msn,
          mo: fields.mo ?? 0,
        })
  putControl(new DataView(header.buffer), 0, opcode, last)
  return joined([header, payload])
}

/** The fields of a segment that was read; its payload is a copy. */
export function fieldsOf(segment: Segment): SegmentFields {
  const { opcode, last, payload: at, payloadLength } = segment
  const payload = segment.bytes.slice(at, at + payloadLength)
  const common = { opcode: opcode as Opcode, last, payload }
  if (segment.tagged) {
    const to = (BigInt(segment.toHigh) << 32n) | BigInt(segment.toLow)
    return { ...common, stag: segment.stag, to }
  }
  const { msn, qn, mo, invalidateStag } = segment
  return { ...common, msn, qn, mo, invalidateStag }
}

/** What a payload is, where it is a header: it can be taken apart, and made again. */
const PAYLOADS: Readonly<Partial<Record<number, Header>>> = {
  [Opcode.readRequest]: ReadRequest,
  [Opcode.atomicRequest]: AtomicRequest,
  [Opcode.atomicResponse]: AtomicResponse,
}

/** The same segment, each header of it taken apart and made again. */
export function remade(segment: Segment): Uint8Array {
  const fields = fieldsOf(segment)
  const { payload = NOTHING } = fields
  const header = PAYLOADS[fields.opcode]
  const again = header === undefined ? payload : encodeHeader(header, decodeHeader(header, payload))
  return segmentOf({ ...fields, payload: again })
}

/** A frame of a ULPDU, the next one of a writer's stream. */
export function frameOf(ulpdu: Uint8Array, writer: FpduWriter): Uint8Array {
  const bytes = new Uint8Array(writer.bytesFor(ulpdu.length)).fill(0xee)
  bytes.set(ulpdu, FpduWriter.ulpduAt)
  return bytes.subarray(0, writer.seal(bytes, 0, ulpdu.length))
}
