/**
 * Numbers from a seed (xoshiro128**, Blackman and Vigna): same seed, same sequence, on every
 * machine.
 */
export class Prng {
  readonly #state = new Uint32Array(4)

  constructor(seed: number) {
    // splitmix32 spreads a small seed over the state, which must not be all zero.
    let x = seed >>> 0
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) >>> 0
      let z = x
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      this.#state[i] = (z ^ (z >>> 16)) >>> 0
    }
  }

  /** A 32-bit unsigned integer. */
  next(): number {
    const s = this.#state
    const m = Math.imul(s[1]!, 5)
    const result = Math.imul((m << 7) | (m >>> 25), 9) >>> 0
    const t = s[1]! << 9
    s[2]! ^= s[0]!
    s[3]! ^= s[1]!
    s[1]! ^= s[2]!
    s[0]! ^= s[3]!
    s[2]! ^= t
    s[3] = (s[3]! << 11) | (s[3]! >>> 21)
    return result
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound)
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** True with probability numerator / denominator. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator
  }

  fill(bytes: Uint8Array): void {
    let i = 0
    for (; i + 4 <= bytes.length; i += 4) {
      const v = this.next()
      bytes[i] = v
      bytes[i + 1] = v >>> 8
      bytes[i + 2] = v >>> 16
      bytes[i + 3] = v >>> 24
    }
    for (let v = this.next(); i < bytes.length; i++, v >>>= 8) bytes[i] = v
  }
}
