/**
 * The table of the contract as a table: every change, through every call that makes it, against
 * every kind of hold, policy, mode of sharing, place, owner and form.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { CALLS, expectedOf, FORMS, heldBlocks, KINDS, nameOf, PLACES, tryCell } from './cells.js'
import type { Cell } from './cells.js'
import { ROWS, type Policy } from './contract_table.js'
import { Ground } from './ground.js'

const POLICIES: readonly Policy[] = ['busy', 'wait', 'defer']

type Levels = Pick<Cell, 'volume' | 'file' | 'byCall'>

let turn = 0

/** Every policy from every place that it may come from, with others where that does not count. */
function levels(cell: Omit<Cell, keyof Levels>): Levels[] {
  const { call, kind, form } = cell
  const all: Levels[] = POLICIES.map((volume) => ({ volume, file: null, byCall: null }))
  // Where nothing is in the way each policy has its turn.
  if (cell.where !== 'overlap') return [all[turn++ % 3]!]
  if (kind !== 'pin') return all
  for (const [i, policy] of POLICIES.entries()) {
    const [next, last] = [POLICIES[(i + 1) % 3]!, POLICIES[(i + 2) % 3]!]
    all.push({ volume: next, file: policy, byCall: null })
    if (call.takesPolicy !== true && form === 'synchronous') continue
    if (call.row !== 'shrink' && call.row !== 'punch, share as destination') continue
    all.push({ volume: next, file: last, byCall: policy })
    all.push({ volume: next, file: null, byCall: policy })
  }
  return all
}

function* cells(row: string): Generator<Cell> {
  for (const call of CALLS.filter((call) => call.row === row)) {
    for (const kind of KINDS) {
      for (const where of PLACES) {
        for (const own of kind === 'none' || kind.startsWith('fixed') ? [true] : [true, false]) {
          for (const form of FORMS) {
            for (const share of ['strict', 'copy'] as const) {
              if (share === 'copy' && !row.includes('share')) continue
              const part = { call, kind, where, own, form, share }
              for (const level of levels(part)) {
                const cell: Cell = { ...part, ...level }
                if (heldBlocks(cell) === null) continue
                if (form === 'in vain' && expectedOf(cell) !== 'wait') continue
                yield cell
              }
            }
          }
        }
      }
    }
  }
}

async function tryRow(t: TestContext, row: string): Promise<void> {
  const grounds = new Map(POLICIES.map((policy) => [policy, new Ground({ policy })]))
  const failures = new Map<string, string[]>()
  const seen = new Map<string, number>()
  let tried = 0
  for (const cell of cells(row)) {
    tried++
    const expected = expectedOf(cell)
    seen.set(expected, (seen.get(expected) ?? 0) + 1)
    try {
      await tryCell(grounds.get(cell.volume)!, cell)
    } catch (error) {
      const cause = (error as Error).cause as Error | undefined
      const text = (cause ?? (error as Error)).message.replace(`${nameOf(cell)}: `, '')
      const key = `${cell.call.name} x ${cell.kind}: expected ${expected}: ${text}`
      failures.set(key, [...(failures.get(key) ?? []), nameOf(cell)])
      // What it left behind is in nobody's way.
      grounds.set(cell.volume, new Ground({ policy: cell.volume }))
    }
  }
  for (const ground of grounds.values()) ground.close()
  const counts = [...seen].map(([what, n]) => `${what} ${n}`).join(', ')
  t.diagnostic(`${row}: ${tried} cells (${counts})`)
  const lines = [...failures].map(([key, names]) => `${key}\n    ${names.length}: ${names[0]}`)
  assert.equal(failures.size, 0, `${row}:\n  ${lines.join('\n  ')}`)
}

for (const row of ROWS) {
  test(`${row}: every cell of the table is as the contract has it`, (t) => tryRow(t, row))
}
