/**
 * The commands on a volume that a daemon serves do as on one of their own: through the path of its
 * region, and over a network, byte for byte.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { Shell, treeOf, type Outcome } from '../cli/support.js'
import { makeKey, memoryDirectory, remove, serveRegion, type Served } from './support.js'

const BLOCK = 4096
const directory = memoryDirectory()
let shell: Shell
let daemon: Served
let remote: Served
const content = Buffer.alloc(300 * BLOCK + 77)
new Prng(11).fill(content)

before(async () => {
  const key = await makeKey(directory)
  process.env['HOLDFAST_KEY'] = key
  shell = new Shell()
  for (const name of ['own', 'daemon', 'remote', 'other']) {
    await shell.done('mkfs', '--size', '32M', '--label', 'same', join(directory, `${name}.hf`))
  }
  const served = ['daemon', 'remote'].map((name) => serveRegion(join(directory, `${name}.hf`), key))
  ;[daemon, remote] = (await Promise.all(served)) as [Served, Served]
  writeFileSync(join(directory, 'content'), content)
  const tree = join(directory, 'tree')
  mkdirSync(join(tree, 'a', 'b'), { recursive: true })
  writeFileSync(join(tree, 'empty'), '')
  writeFileSync(join(tree, 'a', 'run'), '#!/bin/sh\n', { mode: 0o755 })
  for (let i = 0; i < 12; i++) {
    writeFileSync(join(tree, 'a', 'b', `${i}`), content.subarray(i, i * 3000))
  }
  symlinkSync('../empty', join(tree, 'a', 'link'))
})

after(async () => {
  await Promise.all([daemon, remote].map((one) => one.stop()))
  shell.end()
  remove(directory)
})

/** What each way calls the volume as a whole, and a path in it. */
interface Way {
  readonly name: string
  readonly volume: string
  readonly at: (path: string) => string
}

function ways(): Way[] {
  const local = (name: string, volume: string): Way => ({
    name,
    volume,
    at: (p) => `${volume}:${p}`,
  })
  const { url } = remote
  return [
    local('own', join(directory, 'own.hf')),
    local('daemon', daemon.region),
    { name: 'remote', volume: url, at: (path) => `${url}${path}` },
  ]
}

/** What differs by nature: names of volumes, times of now, which inode was free. */
function plain(text: string, way: Way): string {
  return text
    .replaceAll(way.at('/'), 'VOLUME:/')
    .replaceAll(way.volume, 'VOLUME')
    .replace(/("ctime"|"birthtime"|"mtime"|"atime"): "[^"]*"/g, '$1: NOW')
    .replace(/^((?:changed|born|accessed|modified|changed) +)\S.*$/gm, '$1NOW')
    .replace(/("ino":|inode) +\d+/g, '$1 N')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'NOW')
    .replace(/("epoch"|epoch|layout id): ?\d+/g, '$1 N')
}

/** Command lines, in their order: V/path is a file, V the volume, D a directory of the host. */
const LINES: readonly string[] = [
  'mkdir -p V/a/b V/c',
  'cp D/content V/f',
  'cp -r D/tree V/',
  'ls -laR V/',
  'cat V/f',
  'stat --json V/tree/a/link',
  'tree V/tree',
  'du -a V/tree',
  'touch -d 2026-01-02T03:04:05Z V/f V/new',
  'cp V/f V/clone',
  'reflink V/f V/clone2',
  'cp --reflink never V/f V/copy',
  'cat V/clone V/clone2 V/copy',
  'ls --json V/',
  'truncate -s 100 V/copy',
  'truncate -s +5000 V/copy',
  'fallocate -l 64K V/blocks',
  'fallocate -p -o 4K -l 8K V/blocks',
  'fallocate -z -o 16K -l 4K V/blocks',
  'fallocate -c -o 4K -l 4K V/blocks',
  'fallocate -i -o 8K -l 4K V/blocks',
  'fallocate -l 8K --contiguous -o 1M V/blocks',
  'punch V/f 8K 4K',
  'cat V/f V/blocks',
  'seed V/seeded 3M 9',
  'cp V/seeded D/out.WAY',
  'verify D/out.WAY 9 --size 3M',
  'snapshot V/tree V/snap',
  'cp -r V/snap D/back.WAY',
  'mv V/clone V/c',
  'mv --exchange V/new V/clone2',
  'ln V/f V/hard',
  'ln -s f V/soft',
  'ln -s V/f V/same',
  'readlink V/soft V/same',
  'ln V/f /tmp/x',
  'rmdir V/a/b',
  'rmdir V/a/b',
  'rmdir V/c',
  'chmod u=rw,go= V/f',
  'chmod -R a+r V/snap',
  'chown 12:34 V/f',
  'facl -m u:77:r V/f',
  'xattr set V/f user.x hello',
  'xattr get V/f user.x',
  'xattr get V/f user.none',
  'cp -a V/f V/archived',
  'facl V/archived',
  'chattr +i V/hard',
  'lsattr V/hard',
  'rm V/hard',
  'truncate -s 1 V/hard',
  'chattr -i V/hard',
  'rm V/hard',
  'mkfifo V/fifo',
  'mknod V/null c 1 3',
  'stat V/null',
  'policy V/seeded defer',
  'fix V/seeded',
  'truncate -s 5 V/seeded',
  'rm V/seeded',
  'seal-writes V/seeded',
  'seal-writes --off V/seeded',
  'unfix V/seeded',
  'defrag V/blocks',
  'evacuate --range 16M:4K VOLUME',
  'rm -r V/snap V/tree V/none',
  'rm -r V/snap V/tree',
  'cat V/c',
  'mkdir V/c',
  'mkdir V/x/y',
  'ls -R V/',
]

