import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { DOCUMENTS, partsOf, renew, sections, structs } from '../../scripts/spec.js'
import { readSource, ROOT, sources } from './sources.js'

for (const path of DOCUMENTS) {
  test(`the tables of ${path} are those of the code`, async () => {
    const { text } = readSource(path)
    assert.equal(text, renew(text, await sections()), 'out of date; run `npm run spec`')
  })
}

test('every generated part stands in exactly one document', async () => {
  const parts = DOCUMENTS.flatMap((path) => partsOf(readSource(path).text))
  assert.deepEqual(parts.sort(), [...(await sections()).keys()].sort())
})

test('every declaration of src/media is in the specification', async () => {
  const declared = sources(['src/media'], ['.ts']).flatMap(({ text }) =>
    [...text.matchAll(/= defineStruct\(\s*'([^']+)'/g)].map((found) => found[1]!),
  )
  assert.ok(declared.length >= 12, `only ${declared.length} declarations were found`)
  assert.deepEqual((await structs()).map((struct) => struct.name).sort(), declared.sort())
})

test('a table that was changed by hand is noticed', async () => {
  const { text } = readSource('docs/SPEC.md')
  const changed = text.replace('| 0 | 4 | `magic` |', '| 0 | 8 | `magic` |')
  assert.notEqual(changed, text)
  assert.equal(renew(changed, await sections()), text)
})

test('two parts that are still empty are filled, and what stands between them stays', () => {
  const empty =
    '<!-- generated: a -->\n<!-- end -->\nbetween\n<!-- generated: b -->\n<!-- end -->\n'
  const made = new Map([
    ['a', 'A'],
    ['b', 'B'],
  ])
  const filled = renew(empty, made)
  assert.match(filled, /^A$[^]*^between$[^]*^B$/m)
  assert.equal(renew(filled, made), filled)
})

test('a document cannot ask for a part that nobody makes', async () => {
  const made = await sections()
  assert.throws(() => renew('<!-- generated: nothing -->\n<!-- end -->', made), /'nothing'/)
})

/** Relative links of a document. */
function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map((found) => found[1]!)
    .filter((link) => !/^[a-z]+:/.test(link))
}

const DOCUMENTED = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...['SPEC', 'DESIGN', 'TESTING', 'OPERATIONS', 'BENCHMARKS', 'ERRORS', 'RDMA', 'PROTOCOL'].map(
    (name) => `docs/${name}.md`,
  ),
]

for (const path of DOCUMENTED) {
  test(`what ${path} links to, and the files that it names, are there`, () => {
    const { text } = readSource(path)
    const links = linksOf(text).map((link) => join(dirname(path), link))
    const named = [...text.matchAll(/`((?:src|test|scripts|docs|bench)\/[\w./-]+\w)`/g)]
    const wanted = [...links, ...named.map((found) => found[1]!)]
    const missing = wanted.filter((file) => !existsSync(join(ROOT, file)))
    assert.deepEqual(missing, [])
  })
}

test('every npm script that a document names is there', () => {
  const { scripts } = JSON.parse(readSource('package.json').text) as {
    scripts: Record<string, string>
  }
  for (const path of DOCUMENTED) {
    for (const found of readSource(path).text.matchAll(/npm run ([\w:]+)/g)) {
      assert.ok(found[1]! in scripts, `${path} names npm run ${found[1]!}`)
    }
  }
})

test('every npm script has the files that it runs', () => {
  const { scripts } = JSON.parse(readSource('package.json').text) as {
    scripts: Record<string, string>
  }
  for (const [name, command] of Object.entries(scripts)) {
    for (const found of command.matchAll(/node ((?:build\/)?\S+?)\.m?js/g)) {
      const source = found[1]!.replace(/^build\//, '')
      const there = ['.ts', '.mjs'].some((ending) => existsSync(join(ROOT, source + ending)))
      assert.ok(there, `npm run ${name} runs ${source}, which is not there`)
    }
  }
})

test('README.md gives the two commands in its first screen', () => {
  const screen = readSource('README.md').text.split('\n').slice(0, 50).join('\n')
  assert.match(screen, /^npm ci && npm run try$/m)
  assert.match(screen, /^npm ci && npm test$/m)
})

test('the version of the package is the newest of CHANGELOG.md', () => {
  const { version } = JSON.parse(readSource('package.json').text) as { version: string }
  const newest = /^## \[?(\d+\.\d+\.\d+)/m.exec(readSource('CHANGELOG.md').text)
  assert.equal(newest?.[1], version)
})
