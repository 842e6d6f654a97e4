/** What the tests of mappings share: a volume in a memfd, and files in as many pieces as wanted. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { HoldfastError, type ErrorCode } from '../../src/base/errors.js'
import type { FileMapping } from '../../src/base/mapping.js'
import { Prng } from '../../src/base/prng.js'
import { memfdRegion } from '../../src/region/file_region.js'
import type { MemoryRegion } from '../../src/region/memory_region.js'
import type { Persistence } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { Volume } from '../../src/volume/volume.js'

export const BLOCK = 4096
export const MIB = 1 << 20

export interface Ground {
  readonly region: MemoryRegion
  readonly volume: Volume
}

export interface GroundOptions {
  readonly bytes?: number
  readonly sync?: SyncMode
  readonly persistence?: Persistence
}

/** A new volume in a memfd, closed when the test ends. */
export function newVolume(t: TestContext, options: GroundOptions = {}): Ground {
  const { persistence, sync } = options
  const region = memfdRegion(
    options.bytes ?? 16 * MIB,
    persistence === undefined ? {} : { persistence },
  )
  formatVolume(region)
  const volume = Volume.mount(region, sync === undefined ? {} : { sync })
  t.after(() => {
    volume.close()
    region.close()
  })
  return { region, volume }
}

/** A file of `pieces` blocks, no two of them one after the other in the region. */
export function scattered(volume: Volume, path: string, pieces: number): OpenFile {
  const file = volume.open(path, 'w+')
  for (let i = pieces - 1; i >= 0; i--) file.write(patterned(i), i * BLOCK)
  assert.equal(file.extents().extents.length, pieces)
  return file
}

/** A block of its own. */
export function patterned(seed: number, length = BLOCK): Uint8Array {
  const bytes = new Uint8Array(length)
  new Prng(seed + 1).fill(bytes)
  return bytes
}

export function bytesOf(mapping: FileMapping): Uint8Array {
  return new Uint8Array(mapping.buffer)
}

/** All of a file as read() gives it. */
export function contentOf(file: OpenFile): Uint8Array {
  const bytes = new Uint8Array(file.stat().size)
  assert.equal(file.read(bytes, 0), bytes.length)
  return bytes
}

export function same(found: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(Buffer.compare(found, expected), 0, what)
}

export function fails(code: ErrorCode, call: () => unknown, text?: RegExp): void {
  assert.throws(call, (error) => {
    assert(error instanceof HoldfastError, String(error))
    assert.equal(error.code, code, error.message)
    if (text !== undefined) assert.match(error.message, text)
    return true
  })
}
