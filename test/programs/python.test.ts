/**
 * Python: programs with the calls of its library (files.py), and CPython's own tests of files,
 * which find their temporary directory on the mount.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MODES, groundTest, type Ground } from './ground.js'

const PYTHON = '/usr/bin/python3'
const FILES = resolve('test/programs/files.py')

/** Of `python3 -m test`: those that look at files most, without those that take long. */
const OWN_TESTS = [
  'test_shutil test_os test_posix test_mmap test_fcntl test_tempfile test_file test_fileio',
  'test_pathlib test_glob test_fnmatch test_stat test_posixpath test_genericpath test_filecmp',
  'test_tarfile test_mailbox test_dbm_dumb test_shelve test_gzip test_fileinput test_linecache',
  'test_zipimport test_py_compile test_unicode_file test_unicode_file_functions test_bufio',
  'test_univnewlines test_largefile',
]

async function holds(ground: Ground, name: string): Promise<void> {
  const places = [join(ground.directory, name), join(ground.beside, name)]
  for (const place of places) mkdirSync(place)
  const { lines } = await ground.run([PYTHON, FILES, name, ...places])
  assert.deepEqual(lines, [`${name} holds`])
  for (const place of places) rmSync(place, { recursive: true })
}

for (const mode of MODES) {
  groundTest(
    `Python reads what it has written, ${mode}`,
    { mebibytes: 512, mode, needs: ['python3'] },
    async (ground, t) => {
      const listed = spawnSync(PYTHON, [FILES, '--list'], { encoding: 'utf8' })
      const names = listed.stdout.trim().split('\n')
      assert.ok(names.length > 5, listed.stderr)
      for (const name of names) {
        await t.test(`Python: ${name.replaceAll('_', ' ')}`, () => holds(ground, name))
      }
    },
  )
}

groundTest(
  'the tests of CPython itself pass',
  { mebibytes: 256, needs: ['python3', 'tests of Python'] },
  async (ground, t) => {
    const all = OWN_TESTS.join(' ').split(' ')
    await t.test(`${all.length} of its suites`, async (t) => {
      const words = [
        '-m',
        'test',
        '--tempdir',
        ground.directory,
        '--fail-env-changed',
        '-v',
        ...all,
      ]
      const env = { LC_ALL: 'C.UTF-8', TMPDIR: ground.directory }
      const { lines, errors } = await ground.run([PYTHON, ...words], { env, seconds: 1440 })
      const said = [...lines, ...errors.split('\n')]
      const ran = said.map((line) => Number(/^Ran (\d+) tests? in/.exec(line)?.[1] ?? 0))
      const tests = ran.reduce((sum, count) => sum + count, 0)
      t.diagnostic(`${tests} tests of CPython`)
      assert.ok(tests > 1500, `${tests} tests`)
      assert.ok(said.includes('Tests result: SUCCESS') || said.includes('Result: SUCCESS'))
    })
  },
)
