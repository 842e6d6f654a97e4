/** Fields of any declared structure as text, from its declaration. */
import { displayPath } from '../../base/errors.js'
import { hex, type Struct } from '../../base/struct.js'
import { uuidText } from '../../base/uuid.js'
import { isoTime, modeText } from '../display.js'

export interface Field {
  /** As docs/SPEC.md has it. */
  readonly name: string
  readonly offset: number
  readonly value: number | string
  readonly meaning: string
}

/** A table inside of a structure, or a list of structures. */
export interface Rows {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: ReadonlyArray<readonly (number | string)[]>
}

/** One structure as it stands on the medium. */
export interface Dump {
  readonly what: string
  readonly block: number
  /** In the block. */
  readonly offset: number
  /** Why it is not what it should be; null when it is. */
  readonly invalid: string | null
  readonly fields: readonly Field[]
  readonly parts: readonly Rows[]
}

export const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const HEX = /^(checksum|flags|features.*|hashKey|logSalt|positionHighAndCheck)$/
const MASK = /^(used|present|zero)(Low|High)$/
const TEXT = /^(label|ownerHost)$/
const UUID = /^(uuid|ownerBoot)$/
const TIME = /^(modified|changed|accessed|born)$/

/** Fields of the structure at byte `base`; those in `skip` are shown by other means. */
export function fieldsOf(
  struct: Struct,
  bytes: Uint8Array,
  base: number,
  skip: readonly string[] = [],
): Field[] {
  const shown = struct.fields.filter(({ name }) => !skip.includes(name))
  return shown.map(({ name, offset, width, meaning }) => {
    const raw = bytes.subarray(base + offset, base + offset + width)
    return { name: snakeCase(name), offset, value: valueOf(name, raw), meaning }
  })
}

function valueOf(name: string, raw: Uint8Array): number | string {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  if (/[rR]eserved/.test(name)) return raw.every((byte) => byte === 0) ? 'zero' : hexOf(raw)
  if (name === 'magic') return magicText(raw)
  if (UUID.test(name)) return uuidText(raw)
  if (TEXT.test(name)) return `'${displayPath(raw.subarray(0, endOf(raw)))}'`
  if (TIME.test(name)) return timeOf(view)
  if (name === 'mode') {
    const mode = view.getUint32(0, true)
    return `0${mode.toString(8)} ${modeText(mode)}`
  }
  if (raw.length > 8) return hexOf(raw)
  if (HEX.test(name) || MASK.test(name)) return `0x${Buffer.from(raw).reverse().toString('hex')}`
  return numberOf(view)
}

function numberOf(view: DataView): number | string {
  const { byteLength } = view
  if (byteLength === 1) return view.getUint8(0)
  if (byteLength === 2) return view.getUint16(0, true)
  if (byteLength === 4) return view.getUint32(0, true)
  if (byteLength !== 8) return hexOf(new Uint8Array(view.buffer, view.byteOffset, byteLength))
  const value = view.getBigUint64(0, true)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `0x${value.toString(16)}`
}

function endOf(raw: Uint8Array): number {
  const zero = raw.indexOf(0)
  return zero < 0 ? raw.length : zero
}

/** 34 bits of seconds, signed, and 30 of nanoseconds. */
function timeOf(view: DataView): string {
  const raw = view.getBigUint64(0, true)
  const seconds = Number(BigInt.asIntN(34, raw))
  const nanoseconds = Number(raw >> 34n)
  if (nanoseconds > 999_999_999) return `0x${raw.toString(16)}, no time`
  return isoTime({ seconds, nanoseconds })
}

function magicText(raw: Uint8Array): string {
  const text = Buffer.from(raw).toString('latin1')
  if (/^[A-Z]{3}[0-9]$/.test(text)) return `'${text}'`
  return hex(Buffer.from(raw).readUInt32LE(0))
}

export function hexOf(raw: Uint8Array): string {
  const digits = Buffer.from(raw.subarray(0, HEX_SHOWN)).toString('hex')
  return raw.length > HEX_SHOWN ? `${digits}... (${raw.length} bytes)` : digits
}

const HEX_SHOWN = 32

/** Lines of 16 bytes, as hexdump -C has them; runs of zero lines are one `*`. */
export function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = []
  let zeros = false
  for (let at = 0; at < bytes.length; at += 16) {
    const line = Buffer.from(bytes.subarray(at, at + 16))
    const zero = line.every((byte) => byte === 0)
    if (zero && zeros) {
      if (lines[lines.length - 1] !== '*') lines.push('*')
      continue
    }
    zeros = zero
    const digits = line.toString('hex').replace(/../g, '$& ').padEnd(48)
    const text = line.toString('latin1').replace(/[^\x20-\x7e]/g, '.')
    lines.push(`${at.toString(16).padStart(4, '0')}  ${digits} |${text}|`)
  }
  return lines
}
