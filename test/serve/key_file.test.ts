/** The key file of a server and of a client: who may read it, and what a reload changes. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { changePrivateFile, readPrivateFile } from '../../src/base/private_file.js'
import { loadKey } from '../../src/client/key.js'
import { KeyFile } from '../../src/serve/key_file.js'

let directory = ''
before(() => void (directory = mkdtempSync(join(tmpdir(), 'holdfast-keys-'))))
after(() => rmSync(directory, { recursive: true }))

let files = 0

function fileWith(text: string, mode = 0o600): string {
  const path = join(directory, `keys${files++}`)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

/** A secret of its own for each letter. */
const secret = (letter: string) =>
  Buffer.from(Uint8Array.from({ length: 32 }, (_, i) => letter.charCodeAt(0) + i)).toString(
    'base64url',
  )
const line = (id: string, rights = 'uid=1 gid=1 rw', of = id) => `${id} ${secret(of)} ${rights}\n`

test('a key is found by its id', () => {
  const keys = new KeyFile(fileWith(line('a') + line('b', 'uid=7 gid=8 groups=9 ro')))
  assert.equal(keys.size, 2)
  const key = keys.lookup('b')!
  assert.equal(Buffer.from(key.secret).toString('base64url'), secret('b'))
  assert.deepEqual(key.identity, { uid: 7, gid: 8, groups: [9], readOnly: true })
  assert.equal(keys.lookup('c'), undefined)
  assert.equal(keys.lookup('__proto__'), undefined)
})

test('a reload says which keys came, went, and are others now', () => {
  const path = fileWith(
    ['stays', 'goes', 'moves', 'rewritten'].map((id) => line(id)).join('') +
      line('rights') +
      line('groups', 'uid=1 gid=1 groups=1,2 rw'),
  )
  const keys = new KeyFile(path)
  writeFileSync(
    path,
    line('new') +
      line('moves') +
      `${line('stays').trimEnd()} # a comment makes no difference\n` +
      line('rewritten', 'uid=1 gid=1 rw', 'x') +
      line('rights', 'uid=1 gid=1 ro') +
      line('groups', 'uid=1 gid=1 groups=2,1 rw'),
  )
  assert.deepEqual(keys.reload(), {
    added: ['new'],
    removed: ['goes'],
    changed: ['rewritten', 'rights'],
  })
  assert.equal(keys.lookup('goes'), undefined)
  assert.equal(Buffer.from(keys.lookup('rewritten')!.secret).toString('base64url'), secret('x'))
  assert.deepEqual(keys.reload(), { added: [], removed: [], changed: [] })
})

test('a reload that fails leaves the keys that were there, whatever it fails of', () => {
  const path = fileWith(line('a'))
  const keys = new KeyFile(path)
  writeFileSync(path, `${line('b')}nonsense`)
  assert.throws(() => keys.reload(), { code: 'EINVAL', message: /line 2/ })
  writeFileSync(path, line('b'))
  chmodSync(path, 0o604)
  assert.throws(() => keys.reload(), { code: 'EACCES' })
  rmSync(path)
  assert.throws(() => keys.reload(), { code: 'ENOENT', message: /'.*keys\d+'/ })
  assert.deepEqual([keys.size, keys.lookup('a')!.id, keys.lookup('b')], [1, 'a', undefined])
})

test('a file that others read or write is refused', () => {
  const root = process.getuid!() === 0
  for (let mode = 0; mode <= 0o777; mode++) {
    if ((mode & 0o400) === 0) continue
    const path = fileWith(line('a'), mode)
    // root's file may be read by a group: it is given to it.
    const wanted = (mode & (root ? 0o037 : 0o077)) === 0
    const shown = mode.toString(8)
    if (wanted) assert.equal(new KeyFile(path).size, 1, shown)
    else {
      const error = { code: 'EACCES', message: new RegExp(`its mode is 0${shown}.*chmod 600`) }
      assert.throws(() => new KeyFile(path), error, shown)
      assert.throws(() => loadKey(path), error, shown)
    }
    rmSync(path)
  }
})

test('a file of another user is refused by a server, and not by a client', (t) => {
  if (process.getuid!() !== 0) return t.skip('needs root: it gives a file to another user')
  const path = fileWith(line('a'))
  chownSync(path, 1234, 1234)
  assert.throws(() => new KeyFile(path), {
    code: 'EACCES',
    message: /belongs to user 1234, .*chown it to user 0/,
  })
  assert.equal(loadKey(path)!.id, 'a')
  // Of a file that is not root's, a group is others.
  chmodSync(path, 0o640)
  assert.throws(() => loadKey(path), { code: 'EACCES', message: /mode is 0640/ })
})

