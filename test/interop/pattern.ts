/** Bytes that a seed gives, the same as in verbs_peer.c. */

/** Word `index` of the pattern of a seed. */
function wordOf(seed: number, index: number): number {
  let mixed = (seed + Math.imul(index, 0x9e3779b1)) | 0
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca77)
  return (mixed ^ (mixed >>> 13)) >>> 0
}

export function patternOf(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(length / 4) * 4)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < length; at += 4) view.setUint32(at, wordOf(seed, at / 4), true)
  return bytes.subarray(0, length)
}

/** Where bytes are not the pattern of a seed; null: nowhere. */
export function differenceFrom(bytes: Uint8Array, seed: number): string | null {
  const wanted = patternOf(seed, bytes.length)
  if (Buffer.compare(bytes, wanted) === 0) return null
  const at = bytes.findIndex((byte, i) => byte !== wanted[i])
  return `differs at ${at}: ${Buffer.from(bytes.subarray(at, at + 2)).toString('hex')}…`
}
