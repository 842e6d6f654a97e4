/** The commands about layouts: clones, snapshots, fixed files, policies, moving blocks. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { failureLine, inVolume } from '../../src/cli/failure.js'
import { openVolume } from '../../src/layout/embedded.js'
import { Shell } from './support.js'

const BLOCK = 4096
/** Content of /a: 40 blocks and a bit. */
const CONTENT = Buffer.alloc(40 * BLOCK + 5)
new Prng(7).fill(CONTENT)

let directory = ''
let region = ''
let shell: Shell

const at = (path: string): string => `${region}:${path}`

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  writeFileSync(join(directory, 'content'), CONTENT)
  shell = new Shell()
})

/** A volume with the file /a in it. */
beforeEach(async () => {
  region = join(directory, 'v.hf')
  await shell.done('mkfs', '--force', '--size', '16M', region)
  await shell.done('cp', join(directory, 'content'), at('/a'))
})

after(() => {
  shell.end()
  rmSync(directory, { recursive: true })
})

/** The volume is sound, and these files have the content of /a. */
async function sameContent(...paths: string[]): Promise<void> {
  for (const path of paths) {
    const { bytes } = await shell.done('cat', at(path))
    assert.equal(Buffer.compare(bytes, CONTENT), 0, path)
  }
  await shell.done('fsck', region)
}

/** Region blocks of a file, in file order. */
async function blocksOf(path: string): Promise<number[]> {
  const { extents } = (await shell.json('extents', '--json', at(path))) as {
    extents: { regionBlock: number; count: number }[]
  }
  return extents.flatMap(({ regionBlock, count }) =>
    Array.from({ length: count }, (_, i) => regionBlock + i),
  )
}

/** Gives a file its blocks one by one, with those of another between them. */
function scatter(path: string): void {
  const volume = openVolume(region)
  const [one, other] = [volume.open(path, 'w'), volume.open('/between', 'w')]
  for (let done = 0; done < CONTENT.length; done += BLOCK) {
    one.write(CONTENT.subarray(done, done + BLOCK), done)
    other.write(Buffer.from('x'), done)
  }
  volume.close()
}

test('mkfs gives a volume the rules of its layouts, and info shows them', async () => {
  const plain = await shell.json('info', '--json', region)
  assert.deepEqual([plain.static, plain.policy, plain.unlink], [false, 'busy', 'defer'])
  assert.match((await shell.done('info', region)).out, /^layout +policy busy, unlink defer$/m)
  const rules = ['--static', '--policy', 'wait', '--unlink', 'busy']
  const { out } = await shell.done('mkfs', '--force', ...rules, region)
  assert.match(out, /, static\n$/)
  const now = await shell.json('info', '--json', region)
  assert.deepEqual([now.static, now.policy, now.unlink], [true, 'wait', 'busy'])
  assert.match(
    (await shell.done('info', region)).out,
    /^layout +static, policy wait, unlink busy$/m,
  )
  await shell.failed(2, /--policy 'x': .*busy, wait, defer/, 'mkfs', '--policy', 'x', region)
  await shell.done('fsck', region)
})

test('what a volume was made with is what its files do', async () => {
  await shell.done('mkfs', '--force', '--policy', 'defer', '--unlink', 'busy', region)
  const volume = openVolume(region)
  volume.writeFile('/f', CONTENT)
  const file = volume.open('/f', 'r+')
  const pin = file.pin({ reason: 'a test' })
  assert.throws(() => volume.unlink('/f'), { code: 'EBUSY' })
  file.truncate(0)
  assert.equal(pin.info().state, 'deferred')
  volume.close()
})

