/** Commands over whole trees and volumes: tree, du, df, label, ls as find. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openVolume, type EmbeddedVolume } from '../../src/layout/embedded.js'
import { finish, Shell, start, untilOwned } from './support.js'

let directory = ''
/** /d/{one,two,.dot}, /d/e/deep; /d/two is a second name of /d/one; /link leads to d. */
let region = ''
const shell = new Shell()
const at = (path: string) => `${region}:${path}`

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  region = join(directory, 'v.hf')
  await shell.done('mkfs', '--size', '8M', '--label', 'trees', region)
  const volume = openVolume(region)
  volume.mkdir('/d')
  volume.mkdir('/d/e')
  volume.writeFile('/d/one', new Uint8Array(10_000))
  volume.link('/d/one', '/d/two')
  volume.writeFile('/d/.dot', new Uint8Array(1))
  volume.writeFile('/d/e/deep', new Uint8Array(4097))
  volume.symlink('d', '/link')
  volume.close()
})

after(() => {
  shell.end()
  rmSync(directory, { recursive: true })
})

test('tree draws what is below, only directories, only so deep, or as JSON', async () => {
  const { out } = await shell.done('tree', at('/'))
  assert.equal(
    out,
    `/
├── d
│   ├── e
│   │   └── deep
│   ├── one
│   └── two
└── link -> d

2 directories, 4 files
`,
  )
  assert.match((await shell.done('tree', '-a', at('/d'))).out, /├── \.dot\n/)
  assert.equal((await shell.done('tree', '-L', '1', at('/d'))).out.split('\n').length, 7)
  assert.equal(
    (await shell.done('tree', '-d', at('/'))).out,
    '/\n└── d\n    └── e\n\n2 directories\n',
  )
  const [root] = await shell.json('tree', '--json', at('/'))
  assert.equal(root.children[0].children[0].children[0].path, '/d/e/deep')
  assert.equal(root.children[0].children[0].children[0].size, 4097)
  await shell.failed(1, /tree: ENOENT/, 'tree', at('/none'))
})

test('du adds up blocks, each file once, and sizes with -b', async () => {
  assert.equal((await shell.done('du', at('/'))).out, '8\t/d/e\n24\t/d\n24\t/\n')
  assert.equal((await shell.done('du', '-s', at('/d'), at('/d/e'))).out, '24\t/d\n8\t/d/e\n')
  assert.equal((await shell.done('du', '-sb', at('/d'))).out, `${10_000 + 1 + 4097}\t/d\n`)
  assert.equal(
    (await shell.done('du', '-d', '1', '-h', at('/'))).out,
    '24.0 KiB\t/d\n24.0 KiB\t/\n',
  )
  assert.equal(
    (await shell.done('du', '-a', at('/d'))).out,
    '4\t/d/.dot\n8\t/d/e/deep\n8\t/d/e\n12\t/d/one\n0\t/d/two\n24\t/d\n',
  )
  const json = await shell.json('du', '--json', '-s', at('/d'))
  assert.deepEqual(json, [{ path: '/d', space: 24576, size: 14098, files: 5 }])
  await shell.failed(2, /--max-depth '-1'/, 'du', '-d', '-1', at('/'))
})

test('df tells space and files, also of a volume that another process has open', async () => {
  const [json] = await shell.json('df', '--json', region)
  assert.deepEqual([json.label, json.files, json.atCheckpoint], ['trees', 7, false])
  assert.ok(json.available > 7 << 20 && json.used > 24_576 && json.size > json.available)
  assert.match(
    (await shell.done('df', '-h', region)).out,
    /region +size +used.*\n.*v\.hf +7\.\d MiB/,
  )
  assert.match((await shell.done('df', '-i', region)).out, /inodes +free +use\n.*v\.hf +7 +\d+ +1%/)
  const volume = openVolume(region)
  try {
    const [seen] = await shell.json('df', '--json', region)
    assert.deepEqual([seen.atCheckpoint, seen.files, seen.filesFree], [true, 7, null])
    assert.ok(Math.abs(seen.used - json.used) < 100_000)
    assert.match((await shell.done('df', region)).out, /v\.hf\* /)
  } finally {
    volume.close()
  }
  await shell.failed(1, /df: ENOENT: .*none/, 'df', join(directory, 'none'))
})

