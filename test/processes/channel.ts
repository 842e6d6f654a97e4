/**
 * What a test and its programs say to each other: one object of JSON a line. Byte arrays and big
 * integers go as objects with one member.
 *
 *     test → program    { id, call, args }
 *     program → test    { id, result } | { id, error: { code, message } } | { event, value }
 */

export interface Call {
  readonly id: number
  readonly call: string
  readonly args: unknown
}

export interface Said {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code?: string; readonly message: string; readonly stack?: string }
  readonly event?: string
  readonly value?: unknown
}

export function encode(message: Call | Said): string {
  return JSON.stringify(message, function (this: Record<string, unknown>, key, value: unknown) {
    // Buffers say themselves otherwise before they come here.
    const plain = this[key]
    if (plain instanceof Uint8Array) return { '\0bytes': Buffer.from(plain).toString('base64') }
    if (typeof plain === 'bigint') return { '\0bigint': String(plain) }
    return value
  })
}

export function decode(line: string): unknown {
  return JSON.parse(line, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value
    if ('\0bytes' in value) return new Uint8Array(Buffer.from(String(value['\0bytes']), 'base64'))
    if ('\0bigint' in value) return BigInt(String(value['\0bigint']))
    return value
  })
}
