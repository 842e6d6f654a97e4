/** Cases: a volume without room. */
import assert from 'node:assert/strict'
import { HoldfastError } from '../../src/base/errors.js'
import type { FileSystem } from '../../src/base/filesystem.js'
import { fails, MIB, read, sameBytes, seeded, write, type Case } from './ground.js'

/** Runs `step` until it fails for want of space; returns how often it was done. */
async function untilFull(step: (i: number) => Promise<void>): Promise<number> {
  for (let i = 0; ; i++) {
    try {
      await step(i)
    } catch (error) {
      assert.ok(error instanceof HoldfastError && error.code === 'ENOSPC', String(error))
      return i
    }
  }
}

async function removeAll(fs: FileSystem): Promise<void> {
  for (;;) {
    const some = await fs.readdir('/', 0, 100)
    if (some.length === 0) return
    for (const { name, type } of some) {
      if (type === 'directory') await fs.rmdir(name)
      else await fs.unlink(name)
    }
  }
}

export const fullCases: Case[] = [
  {
    name: 'a full volume says ENOSPC, keeps what it has, and all of it can be deleted again',
    bytes: 2 * MIB,
    async run(ground) {
      const free = (await ground.fs.statfs()).blocksFree
      const big = ground.slow ? 128 * 1024 : 20_000
      const whole = await untilFull((i) => write(ground.fs, `/big${i}`, seeded(i, big)))
      assert.ok(whole > 2)
      // The rest goes with small files and then with names alone.
      const small = await untilFull((i) => write(ground.fs, `/small${i}`, seeded(i, 10)))
      const empty = await untilFull((i) => ground.fs.mkdir(`/directory${i}`))
      await fails('ENOSPC', write(ground.fs, '/more', seeded(1, MIB)))
      // Nothing new is needed for this.
      const last = await ground.fs.open('/big0', 'r+')
      await last.write(seeded(77, big), 0)
      await last.close()
      await ground.fs.rename('/big0', '/big1')
      await ground.remount()
      sameBytes(await read(ground.fs, '/big1'), seeded(77, big), 'overwritten on the full volume')
      for (let i = 2; i < whole; i++) {
        sameBytes(await read(ground.fs, `/big${i}`), seeded(i, big), `/big${i}`)
      }
      for (let i = 0; i < small; i++) {
        sameBytes(await read(ground.fs, `/small${i}`), seeded(i, 10), `/small${i}`)
      }
      assert.ok(small + empty >= 0)
      await removeAll(ground.fs)
      await ground.fs.sync()
      await ground.remount()
      const left = free - (await ground.fs.statfs()).blocksFree
      assert.ok(left <= 2, `${left} of ${free} blocks did not come back`)
      assert.equal((await ground.fs.statfs()).files, 1)
    },
  },
  {
    name: 'filled and emptied again and again, a volume holds as much as the first time',
    bytes: 2 * MIB,
    async run({ fs, slow }) {
      const counts: number[] = []
      for (let round = 0; round < (slow ? 2 : 6); round++) {
        counts.push(await untilFull((i) => write(fs, `/f${i}`, seeded(i, 3 * 4096 - round))))
        await removeAll(fs)
        await fs.sync()
      }
      assert.ok(Math.min(...counts) >= counts[0]! - 1, `files that fitted: ${counts.join(', ')}`)
    },
  },
  {
    name: 'a write that does not fit leaves the file as it was',
    bytes: 2 * MIB,
    async run(ground) {
      const content = seeded(1, 50_000)
      await write(ground.fs, '/f', content)
      // So that less is left than what one request of a mount carries.
      await write(ground.fs, '/other', seeded(2, MIB))
      const file = await ground.fs.open('/f', 'r+')
      const free = (await ground.fs.statfs()).blocksAvailable
      await fails('ENOSPC', file.write(Buffer.alloc((free + 1) * 4096), 50_000))
      assert.equal((await file.stat()).size, 50_000)
      await file.close()
      await ground.remount()
      sameBytes(await read(ground.fs, '/f'), content, 'after the write that did not fit')
      assert.equal((await ground.fs.statfs()).blocksAvailable, free)
    },
  },
]
