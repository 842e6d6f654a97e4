/** Steps: what others do to a file that is pinned. */
import type { Extent } from '../../base/filesystem.js'
import { BLOCK } from './blocks.js'
import { demand, Differs, milliseconds, refusal, same, type Step } from './step.js'
import type { Stage } from './stage.js'

const BLOCKS = 512
const REASON = 'registered with NIC 0'

/** A file that the remote peer has pinned, and reaches. */
async function pinned({ alice, nic }: Stage, path: string, seed: number) {
  const file = { path, seed, count: BLOCKS }
  await alice.ask('create', file)
  await nic.ask('open', file)
  await nic.ask('pin', { ...file, reason: REASON })
  return file
}

export const truncate: Step = {
  name: 'truncate',
  title: 'truncating a pinned file is refused, naming the holder',
  linux:
    'ftruncate(2) succeeds: the next load from the mapping is SIGBUS, and a NIC goes on writing to ' +
    'pages that no file has. With DAX it waits for the pin, without a bound.',
  async run(stage, told) {
    const { alice, nic } = stage
    const file = await pinned(stage, '/pinned.bin', 3)
    told.did(`nic pins /pinned.bin: "${REASON}"; alice truncates it`)
    const error = await refusal('EBUSY', 'truncating it', () => alice.ask('truncate', file))
    const [hold] = error.holds
    demand(hold?.owner.name === 'nic', `the error names ${hold?.owner.name ?? 'nobody'}, not nic`)
    demand(hold?.reason === REASON, `the reason is '${hold?.reason ?? ''}'`)
    told.did(error.message)
    same('the file', await nic.ask('fetch', file))
    const size = await alice.ask<number>('size', file)
    demand(size === BLOCKS * BLOCK, `it is ${size} bytes long`)
    told.verified(`EBUSY, naming nic and its reason; ${BLOCKS} blocks are as they were`)
    await nic.ask('letGo', file)
    const took = await alice.ask<number>('truncate', file)
    demand((await alice.ask('size', file)) === 0, 'it is not empty')
    told.verified(`nic lets go, and the same call is done in ${milliseconds(took)}`)
  },
}

export const defer: Step = {
  name: 'defer',
  title: 'its blocks go when the peer lets go, and not before',
  linux: 'There is no such choice: it is the mapping that loses, or the caller that waits.',
  async run(stage, told) {
    const { alice, bob, nic } = stage
    const file = await pinned(stage, '/deferred.bin', 4)
    const before = await alice.ask<number>('free')
    const extents = await alice.ask<Extent[]>('extents', file)
    const took = await alice.ask<number>('truncate', { ...file, policy: 'defer' })
    demand((await alice.ask('size', file)) === 0, 'the file is not empty')
    const [hold] = await alice.ask<{ state: string; bytes: number }[]>('holds')
    demand(hold?.state === 'deferred', `the pin is ${hold?.state ?? 'gone'}, not deferred`)
    const limbo = hold!.bytes
    const truncated = await alice.ask<number>('free')
    demand(truncated - before < BLOCKS, `${truncated - before} blocks were freed while held`)
    told.did(
      `truncated in ${milliseconds(took)}; in limbo: ${limbo >> 10} KiB, which nobody else gets`,
    )
    const filler = { path: '/filler.bin', seed: 40, count: 4 * BLOCKS }
    await bob.ask('create', filler)
    demand(disjoint(extents, await bob.ask('extents', filler)), 'bob got blocks that are held')
    const version = { ...file, version: 1 }
    await nic.ask('put', version)
    same('what nic reads where it wrote', await nic.ask('fetch', version))
    same('the file of bob', await bob.ask('read', filler))
    told.verified(
      `bob fills ${filler.count} blocks, nic goes on writing to its ${BLOCKS}: nothing mixed`,
    )
    const full = await alice.ask<number>('free')
    await nic.ask('letGo', file)
    const freed = (await alice.ask<number>('free')) - full
    demand(freed >= BLOCKS, `${freed} blocks are free again, not ${BLOCKS}`)
    told.verified(
      `free blocks: ${before}; truncated: ${truncated}; ${freed} more when nic has let go`,
    )
  },
}

export const clone: Step = {
  name: 'clone',
  title: 'a file that is registered is cloned',
  linux:
    'ioctl(FICLONE) on XFS with DAX waits until no page is pinned, without a bound; a write ' +
    'after fork(2) used to leave the pinned page to the child (MADV_DONTFORK).',
  async run(stage, told) {
    const { alice, nic } = stage
    const file = await pinned(stage, '/source.bin', 5)
    const to = '/clone.bin'
    const { holds } = await refusal('EBUSY', 'a strict clone', () =>
      alice.ask('reflink', { ...file, to }),
    )
    demand(holds[0]?.owner.name === 'nic', 'the refusal does not name nic')
    told.verified('strict: EBUSY, naming nic; a held block never gets a second owner')
    const extents = await alice.ask<Extent[]>('extents', file)
    const took = await alice.ask<number>('reflink', { ...file, to, share: 'copy' })
    demand(
      JSON.stringify(extents) === JSON.stringify(await alice.ask('extents', file)),
      'the source has moved',
    )
    demand(disjoint(extents, await alice.ask('extents', { path: to })), 'the clone has held blocks')
    await nic.ask('put', { ...file, version: 1 })
    const copy = { ...file, path: to }
    await alice.ask('open', copy)
    same('the clone', await alice.ask('read', copy))
    same('the source', await nic.ask('fetch', { ...file, version: 1 }))
    told.verified(
      `copy: cloned in ${milliseconds(took)}; nic writes on, and only the source changes`,
    )
    await nic.ask('letGo', file)
  },
}

/** Whether two files have no block of the region in common. */
function disjoint(one: readonly Extent[], other: readonly Extent[]): boolean {
  if (one.length === 0 || other.length === 0) throw new Differs('a file has no blocks')
  return one.every((a) =>
    other.every(
      (b) => a.regionBlock + a.count <= b.regionBlock || b.regionBlock + b.count <= a.regionBlock,
    ),
  )
}
