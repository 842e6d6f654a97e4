/** The conformance tables of docs/RDMA.md: each clause is done, refused or not ours, with proof. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readSource, ROOT } from './sources.js'

interface Row {
  readonly line: string
  readonly state: string
  readonly proofs: readonly string[]
}

function rowsOf(text: string): Row[] {
  const tables = text.slice(text.indexOf('\n## Conformance\n')).split('\n')
  const isRow = (line: string) => line.startsWith('|') && !/^\| (clause|---) /.test(line)
  return tables.filter(isRow).map((line) => {
    const cells = line.split('|').map((cell) => cell.trim())
    assert.equal(cells.length, 6, `clause, what, state, proof: ${line}`)
    const proofs = [...cells[4]!.matchAll(/`([^`]+)`/g)].map((found) => found[1]!)
    return { line, state: cells[3]!, proofs }
  })
}

/** A file of test/rdma, one of another suite, or a suite. */
const isThere = (proof: string) =>
  [
    `rdma/${proof}.test.ts`,
    `${proof}.test.ts`,
    `${proof}/${proof}.test.ts`,
    `${proof}/run.ts`,
  ].some((path) => existsSync(join(ROOT, 'test', path)))

const unproven = (row: Row) =>
  !/^n\/a\b/.test(row.state) && (row.proofs.length === 0 || !row.proofs.every(isThere))

const { text } = readSource('docs/RDMA.md')

test('every clause is done, refused or not applicable', () => {
  const rows = rowsOf(text)
  assert.ok(rows.length > 40, `only ${rows.length} clauses were found`)
  const states = /^(done|refused|n\/a)\b/
  assert.deepEqual(
    rows.filter(({ state }) => !states.test(state)).map(({ line }) => line),
    [],
  )
})

test('what proves a clause is there, and every clause that is ours has something', () => {
  assert.deepEqual(
    rowsOf(text)
      .filter(unproven)
      .map(({ line }) => line),
    [],
  )
})

test('a proof that is gone, or was never there, is noticed', () => {
  const [first] = rowsOf(text)
  assert.ok(unproven({ ...first!, proofs: ['golden', 'nowhere'] }))
  assert.ok(unproven({ ...first!, proofs: [] }))
  assert.ok(!unproven({ ...first!, state: 'n/a: of hardware', proofs: [] }))
})
