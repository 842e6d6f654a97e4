/** `holdfast keys`, as people start it. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadKey } from '../../src/client/key.js'
import { KeyFile } from '../../src/serve/key_file.js'
import { Shell, temporary } from './support.js'

const shell = new Shell()
after(() => shell.end())

test('keys make adds a key that a server takes, and never shows its secret', async (t) => {
  const file = join(temporary(t), 'keys')
  const { out } = await shell.done('keys', 'make', '--id', 'laptop', '--uid', '0', file)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const key = new KeyFile(file).lookup('laptop')!
  assert.equal(key.secret.length, 32)
  assert.deepEqual(key.identity, { uid: 0, gid: 0, groups: [], readOnly: false })
  const secret = Buffer.from(key.secret).toString('base64url')
  assert.ok(readFileSync(file, 'utf8').includes(secret))
  assert.ok(!out.includes(secret))
  assert.match(out, /grep '\^laptop '/)
  assert.match(out, /--key holdfast\.key hf:\/\//)
  assert.match(out, /SIGHUP/)
})

test('keys make says whose rights, and keeps what stands in the file', async (t) => {
  const file = join(temporary(t), 'keys')
  writeFileSync(file, '# mine', { mode: 0o600 })
  const rights = ['--uid', '12', '--gid', '34', '--groups', '56,+78', '--ro']
  const args = ['--id', 'a', ...rights, '--comment', 'of a test # 1', '--json', file]
  assert.deepEqual(await shell.json('keys', 'make', ...args), {
    id: 'a',
    uid: 12,
    gid: 34,
    groups: [56, 78],
    access: 'ro',
    bits: 256,
    comment: 'of a test # 1',
  })
  assert.match(readFileSync(file, 'utf8'), /^# mine\na \S{43} uid=12 gid=34 groups=56,78 ro # of/)
  await shell.done('keys', 'make', '--uid', '0', file)
  const [, made] = await shell.json('keys', 'list', '--json', file)
  assert.match(made.id, /^key-[0-9a-f]{8}$/)
})

test('keys make --show prints what a client needs, and nothing else', async (t) => {
  const directory = temporary(t)
  const file = join(directory, 'keys')
  const { out } = await shell.done('keys', 'make', '--show', '--id', 'a', '--uid', '0', file)
  const client = join(directory, 'client')
  writeFileSync(client, out, { mode: 0o600 })
  const { id, secret } = loadKey(client)!
  assert.equal(id, 'a')
  assert.equal(Buffer.compare(secret, new KeyFile(file).lookup('a')!.secret), 0)
})

test('keys list shows all but secrets, also of a client’s file', async (t) => {
  const file = join(temporary(t), 'keys')
  const { out: own } = await shell.done('keys', 'make', '--show', '--id', 'a', '--uid', '0', file)
  await shell.done('keys', 'make', '--id', 'b', '--uid', '1', '--gid', '2', '--ro', file)
  const { out } = await shell.done('keys', 'list', file)
  assert.match(
    out,
    /^ID +UID +GID +GROUPS +MAY +BITS +COMMENT\na +0 +0 +- +rw +256\nb +1 +2 +- +ro +256\n$/,
  )
  assert.ok(!out.includes(own.split(' ')[1]!.trim()))
  writeFileSync(file, own)
  assert.equal((await shell.json('keys', 'list', '--json', file))[0].uid, null)
})

test('keys remove takes one line away and leaves the others as they are', async (t) => {
  const file = join(temporary(t), 'keys')
  for (const id of ['a', 'b', 'c']) await shell.done('keys', 'make', '--id', id, '--uid', '0', file)
  const before = readFileSync(file, 'utf8')
  await shell.done('keys', 'remove', 'b', file)
  const wanted = before.split('\n').filter((line) => !line.startsWith('b '))
  assert.equal(readFileSync(file, 'utf8'), wanted.join('\n'))
  assert.ok(!existsSync(`${file}.lock`))
})

test('keys says what is wrong, and changes nothing then', async (t) => {
  const directory = temporary(t)
  const file = join(directory, 'keys')
  await shell.failed(1, /ENOENT/, 'keys', 'list', file)
  await shell.failed(1, /ENOENT/, 'keys', 'remove', 'a', file)
  assert.ok(!existsSync(file))
  await shell.done('keys', 'make', '--id', 'a', '--uid', '0', file)
  const before = readFileSync(file, 'utf8')
  await shell.failed(
    1,
    /EEXIST: there is a key 'a'/,
    'keys',
    'make',
    '--id',
    'a',
    '--uid',
    '0',
    file,
  )
  await shell.failed(1, /ENOENT: there is no key 'b'/, 'keys', 'remove', 'b', file)
  await shell.failed(2, /an id has 1 to 64 letters/, 'keys', 'make', '--id', 'a b', file)
  await shell.failed(2, /no user 'nobody-here'/, 'keys', 'make', '--uid', 'nobody-here', file)
  await shell.failed(2, /user 4000000 has no group/, 'keys', 'make', '--uid', '4000000', file)
  await shell.failed(2, /a comment is one line/, 'keys', 'make', '--comment', 'a\nb', file)
  if (process.getuid!() === 0) await shell.failed(2, /--uid is missing/, 'keys', 'make', file)
  assert.equal(readFileSync(file, 'utf8'), before)
  chmodSync(file, 0o644)
  await shell.failed(1, /EACCES: its mode is 0644/, 'keys', 'list', file)
  await shell.failed(1, /EACCES: its mode is 0644/, 'keys', 'remove', 'a', file)
  chmodSync(file, 0o600)
  writeFileSync(file, `${before}nonsense\n`)
  await shell.failed(1, /EINVAL: line 3 of the key file/, 'keys', 'remove', 'a', file)
  writeFileSync(`${file}.lock`, '')
  await shell.failed(1, /EBUSY: another process/, 'keys', 'make', '--uid', '0', file)
})
