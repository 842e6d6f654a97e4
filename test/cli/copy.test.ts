/** cp: trees in, out and within, byte for byte; what it skips; what it leaves when stopped. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseAcl } from '../../src/base/acl_text.js'
import { encodeAcl } from '../../src/base/posix_acl.js'
import { Prng } from '../../src/base/prng.js'
import { native } from '../../src/native/native.js'
import { done, failed, finish, start, temporary, treeOf, untilOwned } from './support.js'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

async function newVolume(t: TestContext, size = '64M'): Promise<string> {
  const region = join(temporary(t), 'v.hf')
  await done('mkfs', '--size', size, region)
  return region
}

test('a real tree in, within and out again is the same: names, bytes, modes', async (t) => {
  const region = await newVolume(t)
  const out = join(temporary(t), 'out')
  const source = join(PROJECT, 'src')
  await done('cp', '-r', source, `${region}:/`)
  await done('cp', '-r', `${region}:/src`, `${region}:/again`)
  await done('cp', '-r', `${region}:/again`, out)
  const expected = treeOf(source)
  assert.ok(expected.size > 50)
  const found = treeOf(out)
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort())
  for (const [key, bytes] of expected) assert.ok(found.get(key)!.equals(bytes), key)
  await done('fsck', region)
})

test('between two volumes, and what is there is replaced or filled up', async (t) => {
  const one = await newVolume(t, '8M')
  const two = await newVolume(t, '8M')
  const directory = temporary(t)
  const file = join(directory, 'file')
  writeFileSync(file, 'a longer content than the next')
  await done('mkdir', `${one}:/d`)
  await done('cp', file, `${one}:/d/f`)
  await done('cp', '-r', `${one}:/d`, `${two}:/`)
  writeFileSync(file, 'short')
  await done('cp', file, `${one}:/d/f`)
  await done('cp', file, `${one}:/d/g`)
  await done('cp', '-r', `${one}:/d`, `${two}:/`)
  assert.equal((await done('cat', `${two}:/d/f`, `${two}:/d/g`)).out, 'shortshort')
  assert.equal((await done('ls', `${two}:/`, `${two}:/d`)).out, '/:\nd\n\n/d:\nf\ng\n')
})

test('modes and times come out as they are in the volume', async (t) => {
  const region = await newVolume(t, '8M')
  const directory = temporary(t)
  const file = join(directory, 'script')
  writeFileSync(file, '#!/bin/sh\n')
  chmodSync(file, 0o751)
  utimesSync(file, 1_000_000_000, 1_000_000_000)
  await done('cp', file, `${region}:/`)
  const [inside] = JSON.parse((await done('stat', '--json', `${region}:/script`)).out)
  assert.equal(inside.mode, '0751')
  await done('cp', `${region}:/script`, join(directory, 'copy'))
  const copy = statSync(join(directory, 'copy'))
  assert.equal(copy.mode & 0o7777, 0o751)
  assert.ok(Math.abs(copy.mtimeMs - Date.parse(inside.mtime)) < 2)
})

test('names that are no UTF-8 go in and out as the bytes that they are', async (t) => {
  const region = await newVolume(t, '8M')
  const directory = temporary(t)
  // The shell makes the bytes: a string of JavaScript could not hold them.
  const script = `set -e; cd "$1"; name=$(printf 'a\\377\\200z'); mkdir in; printf odd > "in/$name"
    "$2" "$3" cp "in/$name" "$4:/$name"; "$2" "$3" cat "$4:/$name"
    "$2" "$3" mv "$4:/$name" "$4:/\u00e4$name"; "$2" "$3" cp -r "$4:/" out; ls out | od -An -c`
  const main = join(PROJECT, 'build/src/cli/main.js')
  const args = ['-c', script, 'sh', directory, process.execPath, main, region]
  const out = execFileSync('sh', args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  assert.match(out, /^odd +303 244 +a 377 200 +z +\\n\n$/)
  const json = JSON.parse((await done('ls', '--json', `${region}:/`)).out)
  assert.equal(Buffer.from(json[0].nameBase64, 'base64').toString('latin1'), '\xc3\xa4a\xff\x80z')
})

test('symbolic links and special files are copied as what they are', async (t) => {
  const region = await newVolume(t, '8M')
  const tree = join(temporary(t), 'tree')
  mkdirSync(tree)
  writeFileSync(join(tree, 'file'), 'x')
  symlinkSync('file', join(tree, 'link'))
  symlinkSync('nowhere', join(tree, 'broken'))
  execFileSync('mkfifo', [join(tree, 'fifo')])
  await done('cp', '-r', tree, `${region}:/`)
  const found = JSON.parse((await done('ls', '-R', '--json', `${region}:/tree`)).out)
  assert.deepEqual(
    found.map((one: { type: string; target?: string }) => one.target ?? one.type),
    ['nowhere', 'fifo', 'file', 'file'],
  )
  const out = join(temporary(t), 'out')
  await done('cp', '-r', `${region}:/tree`, out)
  assert.equal(readlinkSync(join(out, 'link')), 'file')
  assert.ok(lstatSync(join(out, 'fifo')).isFIFO())
  // Again over what is there: links are made anew and not written through.
  await done('cp', '-r', `${region}:/tree`, `${region}:/tree/../tree2`)
  await done('cp', '-r', tree, `${region}:/`)
  // A link that is named itself is followed, as cp(1) does, but for -P.
  await done('cp', join(tree, 'link'), `${region}:/followed`)
  assert.equal((await done('cat', `${region}:/followed`)).out, 'x')
  await done('cp', '-P', join(tree, 'link'), `${region}:/kept`)
  assert.equal((await done('readlink', `${region}:/kept`)).out, 'file\n')
  await failed(1, /^holdfast: cp: ENXIO: .*fifo/, 'cp', `${region}:/tree/fifo`, `${region}:/no`)
})

test('cp -a keeps owners, links, attributes, ACLs, times and holes, in, within and out', async (t) => {
  const region = await newVolume(t, '16M')
  const tree = join(temporary(t), 'tree')
  mkdirSync(join(tree, 'd'), { recursive: true })
  const sparse = join(tree, 'd/sparse')
  const fd = openSync(sparse, 'w')
  writeSync(fd, 'begin', 0)
  writeSync(fd, 'middle', 3 << 20)
  ftruncateSync(fd, 64 << 20) // larger than the volume
  closeSync(fd)
  linkSync(sparse, join(tree, 'second'))
  symlinkSync('d/sparse', join(tree, 'link'))
  const path = (name: string) => Buffer.from(join(tree, name))
  native.setXattr(path('d'), Buffer.from('user.a'), Buffer.from('va'))
  const acl = encodeAcl(parseAcl('u::rw,u:77:r,g::r,m::rw,o::-').access)
  native.setXattr(path('d/sparse'), Buffer.from('system.posix_acl_access'), acl)
  lchownSync(join(tree, 'link'), 5, 6)
  chownSync(sparse, 7, 8)
  chmodSync(sparse, 0o4650)
  for (const name of ['link', 'd/sparse', 'd'])
    native.setTimes(path(name), 11, 12, 1_000_000_000, 7)

  const out = join(temporary(t), 'out')
  await done('cp', '-a', tree, `${region}:/`)
  await done('cp', '-a', `${region}:/tree`, `${region}:/again`)
  await done('cp', '-a', `${region}:/again`, out)
  for (const name of ['link', 'd/sparse', 'd', 'second']) {
    const [was, is] = [tree, out].map((root) => lstatSync(join(root, name), { bigint: true }))
    for (const key of ['mode', 'uid', 'gid', 'mtimeNs', 'nlink', 'size'] as const) {
      assert.equal(is![key], was![key], `${key} of ${name}`)
    }
  }
  assert.equal(statSync(join(out, 'second')).ino, statSync(join(out, 'd/sparse')).ino)
  assert.ok(statSync(join(out, 'd/sparse')).blocks < 100, 'holes stay holes')
  assert.ok(readFileSync(join(out, 'd/sparse')).equals(readFileSync(sparse)))
  const at = (name: string) => Buffer.from(join(out, name))
  assert.equal(native.getXattr(at('d'), Buffer.from('user.a')).toString(), 'va')
  const kept = native.getXattr(at('d/sparse'), Buffer.from('system.posix_acl_access'))
  const wanted = native.getXattr(path('d/sparse'), Buffer.from('system.posix_acl_access'))
  assert.deepEqual(kept, wanted)
  const [inside] = JSON.parse((await done('stat', '--json', `${region}:/again/d/sparse`)).out)
  assert.deepEqual(
    [inside.mode, inside.uid, inside.mtime, inside.nlink, inside.acl],
    ['04650', 7, '2001-09-09T01:46:40.000000007Z', 2, true],
  )
  assert.ok(inside.blocks < 100)
})

test('without -a owners are whose the command is, and set-id bits go', async (t) => {
  const region = await newVolume(t, '8M')
  const file = join(temporary(t), 'file')
  writeFileSync(file, 'x')
  chownSync(file, 7, 8)
  chmodSync(file, 0o4755)
  await done('cp', file, `${region}:/`)
  const [inside] = JSON.parse((await done('stat', '--json', `${region}:/file`)).out)
  assert.deepEqual([inside.mode, inside.uid], ['0755', process.getuid!()])
})

test('what comes out of a pipe goes in, and what is copied to one comes out', async (t) => {
  const region = await newVolume(t, '8M')
  const script = `echo piped | "$0" "$1" cp /dev/stdin "$2:/piped"; "$0" "$1" cp "$2:/piped" /dev/stdout | cat`
  const main = join(PROJECT, 'build/src/cli/main.js')
  const out = execFileSync('sh', ['-c', script, process.execPath, main, region], {
    encoding: 'utf8',
  })
  assert.equal(out, 'piped\n')
})

test('a file onto itself and a tree into itself are refused, and harm nothing', async (t) => {
  const region = await newVolume(t, '8M')
  const directory = temporary(t)
  mkdirSync(join(directory, 'd'))
  writeFileSync(join(directory, 'd/f'), 'precious')
  await done('cp', '-r', join(directory, 'd'), `${region}:/`)
  const same = /EINVAL: .*same file/
  await failed(1, same, 'cp', `${region}:/d/f`, `${region}:/d/../d/f`)
  await failed(1, same, 'cp', join(directory, 'd/f'), join(directory, 'd'))
  const inside = /EINVAL: .*into itself/
  await failed(1, inside, 'cp', '-r', `${region}:/d`, `${region}:/d/e`)
  await failed(1, inside, 'cp', '-r', `${region}:/`, `${region}:/d`)
  await failed(1, inside, 'cp', '-r', join(directory, 'd'), join(directory, 'd'))
  const nowhere = `${region}:/none`
  await failed(1, /ENOTDIR: several/, 'cp', '-r', join(directory, 'd/f'), `${region}:/d`, nowhere)
  assert.equal((await done('cat', `${region}:/d/f`)).out, 'precious')
  assert.equal(readFileSync(join(directory, 'd/f'), 'utf8'), 'precious')
})

test('what does not fit is ENOSPC, and no half file is left', async (t) => {
  const region = await newVolume(t, '2M')
  const file = join(temporary(t), 'big')
  writeFileSync(file, Buffer.alloc(4 << 20, 1))
  await failed(1, /ENOSPC: .*v\.hf:\/big.*; free some space/, 'cp', file, `${region}:/`)
  assert.equal((await done('ls', `${region}:/`)).out, '')
  await done('fsck', region)
})

test('^C at any time leaves a sound volume and whole files only, and is exit code 130', async (t) => {
  const region = await newVolume(t, '256M')
  const tree = join(temporary(t), 'tree')
  mkdirSync(tree)
  const content = Buffer.alloc(24 << 20)
  for (let i = 0; i < content.length; i += 4096) content.writeUInt32LE(i, i)
  for (const name of 'abcdef') writeFileSync(join(tree, name), content)
  const seed = Number(process.env['SEED'] ?? 1)
  const random = new Prng(seed)
  let stopped = 0
  for (let round = 0; round < 3; round++) {
    const child = start(['cp', '-r', tree, `${region}:/copy${round}`])
    const ended = finish(child)
    await untilOwned(region, child)
    const wait = random.below(60)
    await new Promise((resolve) => setTimeout(resolve, wait))
    child.kill('SIGINT')
    const { code, err } = await ended
    assert.ok(code === 130 || code === 0, `SEED=${seed}, after ${wait} ms: exit ${code}: ${err}`)
    if (code === 130) stopped++
    await done('fsck', region)
    const out = join(temporary(t), 'out')
    const there = JSON.parse((await done('ls', '--json', `${region}:/`)).out)
    if (there.length > 0) {
      await done('cp', '-r', `${region}:/copy${round}`, out)
      for (const [key, bytes] of treeOf(out)) assert.ok(bytes.equals(content), `${key} is whole`)
      await done('rm', '-r', `${region}:/copy${round}`)
    }
  }
  assert.ok(stopped > 0, 'at least one round was in the middle')
})

test('^C in mkfs leaves no volume', async (t) => {
  const path = join(temporary(t), 'v.hf')
  for (let round = 0; ; round++) {
    const child = start(['mkfs', '--size', '2G', path])
    const ended = finish(child)
    while (!existsSync(path) && child.exitCode === null) await new Promise(setImmediate)
    child.kill('SIGINT')
    const { code, out } = await ended
    // It may have been done before it was told.
    if (code === 0 && round < 9) {
      rmSync(path)
      continue
    }
    assert.deepEqual([code, out], [130, ''])
    assert.ok(!existsSync(path))
    return
  }
})
