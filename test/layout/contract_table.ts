/**
 * The contract's table, as data: copied from its text, and not from the code that is tested. A line
 * of words is read here the way a person reads it.
 */

/** The changes, in the contract's words; the destination of a share is a row with punch. */
export type Row =
  | 'grow'
  | 'shrink'
  | 'punch, share as destination'
  | 'share, as source'
  | 'unshare'
  | 'move'
  | 'shift'

export type Column = 'mediated' | 'read lease' | 'rw lease' | 'seal' | 'pin' | 'fixed'

const TEXT = `
| change | mediated | read lease | rw lease | seal | pin | fixed |
| grow | ok | recall | – (populated) | – | – | EPERM |
| shrink | ok | recall | recall | ETXTBSY | **policy** | EPERM |
| punch, share as destination | ok | recall | recall | ETXTBSY | **policy** | EPERM |
| share, as source | ok | ok | recall | ETXTBSY, or copy | EBUSY, or copy | \
ok if write-sealed, else EPERM, or copy |
| unshare | ok | recall | – (never shared) | – | – | – (nobody may write it) |
| move | ok | recall | recall | ETXTBSY | EBUSY | EPERM |
| shift | ok | recall | recall | ETXTBSY | EBUSY | EPERM |
`

const CELLS = new Map<string, string>()
{
  const [head, ...lines] = TEXT.trim()
    .split('\n')
    .map((line) => line.slice(2, -2).split(' | '))
  for (const [row, ...cells] of lines) {
    for (const [i, words] of cells.entries()) CELLS.set(`${row} x ${head![i + 1]}`, words)
  }
}

export const ROWS = [
  'grow',
  'shrink',
  'punch, share as destination',
  'share, as source',
  'unshare',
  'move',
  'shift',
] as const satisfies Row[]

/** What a cell says. `none`: the two cannot meet, since there is nothing left to change. */
export type Says = 'ok' | 'recall' | 'policy' | 'copy' | 'EBUSY' | 'ETXTBSY' | 'EPERM' | 'none'

export interface Reading {
  readonly share: 'strict' | 'copy'
  readonly writeSealed: boolean
}

export function contractSays(row: Row, column: Column, reading: Reading): Says {
  const words = CELLS.get(`${row} x ${column}`)
  if (words === undefined) throw new Error(`the contract has no cell ${row} x ${column}`)
  if (words.startsWith('–')) return 'none'
  if (words === '**policy**') return 'policy'
  const sealed = /^ok if write-sealed, else (.*)$/.exec(words)
  if (sealed !== null && reading.writeSealed) return 'ok'
  const [strict, copy] = (sealed?.[1] ?? words).split(', or ')
  return (reading.share === 'copy' ? (copy ?? strict) : strict) as Says
}

export type Policy = 'busy' | 'wait' | 'defer'

/**
 * What the caller sees of a policy, and what becomes of pinned blocks. `synchronous`: of a form
 * that never waits, what would have to wait is EBUSY.
 */
export function policySays(policy: Policy, synchronous: boolean): 'EBUSY' | 'wait' | 'defer' {
  if (policy === 'wait') return synchronous ? 'EBUSY' : 'wait'
  return policy === 'busy' ? 'EBUSY' : 'defer'
}

/** Of three that may be given, which counts: the call's, else the file's, else the volume's. */
export function policyThatCounts(volume: Policy, file: Policy | null, call: Policy | null): Policy {
  return call ?? file ?? volume
}
