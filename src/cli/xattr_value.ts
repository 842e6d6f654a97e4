/** Values of extended attributes as text (getfattr(1), setfattr(1)). */
import { HoldfastError } from '../base/errors.js'

export const ENCODINGS = ['text', 'hex', 'base64', 'raw'] as const
export type Encoding = (typeof ENCODINGS)[number]

/** Whether a terminal can show it as it is: UTF-8 without control characters. */
function isText(value: Uint8Array): boolean {
  const text = Buffer.from(value).toString('utf8')
  return Buffer.from(text, 'utf8').equals(value) && !/[\x00-\x1f\x7f-\x9f]/.test(text)
}

/** Without an encoding: text where it is text, else hex; both as `decodeValue` reads them. */
export function encodeValue(value: Uint8Array, encoding?: Encoding): string {
  const bytes = Buffer.from(value)
  if (encoding === 'hex') return `0x${bytes.toString('hex')}`
  if (encoding === 'base64') return `0s${bytes.toString('base64')}`
  const marked = /^0[xs]/i.test(bytes.toString('latin1'))
  if (encoding === undefined && (!isText(value) || marked)) return `0x${bytes.toString('hex')}`
  return bytes.toString('utf8')
}

/** `text`: bytes of the command line. Without an encoding 0x and 0s say which it is. */
export function decodeValue(text: Buffer, encoding?: Encoding): Uint8Array {
  const ascii = text.toString('latin1')
  const marked = /^0([xs])/i.exec(ascii)?.[1]?.toLowerCase()
  const kind = encoding ?? (marked === 'x' ? 'hex' : marked === 's' ? 'base64' : 'text')
  if (kind === 'text' || kind === 'raw') return text
  const digits = ascii.replace(kind === 'hex' ? /^0x/i : /^0s/i, '')
  const good =
    kind === 'hex'
      ? /^([0-9a-f]{2})*$/i.test(digits)
      : /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(digits)
  if (!good) throw new HoldfastError('EINVAL', `the value is no ${kind}; -e text takes it as it is`)
  return Buffer.from(digits, kind)
}
