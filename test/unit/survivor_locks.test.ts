import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { after, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { MapFlag, native } from '../../src/native/native.js'
import { createRegion, memfdRegion, openRegion } from '../../src/region/file_region.js'
import { heapRegion, type MemoryRegion } from '../../src/region/memory_region.js'
import {
  grantDescriptor,
  heldSlots,
  isHeld,
  shownSlot,
  SURVIVOR_LOCKS,
  whoMaps,
} from '../../src/region/survivor_locks.js'
import { compilePeer, startPeer } from '../native/peer.js'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-survivors-'))
const peer = compilePeer(folder)
const nobody = { skip: peer === undefined && 'no C compiler' }
const MIB = 1 << 20
after(() => rmSync(folder, { recursive: true }))

const tmpfs = mkdtempSync('/dev/shm/holdfast-survivors-')
after(() => rmSync(tmpfs, { recursive: true }))

const hugeTlb = (): MemoryRegion => memfdRegion(2 * MIB, { hugeTlb: true })
const onDisk = (): MemoryRegion => createRegion(join(folder, 'disk'), MIB)

/** That there are none is said in the words of scripts/test_needs.ts. */
function hugePages(lacks: string | false): string | false {
  return lacks === false ? false : `no huge pages: ${lacks}`
}

/** Why there is no such region here; false: there is. */
function lacking(make: () => MemoryRegion): string | false {
  if (peer === undefined) return 'no C compiler'
  try {
    const region = make()
    try {
      closeSync(grantDescriptor(region, 0))
    } finally {
      region.close()
    }
    return false
  } catch (error) {
    return (error as Error).message
  }
}

const kinds: ReadonlyArray<readonly [string, () => MemoryRegion, string | false]> = [
  ['a file in memory', () => createRegion(join(tmpfs, 'memory'), MIB), nobody.skip],
  ['a memfd', () => memfdRegion(MIB), nobody.skip],
  // A container's own filesystem may be an overlay, which is refused.
  ['a file on disk', onDisk, lacking(onDisk)],
  ['huge pages', hugeTlb, hugePages(lacking(hugeTlb))],
]

/** The lock went with what held it: the kernel ends it when the last reference goes. */
async function free(region: MemoryRegion, slot: number): Promise<void> {
  while (isHeld(region, slot)) await turn()
}

for (const [what, make, skip] of kinds) {
  test(`${what}: the lock outlives close, and goes with the last mapping`, { skip }, async () => {
    const region = make()
    const fd = grantDescriptor(region, 7)
    assert.equal(isHeld(region, 7), true)
    const holder = startPeer(peer!, ['hold', '3'], fd)
    closeSync(fd)
    assert.equal(await holder.line(), 'mapped')
    assert.deepEqual(heldSlots(region), [7], 'nobody has a descriptor any more')
    holder.go()
    assert.equal(await holder.line(), 'unmapped')
    assert.deepEqual(heldSlots(region), [], 'while the process lives')
    holder.end()
    assert.equal(await holder.exit(), 0)
    region.close()
  })

  test(`${what}: a child keeps the lock of the parent that has ended`, { skip }, async () => {
    const region = make()
    const fd = grantDescriptor(region, 0, { readOnly: true })
    const holder = startPeer(peer!, ['leave', '3'], fd)
    closeSync(fd)
    assert.equal(await holder.line(), 'mapped')
    assert.deepEqual(heldSlots(region), [0])
    holder.go()
    assert.equal(await holder.line(), 'unmapped')
    assert.deepEqual(heldSlots(region), [])
    holder.end()
    assert.equal(await holder.exit(), 0)
    region.close()
  })

  test(`${what}: a process that is killed holds nothing`, { skip }, async () => {
    const region = make()
    const last = SURVIVOR_LOCKS.slots - 1
    const fd = grantDescriptor(region, last)
    const holder = startPeer(peer!, ['hold', '3'], fd)
    closeSync(fd)
    assert.equal(await holder.line(), 'mapped')
    assert.deepEqual(heldSlots(region), [last])
    holder.kill()
    assert.equal(await holder.exit(), 'SIGKILL')
    await free(region, last)
    region.close()
  })
}

test('the slots that are held are found, in order, whoever holds them', () => {
  const region = memfdRegion(MIB)
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  console.log(`slots: SEED=${seed}`)
  const random = new Prng(seed)
  const held = new Map<number, number>()
  const numbers = () => [...held.keys()].sort((a, b) => a - b)
  for (let step = 0; step < 150; step++) {
    const slot = random.below(random.below(2) === 0 ? SURVIVOR_LOCKS.slots : 40)
    const fd = held.get(slot)
    if (fd === undefined) held.set(slot, grantDescriptor(region, slot))
    else {
      assert.throws(() => grantDescriptor(region, slot), { name: 'HoldfastError', code: 'EBUSY' })
      closeSync(fd)
      held.delete(slot)
    }
    if (step % 10 === 0) assert.deepEqual(heldSlots(region), numbers())
  }
  assert.deepEqual(heldSlots(region), numbers())
  for (const fd of held.values()) closeSync(fd)
  assert.deepEqual(heldSlots(region), [])
  region.close()
})

test('a new owner sees the survivors of the one before, and owns the region', nobody, async () => {
  const path = join(tmpfs, 'survivors')
  const first = createRegion(path, MIB)
  const fd = grantDescriptor(first, 3)
  const holder = startPeer(peer!, ['hold', '3'], fd)
  closeSync(fd)
  assert.equal(await holder.line(), 'mapped')
  first.close()
  assert.throws(() => openRegion(path), { code: 'EBUSY' })
  const second = openRegion(path, { survivors: 'grace' })
  assert.deepEqual(heldSlots(second), [3])
  const known = whoMaps(path)
  assert.deepEqual(
    known.filter(({ pid }) => pid === holder.pid),
    [{ pid: holder.pid, name: 'peer' }],
  )
  assert.ok(
    known.some(({ pid }) => pid === process.pid),
    'this process maps it as well',
  )
  assert.throws(() => openRegion(path), { code: 'EBUSY' })
  holder.end()
  await holder.exit()
  second.close()
  assert.deepEqual(whoMaps(path), [])
})

test('a descriptor for reading maps nothing for writing', () => {
  const region = memfdRegion(MIB)
  const fd = grantDescriptor(region, 0, { readOnly: true })
  const memory = native.reserve(4096)
  native.map(memory, 0, fd, 0, 4096, MapFlag.read)
  const both = MapFlag.read | MapFlag.write
  assert.throws(() => native.map(memory, 0, fd, 0, 4096, both), { code: 'EACCES' })
  closeSync(fd)
  assert.deepEqual(heldSlots(region), [0])
  native.unmap(memory)
  assert.deepEqual(heldSlots(region), [])
  region.close()
})

test('who shows a descriptor has a slot only where that alone has its lock', () => {
  const path = join(tmpfs, 'shown')
  const region = createRegion(path, MIB)
  const other = createRegion(join(tmpfs, 'other'), MIB)
  const refused = (fd: number, why: RegExp) => {
    assert.throws(() => shownSlot(region, fd), { code: 'EPERM', message: why })
    closeSync(fd)
  }
  const none = /has no lock of a slot/
  const at = (slot: number) => SURVIVOR_LOCKS.offset + slot
  const mine = grantDescriptor(region, 7)
  const reading = grantDescriptor(region, 9, { readOnly: true })
  assert.deepEqual([shownSlot(region, mine), shownSlot(region, reading)], [7, 9])
  // Of the same file, of another one, and what has no locks at all.
  refused(openSync(path, 'r'), none)
  refused(grantDescriptor(other, 7), none)
  refused(openSync('/proc/self/maps', 'r'), none)
  const two = grantDescriptor(region, 11)
  assert.equal(native.lock(two, at(12), 1, false), true)
  refused(two, none)
  const range = openSync(path, 'r+')
  assert.equal(native.lock(range, at(20), 2, false), true)
  refused(range, none)
  const owners = openSync(path, 'r+')
  assert.equal(native.lock(owners, 1, 1, false), true)
  refused(owners, none)
  // A read lock beside that of somebody else says nothing of who was passed the descriptor.
  const beside = openSync(path, 'r')
  assert.equal(native.lock(beside, at(7), 1, false), true)
  refused(beside, /slot 7 of .* is held by somebody else, too/)
  assert.equal(shownSlot(region, mine), 7)
  for (const fd of [mine, reading]) closeSync(fd)
  region.close()
  other.close()
})

test('slots that are none, and regions that cannot be passed, are refused', () => {
  const region = memfdRegion(MIB)
  for (const slot of [-1, 0.5, NaN, SURVIVOR_LOCKS.slots]) {
    assert.throws(() => grantDescriptor(region, slot), { name: 'HoldfastError', code: 'EINVAL' })
  }
  region.close()
  const heap = heapRegion(MIB)
  assert.throws(
    () => grantDescriptor(heap, 0),
    (error) => error instanceof HoldfastError && error.code === 'EOPNOTSUPP',
  )
  heap.close()
})

const mounts = { skip: process.getuid!() === 0 ? false : 'mounts a filesystem: wants root' }
test('where a mapping does not keep the lock, nothing is granted', mounts, (t) => {
  const under = join(folder, 'overlay')
  const module = (name: string) =>
    JSON.stringify(new URL(`../../src/region/${name}`, import.meta.url))
  const code = `
    import { createRegion } from ${module('file_region.js')}
    import { grantDescriptor, heldSlots } from ${module('survivor_locks.js')}
    const region = createRegion(${JSON.stringify(join(under, 'all/region'))}, 1 << 20)
    try { grantDescriptor(region, 9) } catch ({ code, message }) { console.log(code, message) }
    console.log(heldSlots(region).length)`
  const mount = `set -e; mkdir -p ${under}; mount -t tmpfs none ${under}; cd ${under}
    mkdir lower upper work all
    mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work all || exit 42
    exec "$@"`
  const command = [process.execPath, '--input-type=module', '-e', code]
  const ran = spawnSync('unshare', ['-m', 'sh', '-c', mount, 'sh', ...command], {
    encoding: 'utf8',
  })
  if (ran.status === 42) return t.skip('no overlayfs here')
  assert.equal(ran.status, 0, ran.stderr)
  assert.match(ran.stdout, /^EOPNOTSUPP EOPNOTSUPP: .*does not keep a lock .*tmpfs, ext4.*\n0\n$/)
})
