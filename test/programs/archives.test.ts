/**
 * tar, rsync and cp, there and back: a tree with everything that a file can have goes from tmpfs to
 * the mount and back to tmpfs, and each copy is compared with the first by content, mode, owner,
 * times, hard links, xattrs and ACLs.
 */
import assert from 'node:assert/strict'
import { lstatSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { flipBit } from './damage.js'
import { groundTest, type Ground } from './ground.js'
import { sampleTree } from './sample.js'
import { assertSameTree, differences, hostTree } from './tree.js'

const FILES = 200

/** All xattrs of a tree, ACLs among them, by getfattr. */
async function xattrsOf(ground: Ground, place: string): Promise<readonly string[]> {
  const { lines } = await ground.shell('getfattr -R -P -h -d -m - -e hex . | sort', { in: place })
  return lines
}

interface Way {
  readonly name: string
  /** From $1 to $2, which is an empty directory; $3 is a directory of the mount for itself. */
  readonly script: string
}

const WAYS: readonly Way[] = [
  {
    name: 'tar, with an archive on the mount',
    script: `tar -c --acls --xattrs --xattrs-include='*' -S --numeric-owner --format=posix \
               -f $3/a.tar -C $1 . && tar -d --acls --xattrs -f $3/a.tar -C $1 &&
             tar -x --acls --xattrs --xattrs-include='*' -S --numeric-owner -p -f $3/a.tar -C $2`,
  },
  {
    name: 'tar through a pipe and gzip',
    script: `tar -cz --acls --xattrs --xattrs-include='*' -S --numeric-owner --format=posix \
               -C $1 . |
             tar -xz --acls --xattrs --xattrs-include='*' -S --numeric-owner -p -C $2`,
  },
  {
    name: 'rsync',
    script: `rsync -aHAXS --numeric-ids $1/ $2/ &&
             test -z "$(rsync -aHAXn --checksum --numeric-ids --itemize-changes --delete $1/ $2/)"`,
  },
  { name: 'cp', script: 'cp -a --sparse=always $1/. $2/' },
]

async function copy(ground: Ground, way: Way, from: string, to: string): Promise<void> {
  mkdirSync(to)
  const room = join(ground.directory, 'room')
  const words = ['bash', '-euo', 'pipefail', '-c', way.script, way.name, from, to, room]
  await ground.run(['sh', '-c', 'mkdir -p "$1"', 'sh', room])
  await ground.run(words)
  await ground.run(['rm', '-r', room])
}

groundTest(
  'tar, rsync and cp bring back what they took',
  { mebibytes: 512, needs: ['tar', 'rsync', 'setfacl', 'getfattr'] },
  async (ground, t) => {
    const source = join(ground.beside, 'source')
    mkdirSync(source)
    await ground.shell(sampleTree(FILES), { in: source })
    const tree = await hostTree(source)
    const xattrs = await xattrsOf(ground, source)
    assert.ok(xattrs.filter((line) => line.includes('acl_access')).length > 10, 'too few ACLs')
    for (const [i, way] of WAYS.entries()) {
      const there = join(ground.directory, `there${i}`)
      const places = [there, join(ground.directory, `again${i}`), join(ground.beside, `back${i}`)]
      await t.test(`${way.name}: to the mount, on the mount, and back`, async (t) => {
        let from = source
        for (const to of places) {
          await copy(ground, way, from, to)
          assertSameTree(await hostTree(to), tree)
          assert.deepEqual(await xattrsOf(ground, to), xattrs)
          from = to
        }
        t.diagnostic(`${tree.size} files`)
        const { blocks, size } = lstatSync(join(there, 'sparse'))
        assert.ok(blocks * 512 < size / 10, `${blocks} blocks of a file that is sparse`)
      })
    }
    await testDamage(ground, t, source)
  },
)

/** Changes of one file, and the file. */
const DAMAGES: readonly (readonly [script: string, path: string])[] = [
  ['chmod 7641 d1/f1', 'd1/f1'],
  ['chown 5 d1/f1', 'd1/f1'],
  ['touch -d @5.5 d1/f1', 'd1/f1'],
  ['echo >> d1/f1', 'd1/f1'],
  ['rm d1/f1', 'd1/f1'],
  ['touch d1/more', 'd1/more'],
  ['rm disk && mknod disk b 259 70001', 'disk'],
  ['ln -sf /elsewhere d2/dangling', 'd2/dangling'],
  ['cp -p d0/e0/f0 apart && mv apart d0/e0/f0', 'd0/e0/f0'],
]

/** Each thing that is compared, when it is another. */
async function testDamage(ground: Ground, t: TestContext, source: string): Promise<void> {
  const there = join(ground.directory, 'there0')
  const mend = () =>
    ground.shell(`rsync -aHAX --delete --numeric-ids --checksum ${source}/ .`, { in: there })

  await t.test('what differs in one file is told, whatever it is', async () => {
    const tree = await hostTree(source)
    for (const [script, path] of DAMAGES) {
      await ground.shell(script, { in: there })
      const lines = differences(await hostTree(there), tree)
      assert.ok(
        lines.some((line) => line.startsWith(`${path} is `)),
        `${script}: ${lines.join('\n')}`,
      )
      await mend()
      assertSameTree(await hostTree(there), tree)
    }
  })

  await t.test('one bit, and one entry of an ACL, are told', async () => {
    const tree = await hostTree(there)
    flipBit(join(there, 'sparse'), 20 << 20)
    await ground.run(['touch', '-r', join(source, 'sparse'), 'sparse'], { in: there })
    assert.equal(differences(await hostTree(there), tree).length, 1)
    assert.deepEqual(await xattrsOf(ground, there), await xattrsOf(ground, source))
    await ground.run(['setfacl', '-m', 'u:1001:r', 'd2'], { in: there })
    assert.notDeepEqual(await xattrsOf(ground, there), await xattrsOf(ground, source))
  })
}
