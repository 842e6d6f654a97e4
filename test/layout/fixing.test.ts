/** What a file says of its own layout: fixed, write-sealed; and the rules of a static volume. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { MapOptions } from '../../src/base/mapping.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { assertBytes, blocksOf } from './ground.js'
import { BLOCKS, codeOf, errorOf, Scene, stateOf } from './scene.js'
import { idle, outcomeOf } from './timers.js'

const MiB = 1 << 20
const STEP_BLOCKS = (16 * MiB) / B
const STATIC = 1

/** What ends what was taken. */
type End = { readonly id: number; release(): void }

/** A mapping of blocks [2, 4) of /f, and the hold that it is. */
function mapped(s: Scene, options: MapOptions): End {
  const mapping = s.as(null, '/f', (file) => file.map({ offset: 2 * B, length: 2 * B, ...options }))
  const { id } = s.volume.holds().at(-1)!
  return { id, release: () => mapping.unmap() }
}

/** Every way to hold blocks of /f, and whether its data could change through it. */
const HOLDS: Record<string, { take: (s: Scene) => End; writes: boolean; follows?: true }> = {
  'a pin': { take: (s) => s.pin('/f', [2, 4]), writes: true },
  'a direct mapping': {
    take: (s) => mapped(s, { direct: true, sync: true, write: true }),
    writes: true,
  },
  'a lease for writing': { take: (s) => s.lease('/f', [2, 4], { iomode: 'rw' }), writes: true },
  'a lease for reading': { take: (s) => s.lease('/f', [2, 4]), writes: false },
  'a mapping for writing': { take: (s) => mapped(s, { write: true }), writes: true, follows: true },
  'a mapping for reading': { take: (s) => mapped(s, {}), writes: false, follows: true },
}

for (const [name, { take, writes, follows }] of Object.entries(HOLDS)) {
  test(`a file under ${name} is ${follows ? '' : 'not '}fixed`, () => {
    using s = new Scene()
    const hold = take(s)
    s.volume.truncate('/f', 2 * BLOCKS * B) // a hole, which fixing would fill
    if (follows === undefined) s.refused('EBUSY', [hold], () => s.volume.fix('/f'))
    else s.volume.fix('/f')
    assert.equal(s.volume.inodeFlags('/f').fixed, follows === true)
    hold.release()
    s.volume.fix('/f')
    assert.equal(s.volume.inodeFlags('/f').fixed, true)
  })

  test(`a file under ${name} is ${writes ? 'not ' : ''}write-sealed`, () => {
    using s = new Scene()
    s.volume.fix('/f')
    const hold = take(s)
    if (writes) s.refused('EBUSY', [hold], () => s.volume.sealWrites('/f'))
    else s.volume.sealWrites('/f')
    assert.equal(s.volume.inodeFlags('/f').writeSealed, !writes)
    hold.release()
    s.volume.sealWrites('/f')
    assert.equal(s.volume.inodeFlags('/f').writeSealed, true)
  })
}

for (const iomode of ['read', 'rw'] as const) {
  const may = iomode === 'rw' ? 'not ' : ''
  test(`a file that a fenced lease still reaches (${iomode}) is ${may}write-sealed`, async () => {
    using s = new Scene()
    const lease = s.lease('/f', [2, 4], { iomode })
    const file = s.volume.open('/f', 'r+')
    // Fenced for a punch that is not made in the end: the blocks are the file's still.
    const end = s.volume.watchHolds(({ kind }) => {
      if (kind === 'fence') queueMicrotask(() => file.close())
    })
    const punch = outcomeOf(s.volume.promises.punch(file, 2 * B, 2 * B))
    await s.timers.pass(5_000)
    end()
    assert.equal(stateOf(punch), 'EBADF')
    assert.equal(lease.info().state, 'fenced')
    s.volume.fix('/f')
    if (iomode === 'rw') s.refused('EBUSY', [lease], () => s.volume.sealWrites('/f'))
    else s.volume.sealWrites('/f')
    lease.release()
    s.volume.sealWrites('/f')
  })
}

test('of a write-sealed file nobody gets what would let him write, and all may read', () => {
  using s = new Scene()
  s.volume.fix('/f')
  s.volume.sealWrites('/f')
  s.refused('EPERM', [], () => s.lease('/f', [0, 2], { iomode: 'rw' }))
  for (const direct of [false, true]) {
    s.refused('EPERM', [], () => mapped(s, { direct, sync: direct, write: true }))
  }
  s.refused('EPERM', [], () => s.as(null, '/f', (file) => file.write(blocksOf('no', 0, 1), 0)))
  const places = s.places('/f', [0, 2])
  const held = [
    s.lease('/f', [0, 2]),
    s.pin('/f', [0, 2]),
    mapped(s, {}),
    mapped(s, { direct: true }),
  ]
  assert.deepEqual(s.places('/f', [0, 2]), places)
  s.assertFile('/f')
  for (const hold of held) hold.release()
})

