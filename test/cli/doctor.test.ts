/** doctor and dump: regions and structures, sound and not. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  closeSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openVolume } from '../../src/layout/embedded.js'
import { Shell } from './support.js'

let directory = ''
let region = ''
const shell = new Shell()

before(async () => {
  directory = mkdtempSync('/dev/shm/holdfast-cli-')
  region = join(directory, 'v.hf')
  await shell.done('mkfs', '--size', '2M', '--label', 'sound', region)
  const volume = openVolume(region)
  volume.mkdir('/dir')
  volume.writeFile('/dir/file', Buffer.alloc(10_000, 1))
  volume.symlink('dir/file', '/link')
  volume.setXattr('/dir', 'user.long', Buffer.alloc(5000, 0x61))
  volume.close()
})

after(() => {
  shell.end()
  rmSync(directory, { recursive: true })
})

/** Names of the fields of a structure, in docs/SPEC.md. */
function specified(structure: string): string[] {
  const spec = readFileSync(new URL('../../../docs/SPEC.md', import.meta.url), 'utf8')
  const part = spec.split(`<!-- generated: ${structure} -->`)[1]!.split('<!-- end -->')[0]!
  return [...part.matchAll(/^\| \d+ \| \d+ \| `(\w+)`/gm)].map((found) => found[1]!)
}

interface Check {
  readonly check: string
  readonly verdict: string
  readonly found: string
  readonly fix: string | null
}

async function checks(path: string): Promise<Map<string, Check>> {
  const { out, err } = await shell.run('doctor', '--json', path)
  assert.equal(err, '')
  const json = JSON.parse(out) as { checks: Check[] }
  return new Map(json.checks.map((one) => [one.check, one]))
}

test('doctor measures a sound region and finds nothing to mend', async () => {
  const found = await checks(region)
  for (const name of ['kind', 'volume', 'owner', 'permissions', 'direct map', 'sparse']) {
    assert.equal(found.get(name)?.verdict, 'good', `${name}: ${found.get(name)?.found}`)
  }
  assert.match(found.get('direct map')!.found, /measured/)
  assert.match(found.get('MAP_SYNC')!.found, /measured/)
  assert.match(found.get('kind')!.found, /^tmpfs: /)
  assert.match(found.get('default sync')!.found, /^always: /)
  const { out } = await shell.done('doctor', region)
  assert.match(out, /^ok +kind +tmpfs/)
  assert.match(out, /^note +persistence +until the machine restarts/m)
})

