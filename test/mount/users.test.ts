/**
 * Users who are not root mount volumes of their own with fusermount3(1): for themselves alone,
 * unless the host lets them have others in, and with nothing left when it ends.
 */
import assert from 'node:assert/strict'
import { noCompiler } from '../processes/compile.js'
import { processTest, until, type Program } from '../processes/program.js'
import { processesOf, within } from './left.js'
import { NOBODY, OTHER, Users, usersCannotMount } from './users.js'

const skip = usersCannotMount() ?? noCompiler()
const ORDERLY = { status: 0, signal: null }

function usersTest(name: string, body: (users: Users) => Promise<void>, config = ''): void {
  processTest(name, { skip }, async (programs) => {
    const users = await Users.start(programs, config)
    try {
      await body(users)
    } finally {
      await users.end()
    }
  })
}

/** A mount has ended in order, nothing is left of it, and the volume is whole. */
async function assertEnded(users: Users, program: Program): Promise<void> {
  assert.deepEqual(await within(program.ended()), ORDERLY, program.said())
  await assertGone(users)
  await users.done(NOBODY, ['fsck', users.region])
}

async function assertGone(users: Users): Promise<void> {
  await until(() => users.mounted === null, 'it is not mounted')
  await until(() => processesOf(users.directory).length === 0, 'no process is left')
}

async function ends(users: Users, uid: number, ...command: readonly string[]): Promise<number> {
  const end = await within(users.start(uid, command).ended())
  assert.ok(end !== 'nothing' && end.status !== null, command.join(' '))
  return end.status
}

for (const end of ['fusermount3 -u', 'SIGTERM', 'SIGINT'] as const) {
  usersTest(`a user mounts what is his own, and ends that by ${end}`, async (users) => {
    const program = await users.mount()
    assert.match(users.mounted!, /nosuid,nodev.* - fuse\.holdfast .*user_id=65534,group_id=65534/)
    assert.doesNotMatch(users.mounted!, /allow_other/)
    const caller = users.caller(NOBODY)
    await caller.done('mkdir', users.path('d'))
    await caller.open(1, users.path('d/f'))
    await caller.done('fill', 1, 0, 100_000, 7)
    await caller.done('fsync', 1)
    assert.equal(await caller.done('check', 1, 0, 100_000, 7), 'same')
    const [, size, , , uid] = (await caller.done('stat', users.path('d/f'))).split(' ')
    assert.deepEqual([size, uid], ['100000', String(NOBODY)])
    await caller.end()
    if (end === 'fusermount3 -u') {
      assert.equal(await ends(users, NOBODY, 'fusermount3', '-u', users.directory), 0)
    } else {
      void program.kill(end)
    }
    await assertEnded(users, program)
    // What he wrote is there when he mounts it again.
    const again = await users.mount('cache')
    const reader = users.caller(NOBODY)
    await reader.open(1, users.path('d/f'))
    assert.equal(await reader.done('check', 1, 0, 100_000, 7), 'same')
    await reader.end()
    void again.kill('SIGTERM')
    await assertEnded(users, again)
  })
}

usersTest('what a user mounts is EACCES for everybody else, and for root', async (users) => {
  const program = await users.mount()
  const [his, others, root] = [users.caller(NOBODY), users.caller(OTHER), users.caller(0)]
  await his.open(1, users.path('f'))
  for (const one of [others, root]) {
    assert.equal(await one.call('list', users.directory), 'EACCES')
    assert.equal(await one.call('stat', users.path('f')), 'EACCES')
    assert.equal(await one.call('mkdir', users.path('d')), 'EACCES')
  }
  // Nobody but him, and root, takes it away.
  assert.notEqual(await ends(users, OTHER, 'fusermount3', '-u', users.directory), 0)
  assert.notEqual(users.mounted, null)
  assert.equal(await his.done('list', users.directory), 'f')
  for (const one of [his, others, root]) await one.end()
  assert.equal(await ends(users, 0, 'umount', users.directory), 0)
  await assertEnded(users, program)
})