test('several readers look at a volume at once; a writer waits for none of them and is told', async () => {
  const before = readFileSync(region)
  const reader = openVolume(region, { readOnly: true })
  try {
    assert.equal((await shell.done('cat', at('/d/.dot'))).out, '\0')
    await shell.done('stat', at('/d'))
    await shell.done('ls', '-lR', at('/'))
    await shell.failed(1, /touch: EBUSY: .*is being read by another process/, 'touch', at('/x'))
  } finally {
    reader.close()
  }
  assert.ok(readFileSync(region).equals(before), 'reading changes no byte')
  await shell.done('touch', at('/x'))
  const writer = openVolume(region)
  try {
    await shell.failed(1, new RegExp(`EBUSY: .*process ${process.pid}`), 'ls', at('/'))
  } finally {
    writer.close()
  }
  await shell.done('rm', at('/x'))
})

test('ls finds by type and name, whole paths with -R', async () => {
  const find = async (...args: string[]) => (await shell.done('ls', ...args, at('/'))).out
  assert.equal(await find('-R', '--type', 'f'), '/d/one\n/d/two\n/d/e/deep\n')
  assert.equal(await find('-R', '--type', 'd'), '/d\n/d/e\n')
  assert.equal(await find('-R', '--name', '[!a-d]*'), '/link\n/d/e\n/d/one\n/d/two\n')
  assert.equal(await find('-aR', '--name', '.*'), '/d/.dot\n')
  assert.equal(await find('--type', 'l'), 'link\n')
  assert.equal(await find('-R', '--name', '?e*', '--type', 'f'), '/d/e/deep\n')
  assert.equal(await find('-R', '--name', 'o\\ne'), '/d/one\n')
  const json = await shell.json('ls', '-R', '--json', '--type', 'l', at('/'))
  assert.deepEqual(
    json.map((one: { path: string; target: string }) => [one.path, one.target]),
    [['/link', 'd']],
  )
  assert.equal((await shell.done('ls', at('/link'))).out, 'e\none\ntwo\n')
  assert.match((await shell.done('ls', '-l', at('/link'))).out, /^lrwx.* \/link -> d\n$/)
  assert.equal((await shell.done('ls', '-d', at('/d'))).out, '/d\n')
  assert.match((await shell.done('ls', '-lh', at('/d/one'))).out, / 9\.8 KiB /)
  await shell.failed(2, /--type 'x': a type is one of f, d, l/, 'ls', '--type', 'x', at('/'))
})

test('label shows and changes the label, of a volume that nobody has open', async () => {
  assert.equal((await shell.done('label', region)).out, 'trees\n')
  await shell.done('label', region, 'wäld')
  const json = await shell.json('label', '--json', region)
  assert.deepEqual([json.region, json.label, json.uuid.length], [region, 'wäld', 36])
  assert.match((await shell.done('info', region)).out, /label +wäld\n/)
  await shell.failed(
    1,
    /label: EINVAL: a label of 33 bytes, at most 32/,
    'label',
    region,
    'x'.repeat(33),
  )
  const volume = openVolume(region)
  await shell.failed(1, /label: EBUSY/, 'label', region, 'x')
  assert.equal((await shell.done('label', region)).out, 'wäld\n')
  volume.close()
  assert.equal((await shell.done('label', region, '')).out, '')
  assert.equal((await shell.done('label', region)).out, '\n')
  await shell.failed(1, /label: ENOENT/, 'label', join(directory, 'none'), 'x')
  assert.ok(!existsSync(join(directory, 'none')))
})

test('resize lets a volume grow with its file, and what was in it stays', async () => {
  const path = join(directory, 'small.hf')
  await shell.done('mkfs', '--size', '1M', '--max-size', '4M', path)
  await shell.done('mkdir', `${path}:/kept`)
  const [before] = await shell.json('df', '--json', path)
  const json = await shell.json('resize', '--json', '--size', '3M', path)
  assert.deepEqual(json, { region: path, before: 1 << 20, after: 3 << 20, moved: 0 })
  const [after] = await shell.json('df', '--json', path)
  assert.equal(after.size - before.size, 2 << 20)
  assert.ok(after.available - before.available > (2 << 20) - 20_000)
  assert.equal((await shell.done('ls', `${path}:/`)).out, 'kept\n')
  assert.match((await shell.done('resize', path)).out, /the volume has 3\.0 MiB\n$/)
  await shell.failed(1, /resize: EFBIG: .*--max-size/, 'resize', '--size', '1G', path)
  const volume = openVolume(path)
  await shell.failed(1, /resize: EBUSY: .*process/, 'resize', '--size', '4M', path)
  volume.close()
  await shell.failed(1, /resize: ENOENT/, 'resize', '--size', '4M', join(directory, 'none'))
  assert.ok(!existsSync(join(directory, 'none')))
})

