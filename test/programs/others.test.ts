/**
 * The programs of the other suites, in short, where those do not run: mounts that cache, those of a
 * server, and those of another host. What they print and leave is what they do on tmpfs.
 */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { groundTest, OTHER_GROUNDS, type Ground } from './ground.js'
import { acknowledged, assertBalanced, CLIENTS, killUnderLoad, LOAD, Server } from './postgres.js'
import { sampleTree } from './sample.js'
import { assertSameTree, hostTree, without } from './tree.js'

const FILES = 26
const TRANSACTIONS = 30

interface Deed {
  readonly name: string
  /** In an empty directory; $1 is a sample tree on tmpfs, $2 a repository, $3 files.py. */
  readonly script: string
  /** Of what it left, after the next mount. */
  readonly again?: string
  /** What it leaves that is not the same twice. */
  readonly own?: RegExp
}

/** Their authors and times are those of every run. */
const GIT = `export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
  export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='1700000000 +0000'
  export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
  export GIT_COMMITTER_DATE='1700000000 +0000'`

/** Makes the repository of all clones in its directory. */
const ORIGIN = `${GIT}
  git init -q -b main . && for i in $(seq 200); do
    mkdir -p d$((i % 9)) && seq $i $((i * 7)) > d$((i % 9))/f$i
  done
  ln -s d1/f1 link && chmod 755 d2/f2 && git add -A && git commit -q -m first
  rm d3/f3 && seq 9 > new && git add -A && git commit -q -m second`

/** Nothing that it leaves is the same twice. */
const ANY = /./

const FIO = `fio --directory=. --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
  --randseed=20 --output=/dev/null --name=plain --rw=randwrite --bs=4k --size=8m --ioengine=psync \
  --name=mapped --rw=randwrite --bs=4k --size=8m --ioengine=mmap \
  --name=straight --rw=write --bs=256k --size=16m --direct=1 --ioengine=libaio --iodepth=4 \
  --name=synced --rw=write --bs=16k --size=2m --fsync=8 --ioengine=psync`

/** Of files.py: those whose pages are shared, and whose locks are. */
const PYTHON = [
  'shared_mapping',
  'private_mapping',
  'mapping_of_processes',
  'copy_file_range',
  'locks_between_processes',
  'files_that_are_still_written',
  'data_that_is_still_written',
]

const ROWS = `PRAGMA integrity_check; SELECT * FROM rows ORDER BY writer, n`

const DEEDS: readonly Deed[] = [
  {
    name: 'git clones, commits, packs and finds no fault',
    script: `${GIT}
      git clone -q file://$2 clone && cd clone && git fsck --strict --full
      git checkout -q -b work HEAD~1 && git mv d1 moved && git rm -q -r d2 && seq 99 > more
      git add -A && git commit -q -m third && git rebase -q main 2>&1 && git gc -q --prune=now
      git fsck --strict --full && git log --format=%H%T && git status --porcelain
      git rev-list --objects --all | sort | sha256sum`,
    again: 'git -C clone diff-files && git -C clone fsck --strict --full',
    own: /^clone\/\.git(\/|$)/,
  },
  { name: 'fio reads what it wrote', script: FIO, again: `${FIO} --verify_only=1`, own: ANY },
  {
    name: 'tar takes a tree along',
    script: `
      tar -c --acls --xattrs --xattrs-include='*' -S --numeric-owner -f a.tar -C $1 . && mkdir tree
      tar -x --acls --xattrs --xattrs-include='*' -S --numeric-owner -p -f a.tar -C tree && rm a.tar
      cd tree && getfattr -R -P -h -d -m - -e hex . | sort`,
  },
  {
    name: 'rsync takes a tree along',
    script: `rsync -aHAXS --numeric-ids $1/ tree/
      rsync -aHAXn --checksum --numeric-ids --itemize-changes --delete $1/ tree/
      cd tree && getfattr -R -P -h -d -m - -e hex . | sort`,
  },
  {
    name: 'three processes write to a database of SQLite at once',
    script: `sqlite3 a.db "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
        CREATE TABLE rows (writer, n, content, PRIMARY KEY (writer, n))"
      pids=
      for writer in 1 2 3; do
        for n in $(seq 40); do
          echo "INSERT INTO rows VALUES ($writer, $n, hex(zeroblob($n * 57)));"
        done | sqlite3 -bail -cmd '.timeout 30000' a.db & pids="$pids $!"
      done
      for pid in $pids; do wait $pid; done
      sqlite3 a.db '${ROWS}'`,
    again: `sqlite3 a.db '${ROWS}'`,
    own: /^a\.db/,
  },
  {
    name: 'programs in Python hold',
    script: `for name in ${PYTHON.join(' ')}; do
        mkdir here && aside=$(mktemp -d /dev/shm/holdfast-aside-XXXXXX)
        trap 'rm -r $aside' EXIT
        /usr/bin/python3 $3 $name "$PWD/here" $aside && rm -r here $aside && trap - EXIT
      done`,
  },
  {
    name: 'stress-ng finds nothing wrong',
    script: `stress-ng --temp-path . --verify --timeout 1 --seed 20 --hdd 1 --hdd-bytes 8m \
        --rename 1 --link 1 --flock 1 --lockf 1 --mmap 1 --mmap-file --mmap-bytes 4m --fallocate 1 \
        --fallocate-bytes 16m > said 2>&1 || { cat said >&2 && exit 1; }
      rm said`,
    own: ANY,
  },
  {
    name: 'dbench gets the answers that it expects',
    script: 'dbench -D . -t 1 -x 2 > said 2>&1 || { cat said >&2 && exit 1; }; rm said',
    // How far it came decides what is left.
    own: ANY,
  },
]

