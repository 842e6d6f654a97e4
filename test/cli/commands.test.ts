/** The commands: what they print, and their exit codes. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Inode, INODE_MAGIC } from '../../src/media/inode.js'
import { openVolume } from '../../src/layout/embedded.js'
import { done, failed, finish, holdfast, MAIN, start, temporary, untilOwned } from './support.js'

let directory = ''
/** A volume with /dir/file ('content\n'), /dir/.hidden and /empty in it. */
let region = ''

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  region = join(directory, 'v.hf')
  await done('mkfs', '--size', '8M', '--label', 'cli', region)
  const volume = openVolume(region)
  volume.mkdir('/dir', 0o750)
  volume.mkdir('/empty')
  volume.writeFile('/dir/file', Buffer.from('content\n'), 0o640)
  volume.writeFile('/dir/.hidden', Buffer.from('x'))
  volume.close()
})

after(() => rmSync(directory, { recursive: true }))

test('help is there for every command, with an example, and is no failure', async () => {
  const { out } = await done('--help')
  const names = [...out.matchAll(/^ {2}([a-z]+) .*$/gm)].map((match) => match[1]!)
  const commands = names.filter((name) => !['help', 'holdfast'].includes(name))
  for (const name of 'mkfs info fsck ls stat cat cp mv rm mkdir rmdir extents seed verify'.split(
    ' ',
  )) {
    assert.ok(commands.includes(name), name)
    const help = (await done(name, '--help')).out
    assert.match(help, /Examples?:\n {2}holdfast /, name)
  }
})

test('a wrong command line is exit code 2, and says what is wanted', async () => {
  await failed(2, /unknown command 'nonsense'/, 'nonsense')
  await failed(2, /missing required argument/, 'mkfs')
  await failed(2, /unknown option '--nonsense'/, 'ls', '--nonsense', `${region}:/`)
  await failed(
    2,
    /'file': VOLUME:PATH is wanted, as in file:\/, or hf:\/\/HOST:PORT\/PATH\n.*ls --help/,
    'ls',
    'file',
  )
  await failed(2, /--size '1X': a size is/, 'mkfs', '--size', '1X', join(directory, 'n'))
  await failed(2, /SOURCE and a DESTINATION/, 'cp', `${region}:/dir/file`)
  await failed(2, /SOURCE and a DESTINATION/, 'mv', `${region}:/dir/file`)
  await failed(2, /'-1': a seed is|unknown option/, 'seed', `${region}:/s`, '1K', '-1')
  assert.equal((await holdfast()).code, 2)
})