/** Takes the lowest free blocks, in files too small for aligned groups; returns what gives back. */
function fillLow(volume: EmbeddedVolume, bytes: number): () => void {
  const piece = new Uint8Array(256 * 1024)
  const paths = Array.from({ length: bytes / piece.length }, (_, i) => `/filler${i}`)
  for (const path of paths) volume.writeFile(path, piece)
  return () => {
    for (const path of paths) volume.unlink(path)
  }
}

test('resize lets a volume shrink with its file, and what was behind its end moves', async () => {
  const path = join(directory, 'large.hf')
  await shell.done('mkfs', '--size', '8M', path)
  const volume = openVolume(path)
  const empty = fillLow(volume, 3 << 20)
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251))
  volume.mkdir('/d')
  for (let i = 0; i < 200; i++) volume.writeFile(`/d/${i}`, bytes.subarray(0, i))
  volume.writeFile('/file', bytes)
  volume.setXattr('/file', 'user.note', bytes.subarray(0, 9000))
  volume.fix('/file')
  empty()
  volume.close()
  const before = readFileSync(path)
  const shrink = ['resize', '--size', '2M', path]
  await shell.failed(1, /resize: EPERM: .*inode \d+: .*fixed/, ...shrink)
  await shell.done('unfix', `${path}:/file`)
  await shell.failed(1, /resize: EINVAL: .*shrink to \d+ at least/, 'resize', '--size', '4K', path)
  await shell.failed(1, /in steps of 4096, not to/, 'resize', '--size', '2097153', path)
  const open = openVolume(path)
  await shell.failed(1, /resize: EBUSY: .*process/, ...shrink)
  open.close()
  const least = /ENOSPC: \d+ blocks in use beyond the new end, \d+ free before it .*; remove files/
  await shell.failed(1, least, 'resize', '--size', '768K', path)
  assert.equal(statSync(path).size, before.length)

  const { out } = await shell.done(...shrink)
  assert.match(out, /large\.hf: the volume had 8\.0 MiB, has 2\.0 MiB; \d+ blocks moved\n$/)
  assert.equal(statSync(path).size, 2 << 20)
  assert.match((await shell.done('fsck', path)).out, /clean/)
  const small = openVolume(path)
  assert.deepEqual(Buffer.from(small.readFile('/file')), bytes)
  assert.deepEqual(Buffer.from(small.getXattr('/file', 'user.note')), bytes.subarray(0, 9000))
  for (let i = 0; i < 200; i++) {
    assert.deepEqual(Buffer.from(small.readFile(`/d/${i}`)), bytes.subarray(0, i))
  }
  small.close()
  const json = await shell.json('resize', '--json', '--size', '1792K', path)
  assert.deepEqual(json, { region: path, before: 2 << 20, after: 1792 << 10, moved: 0 })

  // As a cut leaves it that came before the file was cut: any resize goes on from there.
  truncateSync(path, 6 << 20)
  assert.match((await shell.done('resize', '--size', '1792K', path)).out, /has 1\.8 MiB\n$/)
  assert.equal(statSync(path).size, 1792 << 10)
  truncateSync(path, 6 << 20)
  assert.match(
    (await shell.done('resize', '--size', '3M', path)).out,
    /had 1\.8 MiB, has 3\.0 MiB\n$/,
  )
  assert.equal(statSync(path).size, 3 << 20)
  assert.match((await shell.done('fsck', path)).out, /clean/)
})

test('^C while a volume shrinks leaves it as large as it was, and the next resize goes on', async () => {
  const path = join(directory, 'stopped.hf')
  await shell.done('mkfs', '--size', '256M', path)
  const volume = openVolume(path)
  const empty = fillLow(volume, 96 << 20)
  const bytes = Buffer.alloc(8 << 20, 'content')
  for (let i = 0; i < 12; i++) {
    bytes.writeUInt32LE(i)
    volume.writeFile(`/${i}`, bytes)
  }
  empty()
  volume.close()
  const child = start(['resize', '--size', '120M', path])
  const ended = finish(child)
  await untilOwned(path, child)
  child.kill('SIGINT')
  const { code, out, err } = await ended
  assert.deepEqual([code, out, err], [130, '', ''])
  assert.equal(statSync(path).size, 256 << 20)
  assert.match((await shell.done('fsck', path)).out, /clean/)
  const json = await shell.json('resize', '--json', '--size', '120M', path)
  const { before, after } = json
  assert.deepEqual([before, after, statSync(path).size], [256 << 20, 120 << 20, 120 << 20])
  const small = openVolume(path)
  for (let i = 0; i < 12; i++) {
    bytes.writeUInt32LE(i)
    assert.ok(bytes.equals(small.readFile(`/${i}`)), `/${i} is whole`)
  }
  small.close()
})