test('doctor finds each shortcoming and shows what mends it, which then mends it', async () => {
  const path = join(directory, "it's sparse")
  writeFileSync(path, '')
  truncateSync(path, 1 << 20)
  chmodSync(path, 0o666)
  const found = await checks(path)
  assert.equal(found.get('volume')?.verdict, 'failure')
  assert.match(found.get('volume')!.fix!, /^holdfast mkfs '.*it'\\''s sparse'$/)
  assert.deepEqual(
    [found.get('permissions')?.verdict, found.get('sparse')?.verdict],
    ['warning', 'warning'],
  )
  assert.equal((await shell.run('doctor', path)).code, 1)
  for (const name of ['permissions', 'sparse']) execFileSync('sh', ['-c', found.get(name)!.fix!])
  await shell.done('mkfs', path)
  const mended = await checks(path)
  for (const name of ['volume', 'permissions', 'sparse']) {
    assert.equal(mended.get(name)?.verdict, 'good', name)
  }
  await shell.failed(1, /doctor: ENOENT/, 'doctor', join(directory, 'none'))
})

test('doctor looks at a volume that is open, and says by whom', async () => {
  const volume = openVolume(region)
  const found = await checks(region)
  volume.close()
  assert.deepEqual([found.get('owner')!.verdict], ['note'])
  assert.match(found.get('owner')!.found, new RegExp(`process ${process.pid}`))
})

test('dump shows each structure with the fields that the specification names', async () => {
  const dump = (...what: string[]) => shell.json('dump', '--json', region, ...what)
  const superblock = await dump('superblock', '0')
  assert.deepEqual([superblock.valid, superblock.fields.label], [true, "'sound'"])
  assert.deepEqual(Object.keys(superblock.fields), specified('superblock'))
  const state = await dump('state')
  assert.equal(state.fields.inodes, 4)
  const root = await dump('inode', '1')
  assert.match(root.fields.mode, /^040755 drwxr-xr-x$/)
  const node = await dump('node', String(root.fields.root))
  assert.deepEqual([node.valid, node.fields.owner, node.parts[0].rows.length], [true, 1, 2])
  const slab = await dump('block', String(root.block))
  assert.deepEqual([slab.what, slab.parts[0].rows.length], [`inode slab ${root.block}`, 4])
  const inodes = slab.parts[0].rows.map((row: unknown[]) => row[1])
  const targets = []
  for (const number of inodes) targets.push((await dump('inode', String(number))).parts[0])
  assert.ok(targets.some(({ title, rows }) => title === 'target' && rows[0][0] === 'dir/file'))
  const dir = await dump('inode', '2')
  const attributes = await dump('node', String(dir.fields.xattr_root))
  const [record] = attributes.parts[0].rows
  const names = await dump('slab', String(record[2]))
  assert.ok(names.parts[0].rows.some((row: unknown[]) => row[3] === 'user.long'))
  const value = await dump('value', String(record[3]))
  assert.deepEqual([value.valid, value.fields.length], [true, 4032])
  assert.ok((await dump('value', String(value.fields.next))).valid)
  const bitmap = await dump('bitmap', '0')
  const total = bitmap.parts[0].rows.reduce((sum: number, row: number[]) => sum + row[1]!, 0)
  assert.equal(total, 3840)
  assert.ok((await dump('inode-map', '0')).valid && (await dump('tail')).valid)
  assert.match((await shell.done('dump', region, 'hex', '0')).out, /48 46 53 31 .*\|HFS1/)
  await shell.failed(1, /EINVAL: superblock 2: there are 0 to 1/, 'dump', region, 'superblock', '2')
  await shell.failed(1, /EINVAL: block 512: .* 0 to 511/, 'dump', region, 'node', '512')
  await shell.failed(2, /inode takes a number: inode/, 'dump', region, 'inode')
  await shell.failed(2, /state takes no number/, 'dump', region, 'state', '1')
  await shell.failed(2, /Allowed choices are superblock/, 'dump', region, 'nothing')
})

test('dump applies the log, or shows how things stand at home, and lists its records', async () => {
  const path = join(directory, 'crashed.hf')
  const volume = openVolume(region)
  volume.mkdir('/late')
  copyFileSync(region, path) // as a crash would leave it
  volume.rmdir('/late')
  volume.close()
  const after = await shell.json('dump', '--json', path, 'state')
  const home = await shell.json('dump', '--json', '--home', path, 'state')
  assert.deepEqual([after.fields.inodes, home.fields.inodes], [5, 4])
  const log = await shell.json('dump', '--json', path, 'log')
  const { rows } = log.parts[0]
  assert.ok(rows.length > 0)
  const record = await shell.json('dump', '--json', path, 'record', String(rows[0][0]))
  assert.ok(record.valid && record.parts[0].rows.length === record.fields.pages)
  const state = record.parts[0].rows.find((row: unknown[]) => row[0] === 2)
  assert.ok(state !== undefined, 'a record that changes the state')
})

test('dump shows what is damaged, and says why', async () => {
  const path = join(directory, 'damaged.hf')
  writeFileSync(path, readFileSync(region))
  const root = await shell.json('dump', '--json', path, 'inode', '1')
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.of(0xff), 0, 1, root.block * 4096 + root.offset + 20)
  const inode = await shell.json('dump', '--json', path, 'inode', '1')
  assert.deepEqual([inode.valid, inode.fields.links], [false, 255])
  assert.match(inode.invalid, /^checksum 0x/)
  assert.match((await shell.done('dump', path, 'inode', '1')).out, /NOT VALID: checksum/)
  writeSync(fd, Buffer.alloc(8192), 0, 8192, 0)
  closeSync(fd)
  await shell.failed(1, /EUCLEAN: no superblock is valid.*block N/, 'dump', path, 'inode', '1')
  const superblock = await shell.json('dump', '--json', path, 'superblock', '1')
  assert.match(superblock.invalid, /not a superblock/)
  assert.ok(superblock.remarks.length > 0)
  assert.ok((await shell.json('dump', '--json', path, 'state')).valid)
  assert.equal(
    (await shell.json('dump', '--json', path, 'block', String(root.block))).what,
    `inode slab ${root.block}`,
  )
})
