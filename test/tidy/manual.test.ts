import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bold } from '../../src/cli/manual/roff.js'
import { buildProgram } from '../../src/cli/program.js'
import { MAN_DIRECTORY, outdated } from '../../scripts/docs.js'
import { readSource } from './sources.js'

test('the manual pages are those of the command line', async () => {
  assert.deepEqual([...(await outdated()).keys()], [], 'out of date; run `npm run docs`')
})

test('every command has a page, and is in the list of holdfast(1) and of README.md', async () => {
  const main = readFileSync(join(MAN_DIRECTORY, 'holdfast.1'), 'utf8')
  const readme = readSource('README.md').text
  for (const command of (await buildProgram()).commands) {
    const name = command.name()
    const page = readFileSync(join(MAN_DIRECTORY, `holdfast-${name}.1`), 'utf8')
    assert.match(page, /^\.SH "EXAMPLES"$/m, `${name} has examples`)
    assert.ok(main.includes(`${bold(name)}\n`), `holdfast(1) lists ${name}`)
    assert.ok(readme.includes(`\`${name}\``), `README.md lists ${name}`)
  }
})

test('groff has nothing to warn of in any page', (t) => {
  if (spawnSync('groff', ['--version']).status !== 0) {
    t.skip('groff is not installed: apt-get install groff-base')
    return
  }
  for (const name of readdirSync(MAN_DIRECTORY)) {
    const args = ['-man', '-Tutf8', '-wall', '-z', join(MAN_DIRECTORY, name)]
    const { status, stderr } = spawnSync('groff', args, { encoding: 'utf8' })
    assert.deepEqual([status, stderr], [0, ''], name)
  }
})
