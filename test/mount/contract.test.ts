/**
 * The contract's table as programs see it, who know nothing of holds: truncate(1), fallocate(1),
 * cp(1), mv(1), rm(1) and the ioctl that clones change files that somebody holds. What the table
 * says is read from it (test/layout/contract_table.ts).
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { O } from '../../src/base/open_flags.js'
import type { LocalFile } from '../../src/client/index.js'
import { contractSays, type Column, type Row } from '../layout/contract_table.js'
import { noCompiler } from '../processes/compile.js'
import { until } from '../processes/program.js'
import { HolderScene, KINDS, run, type Kind } from './holder.js'
import { cannotMount } from './scene.js'

/** Blocks of the files, and those of them that are held. */
const BLOCKS = 8
const HELD = { offset: 2 * B, length: 2 * B }
const OTHER_BLOCKS = 4
const bytes = (blocks: number) => String(blocks * B)

interface Change {
  readonly name: string
  /** Null: it changes no layout, and what is held is in its way as is said here. */
  readonly row: Row | null
  /** Changes `f`, by `g`. Answers 'done' or an errno. */
  readonly run: (scene: HolderScene, f: string, g: string) => Promise<string>
  /** What `f` has when it is done; null: there is no such file. */
  readonly after: (f: Buffer, g: Buffer) => Buffer | null
}

async function clone(scene: HolderScene, from: string, to: string): Promise<string> {
  const { caller } = scene
  await caller.open(1, scene.at(to))
  await caller.open(2, scene.at(from))
  const answer = await caller.call('clone', 1, 2, 0, OTHER_BLOCKS * B, 0)
  await caller.done('close', 1)
  await caller.done('close', 2)
  return answer === '' ? 'done' : answer
}

const zeroed = (all: Buffer, from: number, to: number) =>
  Buffer.concat([all.subarray(0, from), Buffer.alloc(to - from), all.subarray(to)])

const CHANGES: readonly Change[] = [
  {
    name: 'truncate',
    row: 'shrink',
    run: (scene, f) => run('truncate', '-s', bytes(3), scene.at(f)),
    after: (f) => f.subarray(0, 3 * B),
  },
  {
    name: 'fallocate -p',
    row: 'punch, share as destination',
    run: (scene, f) => run('fallocate', '-p', '-o', bytes(1), '-l', bytes(4), scene.at(f)),
    after: (f) => zeroed(f, B, 5 * B),
  },
  {
    name: 'cp over it',
    row: 'shrink',
    run: (scene, f, g) => run('cp', scene.at(g), scene.at(f)),
    after: (_, g) => g,
  },
  {
    name: 'a clone to it',
    row: 'punch, share as destination',
    run: (scene, f, g) => clone(scene, g, f),
    after: (f, g) => Buffer.concat([g, f.subarray(g.length)]),
  },
  {
    name: 'a clone of it',
    row: 'share, as source',
    run: (scene, f, g) => clone(scene, f, g),
    after: (f) => f,
  },
  {
    name: 'mv over it',
    row: null,
    run: (scene, f, g) => run('mv', scene.at(g), scene.at(f)),
    after: (_, g) => g,
  },
  {
    name: 'rm',
    row: null,
    run: (scene, f) => run('rm', '-f', scene.at(f)),
    after: () => null,
  },
]

type Says = 'done' | 'recall' | 'EBUSY' | 'ETXTBSY' | 'EPERM'

function expected({ row }: Change, kind: Kind): Says {
  const flagged = kind === 'fixed' || kind === 'write-sealed'
  if (row === null) return flagged ? 'EPERM' : 'done'
  const column: Column = flagged ? 'fixed' : kind
  const says = contractSays(row, column, {
    share: 'strict',
    writeSealed: kind === 'write-sealed',
  })
  assert.ok(says !== 'none' && says !== 'copy', `${row} x ${kind}`)
  if (says === 'policy') return 'EBUSY'
  return says === 'ok' ? 'done' : says
}

