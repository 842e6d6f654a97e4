/**
 * The contract's fine print: who may hold, how much, past the end of a file, until when; volumes
 * with rules of their own.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { LayoutVolume, type LayoutOptions } from '../../src/layout/volume.js'
import { memfdRegion } from '../../src/region/file_region.js'
import { formatVolume, type FormatOptions } from '../../src/volume/format.js'

const BLOCK = BLOCK_BYTES
const USER = { uid: 1000, gid: 1000 }

function withVolume(
  run: (volume: LayoutVolume) => void,
  options: LayoutOptions = {},
  format: FormatOptions = {},
): void {
  const region = memfdRegion(8 << 20)
  formatVolume(region, format)
  const volume = LayoutVolume.mount(region, options)
  try {
    run(volume)
  } finally {
    volume.close()
    region.close()
  }
}

const bytes = (blocks: number, value = 1) => new Uint8Array(blocks * BLOCK).fill(value)

function refused(run: () => unknown, code: string, text?: RegExp): HoldfastError {
  let error: unknown
  try {
    run()
  } catch (caught) {
    error = caught
  }
  assert.ok(error instanceof HoldfastError, `refused with ${code}, and it was not refused`)
  assert.equal(error.code, code, error.message)
  if (text !== undefined) assert.match(error.message, text)
  return error
}

test('the pin limit counts distinct blocks of a uid, and its refusal names limit and usage', () => {
  const run = (volume: LayoutVolume) => {
    volume.writeFile('/f', bytes(8), 0o666)
    const session = volume.session({ name: 'user', as: USER })
    const file = volume.openAs(session, '/f', 'r+')
    const first = file.pin({ length: 3 * BLOCK })
    const again = file.pin({ length: 3 * BLOCK }) // the same blocks: they count once
    refused(() => file.pin({ length: 5 * BLOCK }), 'ENOMEM', /\b12288 bytes\b|\b3 blocks\b|limit/)
    assert.equal(volume.holds().length, 2)
    file.lease({ iomode: 'read', length: 8 * BLOCK }) // leases do not count
    first.release()
    refused(() => file.pin({ offset: 4 * BLOCK, length: 3 * BLOCK }), 'ENOMEM')
    again.release()
    file.pin({ offset: 3 * BLOCK, length: 4 * BLOCK })
    volume.open('/f', 'r+').pin() // root has no limit unless given
  }
  withVolume(run, { limits: { perUid: 4 } })
})

test('the limit of the volume holds for root, too', () => {
  const run = (volume: LayoutVolume) => {
    volume.writeFile('/f', bytes(8))
    refused(() => volume.open('/f', 'r+').pin(), 'ENOMEM')
    volume.open('/f', 'r+').pin({ length: 2 * BLOCK })
  }
  withVolume(run, { limits: { volume: 2 } })
})

test('a pin needs write permission or ownership; who may only read gets leases for reading', () => {
  withVolume((volume) => {
    volume.writeFile('/f', bytes(2), 0o644)
    const session = volume.session({ name: 'reader', as: USER })
    const file = volume.openAs(session, '/f', 'r')
    refused(() => file.pin(), 'EACCES')
    refused(() => file.lease({ iomode: 'rw' }), 'EACCES')
    refused(() => file.map({ direct: true }), 'EACCES')
    file.lease({ iomode: 'read' }).release()
    volume.chown('/f', USER.uid, USER.gid)
    volume.chmod('/f', 0o444)
    file.pin().release() // the owner may, whatever the mode says
  })
})

test('a hold may reach past the end: blocks and zeros are there, the size stays until a commit', () => {
  withVolume((volume) => {
    volume.writeFile('/f', new Uint8Array(100).fill(1))
    const file = volume.open('/f', 'r+')
    const lease = file.lease({ iomode: 'rw', length: 4 * BLOCK })
    assert.equal(file.stat().size, 100)
    assert.equal(
      lease.runs().reduce((sum, { length }) => sum + length, 0),
      4 * BLOCK,
    )
    for (const { offset, regionOffset, length } of lease.runs()) {
      const skip = offset === 0 ? 100 : 0
      volume.region.stream(regionOffset + skip, bytes(4, 7), 0, length - skip)
    }
    refused(() => lease.commit(4 * BLOCK + 1), 'EINVAL')
    lease.commit(100 + BLOCK)
    const expected = new Uint8Array(100 + BLOCK).fill(7).fill(1, 0, 100)
    assert.deepEqual(Buffer.from(volume.readFile('/f')), Buffer.from(expected))
  })
})

test('extending exposes what the holder stored past the end, and zeros where nobody holds', () => {
  withVolume((volume) => {
    volume.writeFile('/f', new Uint8Array(100).fill(1))
    const file = volume.open('/f', 'r+')
    const pin = file.pin({ length: BLOCK })
    const at = pin.runs()[0]!.regionOffset
    volume.region.stream(at + 100, new Uint8Array(50).fill(7), 0, 50)
    file.truncate(120)
    assert.deepEqual([...volume.readFile('/f').subarray(98)], [1, 1, ...Array<number>(20).fill(7)])
    pin.release() // the rest of the last block is zeroed now
    file.truncate(150)
    assert.deepEqual([...volume.readFile('/f').subarray(118)], [7, 7, ...Array<number>(30).fill(0)])
  })
})

test('a lease for reading over the last block does not keep its tail from being zeroed', () => {
  withVolume((volume) => {
    const file = volume.open('/f', 'w+')
    file.write(bytes(1, 9), 0)
    file.truncate(100)
    const lease = file.lease({ iomode: 'read', length: BLOCK })
    file.truncate(200)
    assert.deepEqual([...volume.readFile('/f').subarray(100)], Array<number>(100).fill(0))
    lease.release()
  })
})

test('a hold keeps its file: the last name goes, the blocks stay until the release', () => {
  withVolume((volume) => {
    const free = volume.statfs().blocksFree
    volume.writeFile('/f', bytes(4, 3))
    const file = volume.open('/f', 'r+')
    const pin = file.pin()
    file.close()
    volume.unlink('/f')
    assert.equal(volume.holds().length, 1)
    const seen = new Uint8Array(BLOCK)
    volume.region.read(pin.runs()[0]!.regionOffset, seen, 0, BLOCK)
    assert.deepEqual(seen, bytes(1, 3))
    pin.release()
    // An inode of limbo's own, and its record, are all that is left of it.
    assert.ok(free - volume.statfs().blocksFree <= 2)
  })
})

test('a session that ends takes its holds with it, and no others', () => {
  withVolume((volume) => {
    volume.writeFile('/f', bytes(4))
    const one = volume.session({ name: 'one' })
    const other = volume.session({ name: 'other' })
    volume.openAs(one, '/f', 'r+').pin({ length: BLOCK })
    const lease = volume.openAs(one, '/f', 'r+').lease({ iomode: 'rw' })
    const stays = volume.openAs(other, '/f', 'r+').pin({ offset: BLOCK, length: BLOCK })
    one.end()
    assert.deepEqual(
      volume.holds().map(({ id }) => id),
      [stays.id],
    )
    refused(() => lease.info(), 'ESTALE')
    refused(() => volume.openAs(one, '/f', 'r+'), 'ESTALE')
    volume.open('/f', 'r+').punch(0, BLOCK)
    assert.equal(volume.core.frames.distinct, 1)
  })
})

test('mpin pins what an array of a mapping leads to', () => {
  withVolume((volume) => {
    volume.writeFile('/f', bytes(8))
    const file = volume.open('/f', 'r+')
    const mapping = file.map({ write: true, offset: BLOCK })
    const view = new Uint8Array(mapping.buffer, 2 * BLOCK, 100)
    const pin = volume.mpin(view, { reason: 'DMA' })
    assert.deepEqual(pin.info().ranges, [{ offset: 3 * BLOCK, length: BLOCK }])
    refused(() => file.punch(3 * BLOCK, BLOCK), 'EBUSY', /DMA/)
    refused(() => volume.mpin(new Uint8Array(10)), 'EINVAL')
    mapping.unmap()
    refused(() => volume.mpin(view), 'EINVAL')
    pin.release()
  })
})

test('a direct mapping is a seal as long as it is there', () => {
  withVolume((volume) => {
    volume.writeFile('/f', bytes(4))
    const file = volume.open('/f', 'r+')
    {
      using mapping = file.map({ direct: true, sync: true, write: true, length: 2 * BLOCK })
      const { holds } = refused(() => file.truncate(0), 'ETXTBSY')
      assert.deepEqual(
        holds!.map(({ kind }) => kind),
        ['seal'],
      )
      new Uint8Array(mapping.buffer).fill(5, 0, 10)
      mapping.persist()
      file.truncate(2 * BLOCK) // what it does not cover
    }
    assert.deepEqual(volume.readFile('/f').subarray(0, 12), bytes(1).fill(5, 0, 10).subarray(0, 12))
    file.truncate(0)
  })
})

test('a static volume shares, moves, punches and shifts nothing, and cuts off only what is not held', () => {
  const run = (volume: LayoutVolume) => {
    volume.writeFile('/f', bytes(8))
    const file = volume.open('/f', 'r+')
    refused(() => file.punch(0, BLOCK), 'EOPNOTSUPP', /static/)
    refused(() => volume.reflink('/f', '/g'), 'EOPNOTSUPP', /static/)
    refused(() => file.collapse(0, BLOCK), 'EOPNOTSUPP', /static/)
    assert.equal(file.copyRange(0, volume.open('/copy', 'w+'), 0, 8 * BLOCK), 8 * BLOCK)
    const pin = file.pin({ length: 2 * BLOCK })
    refused(() => file.truncate(BLOCK, { policy: 'defer' }), 'EBUSY')
    file.truncate(2 * BLOCK)
    pin.release()
    file.truncate(0)
  }
  withVolume(run, {}, { static: true })
})

test('with unlink=busy the last name of what is pinned stays, and any other goes', () => {
  const run = (volume: LayoutVolume) => {
    volume.writeFile('/f', bytes(1))
    volume.writeFile('/g', bytes(1))
    volume.link('/f', '/second')
    const pin = volume.open('/f', 'r+').pin()
    volume.unlink('/second')
    refused(() => volume.unlink('/f'), 'EBUSY')
    refused(() => volume.rename('/g', '/f'), 'EBUSY')
    pin.release()
    volume.unlink('/f')
  }
  withVolume(run, {}, { unlink: 'busy' })
})

test('a transfer under way keeps its bytes, and is in the way of nothing', () => {
  withVolume((volume) => {
    volume.writeFile('/f', bytes(4, 3))
    const file = volume.open('/f', 'r+')
    const transfer = file.transfer(100, 2 * BLOCK)
    file.truncate(0)
    volume.writeFile('/g', bytes(64, 9))
    const seen = new Uint8Array(2 * BLOCK)
    for (const [offset, at, length] of transfer.runs) {
      volume.region.read(at, seen, offset - 100, length)
    }
    assert.deepEqual(seen, bytes(2, 3))
    assert.ok(volume.core.limbo.blocks > 0)
    transfer.end()
    assert.equal(volume.core.limbo.blocks, 0)
    assert.equal(volume.core.frames.distinct, 0)
  })
})
