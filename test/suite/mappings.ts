/** Cases: files as memory, on regions mapped in pages of 4 KiB, in larger ones, or not at all. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { FileHandle, FileSystem } from '../../src/base/filesystem.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { MappingPair, mappingOperation } from '../model/mapping_pair.js'
import { fails, MIB, read, sameBytes, SEED, seeded, write, type Case } from './ground.js'

const BLOCK = 4096

export const mappingCases: Case[] = [
  {
    name: 'a mapping and a handle see each other, and the mapping is the last to go',
    async run(ground) {
      const { fs } = ground
      await write(fs, '/f', seeded(1, 10 * BLOCK + 5))
      const file = await fs.open('/f', 'r+')
      await file.write(seeded(2, BLOCK), 20 * BLOCK)
      const mapping = await file.map({ write: true })
      const bytes = new Uint8Array(mapping.buffer)
      sameBytes(bytes, await read(fs, '/f'), 'mapped')
      bytes.set(seeded(3, 3 * BLOCK), 9 * BLOCK)
      await file.write(seeded(4, 100), 5 * BLOCK - 50)
      mapping.persist()
      sameBytes(bytes, await read(fs, '/f'), 'stored and written')
      await file.close()
      const kept = Buffer.from(bytes)
      await fs.unlink('/f')
      await write(fs, '/other', seeded(5, 40 * BLOCK))
      sameBytes(bytes, kept, 'without a name')
      await ground.remount()
      assert.equal(bytes.length, 0, 'detached')
      sameBytes(await read(ground.fs, '/other'), seeded(5, 40 * BLOCK), 'the other file')
    },
  },
  {
    name: 'what was stored through a mapping and persisted is there after a remount',
    async run(ground) {
      const file = await ground.fs.open('/f', 'w+')
      await file.truncate(50 * BLOCK)
      const mapping = await file.map({ offset: 8 * BLOCK, length: 30 * BLOCK, write: true })
      new Uint8Array(mapping.buffer).set(seeded(6, 30 * BLOCK))
      mapping.persist()
      mapping.unmap()
      await file.close()
      await ground.remount()
      const expected = Buffer.alloc(50 * BLOCK)
      expected.set(seeded(6, 30 * BLOCK), 8 * BLOCK)
      sameBytes(await read(ground.fs, '/f'), expected, 'after the remount')
    },
  },
  {
    name: 'a mapped file is what a plain buffer is, whatever is done to it',
    async run({ fs, slow }) {
      assert.ok(fs instanceof VolumeFileSystem)
      const pair = new MappingPair(fs.volume)
      const numRuns = slow ? 60 : 600
      for (const op of fc.sample(mappingOperation, { seed: SEED, numRuns })) pair.step(op)
      pair.finish(false)
    },
  },
]

export const unmappableCases: Case[] = [
  {
    name: 'map is EOPNOTSUPP, changes nothing, and names what can be mapped',
    async run({ fs }) {
      const file = await fs.open('/f', 'w+')
      await file.truncate(5 * BLOCK)
      await fails('EOPNOTSUPP', file.map())
      await assert.rejects(file.map({ write: true }), /memfdRegion/)
      assert.equal((await file.stat()).blocks, 0)
      await file.close()
    },
  },
]

const GRAIN = 2 * MIB

/** A file whose blocks are allocated in grains before it is written. */
async function allocated(fs: FileSystem, path: string, content: Buffer): Promise<FileHandle> {
  const file = await fs.open(path, 'w+')
  await file.allocate(0, Math.ceil(content.length / GRAIN) * GRAIN)
  await file.truncate(content.length)
  await file.write(content, 0)
  return file
}

