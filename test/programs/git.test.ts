/**
 * git on a mount and on tmpfs: the same commands on the same repository, whose files, references
 * and objects must be the same at each step. Names, dates and content come from a seed.
 */
import assert from 'node:assert/strict'
import { lstatSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { flipBit } from './damage.js'
import { groundTest, type Ground } from './ground.js'
import { assertSameTree, hostTree, without } from './tree.js'

const FILES = 1500
const COMMITS = 24
const BRANCHES = ['main', 'one', 'two'] as const
const SEED = 20

const ENV = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_AUTHOR_DATE: '1700000000 +0000',
  GIT_COMMITTER_NAME: 'C',
  GIT_COMMITTER_EMAIL: 'c@example.org',
  GIT_COMMITTER_DATE: '1700000000 +0000',
  GIT_TERMINAL_PROMPT: '0',
}

const MODES = ['100644', '100644', '100644', '100755', '120000'] as const

/** What a file holds: lines, or the target of a symlink. */
function contentOf(prng: Prng, mode: string): string {
  if (mode === '120000') return `../d${prng.below(40)}/f${prng.below(FILES)}`
  const lines = Array.from({ length: 1 + prng.below(60) }, () =>
    String.fromCharCode(97 + prng.below(26)).repeat(1 + prng.below(80)),
  )
  return `${lines.join('\n')}\n`
}

const pathOf = (i: number): string => `d${i % 40}/e${i % 7}/f${i}`

/** A history for `git fast-import`: all files at first, then changes on three branches. */
function history(): string {
  const prng = new Prng(SEED)
  const parts: string[] = []
  const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`
  for (let commit = 0; commit < COMMITS; commit++) {
    const branch = commit < 3 ? 'main' : BRANCHES[commit % BRANCHES.length]!
    const who = `C <c@example.org> ${1_600_000_000 + commit * 3600} +0000`
    parts.push(`commit refs/heads/${branch}\nmark :${commit + 1}\ncommitter ${who}\n`)
    parts.push(data(`change ${commit}\n`))
    if (commit > 0 && (commit < 6 || branch === 'main')) parts.push(fromOf(commit, branch))
    const changed = commit === 0 ? FILES : 60
    for (let i = 0; i < changed; i++) {
      const file = commit === 0 ? i : prng.below(FILES / 3) * 3 + BRANCHES.indexOf(branch)
      const mode = MODES[file % MODES.length]!
      if (commit > 0 && prng.below(10) === 0) parts.push(`D ${pathOf(file)}\n`)
      else parts.push(`M ${mode} inline ${pathOf(file)}\n`, data(contentOf(prng, mode)))
    }
  }
  return parts.join('')
}

/** Branches begin at the third commit; later ones follow themselves. */
function fromOf(commit: number, branch: string): string {
  if (commit < 3) return `from :${commit}\n`
  if (commit < 6) return 'from :3\n'
  assert.equal(branch, 'main')
  return `from :${commit - 2}\n`
}

/** Both places, in the order of what is asked of them. */
class Pair {
  readonly #ground: Ground

  constructor(ground: Ground) {
    this.#ground = ground
  }

  /** The same script in both; it has to print the same lines. */
  async both(name: string, script: string): Promise<readonly string[]> {
    const options = { env: ENV, seconds: 1440 }
    const { directory, beside } = this.#ground
    const there = await this.#ground.shell(script, { in: join(beside, name), ...options })
    const here = await this.#ground.shell(script, { in: join(directory, name), ...options })
    assert.deepEqual(here.lines, there.lines)
    return here.lines
  }

  /** The files that are checked out are the same, and git finds them so. */
  async same(name: string): Promise<number> {
    const lines = await this.both(name, 'git status --porcelain && git rev-parse HEAD')
    assert.equal(lines.length, 1, lines.join('\n'))
    const [here, there] = await Promise.all(
      [this.#ground.directory, this.#ground.beside].map((at) => hostTree(join(at, name))),
    )
    const ofGit = /^\.git(\/|$)/
    assertSameTree(without(here!, ofGit), without(there!, ofGit), { times: false })
    return here!.size
  }
}

/** Digests of all that references lead to, of all objects, and the references. */
const REACHABLE = 'git rev-list --objects --all | sort | sha256sum; git for-each-ref'
const OBJECTS = `git cat-file --batch-all-objects --batch | sha256sum; ${REACHABLE}`

/** A repository for both, and clones of it. */
async function testClones(ground: Ground, pair: Pair, t: TestContext): Promise<void> {
  const { beside, directory } = ground
  const origin = join(beside, 'origin')
  writeFileSync(join(beside, 'history'), history())
  await ground.shell(
    'git init -q --bare -b main origin && git -C origin fast-import --quiet < history',
    { in: beside, env: ENV },
  )

  await t.test('a clone has the files and objects of its origin', async () => {
    await pair.both('.', `git clone -q file://${origin} clone && git -C clone fsck --strict --full`)
    assert.ok((await pair.same('clone')) > FILES * 0.8)
    const [objects] = await pair.both('clone', 'git count-objects -v | grep in-pack')
    assert.ok(Number(objects!.split(' ')[1]) > FILES, objects)
    await pair.both('clone', OBJECTS)
  })

  await t.test('a clone by hard links shares the objects of the first', async () => {
    await pair.both('.', 'git clone -q clone linked && git -C linked fsck --strict --full')
    await pair.same('linked')
    const { lines } = await ground.shell('ls linked/.git/objects/pack/*.pack')
    assert.equal(lstatSync(join(directory, lines[0]!)).nlink, 2)
  })

  await t.test('each branch is checked out as it is on tmpfs', async () => {
    for (const branch of BRANCHES) {
      await pair.both('clone', `git checkout -q ${branch} && git rev-parse HEAD^{tree}`)
      await pair.same('clone')
    }
  })
}

