/** Commands that make, cut and show files. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openVolume } from '../../src/layout/embedded.js'
import { escapeBytes } from '../../src/cli/arguments.js'
import { Shell } from './support.js'

/** Not UTF-8, with control characters and what shells stumble over. */
const ODD = escapeBytes(Buffer.from('-a \n*\xff"$x', 'latin1'))

let directory = ''
let region = ''
const shell = new Shell()
const at = (path: string) => `${region}:${path}`

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  region = join(directory, 'v.hf')
  await shell.done('mkfs', '--size', '8M', '--label', 'files', region)
})

after(() => {
  shell.end()
  rmSync(directory, { recursive: true })
})

test('touch makes empty files and sets times to the nanosecond', async () => {
  await shell.done('touch', '-d', '@1000000000.000000001', at('/t'))
  const [made] = await shell.json('stat', '--json', at('/t'))
  assert.equal(made.mtime, '2001-09-09T01:46:40.000000001Z')
  assert.equal(made.atime, made.mtime)
  assert.equal(made.size, 0)
  await shell.done('touch', '-a', '-d', '@-1.25', at('/t'))
  const [accessed] = await shell.json('stat', '--json', at('/t'))
  assert.equal(accessed.atime, '1969-12-31T23:59:58.750000000Z')
  assert.equal(accessed.mtime, made.mtime)
  await shell.done('touch', '-m', '-d', '2026-01-02T03:04:05.5Z', at('/t'))
  const [modified] = await shell.json('stat', '--json', at('/t'))
  assert.equal(modified.mtime, '2026-01-02T03:04:05.500000000Z')
  assert.equal(modified.atime, accessed.atime)
  await shell.done('touch', '-r', at('/t'), at('/u'))
  const outside = join(directory, 'outside')
  writeFileSync(outside, '')
  utimesSync(outside, 1.5, 2.5)
  await shell.done('touch', '-r', outside, at('/v'))
  const [u, v] = await shell.json('stat', '--json', at('/u'), at('/v'))
  assert.deepEqual([u.atime, u.mtime], [modified.atime, modified.mtime])
  assert.deepEqual(
    [v.atime, v.mtime],
    ['1970-01-01T00:00:01.500000000Z', '1970-01-01T00:00:02.500000000Z'],
  )
  await shell.done('touch', '-c', at('/none'))
  await shell.failed(1, /stat: ENOENT/, 'stat', at('/none'))
  await shell.failed(2, /--date 'soon': a time is like/, 'touch', '-d', 'soon', at('/t'))
  await shell.failed(1, /touch: ENOENT: .*v\.hf:\/no\/no/, 'touch', at('/no/no'))
})

