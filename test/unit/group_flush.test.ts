/**
 * Group commit on a page-cache file. The kernel may write any page of the file back at any time, so
 * a record must not even be in the ring before the data that it maps is durable; and while one
 * group is on its way, on a thread, the next one gathers.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'

/** A file region whose threaded syncs wait until they are let go. */
class HeldRegion extends TracedRegion {
  readonly waiting: Array<() => void> = []
  syncsBegun = 0

  constructor() {
    super(1024 * 1024, 'sync')
  }

  override async syncAsync(offset: number, length: number): Promise<void> {
    this.syncsBegun++
    await new Promise<void>((resolve) => this.waiting.push(resolve))
    this.sync(offset, length)
  }

  /** Lets the oldest waiting sync finish, and what hangs on it run. */
  async release(): Promise<void> {
    this.waiting.shift()!()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function open(): { region: HeldRegion; volume: Volume; logStores: () => number } {
  const region = new HeldRegion()
  formatVolume(region)
  const volume = Volume.mount(region, { sync: 'group', cachePages: 256 })
  const { logStart, logBlocks } = volume.core.geometry
  let stores = 0
  region.listener = {
    beforeStore: () => {},
    stored: (offset) => {
      if (offset >= logStart * 4096 && offset < (logStart + logBlocks) * 4096) stores++
    },
    flushed: () => {},
    fenced: () => {},
    synced: () => {},
  }
  return { region, volume, logStores: () => stores }
}

const bytes = (text: string) => new TextEncoder().encode(text)

test('no record is in the ring before the data of its group is durable', async () => {
  const { region, volume, logStores } = open()
  volume.writeFile('/a', bytes('first'))
  assert.equal(logStores(), 0, 'records wait in memory')
  const done = volume.syncAsync()
  assert.equal(region.syncsBegun, 1, 'the data goes first')
  assert.equal(logStores(), 0, 'and the records still wait for it')
  await region.release()
  assert.ok(logStores() > 0, 'then the records are stored')
  await region.release()
  await done
  volume.close()
})

test('the next group gathers while one is being flushed, and is no part of it', async () => {
  const { region, volume, logStores } = open()
  volume.writeFile('/a', bytes('first'))
  const done = volume.syncAsync()
  volume.writeFile('/b', bytes('second'))
  await region.release()
  const stored = logStores()
  await region.release()
  await done
  assert.ok(volume.core.log.durable < volume.core.log.head, 'the second group is not durable')
  assert.equal(logStores(), stored, 'and nothing of it is in the ring')
  volume.sync()
  assert.equal(volume.core.log.durable, volume.core.log.head)
  volume.close()
})

test('a synchronous flush overtakes the one on the thread, in the order of the log', async () => {
  const { region, volume } = open()
  volume.writeFile('/a', bytes('first'))
  const done = volume.syncAsync()
  volume.writeFile('/b', bytes('second'))
  volume.sync()
  assert.equal(volume.core.log.durable, volume.core.log.head, 'both groups are durable at once')
  volume.writeFile('/c', bytes('third'))
  const { durable } = volume.core.log
  await region.release()
  await done
  assert.equal(volume.core.log.durable, durable, 'the one overtaken claims nothing for the third')
  volume.close()
  const again = Volume.mount(region, { sync: 'group', cachePages: 256 })
  assert.deepEqual(
    again
      .readdir('/')
      .map((entry) => Buffer.from(entry.name).toString())
      .sort(),
    ['a', 'b', 'c'],
  )
  again.close()
})

test('blocks freed in a group are handed out only when the group is durable', () => {
  const { volume } = open()
  volume.writeFile('/a', new Uint8Array(8 * 4096).fill(1))
  volume.sync()
  const old = volume.extents('/a').extents[0]!
  volume.unlink('/a')
  volume.writeFile('/b', new Uint8Array(8 * 4096).fill(2))
  const early = volume.extents('/b').extents
  for (const { regionBlock, count } of early) {
    const apart =
      regionBlock + count <= old.regionBlock || regionBlock >= old.regionBlock + old.count
    assert.ok(apart, 'a crash now brings /a back: its blocks must still be its own')
  }
  volume.sync()
  volume.writeFile('/c', new Uint8Array(8 * 4096).fill(3))
  assert.equal(volume.extents('/c').extents[0]!.regionBlock, old.regionBlock)
  volume.close()
})

test('a failed flush stops the volume, and is not tried again as if it had worked', () => {
  const { region, volume } = open()
  volume.writeFile('/a', bytes('first'))
  const sync = region.sync.bind(region)
  let failures = 1
  region.sync = (offset, length) => {
    if (failures-- > 0) throw Object.assign(new Error('EIO: fdatasync'), { code: 'EIO' })
    sync(offset, length)
  }
  assert.throws(() => volume.sync(), { code: 'EIO' })
  assert.throws(() => volume.sync(), { code: 'EIO' }, 'also when the medium would work again')
  assert.throws(() => volume.writeFile('/b', bytes('x')), { code: 'EIO' })
  assert.deepEqual(volume.readFile('/a'), bytes('first'), 'what is in memory can still be read')
  volume.close()
})
