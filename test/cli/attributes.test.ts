/** Commands that change what a file is beside its content. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { numberedAcl, parseOwnership } from '../../src/cli/accounts.js'
import { parseModeChange } from '../../src/cli/mode.js'
import { decodeValue, encodeValue } from '../../src/cli/xattr_value.js'
import { Shell } from './support.js'

let directory = ''
/** /d/{file,link -> file}, /d/e. */
let region = ''
const shell = new Shell()
const at = (path: string) => `${region}:${path}`

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  region = join(directory, 'v.hf')
  await shell.done('mkfs', '--size', '8M', region)
  await shell.done('mkdir', '-p', at('/d/e'))
  await shell.done('touch', at('/d/file'))
  await shell.done('ln', '-s', 'file', at('/d/link'))
})

after(() => {
  shell.end()
  rmSync(directory, { recursive: true })
})

test('modes are octal or clauses, as chmod(1) has them', () => {
  const cases: ReadonlyArray<readonly [string, number, number, boolean?]> = [
    ['644', 0o777, 0o644],
    ['07777', 0, 0o7777],
    ['0', 0o777, 0],
    ['u=rwx,go=rx', 0, 0o755],
    ['a-w', 0o777, 0o555],
    ['go-w', 0o666, 0o644],
    ['+x', 0o644, 0o755],
    ['+w', 0o444, 0o644], // the umask keeps the bits of group and others
    ['-x', 0o755, 0o644],
    ['a+X', 0o644, 0o644],
    ['a+X', 0o744, 0o755],
    ['a+X', 0o644, 0o755, true],
    ['g=u', 0o640, 0o660],
    ['o=g', 0o640, 0o644],
    ['u+s,g+s,+t', 0o755, 0o7755],
    ['u-s', 0o4755, 0o755],
    ['=r', 0o4777, 0o466],
    ['u=', 0o777, 0o077],
    ['u=rw', 0o4700, 0o600],
    ['u=rw', 0o4700, 0o4600, true],
    ['u+r-w+x', 0o200, 0o500],
  ]
  for (const [text, before, after, isDirectory = false] of cases) {
    const found = parseModeChange(text, 0o022)(before, isDirectory)
    assert.equal(found.toString(8), after.toString(8), `${text} of ${before.toString(8)}`)
  }
  for (const text of ['', '8', '77777', 'u', 'u+rz', 'x=r', 'u=ug', ',', 'u+r,']) {
    assert.throws(() => parseModeChange(text, 0), /a mode is octal/, text)
  }
})

test('chmod changes one or a tree, and leaves symbolic links alone', async () => {
  const modes = async () => {
    const all = await shell.json('ls', '-aR', '--json', at('/d'))
    return all.map((one: { path: string; mode: string }) => `${one.path} ${one.mode}`)
  }
  await shell.done('chmod', '640', at('/d/file'))
  await shell.done('chmod', '-R', 'a+rX,g-w', at('/d'))
  assert.deepEqual(await modes(), ['/d/e 0755', '/d/file 0644', '/d/link 0777'])
  await shell.done('chmod', '-r', at('/d/file'))
  await shell.done('chmod', 'u+r', at('/d/link'))
  assert.deepEqual(await modes(), ['/d/e 0755', '/d/file 0600', '/d/link 0777'])
  await shell.failed(2, /'u\+q': a mode is octal/, 'chmod', 'u+q', at('/d/file'))
  await shell.failed(1, /chmod: ENOENT/, 'chmod', '644', at('/d/none'))
})

test('owners are numbers and names of this host', () => {
  assert.deepEqual(parseOwnership('1000'), { uid: 1000, gid: -1 })
  assert.deepEqual(parseOwnership('+1000:+5'), { uid: 1000, gid: 5 })
  assert.deepEqual(parseOwnership(':7'), { uid: -1, gid: 7 })
  assert.deepEqual(parseOwnership('root:root'), { uid: 0, gid: 0 })
  assert.deepEqual(parseOwnership('root:'), { uid: 0, gid: 0 })
  assert.throws(() => parseOwnership('no-such-user'), /no user 'no-such-user'/)
  assert.throws(() => parseOwnership(':no-such-group'), /no group/)
  assert.throws(() => parseOwnership(':'), /USER:GROUP is wanted/)
  assert.throws(() => parseOwnership('4294967295'), /from 0 to 4294967294/)
  assert.throws(() => parseOwnership('4000000:'), /no login group/)
  assert.equal(numberedAcl('u:root:rw,d:group:root:r\nm::x,o::r'), 'u:0:rw,d:group:0:r\nm::x,o::r')
})

