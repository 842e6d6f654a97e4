/**
 * Every errno that Linux documents of a call on files is one that a case has, or one that none can
 * have, for a reason that is told. The cases are those that Linux, volumes and mounts are asked.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { attributePages } from './documented/attributes.js'
import { bytePages } from './documented/bytes.js'
import { filePages } from './documented/files.js'
import { namePages } from './documented/names.js'
import type { Documented, Page } from './documented/page.js'
import { isError } from './posix.js'
import { posixCases } from './posix_cases.js'
import { fullCases } from './posix_full.js'
import { programCases } from './posix_programs.js'
import { parseSteps } from './steps.js'

const PAGES = [...namePages, ...filePages, ...attributePages, ...bytePages]

interface Made {
  readonly call: string
  readonly errno: string
  readonly line: string
}

/** Every step that is to fail, and by which errno. */
const made: readonly Made[] = [...posixCases, ...programCases, ...fullCases]
  .flatMap(({ steps }) => parseSteps(steps))
  .filter(({ expected }) => expected !== undefined && isError(expected))
  .map(({ call, line, expected }) => ({ call: nameOf(call), errno: expected!, line }))

/** A system call's own name, or a step's. */
function nameOf({ name, args }: { name: string; args: readonly (number | Buffer)[] }): string {
  return name === 'sys' || name === 'interrupted' ? String(args[1]) : name
}

function casesOf(page: Page, { errno, step }: Documented): readonly Made[] {
  return made.filter((one) => {
    if (!page.calls.has(one.call) || one.errno !== errno) return false
    return step === null || step.test(one.line)
  })
}

for (const page of PAGES) {
  describe(page.name, () => {
    for (const one of page.errors.filter(({ reason }) => reason === null)) {
      test(`${one.errno} has a case: ${one.when}`, () => {
        const seen = made.filter(({ call, errno }) => page.calls.has(call) && errno === one.errno)
        const lines = seen.map(({ line }) => line).slice(0, 40)
        assert.notEqual(casesOf(page, one).length, 0, `none of:\n${lines.join('\n')}`)
      })
    }

    test('what has no case is told of once, by a reason or as another line', () => {
      for (const one of page.errors.filter(({ reason }) => reason !== null)) {
        const others = page.errors.filter((other) => other !== one && other.errno === one.errno)
        if (others.some(({ reason }) => reason === null)) continue
        const found = casesOf(page, one).map(({ line }) => line)
        assert.deepEqual(found, [], `${one.errno}, ${one.when}: there is a case`)
      }
    })
  })
}

test('what is said to be in another test is there', () => {
  for (const { errno, reason, page } of PAGES.flatMap(({ errors }) => errors)) {
    if (reason?.test === undefined) continue
    assert.ok(existsSync(reason.test), reason.test)
    assert.ok(readFileSync(reason.test, 'utf8').includes(errno), `${page}: ${errno}`)
  }
})

test('a case that no call of the pages has would be found to be missing', () => {
  const [page] = namePages
  const nowhere = { ...page!.errors[0]!, errno: 'EXDEV', step: /mkdir/ }
  assert.deepEqual(casesOf(page!, nowhere), [])
})

test('pages, lines, pairs, and how many have a case', (t) => {
  const pairs = new Map<string, boolean>()
  for (const page of PAGES) {
    for (const { errno, reason } of page.errors) {
      const key = `${page.name} ${errno}`
      pairs.set(key, (pairs.get(key) ?? false) || reason === null)
    }
  }
  const lines = PAGES.flatMap(({ errors }) => errors)
  const byCase = [...pairs.values()].filter(Boolean).length
  t.diagnostic(
    `${PAGES.length} pages, ${lines.length} lines, of them by a reason ` +
      `${lines.filter(({ reason }) => reason !== null).length}`,
  )
  t.diagnostic(`${pairs.size} pairs of call and errno: ${byCase} by case, the rest by reason`)
  t.diagnostic(`${made.length} steps that are to fail`)
  assert.ok(byCase > pairs.size / 2)
})
