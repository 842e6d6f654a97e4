/**
 * Calls at random whose arguments are mostly such as they are to be, and now and then anything at
 * all: each is carried out or refused, and the volume is whole afterwards. SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc, { type Arbitrary } from 'fast-check'
import { AssertionError, HoldfastError } from '../../src/base/errors.js'
import type { FileHandle, HeldRange } from '../../src/base/filesystem.js'
import { checkVolume } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { native } from '../../src/native/native.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { LONG } from '../unit/support.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const BYTES = 4 << 20
const RUNS = 150 * LONG
const CALLS = 60
const HANDLES = 4

type Args = readonly Arbitrary<unknown>[]
type Methods = Readonly<Record<string, (...args: readonly unknown[]) => Promise<unknown>>>
interface Call {
  readonly of: 'volume' | 'file'
  readonly method: string
  readonly args: readonly unknown[]
}

const one = (...values: readonly unknown[]) => fc.constantFrom(...values)
const odd = one(
  ...[NaN, -1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, Infinity, -Infinity, 1e300],
  ...['', 'x', '\0', null, undefined, true, 1n, {}, [], new Float32Array(3), () => 1],
)
const or = (usual: Arbitrary<unknown>) =>
  fc.oneof({ weight: 14, arbitrary: usual }, { weight: 1, arbitrary: odd })
const some = (fields: Readonly<Record<string, Arbitrary<unknown>>>) =>
  fc.record(Object.fromEntries(Object.entries(fields).map(([name, of]) => [name, or(of)])), {
    requiredKeys: [],
  })

const path = one('/a', '/b', '/d', '/d/c', '/s', '/', '/d/..', '.', Buffer.from('/a'))
const bytes = one(...[0, 1, 4096, 10_000].map((length) => new Uint8Array(length).fill(7)))
const place = one(0, 1, 4095, 4096, 8192, 20_000, 1 << 20)
const mode = fc.nat(0o7777)
const id = one(-1, 0, 1000)
const second = one(0, 1, -5, 2.5, 2 ** 40)
const time = fc.oneof(
  one('now', 'omit', new Date(5), new Date(NaN)),
  second,
  some({ seconds: second, nanoseconds: one(0, 5, 999_999_999, 1e9) }),
)
const xattr = one('user.a', 'user.b', `user.${'z'.repeat(250)}`, 'trusted.t', 'security.s')
const as = some({ uid: one(0, 1000), gid: one(0, 1000), groups: one([], [5]) })
const how = some({ policy: one('busy', 'defer'), timeout: fc.nat(3), deadline: fc.nat(3) })
const flags = one('r', 'r+', 'w', 'w+', 'a+', 'wx', 2, 0o102)
const lock = some({ type: one('read', 'write'), start: place, length: place })
const sharing = some({ share: one('strict', 'copy') })

const OF_VOLUME: Readonly<Record<string, Args>> = {
  open: [path, flags, mode, as, how],
  stat: [path, as],
  access: [path, fc.nat(7), as],
  truncate: [path, place, as, how],
  mkdir: [path, mode, as],
  rmdir: [path],
  unlink: [path, as, how],
  rename: [path, path, some({ noReplace: one(true), exchange: one(true) }), as],
  link: [path, path, some({ follow: one(true) }), as],
  symlink: [path, path, as],
  readlink: [path],
  mknod: [path, one(0o010600, 0o060600, 0o100600, 0o140600), fc.nat(), as],
  readdir: [path, place, place],
  chmod: [path, mode, as],
  chown: [path, id, id, some({ follow: one(true) }), as],
  utimes: [path, time, time, some({ follow: one(true) }), as],
  getXattr: [path, xattr],
  setXattr: [path, xattr, bytes, some({ mode: one('create', 'replace') }), as],
  removeXattr: [path, xattr],
  setInodeFlags: [path, some({ append: one(false), immutable: one(false) }), as],
  fix: [path, how],
  unfix: [path],
  sealWrites: [path, some({ off: one(true) })],
  setPolicy: [path, one('busy', 'defer', null)],
  reflink: [path, path, sharing],
  snapshot: [path, path, sharing],
  defragment: [path, how],
  evacuate: [place, place, how],
  sync: [],
}
const OF_FILE: Readonly<Record<string, Args>> = {
  read: [bytes, place],
  write: [bytes, place, how],
  truncate: [place, how],
  chmod: [mode],
  chown: [id, id],
  utimes: [time, time],
  setXattr: [xattr, bytes, one('create', 'replace')],
  removeXattr: [xattr],
  allocate: [place, place, some({ keepSize: one(true), contiguous: one(true), align: place })],
  punch: [place, place, how],
  zeroRange: [place, place, some({ keepSize: one(true) })],
  collapse: [place, place, how],
  insert: [place, place, how],
  seek: [place, one('data', 'hole')],
  pin: [some({ offset: place, length: place, reason: one('why') })],
  lock: [lock],
  unlock: [lock],
  testLock: [lock],
  flock: [one('shared', 'exclusive', 'unlock')],
  link: [path, as],
}

const callsOf = (of: Call['of'], methods: Readonly<Record<string, Args>>) =>
  Object.entries(methods).map(([method, args]): Arbitrary<Call> => {
    return fc.tuple(...args.map(or)).map((values) => ({ of, method, args: values }))
  })
const call = fc.oneof(...callsOf('volume', OF_VOLUME), ...callsOf('file', OF_FILE))

/** Carried out, or refused; JavaScript itself refuses to look into null. */
function checkRefusal(error: unknown): void {
  assert.ok(!(error instanceof AssertionError), error as Error)
  if (error instanceof TypeError) return
  assert.ok(error instanceof HoldfastError, error as Error)
  assert.ok(error.code !== 'EIO' && error.code !== 'EUCLEAN', error)
}

async function carryOut(fs: VolumeFileSystem, calls: readonly Call[]): Promise<number> {
  const files: FileHandle[] = [await fs.open('/a', 'w+')]
  const held: HeldRange[] = []
  let done = 0
  for (const [i, { of, method, args }] of calls.entries()) {
    const on = of === 'volume' ? fs : files[i % files.length]!
    try {
      const result = await (on as unknown as Methods)[method]!(...args)
      done++
      if (method === 'open') files.push(result as FileHandle)
      if (method === 'pin') held.push(result as HeldRange)
    } catch (error) {
      checkRefusal(error)
    }
    if (files.length > HANDLES) await files.shift()!.close()
  }
  for (const pin of held) await Promise.resolve(pin.release()).catch(checkRefusal)
  for (const file of files) await file.close()
  return done
}

test(`calls with any arguments leave the volume whole (SEED=${seed})`, async (t) => {
  let done = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { minLength: 1, maxLength: CALLS, size: 'max' }),
      async (calls) => {
        const region = heapRegion(BYTES)
        try {
          formatVolume(region)
          const fs = new VolumeFileSystem(LayoutVolume.mount(region))
          done += await carryOut(fs, calls)
          await fs.close()
          const report = checkVolume(region, { crc32cOf: native.crc32cOf })
          assert.equal(report.state, 'clean', formatReport(report))
        } finally {
          region.close()
        }
      },
    ),
    { seed, numRuns: RUNS, includeErrorInReport: true },
  )
  t.diagnostic(`${done} calls were carried out`)
  assert.ok(done > RUNS, 'many are')
})
