/** The change x hold table beside the contract's, cell by cell, and what errors say of holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError, withContext } from '../../src/base/errors.js'
import type { HoldInfo, LayoutChange } from '../../src/base/layout.js'
import {
  CHANGE_TABLE,
  holdClassOf,
  HOLD_CLASSES,
  verdictOf,
  type Circumstances,
  type HoldClass,
} from '../../src/layout/table.js'

/** The contract's text; a `\` joins two lines. */
const CONTRACT = `
| change | read lease | rw lease | seal | pin | fixed |
| grow | recall | – (populated) | – | – | EPERM |
| shrink | recall | recall | ETXTBSY | policy | EPERM |
| punch, share as destination | recall | recall | ETXTBSY | policy | EPERM |
| share, as source | ok | recall | ETXTBSY, or copy | EBUSY, or copy | \
ok if write-sealed, else EPERM, or copy |
| unshare | recall | – (never shared) | – | – | – (nobody may write it) |
| move | recall | recall | ETXTBSY | EBUSY | EPERM |
| shift | recall | recall | ETXTBSY | EBUSY | EPERM |
`
const ROWS: Readonly<Record<string, readonly LayoutChange[]>> = {
  grow: ['grow'],
  shrink: ['shrink'],
  'punch, share as destination': ['punch', 'shareInto'],
  'share, as source': ['share'],
  unshare: ['unshare'],
  move: ['move'],
  shift: ['shift'],
}
const COLUMNS: readonly HoldClass[] = ['readLease', 'rwLease', 'seal', 'pin', 'fixed']

const CIRCUMSTANCES: readonly Required<Circumstances>[] = [
  { share: 'strict', writeSealed: false },
  { share: 'strict', writeSealed: true },
  { share: 'copy', writeSealed: false },
  { share: 'copy', writeSealed: true },
]

/** What a cell's words mean under the circumstances. */
function reading(words: string, { share, writeSealed }: Required<Circumstances>): string {
  if (words.startsWith('–')) return 'never'
  const sealed = /^(\w+) if write-sealed, else (.*)$/.exec(words)
  if (sealed !== null) {
    return writeSealed ? sealed[1]! : reading(sealed[2]!, { share, writeSealed })
  }
  const either = /^(\w+), or (\w+)$/.exec(words)
  if (either !== null) return share === 'copy' ? either[2]! : either[1]!
  return words
}

test('every cell of the table says what the contract says, in every circumstance', () => {
  const lines = CONTRACT.trim().split('\n').slice(1)
  const seen = new Set<string>()
  for (const line of lines) {
    const [row, ...cells] = line.slice(2, -2).split(' | ')
    for (const change of ROWS[row!]!) {
      seen.add(change)
      assert.equal(cells.length, COLUMNS.length)
      for (const [i, words] of cells.entries()) {
        for (const circumstances of CIRCUMSTANCES) {
          const where = `${change} x ${COLUMNS[i]} ${JSON.stringify(circumstances)}`
          const verdict = verdictOf(change, COLUMNS[i]!, circumstances)
          assert.equal(verdict, reading(words, circumstances), where)
        }
      }
    }
  }
  assert.deepEqual([...seen].sort(), Object.keys(CHANGE_TABLE).sort())
  assert.deepEqual(HOLD_CLASSES, COLUMNS)
})

test('a share is strict, and a file not write-sealed, unless it is said', () => {
  assert.equal(verdictOf('share', 'pin'), 'EBUSY')
  assert.equal(verdictOf('share', 'fixed'), 'EPERM')
  assert.equal(verdictOf('share', 'fixed', { share: 'copy' }), 'copy')
})

test('a hold stands in the column of its kind, a lease in that of its iomode', () => {
  assert.equal(holdClassOf('pin', null), 'pin')
  assert.equal(holdClassOf('seal', null), 'seal')
  assert.equal(holdClassOf('lease', 'read'), 'readLease')
  assert.equal(holdClassOf('lease', 'rw'), 'rwLease')
})

function hold(id: number, change: Partial<HoldInfo> = {}): HoldInfo {
  return {
    id,
    kind: 'pin',
    iomode: null,
    ino: 7,
    ranges: [{ offset: 0, length: 4096 }],
    owner: { session: 3, name: 'nic0', uid: 1000 },
    reason: 'NIC 0',
    since: 0,
    deadline: null,
    state: 'held',
    bytes: 4096,
    ...change,
  }
}

test('an error names the hold in the way, whose it is and what for', () => {
  const holds = [hold(12)]
  const error = new HoldfastError('EBUSY', 'a pin is in the way', { path: '/a', holds })
  assert.equal(error.holds, holds)
  assert.equal(
    error.message,
    "EBUSY: a pin is in the way, '/a'; held: pin 12 of session 3 (nic0, uid 1000): NIC 0",
  )
})

test('an error keeps its holds when the layer above adds the call and the path', () => {
  const holds = [hold(12)]
  const inner = new HoldfastError('EBUSY', 'a pin is in the way', { holds })
  const outer = withContext(inner, { syscall: 'truncate', path: '/a' })
  assert.ok(outer instanceof HoldfastError)
  assert.equal(outer.holds, holds)
  assert.equal(
    outer.message,
    "EBUSY: a pin is in the way, truncate '/a'" +
      '; held: pin 12 of session 3 (nic0, uid 1000): NIC 0',
  )
})

test('an error without holds has none and says nothing of them', () => {
  for (const error of [
    new HoldfastError('EBUSY', 'mounted'),
    new HoldfastError('EBUSY', 'mounted', { holds: [] }),
  ]) {
    assert.equal(error.holds, undefined)
    assert.equal(error.message, 'EBUSY: mounted')
  }
})

test('a message names three holds and counts the rest; the error lists them all', () => {
  const holds = [
    hold(1),
    hold(2, { kind: 'lease', iomode: 'rw', state: 'recalled', deadline: 5000, reason: '' }),
    hold(3, { kind: 'seal', state: 'deferred' }),
    hold(4),
    hold(5),
  ]
  const error = new HoldfastError('EBUSY', 'in the way', { holds })
  assert.equal(error.holds?.length, 5)
  assert.equal(
    error.message,
    'EBUSY: in the way; held: pin 1 of session 3 (nic0, uid 1000): NIC 0' +
      ', rw lease 2 of session 3 (nic0, uid 1000) (recalled)' +
      ', seal 3 of session 3 (nic0, uid 1000) (deferred): NIC 0, and 2 more',
  )
})

test('what another program calls itself cannot break the line or move the cursor', () => {
  const owner = { session: 3, name: 'a\nb', uid: 0 }
  const holds = [hold(1, { owner, reason: 'x\u001b[2Jy\u202ez' })]
  const error = new HoldfastError('EBUSY', 'in the way', { holds })
  assert.ok(error.message.endsWith('(a b, uid 0): x [2Jy z'), error.message)
})