test('fix, seal and unfix are for the owner, of a file alone, and in that order', () => {
  using s = new Scene()
  const as = { uid: 1000, gid: 1000 }
  s.volume.chmod('/f', 0o666)
  s.volume.truncate('/f', 2 * BLOCKS * B)
  s.refused('EPERM', [], () => s.volume.fix('/f', as))
  s.refused('EINVAL', [], () => s.volume.fix('/'))
  s.refused('EINVAL', [], () => s.volume.sealWrites('/f'))
  s.volume.chown('/f', as.uid, as.gid)
  s.volume.fix('/f', as)
  s.volume.sealWrites('/f', {}, as)
  s.refused('EPERM', [], () => s.volume.unfix('/f', as))
  s.volume.reflink('/f', '/clone')
  s.refused('EBUSY', [], () => s.volume.sealWrites('/f', { off: true }))
  s.volume.unlink('/clone')
  s.volume.sealWrites('/f', { off: true }, as)
  s.volume.unfix('/f', as)
  s.volume.truncate('/f', 0, as)
})

test('fixing populates and unshares, and takes back what was allocated ahead', () => {
  using s = new Scene({ bytes: 32 * MiB })
  s.as(null, '/f', (file) => {
    s.volume.reflink('/f', '/clone')
    file.truncate(20 * B) // a hole
  })
  const file = s.volume.open('/grown', 'wx+')
  file.write(new Uint8Array(256 * 1024)) // appends take more than they need, for the next one
  file.write(new Uint8Array(B))
  const blocks = () => s.volume.stat('/grown').blocks / 8
  const ahead = blocks()
  assert.ok(ahead > 65, `${ahead} blocks are there for 65`)
  for (const path of ['/f', '/grown']) s.volume.fix(path)
  assert.equal(blocks(), 65)
  assert.equal(s.places('/f', [0, 20]).includes(null), false)
  for (const place of s.places('/clone')) assert.equal(s.places('/f').includes(place), false)
  const generation = s.generation('/grown')
  file.close()
  assert.equal(s.generation('/grown'), generation, 'the last close changes nothing of it')
})

// ---- step by step ------------------------------------------------------------------------------

/** /large, a hole of two steps and one block. */
function large(): Scene {
  const s = new Scene({ bytes: 64 * MiB })
  s.volume.writeFile('/large', new Uint8Array(0))
  s.volume.truncate('/large', 2 * 16 * MiB + B)
  return s
}

const blocksIn = (s: Scene) => s.volume.stat('/large').blocks / 8

test('a large file is fixed 16 MiB at a time, and other calls go on in between', async () => {
  using s = large()
  const seen: number[][] = []
  const fixing = s.volume.promises.fix('/large', {
    onProgress: (bytes) => {
      seen.push([bytes, blocksIn(s)])
      assert.equal(s.volume.inodeFlags('/large').fixed, false, 'at the end, or not at all')
      s.volume.writeFile('/meanwhile', blocksOf('meanwhile', 0, 1))
      // What goes again behind it is there when it is fixed.
      s.as(null, '/large', (file) => file.punch(5 * B, 3 * B))
    },
  })
  await fixing
  assert.deepEqual(seen, [
    [16 * MiB, STEP_BLOCKS],
    [32 * MiB, 2 * STEP_BLOCKS - 3],
    [48 * MiB, 2 * STEP_BLOCKS + 1 - 3],
  ])
  assert.equal(blocksIn(s), 2 * STEP_BLOCKS + 1)
  assert.equal(s.volume.inodeFlags('/large').fixed, true)
})

for (const form of ['promises', 'interface'] as const) {
  test(`fixing ends at its signal between two steps, and fixes nothing: ${form}`, async () => {
    using s = large()
    const files = new VolumeFileSystem(s.volume)
    const fixer = form === 'promises' ? s.volume.promises : files
    const controller = new AbortController()
    const { signal } = controller
    const onProgress = () => controller.abort()
    const fixing = outcomeOf(fixer.fix('/large', { signal, onProgress }))
    await idle()
    assert.equal(stateOf(fixing), 'EINTR')
    assert.equal(blocksIn(s), STEP_BLOCKS, 'one step was made')
    assert.equal(s.volume.inodeFlags('/large').fixed, false)
    const early = outcomeOf(fixer.fix('/f', { signal }))
    await idle()
    assert.equal(stateOf(early), 'EINTR')
    assert.equal(s.volume.inodeFlags('/f').fixed, false)
    const free = s.free
    s.volume.unlink('/large')
    assert.ok(s.free - free >= STEP_BLOCKS, 'nobody has it open any more')
  })
}

