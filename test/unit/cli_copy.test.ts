/** cp: trees in, out and within, byte for byte; what it skips; what it leaves when stopped. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Prng } from '../../src/base/prng.js'
import { done, failed, finish, start, temporary, treeOf, untilOwned } from './cli_support.js'

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

test('symbolic links and special files are skipped, counted, and make it a failure', async (t) => {
  const region = await newVolume(t, '8M')
  const tree = join(temporary(t), 'tree')
  mkdirSync(tree)
  writeFileSync(join(tree, 'file'), 'x')
  symlinkSync('file', join(tree, 'link'))
  execFileSync('mkfifo', [join(tree, 'fifo')])
  const line =
    /^holdfast: cp: 2 symbolic links or special files skipped: .*\(1 file, 1 B copied\)\n/
  await failed(1, line, 'cp', '-r', tree, `${region}:/`)
  assert.equal((await done('ls', `${region}:/tree`)).out, 'file\n')
  // A link that is named itself is followed, as cp(1) does.
  await done('cp', join(tree, 'link'), `${region}:/followed`)
  assert.equal((await done('cat', `${region}:/followed`)).out, 'x')
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
  const child = start(['mkfs', '--size', '2G', path])
  const ended = finish(child)
  while (!existsSync(path) && child.exitCode === null) await new Promise(setImmediate)
  child.kill('SIGINT')
  const { code, out } = await ended
  assert.deepEqual([code, out], [130, ''])
  assert.ok(!existsSync(path))
})