/** Those that leave nothing to compare only run here, and say themselves what is wrong. */
const compared = ({ own }: Deed): boolean => own !== ANY

/** What is the same on tmpfs: the lines that it prints, and what it leaves. */
async function testDeed(ground: Ground, i: number, places: readonly string[]): Promise<void> {
  const { script, own = /^$/ } = DEEDS[i]!
  const at = compared(DEEDS[i]!) ? [ground.beside, ground.directory] : [ground.directory]
  const all = at.map((place) => join(place, `deed${i}`))
  const seen = []
  for (const place of all) {
    mkdirSync(place)
    const words = ['bash', '-euo', 'pipefail', '-c', script, 'deed', ...places]
    const { lines } = await ground.run(words, { in: place, seconds: 1440 })
    seen.push({ lines, tree: without(await hostTree(place), own) })
  }
  if (seen.length === 1) return
  assert.deepEqual(seen[1]!.lines, seen[0]!.lines)
  assertSameTree(seen[1]!.tree, seen[0]!.tree, { times: script.includes('--numeric-') })
}

async function testPostgres(ground: Ground): Promise<void> {
  const server = await Server.make(ground, 1)
  await server.fill()
  await server.run('pgbench', ...LOAD, '-t', String(TRANSACTIONS), '--log-prefix=first')
  assert.equal(await assertBalanced(server), CLIENTS * TRANSACTIONS)
  assert.equal(acknowledged(server, 'first'), CLIENTS * TRANSACTIONS)
  await killUnderLoad(server, 'crashed', (all) => ground.crash(() => server.kill(all)))
  await server.stop()
}

for (const { way, mode, postgres } of OTHER_GROUNDS) {
  groundTest(
    `programs do what they do elsewhere, ${way} ${mode}`,
    {
      mebibytes: 512,
      way,
      mode,
      needs: [
        'git',
        'fio',
        'tar',
        'rsync',
        'setfacl',
        'getfattr',
        'sqlite3',
        'python3',
        'stress-ng',
        'dbench',
        'initdb',
      ],
    },
    async (ground, t) => {
      const places = ['sample', 'origin'].map((name) => join(ground.beside, name))
      for (const place of places) mkdirSync(place)
      await ground.shell(sampleTree(FILES), { in: places[0]! })
      await ground.shell(ORIGIN, { in: places[1]! })
      for (const [i, { name }] of DEEDS.entries()) {
        await t.test(name, () =>
          testDeed(ground, i, [...places, resolve('test/programs/files.py')]),
        )
      }
      if (postgres) {
        await t.test('PostgreSQL keeps what it has acknowledged, after a kill of the mount', () =>
          testPostgres(ground),
        )
      }
      await t.test('after the next mount they find what they left', async () => {
        await ground.remount()
        for (const [i, { again }] of DEEDS.entries()) {
          if (again === undefined) continue
          const place = join(ground.directory, `deed${i}`)
          const { lines } = await ground.shell(again, { in: place })
          if (!compared(DEEDS[i]!)) continue
          const there = await ground.shell(again, { in: join(ground.beside, `deed${i}`) })
          assert.deepEqual(lines, there.lines)
        }
      })
    },
  )
}