test('what is held, or no more its own, when the last step is done is not fixed', () => {
  using s = large()
  const as = { uid: 1000, gid: 1000 }
  s.volume.chown('/large', as.uid, as.gid)
  for (const change of ['a lease', 'another owner'] as const) {
    const steps = s.volume.fixing.fix('/large', as)
    for (let i = 0; i < 3; i++) assert.equal(steps.next().done, false)
    const lease = change === 'a lease' ? s.lease('/large', [0, 1]) : null
    if (lease === null) s.volume.chown('/large', 0, 0)
    s.as(null, '/large', (file) => file.punch(8 * B, B))
    const error = errorOf(() => steps.next())
    assert.equal(error.code, lease === null ? 'EPERM' : 'EBUSY')
    assert.equal(s.place('/large', 8), null, 'nothing is filled any more')
    assert.equal(s.volume.inodeFlags('/large').fixed, false)
    lease?.release()
  }
})

test('without room for all of it a file is not fixed', () => {
  using s = new Scene()
  s.volume.truncate('/f', 1000 * B)
  s.refused('ENOSPC', [], () => s.volume.fix('/f'))
  assert.equal(s.volume.inodeFlags('/f').fixed, false)
})

// ---- static volumes ----------------------------------------------------------------------------

test('of a static volume nothing is moved, in no form, with nothing held', async () => {
  using s = new Scene({ options: STATIC })
  s.make('/between', 0)
  s.as(null, '/between', (between) => {
    s.as(null, '/f', (file) => {
      between.write(blocksOf('between', 0, 1), 0)
      file.write(blocksOf('/f', 20, 22), 20 * B) // a second extent
    })
  })
  s.volume.mkdir('/d')
  s.make('/d/inside')
  const [from, to] = [s.place('/f', 0)! * B, (s.place('/f', 7)! + 1) * B]
  const all = (steps: Iterator<unknown>) => {
    while (steps.next().done !== true);
  }
  const calls = {
    defragment: () => all(s.volume.defragment('/f')),
    evacuate: () => all(s.volume.evacuate(from, to)),
    reflink: () => s.volume.reflink('/f', '/clone'),
    snapshot: () => s.volume.snapshot('/d', '/copy'),
    punch: () => s.as(null, '/f', (file) => file.punch(0, B)),
    collapse: () => s.as(null, '/f', (file) => file.collapse(0, B)),
    insert: () => s.as(null, '/f', (file) => file.insert(0, B)),
  }
  for (const [name, call] of Object.entries(calls)) {
    const error = s.refused('EOPNOTSUPP', [], call)
    assert.match(error.message, /the volume is static/, name)
  }
  using file = s.volume.open('/f', 'r+')
  const { promises } = s.volume
  const force = true
  const forms = {
    defragment: () => promises.defragment('/f', { force }),
    evacuate: () => promises.evacuate(from, to, { force }),
    reflink: () => promises.reflink('/f', '/clone', { share: 'copy' }),
    snapshot: () => promises.snapshot('/d', '/copy'),
    punch: () => promises.punch(file, 0, B, { policy: 'defer' }),
    collapse: () => promises.collapse(file, 0, B),
    insert: () => promises.insert(file, 0, B),
  }
  const image = s.image()
  for (const [name, call] of Object.entries(forms)) {
    const outcome = outcomeOf<unknown>(call())
    await idle()
    assert.equal(stateOf(outcome), 'EOPNOTSUPP', name)
    s.assertSameImage(image, name)
  }
})

test('of a static volume a file that is held is not cut off, whatever the policy', async () => {
  using s = new Scene({ options: STATIC })
  const pin = s.pin('/f', [4, 6])
  for (const policy of ['busy', 'wait', 'defer'] as const) {
    s.refused('EBUSY', [pin], () => s.volume.truncate('/f', 4 * B, undefined, { policy }))
    const cut = outcomeOf(s.volume.promises.truncate('/f', 4 * B, { policy }))
    await idle()
    assert.equal(stateOf(cut), 'EBUSY', `at once, with policy ${policy}`)
  }
  s.volume.truncate('/f', 6 * B)
  assert.equal(s.limbo, 0)
  pin.release()
  s.volume.truncate('/f', B)
  assertBytes(s.volume.readFile('/f'), blocksOf('/f', 0, 1), 'what is left')
  assert.equal(
    codeOf(() => s.pin('/f', [0, BLOCKS]).release()),
    'done',
  )
})
