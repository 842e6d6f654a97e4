/** Cases: rename, link, unlink while open. */
import assert from 'node:assert/strict'
import { fails, names, read, sameBytes, seeded, write, type Case } from './ground.js'

export const linkCases: Case[] = [
  {
    name: 'rename replaces a file in one step, and what was replaced is freed',
    async run(ground) {
      const { fs } = ground
      await write(fs, '/a', 'new')
      await write(fs, '/b', seeded(1, 100_000))
      const ino = (await fs.stat('/a')).ino
      await fs.rename('/a', '/b')
      assert.deepEqual(await names(fs, '/'), ['b'])
      assert.equal((await fs.stat('/b')).ino, ino)
      await ground.remount()
      assert.equal((await read(ground.fs, '/b')).toString(), 'new')
      assert.equal((await ground.fs.statfs()).files, 2)
    },
  },
  {
    name: 'a file that rename replaced lives on for those who have it open',
    async run({ fs }) {
      await write(fs, '/old', 'old content')
      const open = await fs.open('/old', 'r+')
      await write(fs, '/new', 'new')
      await fs.rename('/new', '/old')
      const bytes = Buffer.alloc(11)
      assert.equal(await open.read(bytes, 0), 11)
      assert.equal(bytes.toString(), 'old content')
      assert.equal((await open.stat()).nlink, 0)
      await open.write(seeded(2, 50_000), 5)
      assert.equal((await open.stat()).size, 50_005)
      await open.close()
      assert.equal((await read(fs, '/old')).toString(), 'new')
      assert.equal((await fs.statfs()).files, 2)
    },
  },
  {
    name: 'rename moves across directories, files and trees, and .. follows',
    async run(ground) {
      const { fs } = ground
      for (const path of ['/a', '/a/sub', '/b']) await fs.mkdir(path)
      await write(fs, '/a/f', 'f')
      await write(fs, '/a/sub/g', 'g')
      await fs.rename('/a/f', '/b/renamed')
      await fs.rename('/a/sub', '/b/sub')
      assert.deepEqual(await names(fs, '/a'), [])
      assert.deepEqual(await names(fs, '/b'), ['renamed', 'sub'])
      assert.equal((await fs.stat('/b/sub/..')).ino, (await fs.stat('/b')).ino)
      assert.deepEqual(
        [(await fs.stat('/a')).nlink, (await fs.stat('/b')).nlink, (await fs.stat('/')).nlink],
        [2, 3, 4],
      )
      await ground.remount()
      assert.equal((await read(ground.fs, '/b/sub/g')).toString(), 'g')
      assert.equal((await read(ground.fs, '/b/renamed')).toString(), 'f')
    },
  },
  {
    name: 'a directory does not go below itself, and replaces only an empty directory',
    async run({ fs }) {
      for (const path of ['/a', '/a/b', '/a/b/c', '/empty', '/full', '/full/x'])
        await fs.mkdir(path)
      await write(fs, '/file', 'x')
      await fails('EINVAL', fs.rename('/a', '/a/b/new'))
      await fails('EINVAL', fs.rename('/a', '/a/b'))
      await fails('EINVAL', fs.rename('/a', '/a/new'))
      await fails('ENOTEMPTY', fs.rename('/a/b/c', '/a'))
      await fails('ENOTEMPTY', fs.rename('/empty', '/full'))
      await fails('ENOTDIR', fs.rename('/empty', '/file'))
      await fails('EISDIR', fs.rename('/file', '/empty'))
      await fails('ENOTDIR', fs.rename('/file', '/file/'))
      await fails('ENOTDIR', fs.rename('/file', '/new/'))
      assert.deepEqual(await names(fs, '/'), ['a', 'empty', 'file', 'full'])
      await fs.rename('/full', '/empty')
      assert.deepEqual(await names(fs, '/empty'), ['x'])
      assert.deepEqual([(await fs.stat('/')).nlink, (await fs.stat('/empty')).nlink], [4, 3])
    },
  },
  {
    name: 'rename of ., .. and the root is EBUSY; onto itself and onto a link of itself nothing',
    async run({ fs }) {
      await fs.mkdir('/d')
      await write(fs, '/f', 'x')
      for (const path of ['/', '/d/.', '/d/..']) {
        await fails('EBUSY', fs.rename(path, '/other'), `rename ${path}`)
        await fails('EBUSY', fs.rename('/f', path), `rename to ${path}`)
      }
      await fs.rename('/f', '/f')
      await fs.rename('/d', '/d/')
      await fs.link('/f', '/same')
      await fs.rename('/f', '/same')
      assert.deepEqual(await names(fs, '/'), ['d', 'f', 'same'])
      assert.equal((await fs.stat('/f')).nlink, 2)
    },
  },
  {
    name: 'links count, share content, and the last one frees',
    async run(ground) {
      const { fs } = ground
      await fs.mkdir('/d')
      await write(fs, '/a', 'one')
      const free = (await fs.statfs()).blocksFree
      for (let i = 0; i < 20; i++) await fs.link('/a', `/d/${i}`)
      assert.equal((await fs.stat('/a')).nlink, 21)
      await write(fs, '/d/7', 'changed through another name')
      assert.equal((await read(fs, '/a')).toString(), 'changed through another name')
      await fs.unlink('/a')
      await ground.remount()
      assert.equal((await ground.fs.stat('/d/0')).nlink, 20)
      for (let i = 0; i < 20; i++) await ground.fs.unlink(`/d/${i}`)
      await ground.fs.sync()
      assert.ok((await ground.fs.statfs()).blocksFree >= free)
      assert.equal((await ground.fs.statfs()).files, 2)
    },
  },
  {
    name: 'an unlinked file lives as long as a handle, and its space comes back with the last',
    async run(ground) {
      const { fs } = ground
      const before = (await fs.statfs()).blocksFree
      const content = seeded(3, 200_000)
      await write(fs, '/f', content)
      const one = await fs.open('/f', 'r+')
      const two = await fs.open('/f', 'r')
      await fs.unlink('/f')
      await fails('ENOENT', fs.stat('/f'))
      assert.equal((await one.stat()).nlink, 0)
      await one.write(seeded(4, 5000), 190_000)
      content.set(seeded(4, 5000), 190_000)
      await one.close()
      const found = Buffer.alloc(200_000)
      assert.equal(await two.read(found, 0), 200_000)
      sameBytes(found, content, 'after the unlink')
      await write(fs, '/f', 'another')
      await two.close()
      await fails('EBADF', two.read(found, 0))
      await fs.unlink('/f')
      await fs.sync()
      await ground.remount()
      const left = before - (await ground.fs.statfs()).blocksFree
      assert.ok(left <= 2, `${left} blocks did not come back`)
    },
  },
  {
    name: 'a file unlinked while open is gone after a remount, its space too',
    async run(ground) {
      const before = (await ground.fs.statfs()).blocksFree
      const file = await ground.fs.open('/f', 'w')
      await file.write(seeded(5, 300_000))
      await ground.fs.unlink('/f')
      await ground.remount()
      assert.deepEqual(await ground.fs.readdir('/'), [])
      const left = before - (await ground.fs.statfs()).blocksFree
      assert.ok(left <= 2, `${left} blocks did not come back`)
      assert.equal((await ground.fs.statfs()).files, 1)
    },
  },
]
