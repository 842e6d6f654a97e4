/** Completion scripts: what a shell that has them offers. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { buildProgram } from '../../src/cli/program.js'
import { completion, SHELLS } from '../../src/cli/manual/completion.js'
import { done, MAIN } from './support.js'

let directory = ''
let region = ''

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  region = join(directory, 'v.hf')
  await done('mkfs', '--size', '1M', region)
  await done('mkdir', '-p', `${region}:/dir/sub one`, `${region}:/dir/other`)
  const script = join(directory, 'holdfast')
  writeFileSync(script, `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`)
  chmodSync(script, 0o755)
})

after(() => rmSync(directory, { recursive: true }))

/** What bash offers for a command line that ends here. */
async function offered(line: string): Promise<string[]> {
  const script = `${completion(await buildProgram(), 'bash')}
COMP_LINE=$1 COMP_POINT=\${#1}
_holdfast
printf '%s\\n' "\${COMPREPLY[@]}"`
  const env = { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` }
  const { stdout, stderr, status } = spawnSync('bash', ['-c', script, 'bash', line], {
    encoding: 'utf8',
    cwd: directory,
    env,
  })
  assert.deepEqual([status, stderr], [0, ''], line)
  return stdout.split('\n').filter((text) => text !== '')
}

test('bash offers commands, options, choices, files, and names in a volume', async () => {
  assert.deepEqual(await offered('holdfast tr'), ['tree', 'truncate'])
  assert.ok((await offered('holdfast ')).includes('mkfs'))
  assert.deepEqual(await offered('holdfast ls --re'), ['--recursive'])
  assert.deepEqual(await offered('holdfast xattr se'), ['set'])
  assert.deepEqual(await offered('holdfast xattr get --enc'), ['--encoding'])
  assert.deepEqual(await offered('holdfast xattr get -e b'), ['base64'])
  assert.deepEqual(await offered('holdfast keys l'), ['list'])
  assert.deepEqual(await offered('holdfast keys make --sh'), ['--show'])
  assert.deepEqual(await offered('holdfast mkfs --sync g'), ['group'])
  assert.deepEqual(await offered('holdfast completion z'), ['zsh'])
  assert.deepEqual(await offered('holdfast df v.'), ['v.hf'])
  assert.deepEqual(await offered(`holdfast ls ${region}:/dir/`), ['/dir/other', '/dir/sub one'])
  assert.deepEqual(await offered(`holdfast ls ${region}:/d`), ['/dir'])
  assert.deepEqual(await offered(`holdfast ls ${region}:/none/`), [])
  assert.deepEqual(await offered('holdfast ls hf://127.0.0.1:1'), [])
  assert.deepEqual(await offered('holdfast ls hf://127.0.0.1:1/x'), [])
})

test('every shell has every command and every long option', async () => {
  const program = await buildProgram()
  for (const shell of SHELLS) {
    const text = completion(program, shell)
    for (const command of program.commands) {
      assert.ok(text.includes(command.name()), `${shell}: ${command.name()}`)
      for (const { long } of command.options) {
        const flag = shell === 'fish' ? `-l ${(long ?? '--').slice(2)}` : (long ?? '')
        assert.ok(text.includes(flag), `${shell}: ${command.name()} ${flag}`)
      }
    }
  }
})

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  test(`the script for ${shell} has no error of syntax`, async (t) => {
    if (spawnSync(shell, ['--version']).status !== 0) {
      t.skip(`${shell} is not installed: apt-get install ${shell}`)
      return
    }
    const path = join(directory, `script.${shell}`)
    writeFileSync(path, completion(await buildProgram(), shell))
    const { status, stderr } = spawnSync(shell, ['-n', path], { encoding: 'utf8' })
    assert.deepEqual([status, stderr], [0, ''])
  })
}

test('an unknown shell is an error of usage', async () => {
  const { out } = await done('completion', 'bash')
  assert.match(out, /^complete .*holdfast$/m)
})
