/** How much may be pinned, by whom; and when it is given back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { Session } from '../../src/layout/session.js'
import { blocksOf, type Hold } from './ground.js'
import { BLOCKS, Scene } from './scene.js'

const LIMIT = 6

class Limited extends Scene {
  /** What a user may pin: six blocks; /f has eight. */
  constructor(limits: { perUid?: number; root?: number; volume?: number }) {
    super({ limits })
    this.volume.chmod('/f', 0o666)
  }

  user(uid: number): Session {
    return this.volume.session({ name: `user ${uid}`, as: { uid, gid: uid } })
  }

  /** Of six blocks all can be had, and no more. */
  assertFree(who: Session, what: string): void {
    this.refused('ENOMEM', [], () => this.pinAs(who, 0, LIMIT + 1))
    assert.doesNotThrow(() => this.pinAs(who, 0, LIMIT).release(), what)
  }

  assertFull(who: Session, block: number): void {
    this.refused('ENOMEM', [], () => this.pinAs(who, block, block + 1))
  }

  pinAs(who: Session, from: number, to: number): Hold {
    return this.as(who, '/f', (file) => file.pin({ offset: from * B, length: (to - from) * B }))
  }

  seal(who: Session, from: number, to: number): { unmap(): void } {
    const range = { offset: from * B, length: (to - from) * B }
    return this.as(who, '/f', (file) =>
      file.map({ direct: true, sync: true, write: true, ...range }),
    )
  }
}

/** Everything by which blocks stop counting. */
const ENDS: Record<string, (s: Limited, who: Session) => void> = {
  'a release': (s, who) => s.pinAs(who, 0, LIMIT).release(),
  'its parts given back': (s, who) => {
    const pin = s.pinAs(who, 0, LIMIT)
    pin.returnRange(2 * B, 2 * B)
    s.pinAs(who, 6, 8).release()
    s.pinAs(who, 2, 4).release()
    pin.returnRange(0, 2 * B)
    pin.returnRange(4 * B, 2 * B)
    assert.equal(pin.released, true)
  },
  'an unmap': (s, who) => {
    const mapping = s.seal(who, 0, LIMIT)
    s.assertFull(who, LIMIT)
    mapping.unmap()
  },
  'a release of what was deferred': (s, who) => {
    const pin = s.pinAs(who, 0, LIMIT)
    s.volume.truncate('/f', 2 * B, undefined, { policy: 'defer' })
    s.as(null, '/f', (file) => file.write(blocksOf('/f', 2, 8), 2 * B))
    s.assertFull(who, 3)
    pin.release()
  },
  'a release of a file without a name': (s, who) => {
    const pin = s.pinAs(who, 0, LIMIT)
    s.volume.rename('/f', '/gone')
    s.volume.unlink('/gone')
    s.make('/f')
    s.volume.chmod('/f', 0o666)
    s.assertFull(who, 0)
    pin.release()
  },
  'a pin that was refused': (s, who) => {
    s.refused('ENOMEM', [], () => s.pinAs(who, 0, BLOCKS))
    s.refused('ENOMEM', [], () => s.seal(who, 0, BLOCKS))
  },
}

for (const [kind, limits] of [
  ['uid', { perUid: LIMIT }],
  ['volume', { volume: LIMIT }],
] as const) {
  for (const [how, end] of Object.entries(ENDS)) {
    test(`the limit of a ${kind} is whole again after ${how}`, () => {
      using s = new Limited(limits)
      const who = s.user(1000)
      end(s, who)
      s.assertFree(who, how)
    })
  }

  test(`the limit of a ${kind} is whole again after the end of the session`, () => {
    using s = new Limited(limits)
    const first = s.user(1000)
    s.pinAs(first, 0, 3)
    s.seal(first, 3, LIMIT)
    const second = s.user(1000)
    s.assertFull(second, LIMIT)
    first.end()
    s.assertFree(second, 'all of it')
  })

  test(`pins and seals count against the limit of a ${kind} together, each block once`, () => {
    using s = new Limited(limits)
    const who = s.user(1000)
    const pin = s.pinAs(who, 0, 4)
    const seal = s.seal(who, 2, LIMIT)
    s.assertFull(who, LIMIT)
    s.refused('ENOMEM', [], () => s.seal(who, LIMIT, LIMIT + 1))
    const again = s.pinAs(who, 0, LIMIT) // costs nothing
    pin.release()
    seal.unmap()
    s.assertFull(who, LIMIT)
    again.returnRange(0, B)
    s.pinAs(who, LIMIT, LIMIT + 1).release()
    again.release()
    s.assertFree(who, 'all of it')
  })

  test(`leases and plain mappings are not counted against the limit of a ${kind}`, () => {
    using s = new Limited(limits)
    const who = s.user(1000)
    const held = s.as(who, '/f', (file) => [
      file.lease({ iomode: 'read' }),
      file.lease({ iomode: 'rw' }),
      file.map({ write: true }),
    ])
    const pin = s.pinAs(who, 0, LIMIT)
    for (const one of held) 'release' in one ? one.release() : one.unmap()
    s.assertFull(who, LIMIT)
    pin.release()
  })
}

test('what one uid has pinned is not charged to another, nor to root', () => {
  using s = new Limited({ perUid: LIMIT, root: 7 })
  const [one, other, root] = [s.user(1000), s.user(1001), s.user(0)]
  const pins = [s.pinAs(one, 0, LIMIT), s.pinAs(other, 0, LIMIT), s.pinAs(root, 0, 7)]
  for (const who of [one, other]) s.assertFull(who, LIMIT)
  s.assertFull(root, 7)
  pins[0]!.release()
  s.assertFree(one, 'its own')
  s.assertFull(other, LIMIT)
  for (const pin of pins) pin.release()
})

test('what anybody has pinned counts for the volume, and once however many have', () => {
  using s = new Limited({ volume: LIMIT })
  const [one, other, root] = [s.user(1000), s.user(1001), s.user(0)]
  const first = s.pinAs(one, 0, 4)
  const second = s.pinAs(other, 2, LIMIT)
  for (const who of [one, other, root]) s.assertFull(who, LIMIT)
  first.release()
  const third = s.pinAs(root, 6, 8) // in the place of blocks 0 and 1
  for (const who of [one, other, root]) s.assertFull(who, 0)
  for (const pin of [second, third]) pin.release()
})
