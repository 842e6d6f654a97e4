/**
 * Programs that nobody here wrote, and that test/programs runs: each with the command that shows
 * that it is there, and the Debian package that has it.
 */
import { spawnSync } from 'node:child_process'

const PROBES = {
  fio: ['fio', 'fio --version'],
  'stress-ng': ['stress-ng', 'stress-ng --version'],
  'bonnie++': ['bonnie++', 'command -v bonnie++'],
  dbench: ['dbench', 'command -v dbench && test -r /usr/share/dbench/client.txt'],
  git: ['git', 'git --version'],
  tar: ['tar', 'tar --version'],
  rsync: ['rsync', 'rsync --version'],
  setfacl: ['acl', 'setfacl --version'],
  getfattr: ['attr', 'getfattr --version'],
  sqlite3: ['sqlite3', 'sqlite3 --version'],
  initdb: ['postgresql', 'test -x /usr/lib/postgresql/*/bin/initdb'],
  python3: ['python3', '/usr/bin/python3 --version'],
  'tests of Python': [
    'libpython3.N-testsuite',
    '/usr/bin/python3 -c "import test.test_shutil, test.test_mmap"',
  ],
  fusermount3: ['fuse3', 'fusermount3 --version'],
  inotifywait: ['inotify-tools', 'command -v inotifywait'],
  'reachable npm registry': [null, 'npm view typescript version --fetch-retries=0'],
} as const

export type ProgramName = keyof typeof PROBES

function lackOf(name: ProgramName): string {
  const [source] = PROBES[name]
  return source === null ? `no ${name}` : `no ${name} (package ${source})`
}

function runs(script: string): boolean {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }
  return spawnSync('sh', ['-c', script], { stdio: 'ignore', env }).status === 0
}

const isThere = (name: ProgramName): boolean => runs(PROBES[name][1])

/** Each as it stands in the reason of a skip, and whether it is there. */
export const PROGRAM_NEEDS = (Object.keys(PROBES) as ProgramName[]).map((name) => {
  return { name, lack: lackOf(name), met: () => isThere(name) }
})

/** What of these is not here, as the reason of a skip; false: all are. */
export function lacking(names: readonly ProgramName[]): string | false {
  const missing = names.find((name) => !isThere(name))
  return missing === undefined ? false : lackOf(missing)
}