test('chown changes owner, group, a link itself, a whole tree', async () => {
  const owners = async (...paths: string[]) => {
    const all = await shell.json('stat', '--json', ...paths.map(at))
    return all.map((one: { uid: number; gid: number }) => `${one.uid}:${one.gid}`)
  }
  await shell.done('chown', '5:6', at('/d/link'))
  assert.deepEqual(await owners('/d/file', '/d/link'), ['5:6', '0:0'])
  await shell.done('chown', '-h', ':9', at('/d/link'))
  assert.deepEqual(await owners('/d/file', '/d/link'), ['5:6', '0:9'])
  await shell.done('chown', '-R', '11', at('/d'))
  assert.deepEqual(await owners('/d', '/d/e', '/d/file', '/d/link'), [
    '11:0',
    '11:0',
    '11:6',
    '11:9',
  ])
  await shell.failed(2, /no user 'nobody-here'/, 'chown', 'nobody-here', at('/d'))
})

test('chattr makes files immutable and append-only, lsattr shows it', async () => {
  await shell.done('chattr', '+i', at('/d/file'))
  await shell.failed(1, /rm: EPERM: it is immutable, '.*file'; chattr -i/, 'rm', at('/d/file'))
  assert.equal((await shell.done('lsattr', at('/d'))).out, '---- -     /d/e\n-i-- -     /d/file\n')
  assert.equal((await shell.done('lsattr', '-d', at('/d'))).out, '---- -     /d\n')
  assert.match((await shell.done('stat', at('/d/file'))).out, /flags +-i--\n/)
  await shell.done('chattr', '-i', at('/d/file'))
  await shell.done('chattr', '=a', at('/d/file'))
  const json = await shell.json('lsattr', '-R', '--json', at('/'))
  const free = { fixed: false, writeSealed: false, policy: null }
  assert.deepEqual(json, [
    { path: '/d', append: false, immutable: false, ...free },
    { path: '/d/e', append: false, immutable: false, ...free },
    { path: '/d/file', append: true, immutable: false, ...free },
  ])
  await shell.failed(1, /truncate: EPERM.*append-only/, 'truncate', '-s', '0', at('/d/file'))
  await shell.done('chattr', '-R', '=', at('/d'))
  assert.equal((await shell.done('lsattr', at('/d/file'))).out, '---- -     /d/file\n')
  await shell.failed(2, /'\+z': flags are \+, - or =/, 'chattr', '+z', at('/d'))
  await shell.done('mkfifo', at('/d/p'))
  await shell.failed(1, /EOPNOTSUPP/, 'chattr', '+i', at('/d/p'))
})

test('values of attributes are text, hex and base64, and come back as they went in', () => {
  const value = (text: string, encoding?: 'text' | 'hex' | 'base64') =>
    Buffer.from(decodeValue(Buffer.from(text, 'latin1'), encoding)).toString('latin1')
  assert.equal(value('plain'), 'plain')
  assert.equal(value('0x00ff'), '\0\xff')
  assert.equal(value('0sAP8='), '\0\xff')
  assert.equal(value('0x00', 'text'), '0x00')
  assert.equal(value('00FF', 'hex'), '\0\xff')
  assert.throws(() => value('0xabc'), /no hex; -e text/)
  assert.throws(() => value('0s!'), /no base64/)
  for (const text of ['', 'a', '0x1', '0s', 'a\nb', '\xff\0', 'ä']) {
    for (const encoding of [undefined, 'hex', 'base64'] as const) {
      const shown = encodeValue(Buffer.from(text, 'latin1'), encoding)
      assert.equal(value(shown), text, `${text} as ${encoding}`)
    }
  }
})

