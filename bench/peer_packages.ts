/** The packages of bench/package.json: peers, installed there and nowhere else. */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

// From build/bench/ to bench/, where they are.
const load = createRequire(fileURLToPath(new URL('../../bench/package.json', import.meta.url)))

/** A package, or null when it is not installed. */
export function peerPackage<T>(name: string): T | null {
  try {
    return load(name) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return null
    throw error
  }
}

/** A package that somebody has seen to be there. */
export function neededPackage<T>(name: string): T {
  const found = peerPackage<T>(name)
  if (found === null) throw new Error(`${name} is not installed: npm ci --prefix bench`)
  return found
}
