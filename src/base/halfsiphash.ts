/**
 * HalfSipHash-2-4 (Aumasson, Bernstein; 32-bit words, 64-bit key, 32-bit output): the keyed hash of
 * directory names. Keyed, so that nobody without the key can choose names that collide.
 */
export function halfSipHash(
  keyLow: number,
  keyHigh: number,
  bytes: Uint8Array,
  start: number,
  length: number,
): number {
  let v0 = keyLow | 0
  let v1 = keyHigh | 0
  let v2 = 0x6c796765 ^ keyLow
  let v3 = 0x74656462 ^ keyHigh
  const whole = length & ~3
  let i = 0
  for (;;) {
    let m: number
    if (i < whole) {
      const p = start + i
      m = bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24)
    } else {
      m = length << 24
      if ((length & 3) > 2) m |= bytes[start + i + 2]! << 16
      if ((length & 3) > 1) m |= bytes[start + i + 1]! << 8
      if ((length & 3) > 0) m |= bytes[start + i]!
    }
    v3 ^= m
    // Two rounds a word; four more finish.
    const rounds = i < whole ? 2 : 6
    for (let r = 0; r < rounds; r++) {
      if (r === 2) {
        v0 ^= m
        v2 ^= 0xff
      }
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    if (i >= whole) return (v1 ^ v3) >>> 0
    v0 ^= m
    i += 4
  }
}
