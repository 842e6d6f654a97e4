/**
 * npm and this project: its packages are installed on the mount from a cache that lies there, which
 * compiles the addon and then everything else, and all of it is compared with what is elsewhere.
 * What was built there then makes and checks a volume of its own, in a file of the mount.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { flipBit } from './damage.js'
import { groundTest, type Ground } from './ground.js'
import { assertSameTree, differences, hostTree, without, type Entry } from './tree.js'

const PROJECT = resolve('.')
const SOURCES = ['src', 'scripts', 'package.json', 'package-lock.json']
const CONTENT = { times: false, owners: false } as const

/** Files and symlinks of a tree below one of its directories. */
function part(tree: ReadonlyMap<string, Entry>, folder: string): Map<string, Entry> {
  return new Map([...tree].filter(([path]) => path.startsWith(`${folder}/`)))
}

/** The project as npm wants it, without what is tried here. */
function copyProject(to: string): void {
  mkdirSync(to)
  for (const name of SOURCES) cpSync(join(PROJECT, name), join(to, name), { recursive: true })
  const settings = JSON.parse(readFileSync(join(PROJECT, 'tsconfig.json'), 'utf8')) as object
  const all = { ...settings, include: ['src', 'scripts'] }
  writeFileSync(join(to, 'tsconfig.json'), JSON.stringify(all))
}

const npm = (ground: Ground, place: string, ...words: string[]) =>
  ground.run(['npm', 'ci', '--no-audit', '--no-fund', ...words], { in: place, seconds: 1920 })

groundTest(
  'npm installs and builds this project',
  { mebibytes: 768, needs: ['reachable npm registry'] },
  async (ground, t) => {
    const { beside, directory } = ground
    const there = join(beside, 'project')
    const here = join(directory, 'project')
    const cache = join(beside, 'cache')
    const cacheHere = join(directory, 'cache')
    copyProject(there)
    await npm(ground, there, '--ignore-scripts', '--cache', cache)
    const wanted = part(await hostTree(there), 'node_modules')
    assert.ok(wanted.size > 1000)

    await t.test('the cache is copied to the mount', async () => {
      await ground.run(['cp', '-a', join(cache, '_cacache'), join(directory, 'cache')])
      assertSameTree(await hostTree(cacheHere), await hostTree(join(cache, '_cacache')))
      await ground.shell('mkdir cache.npm && mv cache cache.npm/_cacache && mv cache.npm cache')
    })

    await t.test('npm ci installs from there what it installs elsewhere, and builds', async () => {
      copyProject(here)
      await npm(ground, here, '--offline', '--cache', cacheHere)
      // Which files npm had to leave a note in is its own business.
      const own = /^node_modules\/\.package-lock\.json$/
      const found = part(await hostTree(here), 'node_modules')
      assertSameTree(without(found, own), without(wanted, own), CONTENT)
    })

    await t.test('tsc and the compiler of C make there what they make elsewhere', async () => {
      // The order of unions in declarations is the compiler's, and the digest knows its directory.
      const ours = /^build\/(src|scripts|native)\/.*(?<!\.d\.ts|\.sha256)$/
      const found = await hostTree(here)
      const built = new Map([...part(found, 'build')].filter(([path]) => ours.test(path)))
      const elsewhere = await hostTree(join(PROJECT, 'build'))
      const same = new Map(
        [...built.keys()].map((path) => [path, elsewhere.get(path.slice('build/'.length))!]),
      )
      assert.ok(built.size > 500, `${built.size} files were built`)
      assertSameTree(built, same, CONTENT)
    })

    await t.test('what was built there makes a volume in a file of the mount', async () => {
      const main = join(here, 'build/src/cli/main.js')
      const node = (...words: string[]) => ground.run([process.execPath, main, ...words])
      await node('mkfs', '--size', '64M', 'inner.hf')
      await node('cp', '-r', 'project/src', 'inner.hf:/src')
      await node('fsck', 'inner.hf')
      await node('cp', '-r', 'inner.hf:/src', 'again')
      const sources = await hostTree(join(here, 'src'))
      assertSameTree(await hostTree(join(directory, 'again')), sources, CONTENT)
    })

    await t.test('all of it is there after the next mount', async () => {
      const before = await hostTree(directory)
      await ground.remount()
      assertSameTree(await hostTree(directory), before)
      const file = 'project/node_modules/typescript/lib/typescript.js'
      flipBit(join(directory, file), 5_000_000)
      const found = differences(await hostTree(directory), before, { times: false })
      assert.equal(found.length, 1, 'one bit is another, and nobody tells')
    })
  },
)