test('what is no file of text is refused, and none is waited for', () => {
  const fifo = join(directory, 'fifo')
  assert.equal(spawnSync('mkfifo', ['-m', '600', fifo]).status, 0)
  assert.throws(() => new KeyFile(fifo), { code: 'EINVAL', message: /no regular file/ })
  assert.throws(() => new KeyFile(directory), { code: 'EINVAL', message: /no regular file/ })
  assert.throws(() => new KeyFile(join(directory, 'none')), { code: 'ENOENT' })
  const path = fileWith('')
  writeFileSync(path, Buffer.of(0x61, 0xff, 0xfe))
  assert.throws(() => new KeyFile(path), { code: 'EINVAL', message: /not UTF-8/ })
  assert.throws(() => readPrivateFile(path, { most: 2 }), { code: 'EFBIG', message: /2 bytes/ })
})

test('a client has one key, or says which', () => {
  const one = fileWith(`only ${secret('o')}\n`)
  assert.equal(loadKey(one)!.id, 'only')
  assert.equal(Buffer.from(loadKey(one)!.secret).toString('base64url'), secret('o'))
  assert.throws(() => loadKey(`${one}#other`), { code: 'ENOENT', message: /no key 'other'/ })
  const two = fileWith(line('a') + line('b'))
  assert.equal(loadKey(`${two}#b`)!.id, 'b')
  assert.throws(() => loadKey(two), { code: 'EINVAL', message: /2 keys .* as FILE#ID: a, b/ })
  assert.throws(() => loadKey(fileWith('# none\n')), { code: 'EINVAL', message: /no key in it/ })
  const odd = join(directory, 'odd#1')
  writeFileSync(odd, line('a'), { mode: 0o600 })
  assert.equal(loadKey(`${odd}#a`)!.id, 'a')
})

test('a client takes what HOLDFAST_KEY names when it is told nothing', (t) => {
  const before = process.env['HOLDFAST_KEY']
  t.after(() => {
    if (before === undefined) delete process.env['HOLDFAST_KEY']
    else process.env['HOLDFAST_KEY'] = before
  })
  process.env['HOLDFAST_KEY'] = `${fileWith(line('a') + line('b'))}#b`
  assert.equal(loadKey()!.id, 'b')
  assert.equal(loadKey(fileWith(line('c')))!.id, 'c')
  delete process.env['HOLDFAST_KEY']
  assert.equal(loadKey(), null)
})

const MOST = { most: 1000 }

test('a file is changed whole, with its owner, its mode, and the link that leads to it', () => {
  const path = fileWith('before', 0o400)
  if (process.getuid!() === 0) chownSync(path, 12, 34)
  const { uid, gid } = statSync(path)
  const link = `${path}.link`
  symlinkSync(path, link)
  changePrivateFile(link, MOST, (text) => `${text}, after`)
  assert.equal(readFileSync(path, 'utf8'), 'before, after')
  const stats = statSync(path)
  assert.deepEqual([stats.uid, stats.gid, stats.mode & 0o777], [uid, gid, 0o400])
  assert.ok(!existsSync(`${path}.lock`))
})

test('a change that fails, or that another makes, leaves the file as it was', () => {
  const path = fileWith('before')
  const fails = () => {
    throw new Error('no')
  }
  assert.throws(() => changePrivateFile(path, MOST, fails), /^Error: no$/)
  assert.ok(!existsSync(`${path}.lock`))
  changePrivateFile(path, MOST, () => {
    assert.throws(() => changePrivateFile(path, MOST, () => 'other'), {
      code: 'EBUSY',
      message: /another process changes the file.*keys\d+\.lock'/,
    })
    return 'after'
  })
  assert.equal(readFileSync(path, 'utf8'), 'after')
})

test('a file that is not there is made for its owner alone', () => {
  const path = join(directory, 'made')
  const mask = process.umask(0)
  try {
    changePrivateFile(path, MOST, (text) => `was ${text}`)
  } finally {
    process.umask(mask)
  }
  assert.equal(readFileSync(path, 'utf8'), 'was null')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const nowhere = join(directory, 'none', 'keys')
  assert.throws(() => changePrivateFile(nowhere, MOST, () => ''), { code: 'ENOENT' })
})
