/**
 * What is declared of the protocol is what <linux/fuse.h> of this machine declares: every field,
 * its place and its width, and every number. A program in C, written from our declarations, says
 * what the header has. What an older header lacks is told by name.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { defineStruct, type Struct } from '../../src/base/struct.js'
import * as attr from '../../src/fuse/wire/attr.js'
import * as files from '../../src/fuse/wire/files.js'
import * as header from '../../src/fuse/wire/header.js'
import * as init from '../../src/fuse/wire/init.js'
import * as ioctl from '../../src/fuse/wire/ioctl.js'
import * as locks from '../../src/fuse/wire/locks.js'
import * as names from '../../src/fuse/wire/names.js'
import * as notify from '../../src/fuse/wire/notify.js'
import { compile, noCompiler } from '../processes/compile.js'
import { NUMBERS, OURS, PLACES, SINCE } from './wire_names.js'

const DECLARED: Readonly<Record<string, unknown>> = {
  ...attr,
  ...files,
  ...header,
  ...init,
  ...ioctl,
  ...locks,
  ...names,
  ...notify,
}

/** One thing to compare: what we say, what C says, and from which minor version on it does. */
interface Fact {
  readonly what: string
  readonly ours: number
  readonly c: string
  readonly since: number
}

const isStruct = (value: unknown): value is Struct =>
  typeof value === 'object' && value !== null && 'fields' in value

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

function factsOf(struct: Struct): Fact[] {
  const { name, size, fields } = struct
  const type = `struct ${name}`
  const whole = SINCE[name] ?? 0
  const facts: Fact[] = [{ what: `${name} bytes`, ours: size, c: `sizeof(${type})`, since: whole }]
  for (const { name: field, offset, width } of fields) {
    if (field.startsWith('reserved')) continue
    const what = `${name}.${field}`
    const member = PLACES[what] ?? snake(field)
    const since = SINCE[what] ?? whole
    const bytes = `sizeof(((${type} *)0)->${member})`
    facts.push({ what: `${what} at`, ours: offset, c: `offsetof(${type}, ${member})`, since })
    facts.push({ what: `${what} bytes`, ours: width, c: bytes, since })
  }
  return facts
}

function numberFacts(table: string, numbers: Readonly<Record<string, number>>): Fact[] {
  const own = NUMBERS[table]!
  assert.deepEqual(Object.keys(own).sort(), Object.keys(numbers).sort(), `names of ${table}`)
  return Object.entries(own).map(([name, c]) => {
    const what = `${table}.${name}`
    return { what, ours: numbers[name]!, c, since: SINCE[what] ?? 0 }
  })
}

const HEADERS = ['fcntl', 'stddef', 'stdint', 'stdio', 'linux/fs', 'linux/fuse', 'sys/ioctl']

/** What the headers of this machine say, by the names of facts; what they lack is not in it. */
function ask(facts: readonly Fact[]): { minor: number; said: Map<string, number> } {
  const lines = facts.flatMap(({ what, c, since }) => [
    `#if FUSE_KERNEL_MINOR_VERSION >= ${since}`,
    `  printf("%s=%llu\\n", "${what}", (unsigned long long)(${c}));`,
    '#endif',
  ])
  const text = [
    ...HEADERS.map((name) => `#include <${name}.h>`),
    'int main(void) {',
    '  printf("minor=%d\\n", FUSE_KERNEL_MINOR_VERSION);',
    ...lines,
    '  return 0;',
    '}',
    '',
  ].join('\n')
  mkdirSync('build/test/mount', { recursive: true })
  const folder = mkdtempSync(join('build', 'test', 'mount', 'wire-'))
  try {
    const source = join(folder, 'wire.c')
    writeFileSync(source, text)
    const printed = execFileSync(compile(source, '-D_GNU_SOURCE'), { encoding: 'utf8' })
    const said = new Map(
      printed
        .trim()
        .split('\n')
        .map((line) => line.split('=') as [string, string])
        .map(([what, value]) => [what, Number(value)]),
    )
    return { minor: said.get('minor')!, said }
  } finally {
    rmSync(folder, { recursive: true })
    rmSync(join('build', folder), { recursive: true, force: true })
  }
}

/** What is not as the headers have it, and what they lack. */
function compare(facts: readonly Fact[]) {
  const { minor, said } = ask(facts)
  const wrong = facts
    .filter(({ what, ours }) => said.has(what) && said.get(what) !== ours)
    .map(({ what, ours }) => `${what}: ${ours}, Linux has ${said.get(what)}`)
  const lacking = new Map<string, number>()
  for (const { what, since } of facts) {
    if (said.has(what)) continue
    assert.ok(since > minor, what)
    const [whole] = what.split('.') as [string]
    lacking.set(SINCE[whole] === since ? whole : what.replace(/ (at|bytes)$/, ''), since)
  }
  return { minor, compared: said.size - 1, wrong, lacking }
}

describe('the protocol of /dev/fuse', { skip: noCompiler() }, () => {
  test('has every structure and number as <linux/fuse.h> has it', (t) => {
    const facts = Object.entries(DECLARED).flatMap(([name, value]) => {
      if (OURS[name] !== undefined) return []
      if (isStruct(value)) return factsOf(value)
      assert.ok(NUMBERS[name] !== undefined, `${name} is compared with nothing`)
      if (typeof value === 'number') return numberFacts(name, { it: value })
      return numberFacts(name, value as Readonly<Record<string, number>>)
    })
    const { minor, compared, wrong, lacking } = compare(facts)
    t.diagnostic(`${compared} facts compared with those of 7.${minor}`)
    const names = [...lacking].map(([what, since]) => `${what} (7.${since})`)
    if (names.length > 0) t.diagnostic(`not compared, the header is older: ${names.join(', ')}`)
    assert.deepEqual(wrong, [])
    assert.equal(attr.ENTRY_ATTR_AT, attr.EntryOut.at.attr)
    assert.equal(attr.ATTR_ATTR_AT, attr.AttrOut.at.attr)
  })

  test('is compared so that a field in a wrong place, or too wide, is found', () => {
    const moved = defineStruct('fuse_mkdir_in', 8, 'its fields the other way round', {
      umask: [0, 4, 'of who asks'],
      mode: [4, 4, 'permissions'],
    })
    const wide = defineStruct('fuse_link_in', 16, 'of twice the bytes', {
      oldnodeid: [0, 16, 'inode'],
    })
    assert.deepEqual(compare([...factsOf(moved), ...factsOf(wide)]).wrong, [
      'fuse_mkdir_in.umask at: 0, Linux has 4',
      'fuse_mkdir_in.mode at: 4, Linux has 0',
      'fuse_link_in bytes: 16, Linux has 8',
      'fuse_link_in.oldnodeid bytes: 16, Linux has 8',
    ])
  })
})