test('xattr lists, gets, sets and removes', async () => {
  const file = at('/d/e')
  await shell.done('xattr', 'set', file, 'user.text', 'some text')
  await shell.done('xattr', 'set', file, 'user.bytes', '0x00ff')
  await shell.done('xattr', 'set', file, 'user.empty')
  assert.equal((await shell.done('xattr', 'list', file)).out, 'user.bytes\nuser.empty\nuser.text\n')
  assert.equal(
    (await shell.done('xattr', 'list', '-v', file)).out,
    'user.bytes=0x00ff\nuser.empty=\nuser.text=some text\n',
  )
  const json = await shell.json('xattr', 'list', '--json', '-e', 'base64', file)
  assert.deepEqual(json[0].attributes[0], { name: 'user.bytes', value: '0sAP8=' })
  assert.equal(
    (await shell.done('xattr', 'get', '-e', 'hex', file, 'user.text')).out,
    '0x736f6d652074657874\n',
  )
  assert.equal((await shell.done('xattr', 'get', '-e', 'raw', file, 'user.text')).out, 'some text')
  await shell.failed(1, /xattr set: EEXIST/, 'xattr', 'set', '--create', file, 'user.text', 'x')
  await shell.failed(1, /xattr set: ENODATA/, 'xattr', 'set', '--replace', file, 'user.none', 'x')
  await shell.failed(
    2,
    /cannot be used with/,
    'xattr',
    'set',
    '--replace',
    '--create',
    file,
    'user.a',
  )
  await shell.done('xattr', 'remove', file, 'user.text')
  await shell.failed(
    1,
    /xattr get: ENODATA: no attribute user\.text, '.*\/d\/e'/,
    'xattr',
    'get',
    file,
    'user.text',
  )
  await shell.failed(1, /EOPNOTSUPP: other\.x: user\./, 'xattr', 'set', file, 'other.x', 'x')
  await shell.failed(1, /xattr set: EPERM/, 'xattr', 'set', '-h', at('/d/link'), 'user.x', 'x')
  await shell.done('xattr', 'set', '-h', at('/d/link'), 'trusted.x', 'x')
  assert.equal((await shell.done('xattr', 'list', '-h', at('/d/link'))).out, 'trusted.x\n')
  await shell.failed(2, /unknown command 'bogus'/, 'xattr', 'bogus')
  assert.equal((await shell.json('stat', '--json', file))[0].xattrs, 2)
})

test('facl shows, changes, and takes away what setfacl(1) does', async () => {
  await shell.done('mkdir', at('/acl'))
  await shell.done('touch', at('/acl/f'))
  await shell.done('chmod', '640', at('/acl/f'))
  const entries = async (path: string) => {
    const [one] = await shell.json('facl', '--json', at(path))
    return [one.access.join(), one.default === null ? null : one.default.join()]
  }
  assert.equal(
    (await shell.done('facl', at('/acl/f'))).out,
    '# file: /acl/f\n# owner: 0\n# group: 0\nu::rw-\ng::r--\no::---\n',
  )
  await shell.done('facl', '-m', 'u:1000:rw,g:root:x', at('/acl/f'))
  assert.deepEqual(await entries('/acl/f'), [
    'u::rw-,u:1000:rw-,g::r--,g:0:--x,m::rwx,o::---',
    null,
  ])
  assert.match((await shell.done('ls', '-l', at('/acl'))).out, /^-rw-rwx---\+ /)
  await shell.done('facl', '-m', 'm::r', at('/acl/f'))
  assert.match((await entries('/acl/f'))[0]!, /m::r--/)
  await shell.done('facl', '-n', '-m', 'u:7:rwx', at('/acl/f'))
  assert.match((await entries('/acl/f'))[0]!, /u:7:rwx.*m::r--/)
  await shell.done('facl', '-x', 'u:1000,g:0,u:7', at('/acl/f'))
  assert.deepEqual(await entries('/acl/f'), ['u::rw-,g::r--,o::---', null])
  await shell.done('facl', '--set', 'u::rwx,g::-,o::-,u:5:r', at('/acl/f'))
  assert.deepEqual(await entries('/acl/f'), ['u::rwx,u:5:r--,g::---,m::r--,o::---', null])
  await shell.done('facl', '-b', at('/acl/f'))
  assert.deepEqual(await entries('/acl/f'), ['u::rwx,g::---,o::---', null])

  await shell.done('facl', '-d', '-m', 'u:9:rX', at('/acl'))
  await shell.done('facl', '-m', 'd:g:8:w', at('/acl'))
  const access = (await entries('/acl'))[0]
  assert.deepEqual(await entries('/acl'), [access, 'u::rwx,u:9:r-x,g::r-x,g:8:-w-,m::rwx,o::r-x'])
  await shell.done('mkfifo', at('/acl/p'))
  assert.match((await entries('/acl/p'))[0]!, /u:9:r-x/)
  await shell.done('facl', '-k', at('/acl'))
  assert.deepEqual(await entries('/acl'), [access, null])
  await shell.done('chmod', '600', at('/acl/f'))
  await shell.done('facl', '-R', '-m', 'u:4:rX', at('/acl'))
  assert.match((await entries('/acl'))[0]!, /u:4:r-x/)
  assert.match((await entries('/acl/f'))[0]!, /u:4:r--/)
  await shell.failed(
    2,
    /--modify 'u:nobody-here:r': no user/,
    'facl',
    '-m',
    'u:nobody-here:r',
    at('/acl'),
  )
  await shell.failed(1, /facl: EINVAL: ACL entry 'z::r'/, 'facl', '-m', 'z::r', at('/acl/f'))
  await shell.failed(1, /facl: EINVAL: what is left is no ACL/, 'facl', '-x', 'o:', at('/acl/f'))
  await shell.failed(1, /EACCES: only a directory/, 'facl', '-d', '-m', 'u:1:r', at('/acl/f'))
})
