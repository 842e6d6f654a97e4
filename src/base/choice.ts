/** One of a few words: not every caller has a compiler that looked. */
import { HoldfastError } from './errors.js'

/** EINVAL for a word that is none of these. */
export function checkChoice(what: string, word: unknown, words: readonly string[]): void {
  if (words.includes(word as string)) return
  throw new HoldfastError('EINVAL', `${what} '${String(word)}': one of ${words.join(', ')}`)
}
