/** Cases: clones that take another volume, closed handles, or room that is not there. */
import assert from 'node:assert/strict'
import { HoldfastError } from '../../src/base/errors.js'
import type { FileSystem } from '../../src/base/filesystem.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { fails, MIB, read, sameBytes, seeded, write, type Case } from './ground.js'

const BLOCK = 4096

/** A file of which every other block is a hole. */
async function writePieces(fs: FileSystem, path: string, pieces: number, seed: number) {
  const file = await fs.open(path, 'wx')
  for (let i = 0; i < pieces; i++) await file.write(seeded(seed + i, BLOCK), 2 * i * BLOCK)
  await file.close()
}

/** Takes blocks until none is available. */
async function fill(fs: FileSystem): Promise<void> {
  const file = await fs.open('/filler', 'wx')
  try {
    for (let i = 0; ; i++) await file.write(seeded(i, BLOCK), i * BLOCK)
  } catch (error) {
    assert.ok(error instanceof HoldfastError && error.code === 'ENOSPC', String(error))
  } finally {
    await file.close()
  }
}

/** The call worked, or there was no room for it. */
async function worked(call: Promise<unknown>): Promise<boolean> {
  try {
    await call
    return true
  } catch (error) {
    assert.ok(error instanceof HoldfastError && error.code === 'ENOSPC', String(error))
    return false
  }
}

export const sharingCases: Case[] = [
  {
    name: 'EXDEV for a clone to another volume, EBADF for a closed handle',
    async run({ fs }) {
      const region = heapRegion(2 * MIB)
      formatVolume(region)
      const other = new VolumeFileSystem(LayoutVolume.mount(region))
      await write(fs, '/f', seeded(1, 2 * BLOCK))
      await write(other, '/g', seeded(2, 2 * BLOCK))
      const source = await fs.open('/f', 'r+')
      const target = await other.open('/g', 'r+')
      await fails('EXDEV', source.reflinkRange(0, target, 0, BLOCK))
      await fails('EXDEV', target.reflinkRange(0, source, 0, BLOCK))
      sameBytes(await read(other, '/g'), seeded(2, 2 * BLOCK), 'the other volume')
      await target.close()
      await other.close()
      const own = await fs.open('/f', 'r+')
      await own.close()
      await fails('EBADF', source.reflinkRange(0, own, BLOCK, BLOCK))
      await fails('EBADF', own.reflinkRange(0, source, BLOCK, BLOCK))
      await source.close()
    },
  },
  {
    name: 'a clone on a full volume is ENOSPC and leaves both files as they were, or is whole',
    bytes: 2 * MIB,
    async run(ground) {
      const { fs } = ground
      await writePieces(fs, '/source', 60, 100)
      await writePieces(fs, '/target', 40, 1000)
      await fill(fs)
      const source = await read(fs, '/source')
      const target = await read(fs, '/target')
      let refused = 0
      for (let i = 0; refused === 0 && i < 1000; i++) {
        if (!(await worked(fs.reflink('/source', `/clone${i}`)))) refused++
        else sameBytes(await read(fs, `/clone${i}`), source, `clone ${i}`)
      }
      assert.equal(refused, 1, 'a volume takes clones without end')
      const whole = await worked(fs.reflink('/source', '/target'))
      await ground.remount()
      sameBytes(await read(ground.fs, '/target'), whole ? source : target, 'the destination')
      sameBytes(await read(ground.fs, '/source'), source, 'the source')
    },
  },
  {
    name: 'on a full volume files that are shared are cut and removed, down to the last block',
    bytes: 2 * MIB,
    async run(ground) {
      const { fs } = ground
      const free = (await fs.statfs()).blocksFree
      await writePieces(fs, '/a', 60, 100)
      for (const name of ['/b', '/c', '/d']) await fs.reflink('/a', name)
      await fill(fs)
      while (await worked(fs.mkdir(`/x${(await fs.statfs()).files}`)));
      const before = await read(fs, '/c')
      await fs.truncate('/a', 31 * BLOCK + 100)
      await fs.truncate('/b', 17)
      await fs.unlink('/d')
      await fs.truncate('/a', 0)
      await ground.remount()
      sameBytes(await read(ground.fs, '/c'), before, 'the one that nobody touched')
      for (const { name, type } of await ground.fs.readdir('/')) {
        if (type === 'directory') await ground.fs.rmdir(name)
        else await ground.fs.unlink(name)
      }
      await ground.fs.sync()
      await ground.remount()
      const left = free - (await ground.fs.statfs()).blocksFree
      assert.ok(left <= 2, `${left} blocks did not come back`)
    },
  },
]
