/**
 * What authentication needs of the machine: a keyed hash, a comparison that takes as long whatever
 * is compared, and chance. A parameter, so that what uses it runs from a seed.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { systemEntropy, type Entropy } from './clock.js'

/** Bytes of an HMAC-SHA-256. */
export const MAC_BYTES = 32

export interface Crypto {
  /** HMAC-SHA-256 (RFC 2104, FIPS 180-4) of the parts, one after another. */
  hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array
  /** Whether both are the same; they have the same length. In constant time. */
  equal(a: Uint8Array, b: Uint8Array): boolean
  readonly entropy: Entropy
}

export const systemCrypto: Crypto = cryptoWith(systemEntropy)

/** That of the machine, with chance from elsewhere. */
export function cryptoWith(entropy: Entropy): Crypto {
  return {
    hmac(key, ...parts) {
      const hmac = createHmac('sha256', key)
      for (const part of parts) hmac.update(part)
      return hmac.digest()
    },
    equal: timingSafeEqual,
    entropy,
  }
}