async function testChanges(pair: Pair, t: TestContext): Promise<void> {
  await t.test('commits, a merge, a rebase and a stash are those of tmpfs', async () => {
    await pair.both(
      'clone',
      `git checkout -q -b work one
     for i in $(seq 1 10); do
       echo "$i" > new$i && git mv d0 moved$i && mv moved$i d0
       git rm -q --cached -r moved$i && git add -A && git commit -q -m "commit $i"
     done
     git merge -q -X ours -m merged two && git log --format=%H%T | sha256sum`,
    )
    await pair.same('clone')
    await pair.both(
      'clone',
      `git checkout -q -b rebased work~2 && git rebase -q --onto main work~5 2>&1
     echo changed >> new1 && echo more > untracked && git stash -q -u && git stash pop -q
     git add -A && git commit -q -m stashed && git log --format=%H | sha256sum`,
    )
    await pair.same('clone')
  })

  await t.test('an archive, a bundle and a second worktree have the same files', async () => {
    await pair.both(
      'clone',
      `git worktree add -q ../second main && mkdir ../archive
     git archive main | tar -x -C ../archive
       diff -r --no-dereference -x .git ../archive ../second
     git bundle create -q ../all.bundle --all && git clone -q ../all.bundle ../unbundled
     git -C ../unbundled fsck --strict --full && git -C ../unbundled rev-parse HEAD`,
    )
    await pair.same('second')
  })
}

async function testStorage(ground: Ground, pair: Pair, t: TestContext): Promise<void> {
  const { directory } = ground
  await t.test('gc and repack keep every object', async () => {
    const before = await pair.both('clone', REACHABLE)
    await pair.both('clone', 'git gc -q --prune=now && git fsck --strict --full')
    await pair.both('clone', 'git repack -q -a -d -f --depth=20 && git fsck --strict --full')
    assert.deepEqual(await pair.both('clone', REACHABLE), before)
    await pair.both('clone', OBJECTS)
  })

  await t.test('the index still knows each file after the next mount', async () => {
    await ground.shell('git update-index -q --refresh', {
      in: join(directory, 'clone'),
      env: ENV,
    })
    await ground.remount()
    // By inode number and times alone: not a byte of the files is read for it.
    const { lines } = await ground.shell('git diff-files', {
      in: join(directory, 'clone'),
      env: ENV,
    })
    assert.deepEqual(lines, [])
    await pair.same('clone')
  })

  await t.test('git tells of a pack in which one bit is another', async () => {
    const pack = (await ground.shell('ls linked/.git/objects/pack/*.pack')).lines[0]!
    flipBit(join(directory, pack), 200_000)
    const done = await ground.run(['git', '-C', 'linked', 'fsck', '--full'], { status: null })
    assert.notEqual(done.status, 0)
  })
}

groundTest(
  'git does here what it does on tmpfs',
  { mebibytes: 512, needs: ['git'] },
  async (ground, t) => {
    const pair = new Pair(ground)
    await testClones(ground, pair, t)
    await testChanges(pair, t)
    await testStorage(ground, pair, t)
  },
)
