/** Cases: what is in files. */
import assert from 'node:assert/strict'
import type { OpenFlags } from '../../src/base/filesystem.js'
import { FILE_BYTES_MAX } from '../../src/base/limits.js'
import { fails, MIB, read, sameBytes, seeded, write, type Case } from './ground.js'

const BLOCK = 4096

export const contentCases: Case[] = [
  {
    name: 'a handle does what its flags say, and EBADF for the rest',
    async run({ fs }) {
      const byte = Buffer.of(1)
      const cases: [OpenFlags, boolean, boolean][] = [
        ['r', true, false],
        ['r+', true, true],
        ['w', false, true],
        ['w+', true, true],
        ['a', false, true],
        ['a+', true, true],
      ]
      for (const [flags, reads, writes] of cases) {
        await write(fs, '/f', 'content')
        const file = await fs.open('/f', flags)
        if (reads) await file.read(byte, 0)
        else await fails('EBADF', file.read(byte, 0), flags)
        if (writes) await file.write(byte, 0)
        else {
          await fails('EBADF', file.write(byte, 0), flags)
          await fails('EINVAL', file.truncate(0), flags)
        }
        await file.close()
        await file.close()
        await fails('EBADF', file.stat(), `${flags} closed`)
        await fails('EBADF', file.read(byte, 0), `${flags} closed`)
        await fails('EBADF', file.write(byte, 0), `${flags} closed`)
        await fails('EBADF', file.sync(), `${flags} closed`)
      }
      await fails('EINVAL', fs.open('/f', 'rx' as OpenFlags))
      await fails('EINVAL', fs.open('/f', 'rw' as OpenFlags))
    },
  },
  {
    name: 'positions and sizes that are none are EINVAL, past the longest file EFBIG',
    async run({ fs }) {
      const file = await fs.open('/f', 'w+')
      for (const wrong of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
        await fails('EINVAL', file.read(Buffer.alloc(1), wrong), `read at ${wrong}`)
        await fails('EINVAL', file.write(Buffer.alloc(1), wrong), `write at ${wrong}`)
        await fails('EINVAL', file.truncate(wrong), `truncate to ${wrong}`)
        await fails('EINVAL', fs.truncate('/f', wrong), `truncate to ${wrong}`)
      }
      await fails('EFBIG', file.truncate(FILE_BYTES_MAX + 1))
      await fails('EFBIG', file.write(Buffer.alloc(2), FILE_BYTES_MAX - 1))
      assert.equal((await file.stat()).size, 0)
      await file.write(Buffer.of(7), FILE_BYTES_MAX - 1)
      assert.equal((await file.stat()).size, FILE_BYTES_MAX)
      const last = Buffer.alloc(4)
      assert.equal(await file.read(last, FILE_BYTES_MAX - 2), 2)
      assert.deepEqual([...last], [0, 7, 0, 0])
      await file.truncate(0)
      await file.close()
    },
  },
  {
    name: 'reads and writes of 0 to 128 bytes at offsets 0 to 128 around a block touch nothing else',
    async run(ground) {
      const step = ground.slow ? 43 : 1
      const size = 2 * BLOCK + 256
      const model = seeded(6, size)
      await write(ground.fs, '/f', model)
      const file = await ground.fs.open('/f', 'r+')
      let stamp = 0
      for (let offset = 0; offset <= 128; offset += step) {
        for (let length = 0; length <= 128; length += 1 + (offset % 3)) {
          const at = BLOCK - 64 + offset
          const bytes = Buffer.alloc(length, ++stamp)
          assert.equal(await file.write(bytes, at), length)
          model.set(bytes, at)
          const found = Buffer.alloc(length + 2, 0xee)
          assert.equal(await file.read(found.subarray(1, length + 1), at), length)
          assert.deepEqual([found[0], found[length + 1]], [0xee, 0xee])
          sameBytes(found.subarray(1, length + 1), bytes, `${length} bytes at ${at}`)
        }
        sameBytes(await read(ground.fs, '/f'), model, `after offset ${offset}`)
      }
      await file.close()
      await ground.remount()
      sameBytes(await read(ground.fs, '/f'), model, 'after a remount')
    },
  },
  {
    name: 'files of 0 to 128 bytes grow at every offset from 0 to 128, with zeros between',
    async run({ fs, slow }) {
      const step = slow ? 61 : 1
      const file = await fs.open('/f', 'w+')
      for (let old = 0; old <= 128; old += step) {
        for (let offset = 0; offset <= 128; offset += 1 + (old % 7)) {
          await file.truncate(0)
          await file.write(Buffer.alloc(old, 1), 0)
          await file.write(Buffer.alloc(3, 2), offset)
          const expected = Buffer.alloc(Math.max(old, offset + 3))
          expected.fill(1, 0, old)
          expected.fill(2, offset, offset + 3)
          const found = Buffer.alloc(expected.length + 1)
          assert.equal(await file.read(found, 0), expected.length)
          sameBytes(found.subarray(0, -1), expected, `${old} bytes, then 3 at ${offset}`)
        }
      }
      await file.close()
    },
  },
  {
    name: 'a hole reads as zeros and costs nothing, before and after a remount',
    async run(ground) {
      const file = await ground.fs.open('/sparse', 'w+')
      const free = (await ground.fs.statfs()).blocksFree
      await file.truncate(2 ** 40)
      await file.write(Buffer.from('end'), 2 ** 40)
      await file.write(Buffer.from('middle'), 2 ** 39 + 5)
      await file.close()
      await ground.remount()
      const { size, blocks } = await ground.fs.stat('/sparse')
      assert.equal(size, 2 ** 40 + 3)
      assert.equal(blocks, (2 * BLOCK) / 512)
      const again = await ground.fs.open('/sparse')
      const bytes = Buffer.alloc(20, 0xee)
      await again.read(bytes, 2 ** 39)
      sameBytes(bytes, Buffer.from('\0\0\0\0\0middle\0\0\0\0\0\0\0\0\0'), 'around the middle')
      bytes.fill(0xee)
      assert.equal(await again.read(bytes, 12_345), 20)
      sameBytes(bytes, Buffer.alloc(20), 'in the hole')
      assert.equal(await again.read(bytes, 2 ** 40 + 1), 2)
      assert.equal(await again.read(bytes, 2 ** 40 + 3), 0)
      await again.close()
      const used = free - (await ground.fs.statfs()).blocksFree
      assert.ok(used <= (ground.lends ? 5 : 3), `${used} blocks`)
    },
  },
  {
    name: 'what a truncate cut off never comes back: regrown files show zeros',
    async run({ fs, slow, random }) {
      const file = await fs.open('/f', 'w+')
      for (let i = 0; i < (slow ? 10 : 300); i++) {
        const size = 1 + random.below(5 * BLOCK)
        const cut = random.below(size + 1)
        const grown = cut + random.below(6 * BLOCK)
        await file.truncate(0)
        await file.write(Buffer.alloc(size, 0xff), 0)
        await file.truncate(cut)
        if (i % 2 === 0) await file.truncate(grown)
        else if (grown > cut) await file.write(Buffer.of(0), grown - 1)
        const expected = Buffer.alloc(grown)
        expected.fill(0xff, 0, cut)
        const found = Buffer.alloc(grown)
        assert.equal(await file.read(found, 0), grown)
        sameBytes(found, expected, `${size} bytes, cut to ${cut}, grown to ${grown}`)
      }
      await file.close()
      await fs.truncate('/f', 10)
      assert.equal((await fs.stat('/f')).size, 10)
    },
  },
  {
    name: 'two handles on one file see each other at once; each has its own position',
    async run({ fs }) {
      const one = await fs.open('/f', 'w+')
      const two = await fs.open('/f', 'r+')
      await one.write(Buffer.from('hello'))
      const bytes = Buffer.alloc(5)
      assert.equal(await two.read(bytes), 5)
      assert.equal(bytes.toString(), 'hello')
      await two.write(Buffer.from(' world'))
      assert.equal((await one.stat()).size, 11)
      assert.equal(await one.read(bytes), 5)
      assert.equal(bytes.toString(), ' worl')
      await one.truncate(3)
      assert.equal(await two.read(bytes, 0), 3)
      assert.equal(await two.read(bytes), 0)
      const append = await fs.open('/f', 'a')
      await append.write(Buffer.from('1'), 0)
      await one.write(Buffer.from('X'), 4)
      await append.write(Buffer.from('2'))
      assert.equal((await read(fs, '/f')).toString('latin1'), 'hel1X2')
      for (const file of [one, two, append]) await file.close()
    },
  },
  {
    name: 'a random file is what a plain buffer is, through handles, truncates and remounts',
    async run(ground) {
      const { random } = ground
      const limit = 40 * BLOCK
      let model: Buffer = Buffer.alloc(0)
      let file = await ground.fs.open('/f', 'w+')
      for (let i = 0; i < (ground.slow ? 40 : 1500); i++) {
        const kind = random.below(20)
        if (kind < 10) {
          const at = random.below(limit)
          const bytes = seeded(i, random.below(random.chance(1, 4) ? 6 * BLOCK : 200))
          await file.write(bytes, at)
          if (bytes.length === 0) continue
          if (at + bytes.length > model.length) model = grown(model, at + bytes.length)
          model.set(bytes, at)
        } else if (kind < 13) {
          const size = random.below(limit)
          await file.truncate(size)
          model = size <= model.length ? Buffer.from(model.subarray(0, size)) : grown(model, size)
        } else if (kind < 18) {
          const at = random.below(limit)
          const bytes = Buffer.alloc(random.below(5 * BLOCK))
          const n = await file.read(bytes, at)
          const expected = model.subarray(at, at + bytes.length)
          sameBytes(bytes.subarray(0, n), expected, `step ${i}: ${bytes.length} bytes at ${at}`)
        } else if (kind === 18) await file.sync()
        else {
          await file.close()
          await ground.remount()
          file = await ground.fs.open('/f', 'r+')
        }
      }
      await file.close()
      sameBytes(await read(ground.fs, '/f'), model, 'at the end')
    },
  },
  {
    name: 'a file in more than a thousand pieces is whole, and its extents say where',
    bytes: 32 * MIB,
    async run(ground) {
      const pieces = ground.slow ? 50 : 1500
      const file = await ground.fs.open('/f', 'w')
      // From the back, every second block: no two pieces can be one.
      for (let i = pieces - 1; i >= 0; i--) await file.write(seeded(i, BLOCK), i * 2 * BLOCK)
      const { extents, generation } = await file.extents()
      assert.equal(extents.length, pieces)
      assert.equal(new Set(extents.map((e) => e.regionBlock)).size, pieces)
      extents.forEach((extent, i) => assert.deepEqual([extent.fileBlock, extent.count], [i * 2, 1]))
      await file.close()
      await ground.remount()
      const layout = await ground.fs.extents('/f')
      assert.deepEqual([layout.generation, layout.extents], [generation, extents])
      const again = await ground.fs.open('/f', 'r+')
      const bytes = Buffer.alloc(2 * BLOCK)
      for (let i = 0; i < pieces; i++) {
        const n = await again.read(bytes, i * 2 * BLOCK)
        sameBytes(bytes.subarray(0, BLOCK), seeded(i, BLOCK), `piece ${i}`)
        sameBytes(bytes.subarray(BLOCK, n), Buffer.alloc(n - BLOCK), `hole ${i}`)
      }
      await again.truncate(11 * BLOCK)
      assert.equal((await again.extents()).extents.length, 6)
      assert.notEqual((await again.extents()).generation, generation)
      await again.close()
    },
  },
  {
    name: 'a file of many megabytes comes back byte for byte, and grows in few extents',
    bytes: 96 * MIB,
    async run(ground) {
      const content = seeded(8, 40 * MIB + 123)
      await write(ground.fs, '/big', content)
      const file = await ground.fs.open('/slow', 'w')
      for (let at = 0; at < 20 * MIB; at += MIB) await file.write(content.subarray(at, at + MIB))
      await file.close()
      await ground.remount()
      sameBytes(await read(ground.fs, '/big'), content, 'written at once')
      sameBytes(await read(ground.fs, '/slow'), content.subarray(0, 20 * MIB), 'piece by piece')
      for (const path of ['/big', '/slow']) {
        const { extents } = await ground.fs.extents(path)
        assert.ok(extents.length <= 8, `${path} has ${extents.length} extents`)
      }
    },
  },
  {
    name: 'stat tells type, mode, owner, size and times, the same after a remount',
    async run(ground) {
      const { fs } = ground
      const start = Date.now()
      await fs.mkdir('/d', 0o757)
      await fs.chown('/d', 12, 34)
      const file = await fs.open('/d/f', 'wx', 0o640, { uid: 56, gid: 78 })
      await file.write(seeded(9, 10_000))
      await file.close()
      const before = [await fs.stat('/d'), await fs.stat('/d/f')]
      const [d, f] = before
      assert.deepEqual(
        [d!.type, d!.mode, d!.uid, d!.gid, d!.nlink],
        ['directory', 0o040757, 12, 34, 2],
      )
      assert.deepEqual([f!.type, f!.mode, f!.uid, f!.gid, f!.nlink], ['file', 0o100640, 56, 78, 1])
      assert.deepEqual([f!.size, f!.blocks, f!.blksize], [10_000, 24, 4096])
      for (const time of [f!.atimeMs, f!.mtimeMs, f!.ctimeMs, f!.birthtimeMs]) {
        assert.ok(time >= start - 1000 && time <= Date.now() + 1000, `time ${time}`)
      }
      await ground.remount()
      assert.deepEqual([await ground.fs.stat('/d'), await ground.fs.stat('/d/f')], before)
      const again = await ground.fs.open('/d/f', 'r+')
      await again.write(Buffer.of(1), 0)
      assert.ok((await again.stat()).mtimeMs > f!.mtimeMs, 'a write in place moves mtime')
      await again.close()
      const after = await ground.fs.stat('/d/f')
      assert.deepEqual([after.birthtimeMs, after.generation], [f!.birthtimeMs, f!.generation])
    },
  },
]

function grown(bytes: Buffer, length: number): Buffer {
  const longer = Buffer.alloc(length)
  longer.set(bytes)
  return longer
}
