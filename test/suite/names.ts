/** Cases: paths, names, directories. */
import assert from 'node:assert/strict'
import type { DirectoryEntry } from '../../src/base/filesystem.js'
import { fails, MIB, names, read, write, type Case } from './ground.js'

const root = Buffer.from('/')

export const nameCases: Case[] = [
  {
    name: 'what is not there is ENOENT, whatever is asked of it',
    async run({ fs }) {
      await write(fs, '/there', 'x')
      for (const path of ['/no', '/no/no', 'no', '/no/', '']) {
        await fails('ENOENT', fs.stat(path), `stat ${path}`)
        await fails('ENOENT', fs.open(path, 'r'), `open ${path}`)
        await fails('ENOENT', fs.open(path, 'r+'), `open r+ ${path}`)
        await fails('ENOENT', fs.truncate(path, 0), `truncate ${path}`)
        await fails('ENOENT', fs.unlink(path), `unlink ${path}`)
        await fails('ENOENT', fs.rmdir(path), `rmdir ${path}`)
        await fails('ENOENT', fs.rename(path, '/other'), `rename ${path}`)
        await fails('ENOENT', fs.link(path, '/other'), `link ${path}`)
        await fails('ENOENT', fs.readdir(path), `readdir ${path}`)
        await fails('ENOENT', fs.extents(path), `extents ${path}`)
      }
      for (const path of ['/no/new', '/no/no/new']) {
        await fails('ENOENT', fs.open(path, 'w'), `open w ${path}`)
        await fails('ENOENT', fs.mkdir(path), `mkdir ${path}`)
        await fails('ENOENT', fs.rename('/there', path), `rename to ${path}`)
        await fails('ENOENT', fs.link('/there', path), `link to ${path}`)
      }
      assert.deepEqual(await names(fs, '/'), ['there'])
    },
  },
  {
    name: 'a file on the way is ENOTDIR, whatever is asked of what would be below it',
    async run({ fs }) {
      await write(fs, '/file', 'x')
      for (const path of ['/file/x', '/file/x/y', '/file/.', '/file/..', '/file/']) {
        await fails('ENOTDIR', fs.stat(path), `stat ${path}`)
        await fails('ENOTDIR', fs.open(path, 'r'), `open ${path}`)
        await fails('ENOTDIR', fs.truncate(path, 0), `truncate ${path}`)
        await fails('ENOTDIR', fs.readdir(path), `readdir ${path}`)
        await fails('ENOTDIR', fs.extents(path), `extents ${path}`)
        await fails('ENOTDIR', fs.link(path, '/other'), `link ${path}`)
      }
      for (const path of ['/file/x', '/file/x/y']) {
        await fails('ENOTDIR', fs.open(path, 'w'), `open w ${path}`)
        await fails('ENOTDIR', fs.mkdir(path), `mkdir ${path}`)
        await fails('ENOTDIR', fs.rmdir(path), `rmdir ${path}`)
        await fails('ENOTDIR', fs.unlink(path), `unlink ${path}`)
        await fails('ENOTDIR', fs.rename(path, '/other'), `rename ${path}`)
        await fails('ENOTDIR', fs.rename('/file', path), `rename to ${path}`)
        await fails('ENOTDIR', fs.link('/file', path), `link to ${path}`)
      }
      await fails('ENOTDIR', fs.rmdir('/file'))
      await fails('ENOTDIR', fs.readdir('/file'))
    },
  },
  {
    name: 'what is there already is EEXIST',
    async run({ fs }) {
      await write(fs, '/file', 'x')
      await fs.mkdir('/directory')
      for (const path of ['/file', '/directory', '/', '/.', '/directory/..']) {
        await fails('EEXIST', fs.mkdir(path), `mkdir ${path}`)
        await fails('EEXIST', fs.link('/file', path), `link to ${path}`)
        await fails('EEXIST', fs.open(path, 'wx'), `open wx ${path}`)
        await fails('EEXIST', fs.open(path, 'ax+'), `open ax+ ${path}`)
      }
      assert.equal((await read(fs, '/file')).toString(), 'x')
    },
  },
  {
    name: 'a directory is EISDIR where a file is wanted, and has one name only',
    async run({ fs }) {
      await fs.mkdir('/directory')
      for (const path of ['/directory', '/', '/directory/', '/directory/.', '/directory/..']) {
        for (const flags of ['r+', 'w', 'a'] as const) {
          await fails('EISDIR', fs.open(path, flags), `open ${flags} ${path}`)
        }
        const opened = await fs.open(path, 'r')
        await fails('EISDIR', opened.read(Buffer.alloc(1), 0), `read ${path}`)
        assert.ok((await opened.stat()).isDirectory())
        await opened.close()
        await fails('EISDIR', fs.truncate(path, 0), `truncate ${path}`)
        await fails('EISDIR', fs.unlink(path), `unlink ${path}`)
        await fails('EISDIR', fs.extents(path), `extents ${path}`)
        await fails('EPERM', fs.link(path, '/other'), `link ${path}`)
      }
    },
  },
  {
    name: 'rmdir takes only an empty directory, and neither the root nor . nor ..',
    async run({ fs }) {
      await fs.mkdir('/a')
      await fs.mkdir('/a/b')
      await fails('ENOTEMPTY', fs.rmdir('/a'))
      await fails('ENOTEMPTY', fs.rmdir('/a/b/..'))
      await fails('EINVAL', fs.rmdir('/a/b/.'))
      await fails('EBUSY', fs.rmdir('/'))
      assert.equal((await fs.stat('/a')).nlink, 3)
      await fs.rmdir('/a/b/')
      assert.equal((await fs.stat('/a')).nlink, 2)
      await write(fs, '/a/f', '')
      await fails('ENOTEMPTY', fs.rmdir('/a'))
      await fs.unlink('/a/f')
      await fs.rmdir('/a')
      await fails('ENOENT', fs.stat('/a'))
      assert.equal((await fs.stat('/')).nlink, 2)
    },
  },
  {
    name: 'a NUL is EINVAL, a long name and a long path are ENAMETOOLONG',
    async run({ fs }) {
      await fails('EINVAL', fs.stat('/a\0b'))
      await fails('EINVAL', fs.open(Buffer.from('/a\0'), 'w'))
      await write(fs, '/file', '')
      const long = 'n'.repeat(256)
      for (const path of [`/${long}`, `/${long}/x`]) {
        await fails('ENAMETOOLONG', fs.stat(path))
        await fails('ENAMETOOLONG', fs.open(path, 'w'))
        await fails('ENAMETOOLONG', fs.mkdir(path))
        await fails('ENAMETOOLONG', fs.unlink(path))
        await fails('ENAMETOOLONG', fs.rmdir(path))
        await fails('ENAMETOOLONG', fs.rename('/file', path))
        await fails('ENAMETOOLONG', fs.link('/file', path))
      }
      // 128 two-byte characters: 256 bytes, whatever the number of characters.
      await fails('ENAMETOOLONG', fs.mkdir(`/${'ä'.repeat(128)}`))
      await fs.mkdir(`/${'ä'.repeat(127)}`)
      await fails('ENAMETOOLONG', fs.stat('/'.repeat(4096)))
      assert.equal((await fs.stat('/'.repeat(4095))).type, 'directory')
      await fails('ENAMETOOLONG', fs.stat('/.'.repeat(2048)))
    },
  },
  {
    name: '., .., repeated and trailing slashes lead where they should',
    async run({ fs }) {
      await fs.mkdir('/a')
      await fs.mkdir('/a/b/')
      await write(fs, 'a/b/f', 'deep')
      const ino = (await fs.stat('/a')).ino
      for (const path of ['/a', 'a', '//a//', '/./a/.', '/a/b/..', '/../../a', 'a/b/../b/..']) {
        assert.equal((await fs.stat(path)).ino, ino, path)
      }
      assert.equal((await read(fs, '/a/../a//b/./f')).toString(), 'deep')
      await fails('EISDIR', fs.open('/new/', 'w'))
      await fails('ENOENT', fs.stat('/a/nothing/..'))
    },
  },
  {
    name: 'a name is bytes: every byte but / and NUL, alone and in any company',
    async run(ground) {
      const { fs } = ground
      const all: Buffer[] = []
      for (let byte = 1; byte < 256; byte++) {
        if (byte === 0x2f) continue
        if (byte !== 0x2e) all.push(Buffer.of(byte))
        all.push(Buffer.of(0x78, byte), Buffer.of(byte, byte, 0xff))
      }
      for (const name of all) await write(fs, Buffer.concat([root, name]), name)
      await ground.remount()
      const expected = all.map((name) => name.toString('latin1')).sort()
      assert.deepEqual(await names(ground.fs, '/'), expected)
      for (const name of all) {
        const path = Buffer.concat([root, name])
        assert.deepEqual(await read(ground.fs, path), name)
        await ground.fs.unlink(path)
      }
      assert.deepEqual(await ground.fs.readdir('/'), [])
    },
  },
  {
    name: 'names of 1 to 255 bytes are kept, told apart by their last byte, and go again',
    async run(ground) {
      for (let length = 1; length <= 255; length++) {
        for (const last of 'ab') {
          await write(ground.fs, `/${'x'.repeat(length - 1)}${last}`, `${length}${last}`)
        }
      }
      await ground.remount()
      assert.equal((await ground.fs.readdir('/')).length, 510)
      for (let length = 1; length <= 255; length++) {
        for (const last of 'ab') {
          const path = `/${'x'.repeat(length - 1)}${last}`
          assert.equal((await read(ground.fs, path)).toString(), `${length}${last}`)
          await ground.fs.unlink(path)
        }
      }
      assert.deepEqual(await ground.fs.readdir('/'), [])
    },
  },
  {
    name: 'readdir in pieces shows what stands throughout exactly once, while names come and go',
    bytes: 32 * MIB,
    async run({ fs, random, slow }) {
      const count = slow ? 100 : 1000
      await fs.mkdir('/d')
      const standing = new Set<string>()
      for (let i = 0; i < count; i++) {
        await write(fs, `/d/stay${i}`, '')
        await write(fs, `/d/go${i}`, '')
        standing.add(`stay${i}`)
      }
      const seen: string[] = []
      let made = 0
      for (let cookie = 0; ;) {
        const some: DirectoryEntry[] = await fs.readdir('/d', cookie, 1 + random.below(20))
        if (some.length === 0) break
        for (const entry of some) {
          assert.ok(entry.cookie > cookie && Number.isSafeInteger(entry.cookie), 'cookies rise')
          cookie = entry.cookie
          seen.push(Buffer.from(entry.name).toString())
          assert.equal(entry.type, 'file')
        }
        for (let i = 0; i < 5; i++) {
          const gone = `/d/go${random.below(count)}`
          if ((await fs.stat(gone).catch(() => null)) !== null) await fs.unlink(gone)
          await write(fs, `/d/new${made++}`, '')
        }
      }
      const stayed = seen.filter((name) => name.startsWith('stay'))
      assert.equal(stayed.length, count)
      assert.deepEqual(new Set(stayed), standing)
      assert.equal(new Set(seen).size, seen.length, 'nothing is seen twice')
      assert.deepEqual(await fs.readdir('/d', Number.MAX_SAFE_INTEGER), [])
    },
  },
  {
    name: 'many thousand files in one directory are found, listed after a remount, and go again',
    bytes: 64 * MIB,
    async run(ground) {
      const count = ground.slow ? 300 : 20_000
      await ground.fs.mkdir('/many')
      const free = (await ground.fs.statfs()).blocksFree
      for (let i = 0; i < count; i++) await (await ground.fs.open(`/many/file-${i}`, 'wx')).close()
      await ground.remount()
      const listed = await names(ground.fs, '/many')
      const expected = Array.from({ length: count }, (_, i) => `file-${i}`).sort()
      assert.deepEqual(listed, expected)
      assert.equal((await ground.fs.statfs()).files, count + 2)
      for (let i = 0; i < count; i++) await ground.fs.unlink(`/many/file-${i}`)
      await ground.fs.rmdir('/many')
      await ground.fs.mkdir('/many')
      await ground.remount()
      assert.deepEqual(await ground.fs.readdir('/many'), [])
      const left = free - (await ground.fs.statfs()).blocksFree
      assert.ok(left <= 2, `${left} blocks did not come back`)
    },
  },
  {
    name: 'attributes have names of 64 KiB in all; those that are there can be set anew',
    async run(ground) {
      const { fs } = ground
      const nameOf = (i: number) => `user.${String(i).padStart(250, '0')}`
      await write(fs, '/f', 'x')
      for (let i = 0; i < 256; i++) await fs.setXattr('/f', nameOf(i), Buffer.of(i))
      await fails('ENOSPC', fs.setXattr('/f', 'user.more', Buffer.of(1)))
      await fs.setXattr('/f', nameOf(7), Buffer.from('anew'))
      await fs.setXattr('/f', nameOf(8), Buffer.from('replaced'), { mode: 'replace' })
      await ground.remount()
      const listed = await ground.fs.listXattrs('/f')
      assert.deepEqual(
        listed.sort(),
        Array.from({ length: 256 }, (_, i) => nameOf(i)),
      )
      const value = async (i: number) => Buffer.from(await ground.fs.getXattr('/f', nameOf(i)))
      assert.equal((await value(7)).toString(), 'anew')
      assert.equal((await value(8)).toString(), 'replaced')
      assert.deepEqual(await value(255), Buffer.of(255))
      await ground.fs.removeXattr('/f', nameOf(9))
      await ground.fs.setXattr('/f', 'user.more', Buffer.of(1))
    },
  },
  {
    name: 'directories nest as deep as a path reaches, and deeper by going step by step',
    async run({ fs, slow }) {
      const depth = slow ? 100 : 1000
      let path = ''
      for (let i = 0; i < depth; i++) await fs.mkdir((path += '/d'))
      await write(fs, `${path}/f`, 'bottom')
      assert.equal((await read(fs, `${path}/f`)).toString(), 'bottom')
      // Longer than PATH_MAX by moving a deep tree below another.
      await fs.mkdir('/x')
      await fs.rename('/d', '/x/d')
      assert.equal((await read(fs, `/x${path}/f`)).toString(), 'bottom')
      await fs.unlink(`/x${path}/f`)
      for (let at = `/x${path}`; at !== ''; at = at.slice(0, at.lastIndexOf('/')))
        await fs.rmdir(at)
      assert.deepEqual(await fs.readdir('/'), [])
    },
  },
]
