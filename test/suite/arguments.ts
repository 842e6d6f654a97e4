/** Cases: what no compiler lets pass, and a program without one asks for all the same. */
import assert from 'node:assert/strict'
import type { FileHandle, FileSystem } from '../../src/base/filesystem.js'
import { fails, read, write, type Case, type Ground } from './ground.js'

/** Whatever it is, it is not what is asked for. */
const wrong = (value: unknown) => value as never

type Call = (fs: FileSystem, file: FileHandle) => Promise<unknown>

const EINVAL: Readonly<Record<string, Call>> = {
  'a string to write': (_, file) => file.write(wrong('text'), 0),
  'floats to write': (_, file) => file.write(wrong(new Float32Array(4)), 0),
  'a number to read into': (_, file) => file.read(wrong(4096), 0),
  'a position that is no number': (_, file) => file.read(new Uint8Array(4), NaN),
  'no path': (fs) => fs.stat(wrong(undefined)),
  'a number as a path': (fs) => fs.mkdir(wrong(5)),
  'nothing to rename to': (fs) => fs.rename('/f', wrong(undefined)),
  'no times': (fs) => fs.utimes('/f', wrong(undefined), wrong(undefined)),
  'a time that is no number': (_, file) => file.utimes(5, NaN),
  'nanoseconds without end': (fs) => fs.utimes('/f', 5, { seconds: 1, nanoseconds: 1e10 }),
  'a string as the value of an attribute': (fs) => fs.setXattr('/f', 'user.a', wrong('text')),
  'a number as the name of an attribute': (fs) => fs.getXattr('/f', wrong(5)),
  'a number as a reason': (_, file) => file.pin!({ offset: 0, length: 4096, reason: wrong(5) }),
  'a number as the reason of a hold on nothing yet': async (fs) => {
    await using hole = await fs.open('/hole', 'r+')
    await hole.pin!({ offset: 0, length: 1 << 20, reason: wrong(5) })
  },
  'neither data nor a hole to look for': (_, file) => file.seek(0, wrong('both')),
  'an attribute that is made some way': (fs) =>
    fs.setXattr('/f', 'user.a', new Uint8Array(1), { mode: wrong('some') }),
  'a deadline before now': (_, file) => file.truncate(0, { deadline: -1 }),
  'a timeout that is no number': (_, file) => file.truncate(0, { timeout: NaN, policy: 'wait' }),
  'a policy that is none': (fs) => fs.setPolicy('/f', wrong('never')),
  'a policy of one call that is none': (_, file) => file.truncate(0, { policy: wrong('never') }),
  'a way to share that is none': (fs) => fs.reflink('/f', '/d/new', { share: wrong('some') }),
  'a lock from before the start': (_, file) => file.lock({ type: 'read', start: -1 }),
  'a lock of another type': (_, file) => file.lock({ type: wrong('own') }),
  'a lock of the whole, of another type': (_, file) => file.flock(wrong('own')),
  'nobody’s user': (fs) => fs.mkdir('/d/new', 0o755, { uid: -1, gid: 0 }),
  'a group of more than 32 bits': (fs) => fs.mkdir('/d/new', 0o755, { uid: 0, gid: 2 ** 32 }),
}

async function makeSome({ fs }: Ground): Promise<FileHandle> {
  await fs.mkdir('/d', 0o777)
  await fs.chmod('/d', 0o777)
  await write(fs, '/f', 'as it was')
  await write(fs, '/hole', '')
  await fs.truncate('/hole', 1 << 20)
  return fs.open('/f', 'r+')
}

export const argumentCases: Case[] = [
  {
    name: 'what is no such argument is EINVAL, changes nothing, and stops nothing',
    async run(ground) {
      const file = await makeSome(ground)
      const { fs } = ground
      await file.read(new Uint8Array(1), 0)
      const before = await fs.stat('/f')
      for (const [what, call] of Object.entries(EINVAL)) await fails('EINVAL', call(fs, file), what)
      assert.deepEqual(await fs.stat('/f'), before)
      assert.deepEqual(await fs.listXattrs('/f'), [])
      assert.equal((await fs.stat('/hole')).blocks, 0)
      assert.deepEqual(await fs.readdir('/d'), [])
      await file.write(Buffer.from('anew'), 0)
      await file.close()
      await ground.remount()
      assert.equal((await read(ground.fs, '/f')).toString(), 'anewt was')
    },
  },
  {
    name: 'what is too long has its error, however much too long it is',
    async run(ground) {
      const { fs } = ground
      await (await makeSome(ground)).close()
      for (const length of [5000, 20_000, 1_000_000]) {
        await fails('ENAMETOOLONG', fs.stat('/.'.repeat(length)), 'a path')
        await fails('ENAMETOOLONG', fs.symlink('x'.repeat(length), '/s'), 'a target')
        await fails('ERANGE', fs.getXattr('/f', `user.${'x'.repeat(length)}`), 'a name')
      }
      for (const length of [65_537, 70_000, 1_000_000]) {
        await fails('E2BIG', fs.setXattr('/f', 'user.a', new Uint8Array(length)), 'a value')
      }
    },
  },
  {
    name: 'a time that is none is EINVAL and changes nothing, whichever of the two it is',
    async run(ground) {
      const { fs } = ground
      await write(fs, '/f', 'x')
      const file = await fs.open('/f', 'r+')
      for (const path of ['/', '/f']) {
        const before = await fs.stat(path)
        for (const nanoseconds of [1_000_000_000, -1]) {
          const none = { seconds: 1, nanoseconds }
          await fails('EINVAL', fs.utimes(path, 12, none), path)
          await fails('EINVAL', fs.utimes(path, none, 12), path)
          if (path === '/f') await fails('EINVAL', file.utimes(12, none), path)
        }
        assert.deepEqual(await fs.stat(path), before)
        // What had been changed in memory alone went with the checksum of this.
        await fs.chmod(path, 0o700)
      }
      await file.close()
      await ground.remount()
      assert.equal((await ground.fs.stat('/f')).mode, 0o100700)
    },
  },
]
