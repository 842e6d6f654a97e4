/** Patterns over names, as a shell has them: * ? [a-z] [!a-z], and \ makes the next one plain. */
import { InvalidArgumentError } from 'commander'

const SYNTAX = /[\\^$.*+?()[\]{}|/]/g

/** Matches names escaped as `escapeBytes` does: a byte that is no UTF-8 is one character. */
export function parseGlob(glob: string): RegExp {
  const parts = glob.match(/\[!?\]?[^\]]*\]|\\.|./gsu) ?? []
  try {
    return new RegExp(`^${parts.map(partOf).join('')}$`, 'su')
  } catch {
    throw new InvalidArgumentError('no pattern')
  }
}

function partOf(part: string): string {
  if (part === '*') return '.*'
  if (part === '?') return '.'
  if (part.length > 1 && part[0] === '[') {
    const not = part[1] === '!'
    const set = part.slice(not ? 2 : 1, -1).replace(/[\\^[\]]/g, '\\$&')
    return `[${not ? '^' : ''}${set}]`
  }
  return part.replace(/^\\(?=.)/s, '').replace(SYNTAX, '\\$&')
}