async function inEachWay(line: string): Promise<void> {
  const outcomes: { way: Way; outcome: Outcome }[] = []
  for (const way of ways()) {
    const args = line.split(' ').map((word) => {
      if (word === 'VOLUME') return way.volume
      if (word.startsWith('V/')) return way.at(word.slice(1))
      if (word.startsWith('D/')) return join(directory, word.slice(2)).replace('WAY', way.name)
      return word
    })
    outcomes.push({ way, outcome: await shell.run(...args) })
  }
  const [own, ...others] = outcomes.map(({ way, outcome }) => ({
    name: way.name,
    code: outcome.code,
    out: plain(outcome.out, way).replaceAll(`.${way.name}`, '.WAY'),
    err: plain(outcome.err, way).replaceAll(`.${way.name}`, '.WAY'),
  }))
  for (const other of others) {
    assert.deepEqual({ ...other, name: 'own' }, own, `${line}: ${other.name}`)
  }
  const [{ outcome }] = outcomes as [(typeof outcomes)[0]]
  for (const other of outcomes) assert.ok(other.outcome.bytes.length > 0 || outcome.out === '')
  if (line.startsWith('cat ')) {
    for (const other of outcomes) assert.ok(other.outcome.bytes.equals(outcome.bytes), line)
  }
}

test('every command does through a daemon and over a network what it does by itself', async () => {
  for (const line of LINES) await inEachWay(line)
  const trees = ways().map(({ name }) => treeOf(join(directory, `back.${name}`)))
  assert.equal(trees[0]!.size, 16)
  for (const tree of trees) assert.deepEqual(tree, trees[0])
})

test('what is read of a served volume is what was written, from every side', async () => {
  const [, local, far] = ways() as [Way, Way, Way]
  const there = `${remote.region}:`
  await shell.done('cp', join(directory, 'content'), `${there}/x`)
  const seen = await shell.done('cat', far.at('/x'))
  assert.ok(seen.bytes.equals(content))
  await shell.done('cp', far.at('/x'), local.at('/x'))
  await shell.done('cp', local.at('/x'), `${join(directory, 'other.hf')}:/x`)
  const last = await shell.done('cat', `${join(directory, 'other.hf')}:/x`)
  assert.ok(last.bytes.equals(content))
  // The same file by two names of its volume is no source and destination.
  await shell.failed(
    1,
    /cp: EINVAL: source and destination are the same/,
    'cp',
    far.at('/x'),
    `${there}/x`,
  )
  assert.ok((await shell.done('cat', `${there}/x`)).bytes.equals(content))
})

test('a socket names its volume, for who may not open the region', async () => {
  await shell.done('cp', join(directory, 'content'), `${daemon.socket}:/by-socket`)
  const { bytes } = await shell.done('cat', `${daemon.region}:/by-socket`)
  assert.ok(bytes.equals(content))
})

test('info of a served volume is as of now, with sessions and holds', async () => {
  for (const volume of [daemon.region, daemon.socket]) {
    const info = await shell.json('info', '--json', volume)
    assert.deepEqual(info.served, { sessions: 0, holds: 0 })
    assert.equal(info.owner.pid, daemon.child.pid)
    assert.match(info.owner.bootId, /^[0-9a-f]{32}$/)
  }
  const far = await shell.json('info', '--json', remote.url)
  const near = await shell.json('info', '--json', remote.region)
  assert.deepEqual({ ...far, region: '' }, { ...near, region: '' })
  const { out } = await shell.done('info', remote.url)
  assert.match(out, /\nholds +0\n/)
  assert.doesNotMatch(out, /checkpoint/)
})

test('what needs the region for itself says so, and what to do', async () => {
  const { region } = daemon
  for (const [args, what] of [
    [['fsck', region], /fsck --force/],
    [['fsck', '--repair', region], /stop it there first/],
    [['resize', '--size', '64M', region], /stop it there first/],
    [['mkfs', '--force', region], /choose another region/],
    [['label', region, 'new'], /stop it there first/],
  ] as const) {
    const { code, err } = await shell.run(...args)
    assert.ok(code === 1 || code === 8, err)
    assert.match(err, new RegExp(`EBUSY: .* is open in process ${daemon.child.pid} `))
    assert.match(err, what)
  }
  await shell.failed(2, /done on the host that has the region/, 'fsck', remote.url)
  await shell.failed(1, /EOPNOTSUPP: the label is changed where/, 'label', remote.url, 'x')
})

test('a server that is not there, a key that is missing or wrong are clear failures', async () => {
  const url = 'hf://127.0.0.1:1'
  await shell.failed(1, /ls: ECONNREFUSED: .*start the server/, 'ls', `${url}/`)
  await shell.failed(2, /hf:\/\/HOST:PORT, or hf:\/\/HOST for port 7174/, 'ls', 'hf://h:70000/')
  const wrong = join(directory, 'wrong')
  await shell.done('keys', 'make', '--id', 'test', '--uid', '0', '--gid', '0', wrong)
  await shell.failed(1, /ls: EACCES: /, 'ls', '--key', wrong, `${remote.url}/`)
  const loose = join(directory, 'loose')
  writeFileSync(loose, readFileSync(wrong), { mode: 0o644 })
  await shell.failed(1, /ls: EACCES: .*chmod 600/, 'ls', '--key', loose, `${remote.url}/`)
})
