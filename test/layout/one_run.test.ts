/** One run of blocks for a range, in steps: other calls come between, and may change everything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { heapRegion } from '../../src/region/memory_region.js'
import type { OpenInode } from '../../src/volume/open_inodes.js'
import { assertBytes, Ground } from './ground.js'
import { codeOf } from './scene.js'

const MiB = 1 << 20
const BLOCKS = 600
const STEP = 100

/** A volume all of whose free blocks were somebody's. */
function used(): Ground {
  const ground = new Ground({ bytes: 8 * MiB })
  const { volume } = ground
  const file = volume.open('/dirt', 'wx')
  const most = (ground.free - 100) * B
  for (let at = 0; at < most; at += 64 * B) file.write(new Uint8Array(64 * B).fill(0xee), at)
  file.close()
  volume.unlink('/dirt')
  return ground
}

/** What lets others in after each step. */
function stepwise(file: LayoutFile, between: (step: number) => void, keepSize = false): void {
  const range = [0, BLOCKS * B, keepSize] as const
  const run = file.takeRun(...range) as OpenInode
  let step = 0
  between(step++)
  try {
    for (let from = 0; from !== Infinity; between(step++)) from = file.zeroRun(run, from, STEP)
    file.giveRun(...range, run)
  } finally {
    volumeOf.get(file)!.releaseInode(run)
  }
}

const volumeOf = new WeakMap<LayoutFile, LayoutVolume>()

function opened(ground: Ground): LayoutFile {
  const file = ground.volume.open('/f', 'a+')
  file.close()
  const again = ground.volume.open('/f', 'r+')
  volumeOf.set(again, ground.volume)
  return again
}

for (const before of [0, 3]) {
  for (const keepSize of [false, true]) {
    const size = keepSize ? 'keeps its size' : 'grows'
    test(`a file of ${before} blocks ${size}: zeros in one run, seen when all are`, () => {
      using ground = used()
      const file = opened(ground)
      if (before > 0) {
        file.allocate(0, BLOCKS * B, { contiguous: true }) // where what is behind it is free then
        file.truncate(before * B)
        file.write(new Uint8Array(before * B).fill(1), 0)
      }
      const { free } = ground
      let steps = 0
      const seen = file.stat()
      stepwise(
        file,
        (step) => {
          steps = step
          assert.deepEqual(file.stat(), seen, 'nothing has changed for the file')
          ground.assertClean(`after step ${step}`)
        },
        keepSize,
      )
      assert.ok(steps >= BLOCKS / STEP)
      const { extents } = file.extents()
      assert.deepEqual(
        extents.map(({ fileBlock, count }) => [fileBlock, count]),
        [[0, BLOCKS]],
      )
      assert.equal(file.stat().size, (keepSize ? before : BLOCKS) * B)
      if (keepSize) file.truncate(BLOCKS * B)
      const expected = new Uint8Array(BLOCKS * B)
      expected.fill(1, 0, before * B)
      assertBytes(ground.volume.readFile('/f'), expected, 'what nobody wrote is zero')
      file.close()
      ground.assertClean('at the end')
      assert.ok(ground.free >= free - BLOCKS - 4)
    })
  }
}

test('what others did to the range meanwhile is ENOSPC, and the run is free again', () => {
  const changes: Record<string, (file: LayoutFile) => void> = {
    'a write in the middle': (file) => file.write(new Uint8Array(B).fill(2), 50 * B),
    'blocks in front': (file) => file.allocate(0, B),
    'all of it': (file) => file.allocate(0, BLOCKS * B),
  }
  for (const [name, change] of Object.entries(changes)) {
    using ground = used()
    const file = opened(ground)
    let [free, seen] = [0, '']
    const run = () =>
      stepwise(file, (step) => {
        if (step !== 2) return
        change(file)
        free = ground.free
        seen = JSON.stringify([file.extents(), file.stat().size])
      })
    assert.equal(codeOf(run), 'ENOSPC', name)
    assert.equal(JSON.stringify([file.extents(), file.stat().size]), seen, name)
    assert.ok(ground.free >= free + BLOCKS - 4, `${name}: ${ground.free} after ${free}`)
    file.close()
    ground.assertClean(name)
  }
})

test('a crash at any step leaves the file as it was or all of it, and the run to nobody', () => {
  using ground = used()
  const file = opened(ground)
  const { free } = ground
  const images: Uint8Array[] = []
  const image = () => {
    const bytes = new Uint8Array(ground.region.byteLength)
    ground.region.read(0, bytes, 0, bytes.length)
    images.push(bytes)
  }
  stepwise(file, image)
  const before = images.length
  image()
  file.close()
  images.forEach((bytes, i) => {
    const region = heapRegion(bytes.length)
    region.stream(0, bytes, 0, bytes.length)
    using after = LayoutVolume.mount(region)
    for (let step = 0; step < 20; step++) after.statfs() // orphans go
    const has = after.stat('/f').blocks / 8
    assert.equal(has, i < before ? 0 : BLOCKS)
    const { freeBlocks } = after.core.state
    assert.ok(freeBlocks >= free - has - 4, `image ${i}: ${freeBlocks} of ${free}`)
  })
})
