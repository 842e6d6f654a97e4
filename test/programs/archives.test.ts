/**
 * tar, rsync and cp, there and back: a tree with everything that a file can have goes from tmpfs to
 * the mount and back to tmpfs, and each copy is compared with the first by content, mode, owner,
 * times, hard links, xattrs and ACLs.
 */
import assert from 'node:assert/strict'
import { lstatSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { flipBit } from './damage.js'
import { groundTest, type Ground } from './ground.js'
import { assertSameTree, differences, hostTree } from './tree.js'

const SEED = 20
const FILES = 400

/** A script that makes the tree in its directory. */
function makeTree(): string {
  const prng = new Prng(SEED)
  const lines = ['umask 022']
  for (let d = 0; d < 12; d++) lines.push(`mkdir -p d${d}/e${d}`)
  for (let i = 0; i < FILES; i++) {
    const path = `d${i % 12}/${i % 5 === 0 ? `e${i % 12}/` : ''}f${i}`
    const size = [0, 1, 100, 4095, 4096, 4097, 20_000, 300_000][prng.below(8)]!
    lines.push(
      `head -c ${size} <(seq ${prng.below(1e6)} 9999999) > ${path}`,
      `chown ${prng.below(3) * 1000}:${prng.below(3) * 500} ${path}`,
      `chmod ${['644', '600', '755', '4755', '2711', '400', '000'][prng.below(7)]!} ${path}`,
    )
    if (i % 10 === 0) lines.push(`ln ${path} d${prng.below(12)}/linked${i}`)
    if (i % 11 === 0) lines.push(`setfattr -n user.color -v "blue ${i}" ${path}`)
    if (i % 13 === 0) lines.push(`setfattr -n trusted.note -v 0x00ff${i % 10}0 ${path}`)
    if (i % 17 === 0) lines.push(`setfacl -m u:1000:r,g:500:rwx,m::rx ${path}`)
    lines.push(`touch -d @${1e9 + prng.below(7e8)}.${100_000_000 + prng.below(8e8)} ${path}`)
  }
  lines.push(
    'setfacl -d -m u:1000:rwx,o::- d1 && setfacl -m g:500:rx d2 && chmod 1777 d3',
    'setfattr -n user.big -v "$(head -c 3000 /dev/zero | tr "\\0" x)" d4/f4',
    'ln -s f1 d1/link && ln -s /nowhere/at/all d2/dangling && ln -s ../d3 d4/directory',
    'chown -h 7:8 d1/link && touch -h -d @1234567890.123456789 d1/link',
    'mkfifo -m 620 fifo && mknod null c 1 3 && mknod disk b 259 70000',
    'truncate -s 40M sparse && printf middle | dd of=sparse bs=1 seek=20M conv=notrunc status=none',
    'touch "$(printf "%0255d" 7)" "$(printf "new\\nline\\t \\\\ \\xff\\xc3")"',
    'mkdir -p deep/$(printf "x/%.0s" $(seq 60)) && echo bottom > deep/$(printf "x/%.0s" $(seq 60))file',
    'touch -d @1111111111.111111111 d1 d2 d3 d4 deep .',
  )
  return lines.join('\n')
}

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
    script: `tar -cz --acls --xattrs --xattrs-include='*' -S --numeric-owner --format=posix -C $1 . |
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
    await ground.shell(makeTree(), { in: source })
    const tree = await hostTree(source)
    const xattrs = await xattrsOf(ground, source)
    assert.ok(xattrs.filter((line) => line.includes('acl_access')).length > 20, 'too few ACLs')
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