test('truncate sets, adds, takes away, limits and rounds', async () => {
  const steps: ReadonlyArray<readonly [string, number]> = [
    ['10K', 10240],
    ['+24', 10264],
    ['-64', 10200],
    ['<8K', 8192],
    ['<9K', 8192],
    ['>8200', 8200],
    ['%4K', 12288],
    ['/5K', 10240],
    ['-1G', 0],
  ]
  for (const [change, size] of steps) {
    await shell.done('truncate', '-s', change, at('/cut'))
    const [stat] = await shell.json('stat', '--json', at('/cut'))
    assert.equal(stat.size, size, change)
  }
  await shell.done('truncate', '-s', '77', at('/reference'))
  await shell.done('truncate', '-r', at('/reference'), at('/cut'))
  assert.equal((await shell.json('stat', '--json', at('/cut')))[0].size, 77)
  await shell.done('truncate', '-c', '-s', '1', at('/none'))
  await shell.failed(1, /ENOENT/, 'stat', at('/none'))
  await shell.failed(2, /one of --size and --reference is wanted/, 'truncate', at('/cut'))
  await shell.failed(2, /--size '%0': a multiple of 0/, 'truncate', '-s', '%0', at('/cut'))
  await shell.failed(1, /truncate: EISDIR: .*v\.hf:\/'/, 'truncate', '-s', '1', at('/'))
})

test('fallocate and punch do to the blocks of a file what fallocate(1) does', async () => {
  const blocks = async (): Promise<number[]> => {
    const { extents } = await shell.json('extents', '--json', at('/f'))
    return extents.flatMap((one: { fileBlock: number; count: number }) =>
      Array.from({ length: one.count }, (_, i) => one.fileBlock + i),
    )
  }
  const size = async () => (await shell.json('stat', '--json', at('/f')))[0].size
  await shell.done('fallocate', '-l', '16K', at('/f'))
  assert.deepEqual([await blocks(), await size()], [[0, 1, 2, 3], 16384])
  await shell.done('fallocate', '-n', '-o', '16K', '-l', '4K', at('/f'))
  assert.deepEqual([await blocks(), await size()], [[0, 1, 2, 3, 4], 16384])
  await shell.done('punch', at('/f'), '4K', '8K')
  assert.deepEqual([await blocks(), await size()], [[0, 3, 4], 16384])
  await shell.done('fallocate', '-i', '-o', '4K', '-l', '4K', at('/f'))
  assert.deepEqual([await blocks(), await size()], [[0, 4, 5], 20480])
  await shell.done('fallocate', '-c', '-o', '4K', '-l', '12K', at('/f'))
  assert.deepEqual([await blocks(), await size()], [[0, 1, 2], 8192])
  await shell.done('fallocate', '--punch-hole', '-l', '4K', at('/f'))
  assert.deepEqual(await blocks(), [1, 2])
  await shell.done('fallocate', '--zero-range', '-l', '4K', at('/f'))
  assert.deepEqual(await blocks(), [0, 1, 2])
  await shell.done('fallocate', '-l', '1M', '--contiguous', at('/one'))
  const { extents } = await shell.json('extents', '--json', at('/one'))
  assert.equal(extents.length, 1)
  await shell.failed(1, /ENOSPC: .*free some space/, 'fallocate', '-l', '1G', at('/f'))
  await shell.failed(1, /EINVAL/, 'fallocate', '-c', '-l', '100', at('/f'))
  await shell.failed(
    2,
    /cannot be used with option '.*--insert-range'/,
    'fallocate',
    '-ci',
    '-l',
    '4K',
    at('/f'),
  )
  await shell.failed(2, /-l, --length/, 'fallocate', at('/f'))
  await shell.failed(1, /punch: ENOENT/, 'punch', at('/none'), '0', '4K')
})

test('ln makes names and symbolic links; -f replaces in one step', async () => {
  await shell.done('touch', at('/file'))
  await shell.done('ln', at('/file'), at('/hard'))
  const [file, hard] = await shell.json('stat', '--json', at('/file'), at('/hard'))
  assert.deepEqual([file.ino, file.nlink], [hard.ino, 2])
  await shell.done('ln', '-s', '../any text', at('/soft'))
  assert.equal((await shell.done('readlink', at('/soft'))).out, '../any text\n')
  assert.equal((await shell.done('readlink', '-n', at('/soft'))).out, '../any text')
  await shell.failed(1, /ln: EEXIST: .*; ln -f replaces it/, 'ln', '-s', 'x', at('/soft'))
  await shell.done('ln', '-sf', at('/file'), at('/soft'))
  const [link] = await shell.json('readlink', '--json', at('/soft'))
  assert.deepEqual(link, { path: '/soft', target: '/file' })
  await shell.done('ln', '-f', at('/file'), at('/hard'))
  assert.deepEqual((await shell.json('stat', '--json', at('/file')))[0].nlink, 2)
  await shell.done('mkdir', at('/into'))
  await shell.done('ln', '-s', 'a', 'b/c', at('/into'))
  assert.equal((await shell.done('ls', at('/into'))).out, 'a\nc\n')
  await shell.done('ln', '-s', 'into', at('/tointo'))
  await shell.done('ln', '-sfT', 'file', at('/tointo'))
  assert.equal((await shell.done('readlink', at('/tointo'))).out, 'file\n')
  await shell.failed(1, /EXDEV: .*ln -s/, 'ln', 'outside', at('/x'))
  await shell.failed(2, /TARGET and a LINK/, 'ln', at('/x'))
  await shell.failed(1, /readlink: EINVAL/, 'readlink', at('/file'))
  await shell.done('rm', at('/soft'), at('/tointo'))
  await shell.done('rm', '-r', at('/into'))
})

test('mknod and mkfifo make every type, and ls, stat and tree show it', async () => {
  await shell.done('mkdir', at('/types'))
  await shell.done('mknod', '-m', '600', at('/types/c'), 'c', '1', '0xfffff')
  await shell.done('mknod', '-m', 'a=r', at('/types/b'), 'b', '4095', '3')
  await shell.done('mknod', at('/types/s'), 's')
  await shell.done('mkfifo', '-m', '0640', at('/types/p'))
  await shell.done('ln', '-s', 'p', at('/types/l'))
  const long = (await shell.done('ls', '-l', at('/types'))).out.split('\n')
  const shapes = [
    /^br--r--r-- +1 +\d+ +\d+ +4095, 3 .* b$/,
    /^crw------- +1 +\d+ +\d+ +1, 1048575 .* c$/,
    /^lrwxrwxrwx +1 +\d+ +\d+ +1 .* l -> p$/,
    /^prw-r----- +1 .* p$/,
    /^srw-[r-][w-]-[r-][w-]- +1 .* s$/,
  ]
  shapes.forEach((shape, i) => assert.match(long[i]!, shape))
  const types = await shell.json('ls', '--json', at('/types'))
  const found = types.map((one: { type: string; device?: unknown; target?: string }) => [
    one.type,
    one.device ?? one.target,
  ])
  assert.deepEqual(found, [
    ['block', { major: 4095, minor: 3 }],
    ['character', { major: 1, minor: 1048575 }],
    ['symlink', 'p'],
    ['fifo', undefined],
    ['socket', undefined],
  ])
  const [device] = await shell.json('stat', '--json', at('/types/b'))
  assert.deepEqual(
    [device.device, device.flags, device.xattrs],
    [{ major: 4095, minor: 3 }, null, 0],
  )
  assert.match((await shell.done('stat', at('/types/c'))).out, /device +1, 1048575\n/)
  assert.match((await shell.done('stat', at('/types/l'))).out, /file +\/types\/l -> p\n/)
  assert.match((await shell.done('stat', '-L', at('/types/l'))).out, /type +fifo\n/)
  await shell.failed(2, /a device has a MAJOR/, 'mknod', at('/types/x'), 'c', '1')
  await shell.failed(2, /only devices have numbers/, 'mknod', at('/types/x'), 'p', '1')
  await shell.failed(2, /MAJOR is at most 4095/, 'mknod', at('/types/x'), 'c', '4096', '0')
  await shell.failed(1, /mknod: EEXIST/, 'mknod', at('/types/p'), 'p')
})

test('names that are no UTF-8 go through every command as the bytes that they are', async () => {
  const odd = at(`/${ODD}`)
  await shell.done('touch', odd)
  await shell.done('chmod', '600', odd)
  await shell.done('xattr', 'set', '--', odd, 'user.a', ODD)
  await shell.done('ln', '-s', '--', ODD, at('/toodd'))
  const raw = await shell.done('readlink', '-n', at('/toodd'))
  assert.equal(raw.bytes.toString('latin1'), '-a \n*\xff"$x')
  const value = await shell.done('xattr', 'get', '-e', 'raw', odd, 'user.a')
  assert.deepEqual(value.bytes, raw.bytes)
  const all = await shell.json('ls', '--json', at('/'))
  const names = all.map((one: { nameBase64?: string }) => one.nameBase64)
  assert.ok(names.includes(raw.bytes.toString('base64')))
  assert.match((await shell.done('tree', at('/'))).out, /── -a \\x0a\*\\xff"\$x\n/)
  const volume = openVolume(region)
  assert.equal(volume.stat(raw.bytes).mode & 0o777, 0o600)
  volume.close()
  const found = await shell.json(
    'ls',
    '-R',
    '--json',
    '--name',
    escapeBytes(Buffer.from('-*\xff*', 'latin1')),
    at('/'),
  )
  assert.equal(found.length, 1)
  await shell.done('rm', odd, at('/toodd'))
})

test('mv replaces nothing with -n, and lets names trade places', async () => {
  await shell.done('mkdir', at('/m1'), at('/m2'), at('/m1/inside'))
  await shell.done('mkdir', at('/m2/inside'))
  await shell.failed(1, /mv: EEXIST: .*without -n/, 'mv', '-n', at('/m2/inside'), at('/m1'))
  await shell.done('rmdir', at('/m2/inside'))
  await shell.done('mv', '--exchange', at('/m1'), at('/m2'))
  assert.equal((await shell.done('ls', at('/m2'))).out, 'inside\n')
  assert.equal((await shell.done('ls', at('/m1'))).out, '')
  await shell.failed(1, /mv: ENOENT/, 'mv', '--exchange', at('/m1'), at('/none'))
  await shell.failed(2, /cannot be used with/, 'mv', '-n', '--exchange', at('/m1'), at('/m2'))
  await shell.done('mv', '-n', at('/m1'), at('/m3'))
  await shell.done('rm', '-r', at('/m2'), at('/m3'))
})

test('rm takes a symbolic link away, and not what it leads to', async () => {
  await shell.done('mkdir', at('/target'))
  await shell.done('ln', '-s', 'target', at('/l'))
  await shell.done('ln', '-s', 'nowhere', at('/broken'))
  await shell.done('rm', at('/l'), at('/broken'))
  assert.equal((await shell.done('ls', '-d', at('/target'))).out, '/target\n')
})