test('a failure is one line with command, code, place and remedy, and exit code 1', async () => {
  const at = (path: string) => `${region}:${path}`
  await failed(1, /^holdfast: cat: ENOENT: .*, '.*v\.hf:\/no'/, 'cat', at('/no'))
  await failed(1, /^holdfast: ls: ENOENT: .*no\.hf'/, 'ls', join(directory, 'no.hf:/'))
  await failed(1, /^holdfast: rm: EISDIR: .*; rm -r/, 'rm', at('/dir'))
  await failed(1, /^holdfast: rmdir: ENOTEMPTY: .*; rm -r/, 'rmdir', at('/dir'))
  await failed(1, /^holdfast: mkdir: ENOENT: .*; mkdir -p/, 'mkdir', at('/no/no'))
  await failed(1, /^holdfast: mkdir: EEXIST: /, 'mkdir', at('/dir'))
  await failed(1, /^holdfast: cp: EISDIR: .*; cp -r/, 'cp', at('/dir'), at('/copy'))
  await failed(1, /^holdfast: mv: EINVAL: .* -> /, 'mv', at('/dir'), at('/dir/below'))
  await failed(1, /^holdfast: extents: EISDIR: /, 'extents', at('/dir'))
  await failed(1, /^holdfast: rm: EBUSY: /, 'rm', '-r', at('/'))
  writeFileSync(join(directory, 'text'), 'no volume'.repeat(1000))
  await failed(
    1,
    /^holdfast: info: ENODEV: no holdfast volume.*mkfs/,
    'info',
    join(directory, 'text'),
  )
})

test('who serves what is not there is told what makes it', async () => {
  const no = join(directory, 'no.hf')
  await failed(1, /^holdfast: serve: ENOENT: .* region, '.*no\.hf'; holdfast mkfs/, 'serve', no)
  const listen = ['--listen', ':0', '--keys', no]
  await failed(1, /: ENOENT: .* key file, '.*no\.hf'; holdfast keys/, 'serve', ...listen, region)
})

test('help shows no default that is none', async () => {
  assert.doesNotMatch((await done('demo', '--help')).out, /default/)
})

test('mkfs makes, refuses, and obeys force', async (t) => {
  const path = join(temporary(t), 'new.hf')
  const { out } = await done('mkfs', '--size', '1M', '--label', 'ä', '--sync', 'always', path)
  assert.match(out, /'ä' \([0-9a-f-]{36}\), 1\.0 MiB on \w+, sync always\n$/)
  assert.equal(statSync(path).size, 1 << 20)
  await failed(1, /EEXIST: .* has a volume already \('ä'\); --force/, 'mkfs', path)
  await done('mkfs', '--force', '--size', '2M', path)
  assert.equal(JSON.parse((await done('info', '--json', path)).out).blocks, 512)
  const foreign = join(temporary(t), 'foreign')
  writeFileSync(foreign, 'x'.repeat(1 << 20))
  await failed(1, /EEXIST: .* not empty .*; --force/, 'mkfs', foreign)
  assert.equal(readFileSync(foreign, 'utf8'), 'x'.repeat(1 << 20))
  const small = join(temporary(t), 'small')
  await failed(1, /EINVAL: .*at least/, 'mkfs', '--size', '64K', small)
  assert.ok(!existsSync(small), 'nothing half made is left')
  await failed(1, /ENODEV: .* 100 bytes/, 'mkfs', '--size', '100', small)
  assert.ok(!existsSync(small))
  await failed(1, /EINVAL: .*--size/, 'mkfs', small)
  assert.ok(!existsSync(small))
})

test('info tells what a volume is, also while another process has it open', async () => {
  const { out } = await done('info', region)
  for (const line of [/label +cli/, /size +8\.0 MiB in 2048 blocks/, /owner +none/, /free /]) {
    assert.match(out, line)
  }
  const volume = openVolume(region)
  const open = await done('info', region)
  assert.match(open.out, new RegExp(`owner +process ${process.pid} \\(.*\\) on host `))
  const json = JSON.parse((await done('info', '--json', region)).out)
  assert.deepEqual([json.label, json.owner.pid, json.owner.alive], ['cli', process.pid, true])
  assert.ok(json.space.blocksFree > 0)
  await failed(1, new RegExp(`EBUSY: .*process ${process.pid}`), 'ls', `${region}:/`)
  await failed(8, /EBUSY: .*fsck --force/, 'fsck', region)
  assert.equal((await holdfast('fsck', '--force', region)).code, 0)
  volume.close()
})

test('fsck: 0 clean, 4 errors left, 8 could not check', async (t) => {
  assert.match((await done('fsck', region)).out, /^cli: clean, /)
  const report = JSON.parse((await done('fsck', '--json', region)).out)
  assert.deepEqual([report.state, report.exitCode, report.counts.names], ['clean', 0, 4])
  const damaged = join(temporary(t), 'damaged.hf')
  writeFileSync(damaged, readFileSync(region))
  const fd = openSync(damaged, 'r+')
  writeSync(fd, Buffer.alloc(8192), 0, 8192, 0)
  const none = await holdfast('fsck', damaged)
  assert.equal(none.code, 8)
  await failed(8, /^holdfast: fsck: ENOENT: /, 'fsck', join(directory, 'none.hf'))
})

test('fsck of a volume with one wrong inode is 4 and names it', async (t) => {
  const path = join(temporary(t), 'wrong.hf')
  await done('mkfs', '--size', '1M', path)
  const bytes = readFileSync(path)
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(INODE_MAGIC)
  const inode = bytes.indexOf(magic)
  assert.ok(inode > 0, 'the root inode is somewhere')
  bytes[inode + Inode.at.mode]! ^= 1
  writeFileSync(path, bytes)
  const { code, out } = await holdfast('fsck', path)
  assert.equal(code, 4, out)
  assert.match(out, /inode/)
})

test('ls lists names, hidden ones with -a, everything with -l, below with -R, all as JSON', async () => {
  assert.equal((await done('ls', `${region}:/`)).out, 'dir\nempty\n')
  assert.equal((await done('ls', `${region}:/dir`)).out, 'file\n')
  assert.equal((await done('ls', '-a', `${region}:/dir/`)).out, '.hidden\nfile\n')
  const long = (await done('ls', '-l', `${region}:/dir`)).out
  assert.match(long, /^-rw-r----- +1 +\d+ +\d+ +8 +\d{4}-\d\d-\d\d \d\d:\d\d +file\n$/)
  assert.equal(
    (await done('ls', '-R', `${region}:/`)).out,
    '/:\ndir\nempty\n\n/dir:\nfile\n\n/empty:\n',
  )
  assert.match((await done('ls', '-l', `${region}:/dir/file`)).out, /8 .*\/dir\/file\n$/)
  const json = JSON.parse((await done('ls', '-aR', '--json', `${region}:/`)).out)
  const paths = json.map((entry: { path: string }) => entry.path)
  assert.deepEqual(paths, ['/dir', '/empty', '/dir/.hidden', '/dir/file'])
  assert.deepEqual([json[3].type, json[3].size, json[3].mode], ['file', 8, '0640'])
})

test('stat, cat and extents show one file, also as JSON', async () => {
  const { out } = await done('stat', `${region}:/dir/file`)
  for (const line of [/type +file/, /size +8 /, /mode +0640 -rw-r-----/, /links +1/]) {
    assert.match(out, line)
  }
  const [json] = JSON.parse((await done('stat', '--json', `${region}:/dir`)).out)
  assert.deepEqual([json.type, json.mode, json.nlink], ['directory', '0750', 2])
  const twice = await done('cat', `${region}:/dir/file`, `${region}:/dir/file`)
  assert.equal(twice.out, 'content\ncontent\n')
  assert.match(
    (await done('extents', `${region}:/dir/file`)).out,
    /^layout \d+\.\d+: 1 extent, 1 blocks\n/,
  )
  const layout = JSON.parse((await done('extents', '--json', `${region}:/dir/file`)).out)
  assert.deepEqual([layout.extents.length, layout.extents[0].count], [1, 1])
})

test('mkdir, mv, rm and rmdir change names', async () => {
  const at = (path: string) => `${region}:${path}`
  await done('mkdir', '-p', at('/p/q/r'), at('/p/q/r'))
  await done('cp', at('/dir/file'), at('/p/one'))
  await done('cp', at('/dir/file'), at('/p/two'))
  await done('mv', at('/p/one'), at('/p/uno'))
  await done('mv', at('/p/uno'), at('/p/two'), at('/p/q'))
  assert.equal((await done('ls', at('/p/q'))).out, 'r\ntwo\nuno\n')
  await failed(1, /ENOTDIR/, 'mv', at('/p/q/uno'), at('/p/q/two'), at('/p/none'))
  await failed(1, /ENOTDIR/, 'mkdir', '-p', at('/p/q/uno/x'))
  await done('rmdir', at('/p/q/r'))
  await done('rm', at('/p/q/two'))
  await done('rm', '-f', at('/p/q/two'))
  await failed(1, /ENOENT/, 'rm', at('/p/q/two'))
  await done('rm', '-r', at('/p'))
  assert.equal((await done('ls', at('/'))).out, 'dir\nempty\n')
})

test('verify knows what seed wrote, and tells the first difference', async (t) => {
  const file = `${region}:/seeded`
  await done('seed', file, '3000001', '42')
  assert.match((await done('verify', file, '42', '--size', '3000001')).out, /3000001 bytes/)
  await failed(1, /differs at offset 0: /, 'verify', file, '43')
  await failed(1, /has 3000001 bytes, expected 4194304/, 'verify', file, '42', '--size', '4M')
  const volume = openVolume(region)
  const handle = volume.open('/seeded', 'r+')
  const byte = Buffer.alloc(1)
  handle.read(byte, 2_345_678)
  const expected = byte[0]!
  handle.write(Buffer.of(expected ^ 0xff), 2_345_678)
  handle.close()
  volume.close()
  const hex = (n: number) => `0x${n.toString(16).padStart(2, '0')}`
  const line = `differs at offset 2345678: expected ${hex(expected)}, found ${hex(expected ^ 0xff)}`
  await failed(1, new RegExp(line), 'verify', file, '42')
  const outside = join(temporary(t), 'seeded')
  await done('seed', outside, '1500K', '7')
  await done('verify', outside, '7')
  await done('rm', file)
})

test('a reader that goes away is no failure to talk about', async () => {
  await done('seed', `${region}:/big`, '4M', '1')
  const script = `"$0" "$1" cat "$2" | head -c 5 | wc -c; echo "\${PIPESTATUS[0]}"`
  const out = execFileSync(
    'bash',
    ['-c', `${script} 2>&1`, process.execPath, MAIN, `${region}:/big`],
    {
      encoding: 'utf8',
    },
  )
  assert.equal(out, '5\n141\n')
  await done('rm', `${region}:/big`)
  assert.match((await done('fsck', region)).out, /clean/)
})

test('^C in the middle of seed leaves no file, a sound volume, and exit code 130', async (t) => {
  const path = join(temporary(t), 'v.hf')
  await done('mkfs', '--size', '600M', path)
  const child = start(['seed', `${path}:/big`, '550M', '1'])
  const ended = finish(child)
  // In the middle: once the volume has an owner, it is writing.
  await untilOwned(path, child)
  child.kill('SIGINT')
  const { code, err, out } = await ended
  assert.deepEqual([code, err, out], [130, '', ''])
  assert.equal((await done('ls', `${path}:/`)).out, '')
  await done('fsck', path)
})

test('badblocks keeps blocks out of use, by number or by offset, and refuses what it cannot', async () => {
  const path = join(directory, 'bad.hf')
  await done('mkfs', '--size', '4M', path)
  assert.equal((await done('badblocks', path)).out, '')
  const { out } = await done('badblocks', '--add', '900', '--add', '0x300000', path)
  assert.equal(out, '768\t0x300000\n900\t0x384000\n')
  const listed = JSON.parse((await done('badblocks', '--json', path)).out) as { blocks: number[] }
  assert.deepEqual(listed.blocks, [768, 900])
  await failed(1, /EINVAL: block 1/, 'badblocks', '--add', '1', path)
  await failed(2, /a block number/, 'badblocks', '--add', 'x', path)
  await done('fsck', path)
})
