/**
 * Copies that programs make in a mount: cp(1) and copy_file_range(2) share what nobody holds, copy
 * the rest, and never fail because of a hold.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { noCompiler } from '../processes/compile.js'
import { HolderScene, run, type Kind } from './holder.js'
import { cannotMount } from './scene.js'

const BLOCKS = 16
const WHOLE = { offset: 0, length: BLOCKS * B }
/** The middle of the file. */
const [FROM, TO] = [5, 9]
const MIDDLE = { offset: FROM * B, length: (TO - FROM) * B }
const LARGE_BLOCKS = 5000
const HELD: readonly Kind[] = ['pin', 'seal', 'fixed', 'rw lease']

describe('a copy that a program makes', { skip: cannotMount() ?? noCompiler() }, () => {
  let scene: HolderScene
  before(async () => (scene = await HolderScene.start()))
  after(() => scene.end())

  /** Numbers of file blocks that two files have in the same place. */
  async function shared(one: string, other: string): Promise<number[]> {
    const [a, b] = [await scene.blocks(one), await scene.blocks(other)]
    return a.flatMap((block, i) => (block !== undefined && block === b[i] ? [i] : []))
  }

  async function copied(name: string): Promise<string> {
    assert.equal(await run('cp', scene.at(name), scene.at(`${name}.copy`)), 'done')
    assert.deepEqual(await scene.read(`${name}.copy`), await scene.read(name))
    return `${name}.copy`
  }

  /** By the ioctl of no name: the call itself, from and to these offsets. */
  async function copyRange(from: string, at: number, to: string, toAt: number, length: number) {
    const { caller } = scene
    await caller.open(1, scene.at(from))
    await caller.open(2, scene.at(to))
    const answer = await caller.call('copy', 1, at, 2, toAt, length)
    await caller.done('close', 1)
    await caller.done('close', 2)
    return answer
  }

  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

  test('of what nobody holds shares every block', async () => {
    const name = await scene.make(BLOCKS)
    assert.deepEqual(await shared(name, await copied(name)), range(0, BLOCKS))
  })

  test('of a file of 20 MiB shares every block, in several steps', async () => {
    const name = await scene.make(LARGE_BLOCKS)
    const copy = await copied(name)
    assert.deepEqual(await shared(name, copy), range(0, LARGE_BLOCKS))
    assert.equal(await run('rm', scene.at(name), scene.at(copy)), 'done')
  })

  for (const kind of HELD) {
    test(`of what is all under a ${kind} is equal, and shares nothing`, async () => {
      const name = await scene.make(BLOCKS)
      const held = await scene.hold(kind, name, WHOLE)
      const places = await scene.blocks(name)
      assert.deepEqual(await shared(name, await copied(name)), [])
      assert.deepEqual(await scene.blocks(name), places)
      assert.equal(held.recalls(), 0)
      await held.release()
    })
  }

  for (const kind of ['pin', 'seal'] as const) {
    test(`of what is partly under a ${kind} shares the rest`, async () => {
      const name = await scene.make(BLOCKS)
      const held = await scene.hold(kind, name, MIDDLE)
      const places = await scene.blocks(name)
      const copy = await copied(name)
      assert.deepEqual(await shared(name, copy), [...range(0, FROM), ...range(TO, BLOCKS)])
      assert.deepEqual(await scene.blocks(name), places)
      // What the holder stores from now on is his file's alone.
      const was = await scene.read(copy)
      await using file = await scene.client.open(`/${name}`, 'r+')
      await file.write(Buffer.from('by the holder'), FROM * B)
      assert.deepEqual(await scene.read(copy), was)
      await held.release()
    })
  }

  test('is told by holdfast extents, and by sizes that are used once', async () => {
    const name = await scene.make(BLOCKS)
    const free = await scene.caller.done('free', scene.scene.directory)
    const held = await scene.hold('pin', name, MIDDLE)
    const copy = await copied(name)
    assert.equal(
      await scene.caller.done('free', scene.scene.directory),
      String(+free - (TO - FROM)),
    )
    const list = (file: string) => {
      const text = scene.scene.holdfast('extents', `${scene.scene.socket}:/${file}`)
      return [...text.matchAll(/^ *(\d+) +(\d+) +(\d+)$/gm)].map((found) =>
        found.slice(1).map(Number),
      )
    }
    const [[, first]] = list(name) as [[number, number, number]]
    assert.deepEqual(list(name), [[0, first, BLOCKS]])
    const [before, middle, behind] = list(copy)
    assert.deepEqual(before, [0, first, FROM])
    assert.deepEqual(
      middle!.filter((_, i) => i !== 1),
      [FROM, TO - FROM],
    )
    assert.ok(middle![1]! >= first + BLOCKS || middle![1]! + (TO - FROM) <= first)
    assert.deepEqual(behind, [TO, first + TO, BLOCKS - TO])
    await held.release()
  })

  test('into what is held stores there, and its blocks stay', async () => {
    for (const kind of ['pin', 'seal', 'fixed'] as const) {
      const [from, to] = [await scene.make(BLOCKS), await scene.make(BLOCKS)]
      const held = await scene.hold(kind, to, MIDDLE)
      const places = await scene.blocks(to)
      assert.equal(await copyRange(from, 0, to, 0, BLOCKS * B), String(BLOCKS * B), kind)
      assert.deepEqual(await scene.read(to), await scene.read(from))
      const now = await scene.blocks(to)
      assert.deepEqual(now.slice(FROM, TO), places.slice(FROM, TO), kind)
      await held.release()
    }
  })

  test('from and to places that are no blocks is equal', async () => {
    const [from, to] = [await scene.make(BLOCKS), await scene.make(BLOCKS)]
    const held = await scene.hold('pin', from, MIDDLE)
    const [source, was] = [await scene.read(from), await scene.read(to)]
    assert.equal(await copyRange(from, 1000, to, 3000, 30_000), '30000')
    const wanted = [was.subarray(0, 3000), source.subarray(1000, 31_000), was.subarray(33_000)]
    assert.deepEqual(await scene.read(to), Buffer.concat(wanted))
    await held.release()
  })

  test('within one file is equal, and refused where the two places overlap', async () => {
    const name = await scene.make(BLOCKS)
    const was = await scene.read(name)
    assert.equal(await copyRange(name, 0, name, 8 * B, 4 * B), String(4 * B))
    const wanted = [was.subarray(0, 8 * B), was.subarray(0, 4 * B), was.subarray(12 * B)]
    assert.deepEqual(await scene.read(name), Buffer.concat(wanted))
    assert.equal(await copyRange(name, 0, name, 2 * B, 4 * B), 'EINVAL')
    assert.deepEqual(await scene.read(name), Buffer.concat(wanted))
  })

  test('stops at the end of the file, and copies nothing behind it', async () => {
    const [from, to] = [await scene.make(2), await scene.make(1)]
    assert.equal(await copyRange(from, B, to, 0, 10 * B), String(B))
    assert.deepEqual(await scene.read(to), (await scene.read(from)).subarray(B))
    assert.equal(await copyRange(from, 2 * B, to, 0, B), '0')
  })
})