test('a static volume copies where another one clones, and refuses to share, punch and move', async () => {
  await shell.done('mkfs', '--force', '--static', region)
  await shell.done('cp', join(directory, 'content'), at('/a'))
  await shell.done('cp', at('/a'), at('/b'))
  await sameContent('/a', '/b')
  const all = new Set([...(await blocksOf('/a')), ...(await blocksOf('/b'))])
  assert.equal(all.size, 2 * 41)
  for (const words of [
    ['reflink', at('/a'), at('/c')],
    ['cp', '--reflink=always', at('/a'), at('/c')],
    ['punch', at('/a'), '0', '4K'],
  ]) {
    await shell.failed(1, /EOPNOTSUPP: .*the volume is static/, ...words)
  }
  await shell.failed(1, /ENOENT/, 'stat', at('/c'))
})

test('reflink makes a clone, over a file that is there too, and into a directory', async () => {
  await shell.done('reflink', at('/a'), at('/b'))
  assert.deepEqual(await blocksOf('/b'), await blocksOf('/a'))
  await shell.done('mkdir', at('/dir'))
  await shell.done('reflink', at('/a'), at('/dir'))
  await shell.done('cp', at('/a'), at('/longer'))
  await shell.done('truncate', '-s', '+1M', at('/longer'))
  await shell.done('chmod', '600', at('/longer'))
  await shell.done('reflink', at('/a'), at('/longer'))
  assert.equal((await shell.json('stat', '--json', at('/longer')))[0].mode, '0600')
  await shell.done('punch', at('/b'), '0', '8K')
  await sameContent('/a', '/dir/a', '/longer')
  await shell.failed(1, /reflink: ENOENT: .*v\.hf:\/no'/, 'reflink', at('/no'), at('/c'))
  await shell.failed(1, /reflink: EISDIR: /, 'reflink', at('/dir'), at('/c'))
  await shell.failed(2, /VOLUME:PATH is wanted/, 'reflink', at('/a'), 'host')
})

test('reflink and snapshot stay within a volume', async () => {
  const other = join(directory, 'other.hf')
  await shell.done('mkfs', '--force', '--size', '8M', other)
  await shell.failed(1, /reflink: EXDEV: .*cp copies/, 'reflink', at('/a'), `${other}:/a`)
  await shell.failed(1, /snapshot: EXDEV: .*cp -a/, 'snapshot', at('/'), `${other}:/s`)
  const clone = ['cp', '--reflink=always', at('/a')]
  await shell.failed(1, /cp: EXDEV: only a file of the same volume/, ...clone, `${other}:/a`)
  await shell.failed(1, /cp: EXDEV: /, ...clone, join(directory, 'out'))
  await shell.done('cp', at('/a'), `${other}:/a`)
  assert.equal(Buffer.compare((await shell.done('cat', `${other}:/a`)).bytes, CONTENT), 0)
})

test('cp within a volume clones, keeps what cp keeps, and copies when told to', async () => {
  await shell.done('truncate', '-s', '100K', at('/hole'))
  await shell.done('truncate', '-s', '0', at('/empty'))
  await shell.done('mkdir', at('/to'))
  const { length: used } = await blocksOf('/a')
  await shell.done('cp', at('/a'), at('/hole'), at('/empty'), at('/to'))
  assert.deepEqual(await blocksOf('/to/a'), await blocksOf('/a'))
  const [from, to] = await shell.json('stat', '--json', at('/a'), at('/to/a'))
  assert.deepEqual([to.mtime, to.mode, to.size], [from.mtime, from.mode, from.size])
  const [hole, empty] = await shell.json('stat', '--json', at('/to/hole'), at('/to/empty'))
  assert.deepEqual([hole.size, hole.blocks, empty.size], [100 * 1024, 0, 0])
  await shell.done('cp', '--reflink=never', at('/a'), at('/copy'))
  const all = new Set([...(await blocksOf('/a')), ...(await blocksOf('/copy'))])
  assert.equal(all.size, 2 * used)
  await shell.done('cp', '-r', '--reflink=always', at('/to'), at('/tree'))
  await sameContent('/a', '/to/a', '/copy', '/tree/a')
  await shell.failed(
    2,
    /--reflink 'x': .*auto, always, never/,
    'cp',
    '--reflink=x',
    at('/a'),
    at('/b'),
  )
})

test('snapshot clones a tree, whole or not at all', async () => {
  await shell.done('mkdir', '-p', at('/d/sub'))
  await shell.done('cp', at('/a'), at('/d/sub'))
  await shell.done('ln', at('/d/sub/a'), at('/d/second'))
  await shell.done('ln', '-s', 'sub/a', at('/d/link'))
  await shell.done('chmod', '700', at('/d/sub'))
  await shell.done('snapshot', at('/d'), at('/s'))
  await shell.done('punch', at('/d/sub/a'), '0', '1M')
  await sameContent('/s/sub/a', '/s/second', '/s/link')
  const [sub, one] = await shell.json('stat', '--json', at('/s/sub'), at('/s/second'))
  assert.deepEqual([sub.mode, one.nlink], ['0700', 2])
  await shell.failed(1, /snapshot: EEXIST: .*v\.hf:\/s'/, 'snapshot', at('/d'), at('/s'))
  await shell.failed(1, /snapshot: ENOTDIR: .*reflink/, 'snapshot', at('/a'), at('/t'))
  await shell.failed(1, /snapshot: EINVAL: /, 'snapshot', at('/d'), at('/d/sub/t'))
  await shell.done('fix', at('/d/second'))
  const strict = /snapshot: EPERM: .*it is fixed.*--share copy copies it\n$/
  await shell.failed(1, strict, 'snapshot', at('/d'), at('/t'))
  await shell.failed(1, /ENOENT/, 'stat', at('/t'))
  await shell.done('snapshot', '--share', 'copy', at('/d'), at('/t'))
  await shell.done('fsck', region)
})

test('a fixed file keeps its layout, and unfix lets it go', async () => {
  await shell.done('truncate', '-s', '1M', at('/a'))
  await shell.done('reflink', at('/a'), at('/b'))
  await shell.done('fix', at('/a'))
  const kept = await blocksOf('/a')
  assert.equal(kept.length, 256, 'holes have their blocks')
  const shared = new Set(await blocksOf('/b'))
  assert.deepEqual(
    kept.filter((block) => shared.has(block)),
    [],
    'and none is shared',
  )
  const refused = /EPERM: .*it is fixed.*holdfast unfix allows it.*v\.hf:\/a'/
  await shell.failed(1, refused, 'truncate', '-s', '0', at('/a'))
  await shell.failed(1, /reflink: EPERM: .*unfix.*--share copy/, 'reflink', at('/a'), at('/c'))
  await shell.failed(1, /rm: EPERM: /, 'rm', at('/a'))
  await shell.done('reflink', '--share', 'copy', at('/a'), at('/c'))
  await shell.done('cp', at('/a'), at('/d'))
  assert.deepEqual(await blocksOf('/a'), kept)
  await shell.done('unfix', at('/a'))
  await shell.done('rm', at('/a'))
  await shell.failed(1, /fix: EINVAL: only a file/, 'fix', at('/'))
  await shell.done('fsck', region)
})

test('fix -R and unfix -R are of all files of a tree', async () => {
  await shell.done('mkdir', '-p', at('/m/sub'))
  await shell.done('cp', at('/a'), at('/m/sub/x'))
  await shell.done('cp', at('/a'), at('/m/y'))
  await shell.done('ln', '-s', 'y', at('/m/z'))
  const fixed = async () =>
    ((await shell.json('lsattr', '-R', '--json', at('/'))) as { path: string; fixed: boolean }[])
      .filter((one) => one.fixed)
      .map(({ path }) => path)
  await shell.done('fix', '-R', at('/m'))
  assert.deepEqual(await fixed(), ['/m/sub/x', '/m/y'])
  await shell.done('unfix', '-R', at('/m'))
  assert.deepEqual(await fixed(), [])
})

test('a write-sealed file is not written to, may be cloned, and is unsealed without clones', async () => {
  await shell.failed(1, /seal-writes: EINVAL: .*holdfast fix first/, 'seal-writes', at('/a'))
  await shell.done('fix', at('/a'))
  await shell.done('seal-writes', at('/a'))
  await shell.failed(1, /unfix: EPERM: it is write-sealed/, 'unfix', at('/a'))
  await shell.failed(1, /EPERM: /, 'cp', join(directory, 'content'), at('/a'))
  await shell.done('reflink', at('/a'), at('/b'))
  assert.deepEqual(await blocksOf('/b'), await blocksOf('/a'))
  const shared = /seal-writes: EBUSY: 41 blocks of it have other owners, .*; remove its clones/
  await shell.failed(1, shared, 'seal-writes', '--off', at('/a'))
  await sameContent('/a', '/b')
  await shell.done('rm', at('/b'))
  await shell.done('seal-writes', '--off', at('/a'))
  await shell.done('unfix', at('/a'))
})

test('stat, extents and lsattr show what a file says of its layout', async () => {
  assert.equal((await shell.done('lsattr', at('/'))).out, '---- -     /a\n')
  assert.doesNotMatch((await shell.done('stat', at('/a'))).out, /^layout/m)
  await shell.done('fix', at('/a'))
  await shell.done('seal-writes', at('/a'))
  await shell.done('policy', at('/a'), 'defer')
  assert.equal((await shell.done('lsattr', at('/'))).out, '--fw defer /a\n')
  assert.match(
    (await shell.done('stat', at('/a'))).out,
    /^layout +fixed, write-sealed, policy defer$/m,
  )
  const { out } = await shell.done('extents', at('/a'))
  assert.match(out, /^layout \d+\.\d+: 1 extent, 41 blocks, fixed, write-sealed, policy defer\n/)
  const said = { fixed: true, writeSealed: true, policy: 'defer' }
  const { flags } = (await shell.json('stat', '--json', at('/a')))[0]
  assert.deepEqual(flags, { append: false, immutable: false, ...said })
  const { fixed, writeSealed, policy } = await shell.json('extents', '--json', at('/a'))
  assert.deepEqual({ fixed, writeSealed, policy }, said)
})

test('policy shows and sets that of a file, and default is that of the volume', async () => {
  for (const word of ['busy', 'wait', 'defer', 'default']) {
    await shell.done('policy', at('/a'), word)
    assert.equal((await shell.done('policy', at('/a'))).out, `${word}\n`)
  }
  assert.deepEqual(await shell.json('policy', '--json', at('/a')), { path: '/a', policy: null })
  assert.equal((await shell.json('policy', '--json', at('/a'), 'wait')).policy, 'wait')
  await shell.failed(2, /'never': Allowed choices are/, 'policy', at('/a'), 'never')
  await shell.failed(1, /policy: EINVAL: only a file/, 'policy', at('/'), 'wait')
})

test('defrag moves a file into one run, and its clones with it', async () => {
  scatter('/a')
  await shell.done('reflink', at('/a'), at('/b'))
  assert.equal((await shell.done('defrag', at('/a'))).out, '/a: 41 extents before, 1 after\n')
  const blocks = await blocksOf('/a')
  assert.deepEqual(
    blocks,
    blocks.map((_, i) => blocks[0]! + i),
  )
  assert.deepEqual(await blocksOf('/b'), blocks)
  await sameContent('/a', '/b')
  const again = await shell.json('defrag', '--json', at('/a'), at('/b'))
  assert.deepEqual(again, [
    { path: '/a', before: 1, after: 1 },
    { path: '/b', before: 1, after: 1 },
  ])
})

test('defrag fails for a fixed file, and in a tree passes it over', async () => {
  scatter('/a')
  await shell.done('fix', at('/a'))
  await shell.failed(
    1,
    /defrag: EPERM: moving blocks: it is fixed.*v\.hf:\/a'\n$/,
    'defrag',
    at('/a'),
  )
  const { code, out, err } = await shell.run('defrag', '-R', at('/'))
  assert.equal(code, 1)
  assert.match(out, /^\/between: 41 extents before, 1 after\n$/)
  assert.match(err, /EPERM: .*v\.hf:\/a'\n.*1 file stayed as it was\n$/)
})

test('evacuate empties a range of the region, and says what is left in it', async () => {
  await shell.done('reflink', at('/a'), at('/b'))
  const [first = 0] = await blocksOf('/a')
  const range = `${first * BLOCK}:${41 * BLOCK}`
  const { out } = await shell.done('evacuate', '--range', range, region)
  assert.equal(out, `${region}: 41 blocks moved, none is in use\n`)
  for (const block of await blocksOf('/a')) {
    assert.ok(block < first || block >= first + 41, `block ${block}`)
  }
  assert.deepEqual(await blocksOf('/b'), await blocksOf('/a'))
  await sameContent('/a', '/b')
  await shell.done('badblocks', '--add', String(first), region)
  const hex = `0x${(first * BLOCK).toString(16)}:4K`
  const found = await shell.json('evacuate', '--json', '--range', hex, region)
  assert.deepEqual(found, {
    ...{ region, offset: first * BLOCK, length: BLOCK, moved: 0, left: 1 },
    ...{ unreadable: 0, unreadableOf: [] },
  })
})

test('evacuate refuses what is no range of files, and what is fixed', async () => {
  const [first = 0] = await blocksOf('/a')
  await shell.failed(2, /required option '--range/, 'evacuate', region)
  for (const [range, why] of [
    ['1M', /a range is OFFSET:LENGTH/],
    ['1M:0', /the range is empty/],
    ['x:1', /a size is/],
  ] as const) {
    await shell.failed(2, why, 'evacuate', '--range', range, region)
  }
  await shell.failed(1, /evacuate: EINVAL: .*files are in/, 'evacuate', '--range', '0:4K', region)
  await shell.done('fix', at('/a'))
  const range = `${first * BLOCK}:4K`
  await shell.failed(1, /evacuate: EPERM: .*it is fixed/, 'evacuate', '--range', range, region)
  await sameContent('/a')
})

test('a failure names the holds in the way, whose and why, on one line', async () => {
  const volume = openVolume(region)
  const session = volume.session({ name: 'nic\n0', as: { uid: 1000, gid: 1000 } })
  const file = volume.openAs(volume.self, '/a', 'r+')
  const pins = [1, 2, 3, 4].map((n) => file.pin({ session, reason: `queue\t${n}` }))
  let refusal: unknown
  await inVolume(region, async () => volume.truncate('/a', 0)).catch((e: unknown) => (refusal = e))
  const line = failureLine('truncate', refusal)
  const held = pins.slice(0, 3).map(({ id }, i) => {
    return `pin ${id} of session ${session.id} (nic 0, uid 1000): queue ${i + 1}`
  })
  assert.equal(
    line,
    'holdfast: truncate: EBUSY: cutting blocks off: blocks are held; release them, or ask with ' +
      `another policy, or wait, '${at('/a')}'; held: ${held.join(', ')}, and 1 more\n`,
  )
  let shared: unknown
  await inVolume(region, async () => volume.reflink('/a', '/b')).catch((e: unknown) => (shared = e))
  const places = `'${at('/a')}' -> '${at('/b')}'; held: pin `
  const words = failureLine('reflink', shared)
  assert.ok(words.includes(places) && words.endsWith('; --share copy copies those\n'), words)
  volume.close()
})

test('a failure says what shows those that there are', () => {
  const stale = new HoldfastError('ESTALE', 'hold 99: there is none')
  assert.match(failureLine('recall', stale), /there is none; holdfast holds shows/)
  assert.match(failureLine('evict', stale), /there is none; holdfast sessions shows/)
})

test('a failure is one line whatever the file is called', () => {
  const error = new HoldfastError('ENOENT', undefined, { path: 'a\nb' })
  assert.equal(
    failureLine('cat', error),
    "holdfast: cat: ENOENT: no such file or directory, 'a\\x0ab'\n",
  )
})
