/**
 * The story: on a damaged volume a bitmap chunk with a good checksum had every block free and
 * counted none. The first change that needed a block broke an invariant of the allocator, where it
 * ought to have said that the volume is damaged; had the count fitted, block 0 would have been
 * handed out, which is the superblock.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checksumOf, type Sealed } from '../../src/base/bytes.js'
import { HoldfastError } from '../../src/base/errors.js'
import { BitmapChunk, CHUNK_BLOCKS, CHUNK_WORDS } from '../../src/media/bitmap.js'
import { State } from '../../src/media/state.js'
import { native } from '../../src/native/native.js'
import type { TracedRegion } from '../../src/region/traced_region.js'
import { bytesOf, describe, mount, newRegion, regionOf } from './support.js'

interface Words {
  readonly u32: Uint32Array
  /** Word of the first chunk of the bitmap, and of the state. */
  readonly chunk: number
  readonly state: number
}

/** A volume of one chunk with a file, changed behind its back. */
function damaged(change: (words: Words) => void): TracedRegion {
  const region = newRegion(512)
  const volume = mount(region)
  volume.writeFile('/f', bytesOf('f', 4096))
  const { bitmapStart } = volume.core.geometry
  volume.close()
  const u32 = new Uint32Array(region.u8.buffer, region.u8.byteOffset)
  const words = { u32, chunk: bitmapStart * 1024, state: 2 * 1024 }
  change(words)
  const crc32c = (offset: number, length: number, seed: number) =>
    native.crc32cOf(region.u8, offset, length, seed)
  const seal = (struct: Sealed, word: number) => {
    const sum = checksumOf({ u8: region.u8, u32, crc32c }, word * 4, struct)
    u32[word + struct.word.checksum] = sum
  }
  seal(BitmapChunk, words.chunk)
  seal(State, words.state)
  return region
}

/** A file with a block of its own cannot be made, for this reason, and nothing is logged of it. */
function assertRefused(region: TracedRegion, reason: RegExp): void {
  const volume = mount(region)
  const before = describe(volume)
  assert.throws(
    () => volume.writeFile('/g', bytesOf('g', 4096)),
    (error) => error instanceof HoldfastError && reason.test(error.message),
  )
  const again = mount(regionOf(region.u8))
  // The name of the new file is another transaction, which needs no block.
  again.unlink('/g')
  assert.equal(describe(again), before)
}

test('a bitmap chunk that does not have what it counts hands nothing out', () => {
  const region = damaged(({ u32, chunk }) => {
    u32[chunk + BitmapChunk.word.free] = 0
  })
  assertRefused(region, /EUCLEAN.*it counts 0 free blocks and has \d+/)
})

test('a bitmap that calls the superblock free does not hand it out', () => {
  const region = damaged(({ u32, chunk, state }) => {
    const bits = chunk + BitmapChunk.word.bits
    u32.fill(0, bits, bits + CHUNK_WORDS)
    u32[chunk + BitmapChunk.word.free] = CHUNK_BLOCKS
    u32[state + State.word.freeBlocks] = CHUNK_BLOCKS
  })
  assertRefused(region, /EUCLEAN.*block 0 is not for data/)
})

test('a state that counts free blocks where the bitmap has none is damage, and said so', () => {
  const region = damaged(({ u32, chunk }) => {
    const bits = chunk + BitmapChunk.word.bits
    u32.fill(0xffff_ffff, bits, bits + CHUNK_WORDS)
    u32[chunk + BitmapChunk.word.free] = 0
  })
  assertRefused(region, /EUCLEAN.*the state counts \d+ free blocks, the bitmap 0/)
})
