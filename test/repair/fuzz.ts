/**
 * Repair against images that nobody planned: mount, walk, fsck, repair, fsck again, and then life
 * on the repaired volume. Half of the images are one test file's, half another's, which run at the
 * same time.
 *
 * HOLDFAST_SEED repeats a run, HOLDFAST_IMAGE one image of it; HOLDFAST_REPAIRS makes it longer,
 * HOLDFAST_FROM leaves the first ones out.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { RESERVE_BLOCKS } from '../../src/base/limits.js'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { InodeFlag } from '../../src/media/inode.js'
import { native } from '../../src/native/native.js'
import { Repairer } from '../../src/repair/repairer.js'
import type { Volume } from '../../src/volume/volume.js'
import { damage, Ground, metadataOf, mount, samples } from './images.js'

const seed = Number(process.env['HOLDFAST_SEED'] ?? 1)
const images = Number(process.env['HOLDFAST_REPAIRS'] ?? 10_000)
const only = Number(process.env['HOLDFAST_IMAGE'] ?? -1)
/** A long run goes on from this image. */
const start = Number(process.env['HOLDFAST_FROM'] ?? 0)
/** An image takes a few milliseconds; a machine may be busy. */
const MILLISECONDS_MAX = 5000

const NOT_THROUGH = { follow: false }
const checker = new Checker(native.crc32cOf)
const repairer = new Repairer(native.crc32cOf)
const ground = new Ground()
const sources = samples().map((image) => ({ image, metadata: metadataOf(image) }))

/** Attributes of what namespaces ever, and of any file, may be on the medium: they are not read. */
function readAttribute(volume: Volume, path: Uint8Array, name: string): void {
  try {
    volume.getXattr(path, name, NOT_THROUGH)
  } catch (error) {
    const code = error instanceof HoldfastError ? error.code : ''
    if (!['EOPNOTSUPP', 'ENODATA', 'EINVAL'].includes(code)) throw error
  }
}

/** Names of everything below `/`, as far as `fails` lets it go. */
function walk(volume: Volume, fails: (error: unknown) => void): string[] {
  const found: string[] = []
  const queue = ['']
  const attempt = (run: () => void) => {
    try {
      run()
    } catch (error) {
      fails(error)
    }
  }
  const bytes = new Uint8Array(8192)
  // Directories may hold each other: as many as there are inodes are enough.
  for (let path = queue.shift(); path !== undefined && found.length < 2000; path = queue.shift()) {
    attempt(() => {
      for (const entry of volume.readdir(Buffer.from(path === '' ? '/' : path, 'latin1'))) {
        const name = Buffer.concat([Buffer.from(`${path}/`, 'latin1'), entry.name]).toString(
          'latin1',
        )
        found.push(name)
        const full = Buffer.from(name, 'latin1')
        attempt(() => void volume.lstat(full))
        attempt(() => {
          for (const attribute of volume.listXattrs(full, NOT_THROUGH)) {
            attempt(() => readAttribute(volume, full, attribute))
          }
        })
        if (entry.type === 'directory') queue.push(name)
        else if (entry.type === 'symlink') attempt(() => void volume.readlink(full))
        else if (entry.type === 'file') {
          attempt(() => {
            volume.extents(full)
            using file = volume.open(full, 'r')
            file.read(bytes, 0)
            file.read(bytes, Math.max(0, file.stat().size - bytes.length))
          })
        }
      }
    })
  }
  return found
}

function shiftSome(volume: Volume, path: Uint8Array, prng: Prng): void {
  using file = volume.open(path, 'r+')
  const [offset, length] = [prng.below(6) * 4096, (1 + prng.below(3)) * 4096]
  const kind = prng.below(3)
  if (kind === 0) file.punch(offset, length)
  else if (kind === 1) file.collapse(offset, length)
  else file.insert(offset, length)
}

/** Mounts a damaged volume and uses it: only errors of the world may come of it. */
function useDamaged(prng: Prng): void {
  const worldly = (error: unknown) => {
    if (!(error instanceof HoldfastError)) throw error
  }
  let volume: Volume
  try {
    volume = mount(ground)
  } catch (error) {
    return worldly(error)
  }
  const found = walk(volume, worldly)
  const attempt = (run: () => void) => {
    try {
      run()
    } catch (error) {
      worldly(error)
    }
  }
  for (let i = 0; i < 6; i++) {
    const path = Buffer.from(found.length > 0 ? prng.pick(found) : '/a', 'latin1')
    const kind = prng.below(9)
    if (kind === 0) attempt(() => volume.writeFile(path, new Uint8Array(prng.below(20_000))))
    else if (kind === 1) attempt(() => volume.unlink(path))
    else if (kind === 2) attempt(() => volume.writeFile('/new', new Uint8Array(5000)))
    else if (kind === 3) attempt(() => volume.rename(path, '/moved'))
    else if (kind === 4) attempt(() => volume.truncate(path, prng.below(9000)))
    else if (kind === 5) attempt(() => volume.setXattr(path, 'user.new', new Uint8Array(900)))
    else if (kind === 6) attempt(() => volume.removeXattr(path, 'user.small'))
    else attempt(() => shiftSome(volume, path, prng))
  }
  attempt(() => volume.close())
}