usersTest('SIGTERM ends the mount of a user, with programs of his in it', async (users) => {
  const program = await users.mount()
  const [open, inside] = [users.caller(NOBODY), users.caller(NOBODY)]
  await open.open(1, users.path('f'))
  await inside.done('cd', users.directory)
  void program.kill('SIGTERM')
  await assertEnded(users, program)
  assert.match(await open.call('read', 1, 0, 10), /^E(NOTCONN|CONNABORTED)$/)
  assert.match(await inside.call('list', '.'), /^E(NOTCONN|CONNABORTED)$/)
  for (const one of [open, inside]) await one.end()
})

usersTest('the mount of a user that is killed is taken away', async (users) => {
  const program = await users.mount()
  const caller = users.caller(NOBODY)
  await caller.open(1, users.path('f'))
  await caller.done('write', 1, 0, 'acknowledged')
  await caller.done('fsync', 1)
  await program.kill('SIGKILL')
  await assertGone(users)
  await caller.end()
  await users.done(NOBODY, ['fsck', users.region])
  const again = await users.mount()
  const reader = users.caller(NOBODY)
  await reader.open(1, users.path('f'))
  const read = Buffer.from(await reader.done('read', 1, 0, 100), 'hex')
  assert.equal(read.toString(), 'acknowledged')
  await reader.end()
  void again.kill('SIGTERM')
  await assertEnded(users, again)
})

usersTest("a user's server shows its volume, too", async (users) => {
  const place = ['--mount', users.directory]
  const socket = ['--socket', `${users.folder}/own/socket`]
  const program = users.holdfast(NOBODY, ['serve', ...place, ...socket, users.region])
  await program.line()
  const caller = users.caller(NOBODY)
  await caller.open(1, users.path('f'))
  await caller.done('write', 1, 0, 'text')
  await caller.end()
  assert.match(users.mounted!, /user_id=65534/)
  void program.kill('SIGTERM')
  await assertEnded(users, program)
})

// ---- what the host allows --------------------------------------------------------------------

usersTest('allow_other is refused where fuse.conf does not have it', async (users) => {
  const args = ['mount', '-o', 'allow_other', users.region, users.directory]
  for (const words of [args, ['mount', '--daemon', ...args.slice(1)]]) {
    const says = await users.refused(NOBODY, words)
    assert.match(says, /EPERM: .*allow_other.*user_allow_other.*\/etc\/fuse\.conf/)
    await assertGone(users)
  }
  // The refusal has let go of the region.
  const program = await users.mount()
  void program.kill('SIGTERM')
  await assertEnded(users, program)
})

usersTest(
  'allow_other lets others in where fuse.conf has it, as far as modes do',
  async (users) => {
    const program = await users.mount('allow_other')
    assert.match(users.mounted!, /allow_other/)
    const [his, others, root] = [users.caller(NOBODY), users.caller(OTHER), users.caller(0)]
    await his.done('mkdir', users.path('d'))
    await his.done('open', 1, users.path('d/shown'), 0o102, 0o644)
    await his.done('open', 2, users.path('d/hidden'), 0o102, 0o600)
    assert.equal(await others.done('list', users.directory), 'd')
    await others.done('open', 1, users.path('d/shown'), 0, 0)
    assert.equal(await others.call('open', 2, users.path('d/shown'), 2, 0), 'EACCES')
    assert.equal(await others.call('open', 2, users.path('d/hidden'), 0, 0), 'EACCES')
    assert.equal(await others.call('mkdir', users.path('d/x')), 'EACCES')
    await root.done('open', 1, users.path('d/hidden'), 0, 0)
    for (const one of [his, others, root]) await one.end()
    assert.equal(await ends(users, NOBODY, 'fusermount3', '-u', users.directory), 0)
    await assertEnded(users, program)
  },
  'user_allow_other',
)

usersTest("a user mounts neither what is another's, nor at another's directory", async (users) => {
  const theirs = users.makeDirectory('theirs', OTHER)
  const mount = ['mount', users.region]
  assert.match(await users.refused(NOBODY, [...mount, theirs]), /EPERM: .*write access/)
  assert.match(await users.refused(OTHER, [...mount, theirs]), /EACCES: .*v\.hf/)
  await assertGone(users)
})

usersTest('a user who has no fusermount3 is told what to install', async (users) => {
  const args = ['mount', users.region, users.directory]
  const says = await users.refused(NOBODY, args, ['env', `PATH=${users.folder}`])
  assert.match(says, /ENOENT: fusermount3: .*fuse3/)
})
