/** Sequences of operations for writers that get killed. */
import fc from 'fast-check'
import { operation } from '../model/arbitraries.js'
import type { Operation } from '../model/operations.js'

/** What only looks is left out, and what is many operations in one. */
const LEFT_OUT = ['crowd', 'clear', 'stat', 'readFile', 'list', 'listFirst', 'listNext']

/** `length` operations that change something, every `apart`-th or so a sync. */
export function sequenceOf(length: number, apart: number): fc.Arbitrary<Operation[]> {
  const changes = operation(false).filter((op) => !LEFT_OUT.includes(op.do))
  const one = fc.oneof(
    { weight: apart - 1, arbitrary: changes },
    { weight: 1, arbitrary: fc.constant<Operation>({ do: 'sync' }) },
  )
  return fc.array(one, { minLength: length, maxLength: length })
}
