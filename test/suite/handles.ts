/** Cases: what handles do beside bytes: streams, locks, blocks; and who is told of changes. */
import assert from 'node:assert/strict'
import { pipeline } from 'node:stream/promises'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import type { Change } from '../../src/base/filesystem.js'
import { fails, MIB, read, sameBytes, seeded, write, type Case } from './ground.js'

const GROUP_BLOCKS = 512

const text = (name: Uint8Array | undefined) => Buffer.from(name ?? []).toString()

export const handleCases: Case[] = [
  {
    name: 'streams carry a file in and out, from a byte and to a byte, and close the handle',
    async run({ fs }) {
      const content = seeded(1, 300_000)
      const target = await fs.open('/f', 'w')
      const pieces = [
        content.subarray(0, 7),
        content.subarray(7, 200_000),
        content.subarray(200_000),
      ]
      await pipeline(Readable.from(pieces), target.createWriteStream())
      await fails('EBADF', target.stat(), 'the stream closed the handle')
      sameBytes(await read(fs, '/f'), content, 'written')

      const whole = await fs.open('/f')
      sameBytes(await buffer(whole.createReadStream({ highWaterMark: 1000 })), content, 'read')
      await fails('EBADF', whole.stat(), 'the stream closed the handle')
      const kept = await fs.open('/f', 'r+')
      const part = await buffer(kept.createReadStream({ start: 5, end: 99, autoClose: false }))
      sameBytes(part, content.subarray(5, 100), 'a part')
      await pipeline(
        Readable.from([Buffer.from('new')]),
        kept.createWriteStream({ start: 10, autoClose: false }),
      )
      const bytes = Buffer.alloc(5)
      await kept.read(bytes, 9)
      assert.equal(bytes.toString('latin1', 1, 4), 'new')
      await kept.close()
      const gone = (await fs.open('/f', 'w')).createReadStream()
      await assert.rejects(buffer(gone), /EBADF/)
    },
  },
  {
    name: 'locks of handles exclude each other, wait, and end with their handle',
    async run({ fs }) {
      await write(fs, '/f', 'content')
      const [a, b] = [await fs.open('/f', 'r+'), await fs.open('/f', 'r+')]
      await a.lock({ type: 'write', start: 0, length: 10 })
      await fails('EAGAIN', b.lock({ type: 'read', start: 9, length: 1 }))
      await b.lock({ type: 'write', start: 10 })
      assert.deepEqual(await b.testLock({ type: 'read', start: 5, length: 1 }), {
        type: 'write',
        start: 0,
        length: 10,
        owner: undefined,
      })
      const order: string[] = []
      const waits = b
        .lock({ type: 'read', start: 0, length: 4 }, { wait: true })
        .then(() => order.push('granted'))
      await a.unlock({ start: 5 })
      order.push('half unlocked')
      await a.unlock({})
      await waits
      assert.deepEqual(order, ['half unlocked', 'granted'])
      await fails('EAGAIN', a.lock({ type: 'write', start: 3, length: 1 }))
      await b.close()
      await a.lock({ type: 'write' })
      const read = await fs.open('/f', 'r')
      await fails('EBADF', read.lock({ type: 'write' }))
      await read.close()
      await a.close()
    },
  },
  {
    name: 'a wait for a lock ends with its signal, and with its handle',
    async run({ fs }) {
      await write(fs, '/f', 'content')
      const [a, b] = [await fs.open('/f', 'r+'), await fs.open('/f', 'r+')]
      await b.lock({ type: 'read', start: 0, length: 4 })
      const signal = AbortSignal.abort()
      await a.lock({ type: 'write', start: 100, length: 1, owner: 'p' }).catch(() => {})
      await fails('EINTR', a.lock({ type: 'write', start: 0, length: 4 }, { wait: true, signal }))
      const lost = a.lock({ type: 'write', start: 0, length: 1 }, { wait: true })
      await Promise.all([fails('EBADF', lost, 'closed while it waits'), a.close()])
      await b.close()
    },
  },
  {
    name: 'owners that wait in a circle get EDEADLK, and one close ends all locks of an owner',
    async run({ fs }) {
      await write(fs, '/f', 'content')
      const [p, q] = [await fs.open('/f', 'r+'), await fs.open('/f', 'r+')]
      const at = (start: number, owner: string) =>
        ({ type: 'write', start, length: 1, owner }) as const
      await p.lock(at(1, 'p'))
      await q.lock(at(2, 'q'))
      const waits = p.lock(at(2, 'p'), { wait: true })
      await fails('EDEADLK', q.lock(at(1, 'q'), { wait: true }))
      await q.close()
      await waits
      const other = await fs.open('/f', 'r+')
      await other.lock({ type: 'write', start: 50, length: 1, owner: 'p' })
      await other.close()
      const r = await fs.open('/f', 'r+')
      await r.lock(at(1, 'r')) // p closed a handle of the file: all of its locks are gone
      await p.close()
      await r.close()
    },
  },
  {
    name: 'flock locks whole files for a handle, shared or not',
    async run({ fs }) {
      await write(fs, '/f', '')
      const [a, b] = [await fs.open('/f'), await fs.open('/f')]
      await a.flock('shared')
      await b.flock('shared')
      await fails('EAGAIN', a.flock('exclusive'))
      await b.flock('unlock')
      await a.flock('exclusive')
      const waits = b.flock('shared', { wait: true })
      await a.close()
      await waits
      await b.close()
    },
  },
  {
    name: 'a contiguous range is one aligned run of blocks, or ENOSPC and nothing done',
    bytes: 32 * MIB,
    async run({ fs }) {
      const file = await fs.open('/large', 'w+')
      await file.allocate(0, 6 * MIB, { contiguous: true })
      const [run, more] = (await file.extents()).extents
      assert.equal(more, undefined)
      assert.deepEqual([run!.fileBlock, run!.count], [0, (6 * MIB) / 4096])
      assert.equal(run!.regionBlock % GROUP_BLOCKS, 0)
      sameBytes(await read(fs, '/large'), new Uint8Array(6 * MIB), 'zeros')
      // Longer by what lies behind it, in the same run.
      await file.allocate(6 * MIB, 2 * MIB, { contiguous: true })
      const { blocksFree } = await fs.statfs()
      const { size } = await file.stat()
      await fails('ENOSPC', file.allocate(0, 40 * MIB, { contiguous: true }))
      assert.equal((await fs.statfs()).blocksFree, blocksFree)
      assert.equal((await file.stat()).size, size)
      // A run that is too short in every gap of small files.
      const pieces = await fs.open('/pieces', 'w+')
      await pieces.write(Buffer.of(1), 0)
      await pieces.write(Buffer.of(1), 2 * 4096)
      await fails('ENOSPC', pieces.allocate(0, 4 * 4096, { contiguous: true }))
      await pieces.close()
      await file.close()
    },
  },
  {
    name: 'a file that becomes large by small writes lies in aligned groups from its second 2 MiB on',
    bytes: 32 * MIB,
    async run({ fs, slow }) {
      if (slow) return
      const file = await fs.open('/f', 'w')
      await write(fs, '/beside', seeded(1, 5 * 4096))
      const block = new Uint8Array(64 * 1024)
      for (let i = 0; i < (7 * MIB) / block.length; i++) await file.write(block)
      await file.close()
      const { extents } = await fs.extents('/f')
      const second = extents.find(({ fileBlock, count }) => fileBlock + count > GROUP_BLOCKS)!
      const at = second.regionBlock + (GROUP_BLOCKS - second.fileBlock)
      assert.equal(at % GROUP_BLOCKS, 0)
      assert.ok(extents.length <= 4, JSON.stringify(extents))
    },
  },
  {
    name: 'a copied range has the bytes, and the holes stay holes',
    async run({ fs }) {
      const content = seeded(3, 20_000)
      const from = await fs.open('/from', 'w+')
      await from.write(content, 0)
      await from.write(content, 200_000)
      const to = await fs.open('/to', 'w+')
      assert.equal(await from.copyRange(0, to, 0, MIB), 220_000)
      sameBytes(await read(fs, '/to'), await read(fs, '/from'), 'copied')
      assert.equal((await to.stat()).blocks, (await from.stat()).blocks)
      assert.equal(await from.copyRange(10, to, 5001, 1000), 1000)
      sameBytes((await read(fs, '/to')).subarray(5001, 6001), content.subarray(10, 1010), 'copied')
      assert.equal(await from.copyRange(220_000, to, 0, 10), 0)
      await fails('EINVAL', from.copyRange(0, from, 100, 5000), 'overlapping')
      await from.close()
      await to.close()
    },
  },
  {
    name: 'whoever watches is told of each change, once, with inodes and names, until they end it',
    async run({ fs }) {
      const seen: Change[] = []
      const end = fs.watch((change) => void seen.push(change))
      const kinds = () => seen.splice(0).map(({ kind, name }) => `${kind} ${text(name)}`.trim())
      await fs.mkdir('/d')
      assert.deepEqual(kinds(), ['create d'])
      await write(fs, '/d/f', 'x')
      assert.deepEqual(kinds(), ['create f', 'content'])
      await fs.link('/d/f', '/second')
      await fs.symlink('d/f', '/s')
      await fs.mknod('/fifo', 0o010600)
      assert.deepEqual(kinds(), ['link second', 'create s', 'create fifo'])
      await fs.chmod('/d/f', 0o600)
      await fs.chown('/d/f', 1, 2)
      await fs.utimes('/d/f', 1, 2)
      await fs.setXattr('/d/f', 'user.a', Buffer.of(1))
      assert.deepEqual(kinds(), Array(4).fill('attributes'))
      const { ino } = await fs.stat('/d/f')
      await fs.rename('/d/f', '/second2')
      const [renamed] = seen
      assert.deepEqual([renamed!.ino, text(renamed!.oldName)], [ino, 'f'])
      assert.deepEqual(kinds(), ['rename second2'])
      await fs.rename('/fifo', '/second2')
      assert.deepEqual(kinds(), ['remove second2', 'rename second2'])
      await fs.rename('/s', '/d', { exchange: true })
      await fs.truncate('/second', 0)
      await fs.unlink('/second')
      assert.deepEqual(kinds(), ['exchange d', 'content', 'remove second'])
      await fails('ENOENT', fs.unlink('/none'))
      await fs.stat('/d').catch(() => {})
      assert.deepEqual(kinds(), [], 'what fails or only looks is no change')
      end()
      await fs.mkdir('/unseen')
      assert.deepEqual(kinds(), [])
    },
  },
]
