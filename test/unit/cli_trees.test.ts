/** Commands over whole trees and volumes: tree, du, df, label, ls as find. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openVolume } from '../../src/layout/embedded.js'
import { Shell } from './cli_support.js'

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
  assert.deepEqual(json, { region: path, before: 1 << 20, after: 3 << 20 })
  const [after] = await shell.json('df', '--json', path)
  assert.equal(after.size - before.size, 2 << 20)
  assert.ok(after.available - before.available > (2 << 20) - 20_000)
  assert.equal((await shell.done('ls', `${path}:/`)).out, 'kept\n')
  assert.match((await shell.done('resize', path)).out, /the volume has 3\.0 MiB\n$/)
  await shell.failed(1, /resize: EFBIG: .*--max-size/, 'resize', '--size', '1G', path)
  await shell.failed(1, /resize: EINVAL: .*does not become smaller/, 'resize', '--size', '1M', path)
  const volume = openVolume(path)
  await shell.failed(1, /resize: EBUSY: .*process/, 'resize', '--size', '4M', path)
  volume.close()
  await shell.failed(1, /resize: ENOENT/, 'resize', '--size', '4M', join(directory, 'none'))
  assert.ok(!existsSync(join(directory, 'none')))
})
