/**
 * What the kernel keeps of a mount is what others made of it: programs see what clients do, clients
 * see what programs do, and each sees the other's mappings, in every mode and each way of mounting.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { O } from '../../src/base/open_flags.js'
import { noCompiler } from '../processes/compile.js'
import { Caller, comes } from './caller.js'
import { HolderScene } from './holder.js'
import { cannotMap, cannotMount } from './scene.js'

const WAYS = ['within', 'served', 'remote'] as const
const MODES = ['direct', 'cache'] as const
const BLOCKS = 4
const skip = cannotMount() ?? noCompiler()

const hex = (text: string) => Buffer.from(text).toString('hex')

for (const way of WAYS) {
  for (const mode of MODES) {
    describe(`programs in a mount, ${mode} and ${way}`, { skip }, () => {
      let scene: HolderScene
      before(async () => (scene = await HolderScene.start({}, { way, words: mode })))
      after(() => scene.end())
      data(() => scene)
      names(() => scene)
      namesAtOnce(() => scene)
      mappings(() => scene, { skip: cannotMap(mode) })
    })
  }
}

// ---- data --------------------------------------------------------------------------------------

function data(of: () => HolderScene): void {
  test('see what a client writes, cuts off and appends', async () => {
    const { client, caller } = of()
    const name = await of().make(BLOCKS)
    const path = of().at(name)
    await caller.open(1, path)
    assert.equal(await caller.done('check', 1, 0, 0, 0), 'same')
    // Read before: it may be kept.
    await caller.done('read', 1, 0, BLOCKS * B)
    await using file = await client.open(`/${name}`, 'r+')
    await file.write(Buffer.from('by the client'), 100)
    await comes(() => caller.done('read', 1, 100, 13), hex('by the client'))
    await file.truncate(B)
    await comes(() => sizeOf(caller, path), B)
    await comes(() => caller.done('read', 1, 0, 2 * B).then((text) => text.length / 2), B)
    await file.write(Buffer.from('behind'), 2 * B)
    await comes(() => sizeOf(caller, path), 2 * B + 6)
    await comes(() => caller.done('read', 1, 2 * B, 100), hex('behind'))
    await comes(() => caller.done('check', 1, B, B, 0), 'same')
    await file.punch(0, B)
    await comes(() => caller.done('check', 1, 0, B, 0), 'same')
  })

  test('are seen by a client when their calls have returned', async () => {
    const { caller } = of()
    const name = await of().make(BLOCKS)
    await of().read(name)
    await caller.open(1, of().at(name))
    await caller.done('write', 1, 100, 'by_a_program')
    assert.equal((await of().read(name)).subarray(100, 112).toString(), 'by_a_program')
    await caller.done('ftruncate', 1, B)
    assert.equal((await of().read(name)).length, B)
    await caller.done('fill', 1, 2 * B, B, 7)
    const bytes = await of().read(name)
    assert.deepEqual(bytes.subarray(B), Buffer.concat([Buffer.alloc(B), Buffer.alloc(B, 7)]))
    await caller.open(2, of().at(name), O.WRONLY | O.APPEND)
    await caller.done('append', 2, 'appended')
    assert.equal((await of().read(name)).subarray(3 * B).toString(), 'appended')
  })

  test('append behind what a client has appended meanwhile', async () => {
    const { client, caller } = of()
    await caller.open(1, of().at('log'), O.WRONLY | O.CREAT | O.APPEND)
    await using file = await client.open('/log', 'a')
    let wanted = ''
    for (let i = 0; i < 20; i++) {
      await caller.done('append', 1, `p${i};`)
      await file.write(Buffer.from(`c${i};`), null)
      wanted += `p${i};c${i};`
    }
    assert.equal((await of().read('log')).toString(), wanted)
  })
}

const sizeOf = (caller: Caller, path: string) =>
  caller.done('stat', path).then((text) => Number(text.split(' ')[1]))

// ---- names -------------------------------------------------------------------------------------

function names(of: () => HolderScene): void {
  test('see names that a client makes, moves and removes, also those they had missed', async () => {
    const { client, caller } = of()
    const stat = (name: string) =>
      caller.call('stat', of().at(name)).then((text) => text.split(' ')[0]!)
    const ino = async (path: string) => String((await client.stat(path)).ino)
    await client.mkdir('/d')
    for (const name of ['d/new', 'd/moved', 'd/second']) assert.equal(await stat(name), 'ENOENT')
    await (await client.open('/d/new', 'wx')).close()
    await comes(() => stat('d/new'), await ino('/d/new'))
    await client.rename('/d/new', '/d/moved')
    await comes(() => stat('d/new'), 'ENOENT')
    await comes(() => stat('d/moved'), await ino('/d/moved'))
    await client.link('/d/moved', '/d/second')
    await comes(() => stat('d/second'), await ino('/d/moved'))
    await comes(async () => (await caller.done('stat', of().at('d/moved'))).split(' ')[2], '2')
    await (await client.open('/d/other', 'wx')).close()
    await client.rename('/d/moved', '/d/other', { exchange: true })
    await comes(() => stat('d/other'), await ino('/d/second'))
    await comes(() => stat('d/moved'), await ino('/d/moved'))
    await client.unlink('/d/second')
    await client.unlink('/d/other')
    await client.unlink('/d/moved')
    for (const name of ['d/second', 'd/other', 'd/moved']) await comes(() => stat(name), 'ENOENT')
    await comes(() => caller.done('list', of().at('d')), '')
    await client.rmdir('/d')
    await comes(() => stat('d'), 'ENOENT')
  })

  test('see modes, owners and times that a client sets', async () => {
    const { client, caller } = of()
    const path = of().at(await of().make(1))
    const name = path.slice(path.lastIndexOf('/'))
    await caller.done('stat', path)
    await client.chmod(name, 0o640)
    await comes(async () => (await caller.done('stat', path)).split(' ')[3], '100640')
    await client.chown(name, 65534, 65534)
    await comes(async () => (await caller.done('stat', path)).split(' ')[4], '65534')
    await client.utimes(name, 'omit', { seconds: 1234567, nanoseconds: 0 })
    await comes(async () => (await caller.done('stat', path)).split(' ')[5], '1234567')
  })
}

function namesAtOnce(of: () => HolderScene): void {
  test('show a client at once what they make, move and remove', async () => {
    const { client, caller } = of()
    const found = (path: string) =>
      client.stat(path).then(
        ({ size }) => size,
        (error: { code: string }) => error.code,
      )
    await caller.done('mkdir', of().at('e'))
    await caller.open(1, of().at('e/one'))
    await caller.done('write', 1, 0, 'text')
    assert.equal(await found('/e/one'), 4)
    await caller.done('rename', of().at('e/one'), of().at('e/two'))
    assert.equal(await found('/e/one'), 'ENOENT')
    assert.equal(await found('/e/two'), 4)
    await caller.done('unlink', of().at('e/two'))
    assert.equal(await found('/e/two'), 'ENOENT')
    // Whoever has it open still has it.
    assert.equal(await caller.done('read', 1, 0, 10), hex('text'))
    await caller.done('close', 1)
    await client.rmdir('/e')
    await comes(() => caller.call('mkdir', of().at('e/x')), 'ENOENT')
  })

  test('find another file where a client has put one in place of the other', async () => {
    const { client, caller } = of()
    const name = await of().make(1)
    await caller.open(1, of().at(name))
    const before = await caller.done('read', 1, 0, 16)
    await client.unlink(`/${name}`)
    const other = await of().make(1)
    await client.rename(`/${other}`, `/${name}`)
    const wanted = (await of().read(name)).subarray(0, 16).toString('hex')
    assert.notEqual(wanted, before)
    await comes(async () => {
      await caller.open(2, of().at(name))
      return caller.done('read', 2, 0, 16)
    }, wanted)
    assert.equal(await caller.done('read', 1, 0, 16), before, 'the one that is open is the old one')
    await caller.done('close', 1)
  })
}

// ---- mappings ----------------------------------------------------------------------------------

function mappings(of: () => HolderScene, on: { skip: string | false }): void {
  test('map what clients read and write', on, async () => {
    const { client, caller } = of()
    const name = await of().make(BLOCKS)
    await caller.open(1, of().at(name))
    await caller.done('map', 1, 1, 0, BLOCKS * B, 'w')
    const was = await of().read(name)
    assert.equal(await caller.done('load', 1, 0, 64), was.subarray(0, 64).toString('hex'))
    await using file = await client.open(`/${name}`, 'r+')
    await file.write(Buffer.from('by the client'), B)
    await comes(() => caller.done('load', 1, B, 13), hex('by the client'))
    await caller.done('store', 1, 2 * B, 'by_a_program')
    await caller.done('msync', 1)
    assert.equal((await of().read(name)).subarray(2 * B, 2 * B + 12).toString(), 'by_a_program')
    // What is dirty, and what a client writes beside it, are both there in the end.
    await caller.done('store', 1, 3 * B, 'dirty')
    await file.write(Buffer.from('beside'), 0)
    await comes(() => caller.done('load', 1, 0, 6), hex('beside'))
    await caller.done('msync', 1)
    const bytes = await of().read(name)
    assert.equal(bytes.subarray(0, 6).toString(), 'beside')
    assert.equal(bytes.subarray(3 * B, 3 * B + 5).toString(), 'dirty')
    await caller.done('unmap', 1)
    await caller.done('close', 1)
  })

  test('map what other programs read and write', on, async () => {
    const { caller, scene } = of()
    const name = await of().make(BLOCKS)
    const other = Caller.start(scene.programs)
    for (const one of [caller, other]) await one.open(1, of().at(name))
    await caller.done('map', 1, 1, 0, BLOCKS * B, 'w')
    await other.done('map', 1, 1, 0, BLOCKS * B)
    await caller.done('store', 1, B, 'through_memory')
    assert.equal(await other.done('load', 1, B, 14), hex('through_memory'))
    assert.equal(await other.done('read', 1, B, 14), hex('through_memory'))
    await other.done('write', 1, 2 * B, 'by_a_call')
    await comes(() => caller.done('load', 1, 2 * B, 9), hex('by_a_call'))
    await caller.done('unmap', 1)
    await caller.done('close', 1)
    await other.end()
    assert.equal((await of().read(name)).subarray(B, B + 14).toString(), 'through_memory')
  })
}
