/**
 * What programs say to a mount by ioctl(2): strict clones, pins that end with the descriptor, where
 * a file is, and inode flags.
 */
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { O } from '../../src/base/open_flags.js'
import { noCompiler } from '../processes/compile.js'
import { until } from '../processes/program.js'
import { Caller } from './caller.js'
import { HolderScene, run } from './holder.js'
import { cannotMount } from './scene.js'

const BLOCKS = 8
const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
/** FS_IMMUTABLE_FL, FS_APPEND_FL, FS_NODUMP_FL; FS_XFLAG_IMMUTABLE. */
const [IMMUTABLE, APPEND, NODUMP, XFLAG_IMMUTABLE] = [0x10, 0x20, 0x40, 0x8]
/** TCGETS: of a terminal. */
const TCGETS = 0x5401

describe('a program that asks a mount by ioctl', { skip: cannotMount() ?? noCompiler() }, () => {
  let scene: HolderScene
  let caller: Caller
  before(async () => {
    scene = await HolderScene.start()
    chmodSync(scene.scene.folder, 0o711) // others come in, too
    caller = scene.caller
  })
  after(() => scene.end())

  async function opened(slot: number, blocks = BLOCKS): Promise<string> {
    const name = await scene.make(blocks)
    await caller.open(slot, scene.at(name))
    return name
  }

  // ---- clones ---------------------------------------------------------------------------------

  test('for a clone gets the same blocks, or all of them', async () => {
    const [from, to] = [await opened(1), await opened(2)]
    await caller.done('clone', 2, 1, 2 * B, 3 * B, B)
    const [a, b] = [await scene.blocks(from), await scene.blocks(to)]
    assert.deepEqual(b.slice(1, 4), a.slice(2, 5))
    await caller.done('clone', 2, 1, 0, 0, 0)
    assert.deepEqual(await scene.blocks(to), a)
    assert.deepEqual(await scene.read(to), await scene.read(from))
  })

  test('for a clone sees at once what it has in place of what it had', async () => {
    const [from, to] = [await opened(1), await opened(2)]
    assert.notEqual(await caller.done('read', 2, 0, 16), await caller.done('read', 1, 0, 16))
    await caller.done('clone', 2, 1, 0, 0, 0)
    assert.equal(await caller.done('read', 2, 0, 16), await caller.done('read', 1, 0, 16))
    const [, size] = (await caller.done('stat', scene.at(to))).split(' ')
    assert.equal(size, String((await scene.read(from)).length))
  })

  test('for a clone that cannot be is told why', async () => {
    const source = await opened(1)
    await opened(2)
    assert.equal(await caller.call('clone', 2, 1, 100, B, 0), 'EINVAL')
    assert.equal(await caller.call('clone', 2, 1, 0, B, 100), 'EINVAL')
    assert.equal(await caller.call('clone', 2, 63, 0, B, 0), 'EBADF', 'no descriptor')
    await caller.open(3, '/dev/null')
    assert.equal(await caller.call('clone', 2, 3, 0, B, 0), 'EXDEV', 'of another filesystem')
    await caller.open(4, scene.at('only.written'), O.WRONLY | O.CREAT)
    assert.equal(await caller.call('clone', 2, 4, 0, B, 0), 'EBADF', 'not open for reading')
    await caller.open(5, scene.at('only.written'), 0)
    assert.equal(await caller.call('clone', 5, 1, 0, B, 0), 'EBADF', 'not open for writing')
    const O_PATH = 0o10000000
    await caller.open(6, scene.at(source), O_PATH)
    assert.equal(await caller.call('clone', 2, 6, 0, B, 0), 'EBADF', 'only names a file')
    // The kernel knows FICLONE by itself, and passes it to no FUSE filesystem.
    assert.equal(await caller.call('ficlone', 2, 1), 'EOPNOTSUPP')
  })

  // ---- pins -----------------------------------------------------------------------------------

  test('for a pin holds the range until it unpins it', async () => {
    const name = await opened(1)
    const id = Number(await caller.done('pin', 1, 2 * B, 3 * B))
    const [hold, ...more] = await scene.client.holds()
    assert.deepEqual(more, [])
    assert.equal(hold!.id, id)
    assert.equal(hold!.kind, 'pin')
    assert.deepEqual(hold!.ranges, [{ offset: 2 * B, length: 3 * B }])
    assert.match(hold!.reason, new RegExp(`\\b${caller.pid}\\b`))
    assert.equal(await run('truncate', '-s', '0', scene.at(name)), 'EBUSY')
    assert.equal(await run('truncate', '-s', String(6 * B), scene.at(name)), 'done')
    await caller.done('unpin', 1, id)
    await scene.noHolds()
    assert.equal(await caller.call('unpin', 1, id), 'ESTALE')
    assert.equal(await run('truncate', '-s', '0', scene.at(name)), 'done')
  })

  test('for a pin of a hole has blocks there, and of shared ones has its own', async () => {
    await scene.client.open('/sparse', 'wx').then(async (file) => {
      await file.truncate(4 * B)
      await file.close()
    })
    await caller.open(1, scene.at('sparse'))
    const id = await caller.done('pin', 1, B, 2 * B)
    assert.deepEqual(
      Array.from(await scene.blocks('sparse'), (block) => block !== undefined),
      [false, true, true],
    )
    await caller.done('unpin', 1, id)
    const name = await opened(2)
    await scene.client.reflink(`/${name}`, `/${name}.clone`)
    const shared = await scene.blocks(name)
    const other = await caller.done('pin', 2, 0, 2 * B)
    assert.deepEqual(await scene.blocks(`${name}.clone`), shared)
    const own = await scene.blocks(name)
    assert.deepEqual(own.slice(2), shared.slice(2))
    assert.ok(own.slice(0, 2).every((block) => !shared.includes(block)))
    await caller.done('unpin', 2, other)
  })

  test('for a pin has it as long as one of the descriptors is there', async () => {
    await opened(1)
    await caller.done('pin', 1, 0, B)
    await caller.done('pin', 1, B, B)
    await caller.done('dup', 1, 2)
    await caller.done('close', 1)
    assert.equal((await scene.client.holds()).length, 2)
    await caller.done('close', 2)
    await until(async () => (await scene.client.holds()).length === 0, 'the pins have ended')
  })

  test('for a pin loses it when it is killed', async () => {
    const name = await scene.make(BLOCKS)
    const other = Caller.start(scene.scene.programs)
    await other.open(1, scene.at(name))
    await other.done('pin', 1, 0, BLOCKS * B)
    assert.equal(await run('truncate', '-s', '0', scene.at(name)), 'EBUSY')
    await other.program.kill('SIGKILL')
    await until(async () => (await scene.client.holds()).length === 0, 'the pin has ended')
    assert.equal(await run('truncate', '-s', '0', scene.at(name)), 'done')
  })

  test('for a pin needs a descriptor that writes, or the file', async () => {
    const name = await scene.make(BLOCKS)
    const other = Caller.start(scene.scene.programs, NOBODY)
    await other.done('open', 1, scene.at(name), 0, 0)
    assert.equal(await other.call('pin', 1, 0, B), 'EACCES')
    await scene.client.chmod(`/${name}`, 0o666)
    await other.done('open', 2, scene.at(name), O.RDWR, 0)
    await other.done('pin', 2, 0, B)
    await scene.client.chown(`/${name}`, 65534, 65534)
    await other.done('pin', 1, B, B)
    assert.equal((await scene.client.holds()).length, 2)
    await other.end()
    await until(async () => (await scene.client.holds()).length === 0, 'the pins have ended')
  })

  test('for a pin of what does not fit is told ENOSPC, and has nothing', async () => {
    await opened(1)
    assert.equal(await caller.call('pin', 1, 0, 2 ** 30), 'ENOSPC')
    assert.equal(await caller.call('pin', 1, 0, 0), 'EINVAL')
    await scene.noHolds()
  })

  // ---- extents --------------------------------------------------------------------------------

  test('for extents is told what the client is told', async () => {
    const name = await opened(1)
    await scene.client.open(`/${name}`, 'r+').then(async (file) => {
      await file.punch(2 * B, B)
      await file.close()
    })
    const { epoch, generation, extents } = await scene.client.extents(`/${name}`)
    const words = extents.map(({ fileBlock, regionBlock, count }) =>
      [fileBlock * B, regionBlock * B, count * B].join(':'),
    )
    assert.equal(words.length, 2)
    const layout = `${epoch}.${generation}`
    assert.equal(await caller.done('extents', 1, 0), [layout, 0, ...words].join(' '))
    // The one that a byte is in, and those behind it.
    assert.equal(await caller.done('extents', 1, B + 1), [layout, 0, ...words].join(' '))
    assert.equal(await caller.done('extents', 1, 2 * B), [layout, 0, words[1]].join(' '))
    assert.equal(await caller.done('extents', 1, BLOCKS * B), [layout, 0].join(' '))
  })

  test('for more extents than fit asks again from the last', async () => {
    const name = await opened(1, 500)
    await scene.client.open(`/${name}`, 'r+').then(async (file) => {
      for (let block = 1; block < 500; block += 2) await file.punch(block * B, B)
      await file.close()
    })
    const all: string[] = []
    for (let from = 0, more = true, calls = 0; more; calls++) {
      assert.ok(calls < 3)
      const [, again, ...words] = (await caller.done('extents', 1, from)).split(' ')
      assert.equal(words.length, again === '1' ? 170 : 80)
      all.push(...words)
      const [file, , length] = words.at(-1)!.split(':').map(Number)
      from = file! + length!
      more = again === '1'
    }
    const { extents } = await scene.client.extents(`/${name}`)
    assert.deepEqual(
      all,
      extents.map((e) => [e.fileBlock * B, e.regionBlock * B, e.count * B].join(':')),
    )
  })

  // ---- flags ----------------------------------------------------------------------------------

  test('for inode flags has those of the volume', async () => {
    const name = await opened(1)
    const flags = () => scene.client.inodeFlags(`/${name}`)
    assert.equal(await caller.done('getflags', 1), '0')
    await caller.done('setflags', 1, APPEND)
    assert.equal((await flags()).append, true)
    assert.equal(await caller.call('open', 2, scene.at(name), O.RDWR, 0), 'EPERM')
    await caller.open(2, scene.at(name), O.RDWR | O.APPEND)
    assert.equal(await caller.done('append', 2, 'more'), '4')
    await caller.done('setflags', 1, IMMUTABLE)
    assert.deepEqual([(await flags()).append, (await flags()).immutable], [false, true])
    assert.equal(await caller.done('getxflags', 1), String(XFLAG_IMMUTABLE))
    assert.equal(await caller.call('open', 2, scene.at(name), O.RDWR, 0), 'EPERM')
    assert.equal(await run('rm', '-f', scene.at(name)), 'EPERM')
    await caller.done('setxflags', 1, 0)
    assert.equal(await caller.done('getflags', 1), '0')
    assert.equal(await run('rm', '-f', scene.at(name)), 'done')
  })

  test('for flags that there are not, and what is no ioctl of ours, is told so', async () => {
    await opened(1)
    assert.equal(await caller.call('setflags', 1, NODUMP), 'EOPNOTSUPP')
    assert.equal(await caller.call('ioctl', 1, TCGETS), 'ENOTTY')
    const other = Caller.start(scene.scene.programs, NOBODY)
    await other.done('open', 1, scene.at(await scene.make(1)), 0, 0)
    assert.match(await other.call('setflags', 1, IMMUTABLE), /^(EPERM|EACCES)$/)
    await other.end()
  })

  test('for the version of a file is told its generation', async () => {
    const name = await opened(1)
    const { generation } = await scene.client.stat(`/${name}`)
    assert.equal(await caller.done('version', 1), String(generation))
  })
})
