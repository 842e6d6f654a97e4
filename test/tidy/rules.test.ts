import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  bannedCalls,
  BANS,
  fileLength,
  FUNCTION_LINES_MAX,
  functionLength,
  lineLength,
  LINES_MAX,
  LINES_WISHED,
  RULES,
  unexplained,
  unfinished,
  whitespace,
  type Rule,
} from './rules.js'
import { code } from './sources.js'

describe('the tree', () => {
  const files = code()

  for (const [name, rule] of Object.entries(RULES)) {
    test(name, () => {
      assert.ok(files.length > 100, `only ${files.length} files were found`)
      none(files.flatMap(rule))
    })
  }

  test('files longer than wished are few', (t) => {
    const long = files.filter(({ path, text }) => {
      return !path.startsWith('test/') && text.split('\n').length - 1 > LINES_WISHED
    })
    for (const { path, text } of long) t.diagnostic(`${path}: ${text.split('\n').length - 1} lines`)
    assert.ok(
      long.length <= files.length / 10,
      `${long.length} files of more than ${LINES_WISHED} lines`,
    )
  })
})

/** Fails with the list. */
function none(broken: readonly string[]): void {
  assert.ok(broken.length === 0, `${broken.length} places:\n${broken.join('\n')}`)
}

/** What the rule says of a file with this text. */
function broken(rule: Rule, text: string, path = 'src/volume/planted.ts'): number {
  return rule({ path, text }).length
}

const lines = (count: number): string => 'void 0\n'.repeat(count)
const statements = (count: number): string => '  work()\n'.repeat(count)

describe('each rule finds what is planted', () => {
  test('a file that is too long', () => {
    assert.equal(broken(fileLength, lines(LINES_MAX.code)), 0)
    assert.equal(broken(fileLength, lines(LINES_MAX.code + 1)), 1)
    assert.equal(broken(fileLength, lines(LINES_MAX.code + 1), 'test/unit/a.test.ts'), 0)
    assert.equal(broken(fileLength, lines(LINES_MAX.test + 1), 'test/unit/a.test.ts'), 1)
  })

  test('a line that is too long, in characters and not in bytes', () => {
    assert.equal(broken(lineLength, `// ${'é'.repeat(97)}\n`), 0)
    assert.equal(broken(lineLength, `// ${'é'.repeat(98)}\n`), 1)
    assert.equal(broken(lineLength, `work('${'a'.repeat(110)}')\n`), 0)
    assert.equal(broken(lineLength, `work('${'a'.repeat(120)}')\n`), 1)
    assert.equal(broken(lineLength, `// it isn't ${'a'.repeat(100)}\n`), 1)
    assert.equal(broken(lineLength, `// https://example.org/${'a'.repeat(100)}\n`), 0)
  })

  const forms: ReadonlyArray<readonly [string, string, string]> = [
    ['function', 'function f() {\n', '}\n'],
    ['arrow', 'const f = () => {\n', '}\n'],
    ['method', 'class A { f() {\n', '} }\n'],
    ['getter', 'class A { get f() {\n', 'return 1 } }\n'],
    ['constructor', 'class A { constructor() {\n', '} }\n'],
    ['test', "test('long', () => {\n", '})\n'],
  ]
  for (const [form, head, foot] of forms) {
    test(`a ${form} that is too long`, () => {
      const most = FUNCTION_LINES_MAX - 2
      assert.equal(broken(functionLength, head + statements(most) + foot), 0)
      assert.equal(broken(functionLength, head + statements(most + 1) + foot), 1)
    })
  }

  test('a describe may be long, its tests may not', () => {
    const inner = (count: number) => `test('x', () => {\n${statements(count)}})\n`
    const text = `describe('many', () => {\n${inner(40)}${inner(40)}})\n`
    assert.equal(broken(functionLength, text), 0)
    assert.equal(broken(functionLength, `describe('one', () => {\n${inner(100)}})\n`), 1)
  })

  test('a function of C that is too long', () => {
    const body = (count: number) => `int f(int a) {\n${'    a++;\n'.repeat(count)}}\n`
    const path = 'src/native/planted.c'
    assert.equal(broken(functionLength, body(FUNCTION_LINES_MAX - 2), path), 0)
    assert.equal(broken(functionLength, body(FUNCTION_LINES_MAX - 1), path), 1)
    assert.equal(broken(functionLength, body(60) + '\n' + body(60), path), 0)
  })

  test('something left for later', () => {
    assert.equal(broken(unfinished, `// ${'TO' + 'DO'}: this\n`), 1)
    assert.equal(broken(unfinished, `// ${'FIX' + 'ME'} that\n`), 1)
    assert.equal(broken(unfinished, '// a todo list is data here\n'), 0)
  })

  for (const { call } of BANS) {
    test(`a call of ${call}`, () => {
      const text = `const x = ${call}()\n`
      const path = call.endsWith('.only') ? 'test/unit/planted.test.ts' : 'src/volume/planted.ts'
      assert.equal(broken(bannedCalls, text, path), 1)
      assert.equal(broken(bannedCalls, `// ${text}`, path), 0)
      assert.equal(broken(bannedCalls, `const x = '${call}()'\n`, path), 0)
    })
  }

  test('a banned call in the places where it may stand', () => {
    assert.equal(broken(bannedCalls, 'console.log(1)\n', 'src/cli/planted.ts'), 0)
    assert.equal(broken(bannedCalls, 'console.log(1)\n', 'src/check/planted.ts'), 1)
    assert.equal(broken(bannedCalls, 'Date.now()\n', 'src/base/clock.ts'), 0)
    assert.equal(broken(bannedCalls, 'Math.random()\n', 'test/unit/planted.test.ts'), 1)
    assert.equal(broken(bannedCalls, 'seed = Math.random()\n', 'test/unit/planted.test.ts'), 0)
    assert.equal(broken(bannedCalls, 'seed = Math.random()\n', 'src/volume/planted.ts'), 1)
  })

  test('a test that leaves out the others by an option', () => {
    const text = `test('x', { ${'on' + 'ly'}: true }, () => {})\n`
    assert.equal(broken(bannedCalls, text, 'test/unit/planted.test.ts'), 1)
  })

  test('a checker switched off without a reason', () => {
    const off = '// eslint-dis' + 'able-next-line no-console'
    assert.equal(broken(unexplained, `${off}\n`), 1)
    assert.equal(broken(unexplained, `${off} -- the point of the test\n`), 0)
    assert.equal(broken(unexplained, `// @ts-ig${'nore'} -- because\n`), 1)
  })

  test('tabs, carriage returns, and a file that does not end in one newline', () => {
    assert.equal(broken(whitespace, 'a\n'), 0)
    assert.equal(broken(whitespace, '\ta\n'), 1)
    assert.equal(broken(whitespace, 'a\r\n'), 1)
    assert.equal(broken(whitespace, 'a'), 1)
    assert.equal(broken(whitespace, 'a\n\n'), 1)
  })
})