export const grainCases: Case[] = [
  {
    name: 'a file that was allocated is mapped in large pages',
    bytes: 32 * MIB,
    async run({ fs }) {
      const content = seeded(7, 3 * GRAIN - 5 * BLOCK + 17)
      const file = await allocated(fs, '/f', content)
      const mapping = await file.map({ write: true })
      const bytes = new Uint8Array(mapping.buffer)
      sameBytes(bytes, content, 'mapped')
      bytes.fill(5, GRAIN - 10, GRAIN + 10)
      await file.write(seeded(8, BLOCK), 2 * GRAIN + 7)
      sameBytes(bytes, await read(fs, '/f'), 'stored and written')
      // Not at a grain of the file: the mapping begins before what is seen of it.
      const part = await file.map({ offset: GRAIN + 3 * BLOCK, length: GRAIN })
      const expected = (await read(fs, '/f')).subarray(GRAIN + 3 * BLOCK, 2 * GRAIN + 3 * BLOCK)
      sameBytes(new Uint8Array(part.buffer), expected, 'a part')
      mapping.persist(GRAIN - 10, 20)
      part.unmap()
      mapping.unmap()
      await file.close()
    },
  },
  {
    name: 'grains that are holes are zeros, and what leaves the file is detached',
    bytes: 32 * MIB,
    async run({ fs }) {
      const content = seeded(9, GRAIN)
      const file = await allocated(fs, '/f', content)
      await file.truncate(3 * GRAIN)
      const mapping = await file.map()
      const bytes = new Uint8Array(mapping.buffer)
      sameBytes(bytes, Buffer.concat([content, Buffer.alloc(2 * GRAIN)]), 'two grains are holes')
      const first = new Uint8Array(mapping.window(0, GRAIN))
      await file.truncate(GRAIN)
      assert.equal(bytes.length, 0)
      sameBytes(first, content, 'the grain that is left')
      // A cut within a grain cannot be followed: other files may get the rest of it.
      await file.truncate(GRAIN - BLOCK)
      assert.equal(first.length, 0)
      assert.throws(() => mapping.window(0, 8), { code: 'ESTALE' })
      mapping.unmap()
      await write(fs, '/other', seeded(10, GRAIN))
      await file.truncate(0)
      await file.close()
    },
  },
  {
    name: 'a mapping for writing fills its holes with whole large pages',
    bytes: 32 * MIB,
    async run({ fs }) {
      const file = await fs.open('/f', 'w+')
      await file.truncate(4 * GRAIN + 5 * BLOCK)
      const first = await file.map({ offset: GRAIN, length: GRAIN, write: true })
      new Uint8Array(first.buffer).fill(1)
      const mapping = await file.map({ write: true })
      const bytes = new Uint8Array(mapping.buffer)
      sameBytes(bytes, await read(fs, '/f'), 'zeros, and what was stored')
      bytes.set(seeded(13, 2 * GRAIN + 5 * BLOCK), 2 * GRAIN)
      sameBytes(bytes, await read(fs, '/f'), 'stored')
      for (const { fileBlock, regionBlock } of (await file.extents()).extents) {
        assert.equal((regionBlock - fileBlock) % (GRAIN / BLOCK), 0)
      }
      await file.punch(GRAIN, GRAIN)
      assert.equal(bytes.length, 0)
      const rest = new Uint8Array(mapping.window(2 * GRAIN, GRAIN))
      sameBytes(rest, (await read(fs, '/f')).subarray(2 * GRAIN, 3 * GRAIN), 'behind the punch')
      first.unmap()
      mapping.unmap()
      await file.close()
    },
  },
  {
    name: 'a file in smaller pieces than the page is EOPNOTSUPP, and the remedy is named',
    bytes: 32 * MIB,
    async run({ fs }) {
      const file = await allocated(fs, '/f', seeded(11, GRAIN))
      const other = await fs.open('/other', 'w+')
      await other.write(seeded(12, BLOCK), 0)
      await other.write(seeded(12, BLOCK), 3 * BLOCK)
      for (const write of [false, true]) {
        await fails('EOPNOTSUPP', other.map({ write }))
        await assert.rejects(other.map({ write }), /2097152 bytes.*allocate/)
      }
      const before = await read(fs, '/f')
      const mapping = await file.map()
      const bytes = new Uint8Array(mapping.buffer)
      sameBytes(bytes, before, 'the file beside it')
      mapping.unmap()
      await file.close()
      await other.close()
    },
  },
]