describe('a program that changes a file that is held', { skip: skip() }, () => {
  let scene: HolderScene
  before(async () => (scene = await HolderScene.start()))
  after(() => scene.end())

  for (const change of CHANGES) {
    for (const kind of KINDS) {
      const says = expected(change, kind)
      test(`by ${change.name}, under a ${kind}: ${says}`, () => cell(scene, change, kind, says))
    }
  }

  test('where the hold is not, has its way', async () => {
    const name = await scene.make(BLOCKS)
    const pin = await scene.hold('pin', name, { offset: 0, length: B })
    const before = await scene.read(name)
    const place = scene.at(name)
    assert.equal(await run('fallocate', '-p', '-o', bytes(1), '-l', bytes(1), place), 'done')
    assert.equal(await run('truncate', '-s', bytes(4), place), 'done')
    assert.deepEqual(await scene.read(name), zeroed(before, B, 2 * B).subarray(0, 4 * B))
    await pin.release()
  })

  test('by writing in place, and at the end, has its way unless it is fixed', async () => {
    for (const kind of KINDS) {
      const name = await scene.make(BLOCKS)
      const held = await scene.hold(kind, name, HELD)
      const { caller } = scene
      const sealed = kind === 'write-sealed'
      const flags = O.RDWR | O.APPEND
      const opened = await caller.call('open', 3, scene.at(name), O.RDWR, 0)
      const wrote = /^E/.test(opened) ? opened : await caller.call('write', 3, 2 * B, 'stored')
      assert.equal(wrote, sealed ? 'EPERM' : '6', `in place, under a ${kind}`)
      const appends = await caller.call('open', 4, scene.at(name), flags, 0)
      const added = /^E/.test(appends) ? appends : await caller.call('append', 4, 'more')
      assert.equal(added, held.id === 0 ? 'EPERM' : '4', `at the end, under a ${kind}`)
      for (const slot of [3, 4]) await caller.call('close', slot)
      assert.equal(held.recalls(), 0)
      await held.release()
      const text = (await scene.read(name)).subarray(2 * B, 2 * B + 6).toString()
      assert.equal(text === 'stored', !sealed)
    }
  })

  test('by writing to shared blocks asks a read lease of them back', async () => {
    const name = await scene.make(OTHER_BLOCKS)
    await scene.client.reflink(`/${name}`, '/copy')
    const lease = await scene.hold('read lease', name, { offset: 0, length: OTHER_BLOCKS * B })
    const { caller } = scene
    await caller.open(1, scene.at(name))
    await caller.done('write', 1, 0, 'unshared')
    await caller.done('close', 1)
    assert.equal(lease.recalls(), 1)
    assert.equal((await scene.read(name)).subarray(0, 8).toString(), 'unshared')
    assert.notEqual((await scene.read('copy')).subarray(0, 8).toString(), 'unshared')
    await scene.noHolds()
  })

  test('that is asked back of somebody who does not answer goes on after 5 seconds', async () => {
    const name = await scene.make(BLOCKS)
    const file = (await scene.client.open(`/${name}`, 'r+')) as LocalFile
    const lease = await file.lease({ ...HELD, onRecall: () => new Promise(() => {}) })
    const begin = performance.now()
    assert.equal(await run('truncate', '-s', '0', scene.at(name)), 'done')
    const took = performance.now() - begin
    assert.ok(took > 4_000 && took < 60_000, `it took ${took.toFixed(0)} ms`)
    assert.equal(await lease.over, 'fenced')
    await file.close()
  })

  test('and has removed it leaves its blocks to the holder, and to nobody else', async () => {
    const { caller } = scene
    const free = () => caller.done('free', scene.scene.directory)
    await until(async () => (await scene.client.holds()).length === 0, 'nothing is held')
    const before = await free()
    const name = await scene.make(BLOCKS)
    const content = await scene.read(name)
    const blocks = await scene.blocks(name)
    const pin = await scene.hold('pin', name, { offset: 0, length: BLOCKS * B })
    assert.equal(await run('rm', scene.at(name)), 'done')
    const [hold] = await scene.client.holds()
    assert.equal(hold?.state, 'held')
    // Whatever else is written does not get there.
    const other = await scene.make(BLOCKS)
    assert.deepEqual(
      (await scene.blocks(other)).filter((block) => blocks.includes(block)),
      [],
    )
    assert.deepEqual(scene.regionBytes(blocks), content)
    assert.equal(await run('rm', scene.at(other)), 'done')
    assert.equal(Number(await free()), Number(before) - BLOCKS)
    await pin.release()
    await until(async () => (await free()) === before, 'its blocks are free')
  })
})

async function cell(scene: HolderScene, change: Change, kind: Kind, says: Says): Promise<void> {
  const [f, g] = [await scene.make(BLOCKS), await scene.make(OTHER_BLOCKS)]
  const [was, other] = [await scene.read(f), await scene.read(g)]
  const places = await scene.blocks(f)
  const held = await scene.hold(kind, f, HELD)
  const under = kind === 'fixed' || kind === 'write-sealed' ? await scene.blocks(f) : places
  const answer = await change.run(scene, f, g)
  assert.equal(answer, says === 'recall' ? 'done' : says)
  assert.equal(held.recalls(), says === 'recall' ? 1 : 0)
  const mine = (await scene.client.holds()).filter(({ id }) => id === held.id)
  if (answer !== 'done') {
    assert.deepEqual(await scene.read(f), was, 'nothing of it has changed')
    assert.deepEqual(await scene.read(g), other)
    assert.deepEqual(await scene.blocks(f), under, 'nor where it is')
  } else {
    const wanted = change.after(was, other)
    if (wanted === null) assert.equal(await scene.caller.call('stat', scene.at(f)), 'ENOENT')
    else assert.deepEqual(await scene.read(f), wanted)
  }
  if (held.id !== 0) {
    assert.equal(mine.length, says === 'recall' ? 0 : 1, 'a recall ends the hold, and nothing else')
  }
  if (mine.length === 1) {
    assert.equal(mine[0]!.state, 'held')
    const range = under.slice(2, 4)
    assert.deepEqual(scene.regionBytes(range), was.subarray(2 * B, 4 * B), 'what is held stays')
  }
  // Who shares its blocks goes first: a write-sealed file stays so as long as there is one.
  await run('rm', '-f', scene.at(g))
  await held.release()
  await run('rm', '-f', scene.at(f))
  await scene.noHolds()
}

function skip(): string | false {
  return cannotMount() ?? noCompiler()
}
