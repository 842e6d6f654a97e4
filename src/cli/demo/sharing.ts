/** Steps: one file in two processes, and on a remote peer. */
import { BLOCK } from './blocks.js'
import { demand, same, type Step } from './step.js'

const BLOCKS = 1024
const TURNS = 1000

export const map: Step = {
  name: 'map',
  title: "two processes map one file and see each other's bytes",
  linux:
    'mmap(2) with MAP_SHARED shares bytes, but promises nothing about the blocks under them: ' +
    'MAP_DIRECT, which would, was proposed in 2017 and not taken; MAP_SYNC on tmpfs is EOPNOTSUPP.',
  async run({ alice, bob }, told) {
    const file = { path: '/shared.bin', seed: 1, count: BLOCKS }
    await alice.ask('create', file)
    await bob.ask('open', file)
    const bytes = await alice.ask<number>('map', file)
    demand((await bob.ask('map', file)) === bytes, 'the two mappings are not equally long')
    told.did(`alice and bob map ${bytes >> 20} MiB each, from a descriptor that the server passed`)
    const half = BLOCKS / 2
    const [low, high] = [
      { ...file, count: half, version: 1 },
      { ...file, from: half, count: half, version: 2 },
    ]
    await Promise.all([alice.ask('store', low), bob.ask('store', high)])
    same('what bob sees of what alice stored', await bob.ask('look', low))
    same('what alice sees of what bob stored', await alice.ask('look', high))
    told.verified(`each stored one half, and sees the half of the other: ${BLOCKS} blocks equal`)
    const before = await alice.ask('extents', file)
    const word = { path: file.path, count: TURNS }
    await alice.ask('zero', file)
    const [took] = await Promise.all([
      alice.ask<number>('turns', { ...word, parity: 0 }),
      bob.ask<number>('turns', { ...word, parity: 1 }),
    ])
    demand(took >= 0, 'the word did not come back')
    const after = await alice.ask('extents', file)
    same('the blocks', JSON.stringify(before) === JSON.stringify(after) ? null : 'they have moved')
    const each = (took * 1000) / TURNS
    told.verified(
      `a word went to and fro ${TURNS} times, ${each.toFixed(2)} µs each: no call was made`,
    )
    await Promise.all([alice.ask('unmap', file), bob.ask('unmap', file)])
  },
}

export const oneSided: Step = {
  name: 'one-sided',
  title: 'a remote peer reads the file one-sided, by RDMA',
  linux:
    'ibv_reg_mr(3) of a file on fsdax is EOPNOTSUPP (no long-term pins, since 4.15), and for ' +
    'writing to page cache that is written back EFAULT (since 6.5).',
  async run({ alice, nic, url }, told) {
    const file = { path: '/model.bin', seed: 2, count: BLOCKS }
    await alice.ask('create', file)
    await nic.ask('open', file)
    const reason = 'loads a model'
    await nic.ask('lend', { ...file, reason })
    told.did(
      `nic, at ${url}, has a layout of ${(BLOCKS * BLOCK) >> 20} MiB lent to it, with a key for RDMA`,
    )
    same('what nic has read', await nic.ask('fetch', file))
    const part = { ...file, from: 100, count: 8, version: 1 }
    await nic.ask('put', part)
    same('what alice reads of what nic wrote', await alice.ask('read', part))
    same('what nic reads of it', await nic.ask('fetch', part))
    told.verified(
      `${BLOCKS} blocks read by RDMA Read, 8 written by RDMA Write and seen by alice: equal`,
    )
    await nic.ask('letGo', file)
  },
}
