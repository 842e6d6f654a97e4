/** What several commands have in common on their command lines: options, and examples. */
import { InvalidArgumentError, Option } from 'commander'
import type { ShareMode } from '../base/layout.js'

/** For `option(...JSON_OPTION)`. */
export const JSON_OPTION = ['--json', 'as JSON'] as const
export const NO_FOLLOW_OPTION = [
  '-h, --no-dereference',
  'a symbolic link itself, not what it leads to',
] as const
export const RECURSIVE_OPTION = ['-R, --recursive', 'and all that is below'] as const
export const HUMAN_OPTION = ['-h, --human-readable', 'sizes as 4.0 KiB, 1.5 GiB'] as const

/** For `addOption(shareOption())`. */
export const shareOption = (): Option =>
  new Option(
    '--share <mode>',
    'blocks that are held, or of a fixed file: refuse to share them, or copy those',
  )
    .choices(['strict', 'copy'])
    .default('strict')

export interface ShareOption {
  readonly share: ShareMode
}

/** Every command that reaches servers has it. */
export const KEY_OPTION = [
  '--key <file[#id]>',
  'key for hf:// volumes (default: what HOLDFAST_KEY names)',
] as const

export interface KeyOption {
  readonly key?: string
}

export interface JsonOption {
  readonly json?: boolean
}

/** For `addHelpText(...examples(…))`. */
export function examples(...lines: readonly string[]): ['after', string] {
  const title = lines.length === 1 ? 'Example' : 'Examples'
  return ['after', `\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`]
}

/** A whole number that is not negative, in decimal or, with 0x, in hexadecimal. */
export function parseNumber(text: string): number {
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('a whole number is wanted')
  return value
}