/** Damage may have set flags that forbid to remove what has them, or is in a directory that has. */
function allowChanges(volume: Volume, path: Uint8Array): void {
  const { type, ino } = volume.lstat(path)
  if (type !== 'file' && type !== 'directory') return
  volume.setInodeFlags(path, { append: false, immutable: false })
  const { inodes } = volume.core
  if (type === 'directory' || !inodes.has(inodes.get(ino), InodeFlag.fixed)) return
  volume.attributes.setLayoutFlags(ino, InodeFlag.fixed | InodeFlag.writeSealed, 0)
}

/** Everything on a repaired volume works, and all of it can be removed. */
function useRepaired(): void {
  const never = (error: unknown) => {
    throw error
  }
  // A damaged superblock may make the volume smaller than what is kept back for removing: it is
  // mounted like any other, and read but for files that a crash left in the middle of a change.
  const noRoom = (error: unknown) => {
    if ((error as HoldfastError).code !== 'ENOSPC') throw error
  }
  const roomy = checker.check(ground.region).counts.blocksFree >= RESERVE_BLOCKS
  // A salt is never that of a mount before, whose records may still be in the ring.
  const volume = mount(ground, 4)
  const found = walk(volume, roomy ? never : noRoom)
  if (!volume.readOnly && roomy) removeAll(volume, found) // features that are not known
  volume.close()
  assertClean('used after the repair')
}

function removeAll(volume: Volume, found: readonly string[]): void {
  volume.setInodeFlags('/', { append: false, immutable: false })
  for (const path of found) allowChanges(volume, Buffer.from(path, 'latin1'))
  for (const path of found.toReversed()) {
    const name = Buffer.from(path, 'latin1')
    if (volume.lstat(name).type === 'directory') volume.rmdir(name)
    else volume.unlink(name)
  }
}

function assertClean(when: string): void {
  const report = checker.check(ground.region)
  assert.equal(report.state, 'clean', `${when}:\n${formatReport(report)}`)
}

function one(i: number, tally: Map<string, number>): void {
  const prng = new Prng(seed * 1_000_003 + i)
  const { image, metadata } = sources[i % sources.length]!
  ground.u8.set(image)
  damage(ground, metadata, prng)
  const damaged = ground.u8.slice()
  useDamaged(prng)
  ground.u8.set(damaged)
  const before = checker.check(ground.region)
  assert.deepEqual(Buffer.compare(ground.u8, damaged), 0, 'fsck changes nothing')
  const report = repairer.repair(ground.region, {})
  const state = before.state === 'clean' ? 'clean' : report.state
  tally.set(state, (tally.get(state) ?? 0) + 1)
  if (state === 'errors') {
    assert.ok(report.left.length > 0, `no word of what is left:\n${formatReport(report.after)}`)
  }
  if (report.state === 'repaired' || report.state === 'clean') {
    assertClean('repaired')
    useRepaired()
  }
}

/** Every second image, from `half` (0 or 1) on. */
export function fuzzHalf(half: number): void {
  test(`of ${images} damaged images each is repaired or reported (HOLDFAST_SEED=${seed})`, (t) => {
    if (only >= 0 && only % 2 !== half) return
    // A stack for each of the errors that are expected costs more than all else.
    if (only < 0) Error.stackTraceLimit = 0
    const tally = new Map<string, number>()
    let slowest = 0
    const last = only < 0 ? images : only + 1
    const from = start + ((start + half) % 2)
    for (let i = only < 0 ? from : only; i < last; i += 2) {
      const begun = performance.now()
      try {
        one(i, tally)
      } catch (error) {
        t.diagnostic(`HOLDFAST_SEED=${seed} HOLDFAST_IMAGE=${i}`)
        throw error
      }
      slowest = Math.max(slowest, performance.now() - begun)
      assert.ok(slowest < MILLISECONDS_MAX, `image ${i} of seed ${seed} took ${slowest} ms`)
    }
    const told = [...tally].map(([what, times]) => `${times} ${what}`).join(', ')
    t.diagnostic(`${told}; slowest ${slowest.toFixed(0)} ms, HOLDFAST_SEED=${seed}`)
  })
}
