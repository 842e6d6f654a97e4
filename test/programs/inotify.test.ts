/** inotifywait: what watches a directory of the mount is told what it is told on tmpfs. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { groundTest, type Ground } from './ground.js'

/** Changes by other programs, a line each. */
const CHANGES = `
echo a > new
cat new > /dev/null
echo b >> new
chmod 600 new
touch -d @5 new
truncate -s 100 new
mv new moved
mv moved inner/moved
mv inner/moved back
ln back second
ln -s back symlink
mkdir made
rmdir made
cp back copy
setfattr -n user.a -v b copy
mv copy second
dd if=/dev/zero of=back bs=4096 count=3 status=none
fallocate -l 65536 back
rm back second symlink
mkfifo fifo
rm fifo
touch inner/in
rm -r inner`

/** Events of a watcher of `place`, while `changes` are made there. */
async function eventsOf(ground: Ground, place: string, changes: string): Promise<string[]> {
  mkdirSync(join(place, 'inner'), { recursive: true })
  const command = ['inotifywait', '-m', '--format', '%w %e %f', '.', 'inner']
  const watcher = ground.start(command, { in: place })
  // It says so on its standard error.
  for (const end = Date.now() + 60_000; !watcher.errors.includes('Watches established');) {
    assert.ok(Date.now() < end && watcher.running, watcher.said())
    await new Promise((resolve) => setImmediate(resolve))
  }
  await ground.shell(changes, { in: place })
  await ground.shell('touch last', { in: place })
  const events: string[] = []
  for (;;) {
    const line = await watcher.line()
    if (line === './ CLOSE_WRITE,CLOSE last') break
    // The kernel makes one of two that are the same, when the first is not read yet.
    if (line !== events.at(-1)) events.push(line)
  }
  await watcher.kill('SIGTERM')
  return events
}

groundTest(
  'who watches a directory hears of each change',
  { mebibytes: 64, needs: ['inotifywait', 'getfattr'] },
  async (ground, t) => {
    await t.test('inotifywait says here what it says on tmpfs', async (t) => {
      const there = await eventsOf(ground, join(ground.beside, 'watched'), CHANGES)
      const here = await eventsOf(ground, join(ground.directory, 'watched'), CHANGES)
      t.diagnostic(`${there.length} events`)
      assert.ok(there.length > 60, `${there.length} events`)
      assert.deepEqual(here, there)
    })

    await t.test('a change that is left out is missed', async () => {
      const fewer = CHANGES.replace('chmod 600 new\n', '')
      const there = await eventsOf(ground, join(ground.beside, 'fewer'), CHANGES)
      const here = await eventsOf(ground, join(ground.directory, 'fewer'), fewer)
      assert.notDeepEqual(here, there)
    })
  },
)
