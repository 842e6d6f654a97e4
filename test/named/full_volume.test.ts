/**
 * A full volume: every call works, or fails with ENOSPC and has changed nothing; what frees space
 * always works. Tried with each number of blocks left, from none to enough.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import type { Volume } from '../../src/volume/volume.js'
import { applyCall, performCall } from '../crash/calls.js'
import { copyTree, describe, newFile, type Call, type Tree } from '../crash/model.js'
import { notAllowed } from '../crash/oracle.js'
import { BASE, CALLS, ON_PIECES, PIECES } from '../crash/programs.js'
import { assertClean, mount, newRegion } from './support.js'

const KIB = 768
/** Blocks left over, tried one after the other: the largest is more than any call needs. */
const LEFT_MAX = 40
/** Calls of the crash programs that need the program around them. */
const NEED_MORE = ['openUnlink', 'closeAll', 'remount']

/** What gives space back, and so must not need any. */
const FREES = ['unlink', 'rmdir', 'punch', 'collapse', 'removeXattr']
const frees = (call: Call, tree: Tree) => {
  if (call.op !== 'truncate') return FREES.includes(call.op)
  const node = tree.get(call.path)
  return node !== undefined && node !== 'directory' && call.size <= node.content.length
}

/** Takes every block but `left`, in one file, which the tree does not know of. */
function fill(volume: Volume, left: number): void {
  const file = volume.open('/fill', 'a')
  const block = new Uint8Array(4096)
  for (let size = 64; size >= 1; size >>= 1) {
    try {
      for (;;) file.allocate(file.stat().size, size * 4096)
    } catch (error) {
      assert.equal((error as HoldfastError).code, 'ENOSPC')
    }
  }
  assert.throws(() => {
    for (;;) file.write(block)
  }, /ENOSPC/)
  const { size } = file.stat()
  file.close()
  volume.truncate('/fill', Math.max(0, size - left * 4096))
  volume.core.pages.tick()
  volume.core.transaction.checkpoint()
}

function withoutFill(tree: Tree, volume: Volume): Tree {
  const whole = copyTree(tree)
  const { size, mode } = volume.stat('/fill')
  const content = new Uint8Array(size)
  whole.set('/fill', { ...newFile(mode), content })
  return whole
}

function tryOn(before: readonly Call[], call: Call, left: number): 'done' | 'ENOSPC' {
  const region = newRegion(KIB)
  const volume = mount(region)
  const tree: Tree = new Map()
  for (const one of before) {
    applyCall(tree, one)
    performCall(volume, tree, one)
  }
  fill(volume, left)
  const after = copyTree(tree)
  const may = !frees(call, tree)
  applyCall(after, call)
  let outcome: 'done' | 'ENOSPC' = 'done'
  try {
    performCall(volume, after, call)
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'ENOSPC') throw error
    assert.ok(may, `${describe(call)} frees space and needs ${error.message}`)
    outcome = 'ENOSPC'
  }
  const expected = outcome === 'done' ? after : tree
  const why = notAllowed(volume, [withoutFill(expected, volume)], false)
  assert.equal(why, null, `${describe(call)} with ${left} blocks left: ${outcome}`)
  volume.close()
  assertClean(region, `after ${describe(call)} with ${left} blocks left: ${outcome}`)
  region.close()
  return outcome
}

const cases = [
  ...CALLS.map((call) => [BASE, call] as const),
  ...ON_PIECES.map((call) => [[...BASE, ...PIECES], call] as const),
]

for (const [before, call] of cases) {
  if (NEED_MORE.includes(call.op)) continue
  test(`with any number of blocks left, ${describe(call)} is done or ENOSPC, and whole`, () => {
    for (const left of [0, 1, 2, 3, 5, 8, 12, 20, LEFT_MAX]) {
      const outcome = tryOn(before, call, left)
      if (left === LEFT_MAX) assert.equal(outcome, 'done', `with ${left} blocks left`)
    }
  })
}

test('a full volume of small files is emptied again, one punch, cut and unlink at a time', () => {
  const region = newRegion(KIB)
  const volume = mount(region)
  const file = volume.open('/pieces', 'w')
  const block = new Uint8Array(4096).fill(1)
  let blocks = 0
  assert.throws(() => {
    for (; ; blocks++) file.write(block, blocks * 4096)
  }, /ENOSPC/)
  assert.throws(() => {
    for (let i = 0; ; i++) volume.mkdir(`/d${i}`)
  }, /ENOSPC/)
  // Every other block goes: each punch makes one more extent while it frees one block.
  for (let i = 1; i < blocks; i += 2) file.punch(i * 4096, 4096)
  assert.ok(file.extents().extents.length > 30)
  for (let i = blocks; i > 0; i -= 3) file.truncate(i * 4096)
  file.close()
  volume.unlink('/pieces')
  for (const { name } of volume.readdir('/')) volume.rmdir(Buffer.from(name))
  volume.close()
  assertClean(region, 'when it was emptied')
  region.close()
})
