import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokenLayers, importsOf, layerRows, LAYERS } from './layers.js'
import { readSource, sources } from './sources.js'

test('every import in src/ keeps to the table of layers', () => {
  const files = sources(['src'], ['.ts'])
  assert.ok(files.length > 50, `only ${files.length} files were found`)
  assert.deepEqual(files.flatMap(brokenLayers), [])
})

test('every layer of the table is there, and is used', () => {
  const files = sources(['src'], ['.ts'])
  for (const name of Object.keys(LAYERS)) {
    assert.ok(
      files.some((file) => file.path.startsWith(`src/${name}/`)),
      `src/${name} is empty`,
    )
  }
})

test('the table in docs/DESIGN.md is the table of the test', () => {
  const lines = readSource('docs/DESIGN.md')
    .text.split('\n')
    .map((line) => line.replace(/ +/g, ' '))
  const begin = lines.indexOf('| layer | imports | asks Node |')
  assert.ok(begin >= 0, 'docs/DESIGN.md has no table | layer | imports | asks Node |')
  const rows: string[] = []
  for (let i = begin + 2; lines[i]?.startsWith('|'); i++) rows.push(lines[i]!.trim())
  assert.deepEqual(rows, layerRows())
})

/** Each a file, and whether it breaks the table. */
const CASES: ReadonlyArray<readonly [path: string, text: string, broken: boolean]> = [
  ['src/base/a.ts', "import { x } from './b.js'", false],
  ['src/base/a.ts', "import { x } from '../media/log.js'", true],
  ['src/media/a.ts', "import type { X } from '../native/native.js'", true],
  ['src/media/a.ts', "import { readFileSync } from 'node:fs'", true],
  ['src/volume/a.ts', "import { x } from '../native/native.js'", false],
  ['src/volume/a.ts', "import { x } from '../check/checker.js'", true],
  ['src/volume/a.ts', "import { x } from '../cli/main.js'", true],
  ['src/check/a.ts', "import { x } from '../volume/tree.js'", true],
  ['src/check/a.ts', "import { native } from '../native/native.js'", true],
  ['src/check/a.ts', "export * from '../volume/tree.js'", true],
  ['src/check/a.ts', "const x = await import('../volume/tree.js')", true],
  ['src/check/a.ts', "type X = import('../volume/tree.js').Tree", true],
  ['src/check/a.ts', "// import { x } from '../volume/tree.js'", false],
  ['src/region/a.ts', "import { x } from '../../test/support.js'", true],
  ['src/region/a.ts', "import { Command } from 'commander'", true],
  ['src/cli/a.ts', "import { Command } from 'commander'", false],
  ['src/elsewhere/a.ts', '', true],
  ['src/index.ts', "export { x } from './volume/volume.js'", false],
]

for (const [path, text, broken] of CASES) {
  test(`${path} with \`${text}\` ${broken ? 'breaks' : 'keeps to'} the table`, () => {
    assert.equal(brokenLayers({ path, text }).length, broken ? 1 : 0)
  })
}

test('an import is found with its line', () => {
  const text = "\nimport a from 'a'\nexport { b } from 'b'\nvoid import('c')\n"
  assert.deepEqual(importsOf({ path: 'src/base/a.ts', text }), [
    { line: 2, target: 'a' },
    { line: 3, target: 'b' },
    { line: 4, target: 'c' },
  ])
})
