/**
 * Pages of mappings that programs have stored to, while others change the file: what is dirty is in
 * the file before somebody else may store to it past all calls, and notices that find dirty pages
 * and requests that write them back do not wait for each other.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LocalFile } from '../../src/client/index.js'
import { noCompiler } from '../processes/compile.js'
import { Caller, comes } from './caller.js'
import { HolderScene } from './holder.js'
import { cannotMap, cannotMount, type Way } from './scene.js'

const BLOCKS = 16
const WHOLE = { offset: 0, length: BLOCKS * B }
const skip = cannotMount() ?? noCompiler()

/** Maps all of a file for writing. */
async function map(scene: HolderScene, caller: Caller, name: string): Promise<void> {
  await caller.open(1, scene.at(name))
  await caller.done('map', 1, 1, 0, BLOCKS * B, 'w')
}

for (const [way, words] of [
  ['within', 'direct'],
  ['within', 'cache'],
  ['served', 'cache'],
  ['remote', 'direct'],
] as const) {
  const without = skip !== false ? skip : cannotMap(words)
  describe(
    `a hold to store to what a program has mapped (${way}, ${words})`,
    { skip: without },
    () => {
      let scene: HolderScene
      before(async () => (scene = await HolderScene.start({}, { way, words })))
      after(() => scene.end())

      for (const kind of ['pin', 'seal', 'rw lease'] as const) {
        test(`(a ${kind}) is granted when dirty pages are in the file`, async () => {
          const name = await scene.make(BLOCKS)
          const { caller } = scene
          await map(scene, caller, name)
          await caller.done('storefill', 1, 0, BLOCKS * B, 42)
          const held = await scene.hold(kind, name, WHOLE)
          const bytes = scene.regionBytes(await scene.blocks(name))
          assert.deepEqual(bytes, Buffer.alloc(BLOCKS * B, 42))
          await held.release()
          await caller.done('unmap', 1)
          await caller.done('close', 1)
        })
      }

      test('lets programs that open it from then on see stores at once', async () => {
        const name = await scene.make(BLOCKS)
        const { caller } = scene
        await map(scene, caller, name)
        await caller.done('load', 1, 0, BLOCKS * B)
        await caller.done('store', 1, 0, 'dirty')
        const file = (await scene.client.open(`/${name}`, 'r+')) as LocalFile
        const mapping = await file.map({ direct: true, write: true })
        const memory = Buffer.from(mapping.buffer)
        assert.equal(memory.subarray(0, 5).toString(), 'dirty')
        await caller.open(2, scene.at(name))
        for (let i = 0; i < 50; i++) {
          const text = `store ${i}`
          memory.write(text, i)
          const read = await caller.done('read', 2, i, text.length)
          assert.equal(Buffer.from(read, 'hex').toString(), text)
        }
        // And the other way round.
        await caller.done('write', 2, 3 * B, 'by_a_program')
        assert.equal(memory.subarray(3 * B, 3 * B + 12).toString(), 'by_a_program')
        mapping.unmap()
        await mapping.hold.over
        await file.close()
        for (const call of [
          ['unmap', 1],
          ['close', 1],
          ['close', 2],
        ] as const) {
          await caller.done(...call)
        }
      })

      test('leaves a mapping with what the holder has stored before it is looked at', async () => {
        const name = await scene.make(BLOCKS)
        const { caller } = scene
        await map(scene, caller, name)
        await caller.done('load', 1, 0, BLOCKS * B)
        const file = (await scene.client.open(`/${name}`, 'r+')) as LocalFile
        const mapping = await file.map({ direct: true, write: true })
        Buffer.from(mapping.buffer).write('stored', 2 * B)
        // All pages were dropped: the program's next load asks again.
        const load = await caller.done('load', 1, 2 * B, 6)
        assert.equal(Buffer.from(load, 'hex').toString(), 'stored')
        mapping.unmap()
        await mapping.hold.over
        await file.close()
        await caller.done('unmap', 1)
        await caller.done('close', 1)
      })
    },
  )
}

// ---- storms -------------------------------------------------------------------------------------

const STORM_MS = 3000
/** That all may take to get on on a busy machine: each change drops pages, to be had anew. */
const LIMIT_MS = 90_000
const MAPPERS = 3
/** Times that each gets on at least. */
const SYNCS = 2
const CHANGES = 10
const STORMS: readonly (readonly [Exclude<Way, 'embedded'>, string])[] = [
  ['within', 'direct'],
  ['within', 'cache'],
  ['served', 'cache'],
  ['remote', 'cache'],
]

for (const [way, mode] of STORMS) {
  test(
    `${MAPPERS} programs that store to pages, and clients that change the files, all get on, ` +
      `${mode} and ${way}`,
    { skip: skip !== false ? skip : cannotMap(mode), timeout: 240_000 },
    async (t) => {
      const scene = await HolderScene.start({}, { way, words: mode })
      try {
        await storm(scene, t.diagnostic.bind(t))
      } finally {
        await scene.end()
      }
    },
  )
}

async function storm(scene: HolderScene, tell: (text: string) => void): Promise<void> {
  const names = [await scene.make(BLOCKS), await scene.make(BLOCKS)]
  const callers = Array.from({ length: MAPPERS }, () => Caller.start(scene.scene.programs))
  for (const [i, caller] of callers.entries()) {
    await map(scene, caller, names[i % 2]!)
  }
  const begin = performance.now()
  const syncs = callers.map(() => 0)
  const changes = names.map(() => 0)
  const goesOn = () => {
    const took = performance.now() - begin
    if (took < STORM_MS) return true
    const on = syncs.every((n) => n >= SYNCS) && changes.every((n) => n >= CHANGES)
    return !on && took < LIMIT_MS
  }
  const storing = callers.map(async (caller, i) => {
    for (let round = 0; goesOn(); round++) {
      await caller.done('storm', 1, 20, i + 1)
      if (round % 4 !== 3) continue
      await caller.done('msync', 1)
      syncs[i]!++
    }
  })
  const changing = names.map(async (name, file) => {
    await using changed = await scene.client.open(`/${name}`, 'r+')
    for (let i = 0; goesOn(); i++) {
      // Not where programs store.
      await changed.write(Buffer.from([i]), (i % BLOCKS) * B + 1)
      if (i % 16 === 15) await scene.client.chmod(`/${name}`, 0o600 | (i & 0o77))
      if (i % 50 === 49) await (await scene.hold('pin', name, WHOLE)).release()
      changes[file]!++
    }
  })
  await Promise.all([...storing, ...changing])
  const took = performance.now() - begin
  tell(`msyncs: ${syncs}; changes: ${changes}; ${took.toFixed(0)} ms`)
  assert.ok(took < LIMIT_MS, `who has got on? msyncs: ${syncs}; changes: ${changes}`)
  // The last words of everybody are there. A page is written back whole: not while it is dirty.
  const [caller] = callers as [Caller]
  for (const one of callers) await one.done('msync', 1)
  await scene.client.open(`/${names[0]}`, 'r+').then(async (file) => {
    await file.write(Buffer.from('client'), 100)
    await file.close()
  })
  await comes(() => caller.done('load', 1, 100, 6), Buffer.from('client').toString('hex'))
  await caller.done('store', 1, 2, 'program')
  await caller.done('msync', 1)
  const bytes = await scene.read(names[0]!)
  assert.equal(bytes.subarray(2, 9).toString(), 'program')
  assert.equal(bytes.subarray(100, 106).toString(), 'client')
  for (const caller of callers) await caller.end()
}
