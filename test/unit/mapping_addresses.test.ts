/**
 * Whether the addresses of mappings that have ended go back to the kernel, in programs that never
 * let the event loop turn: nothing here awaits, since the engine tells the addon only then that it
 * has let go of an ArrayBuffer.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { givePieces, piecesLeft, takePieces } from '../../src/mapping/pieces.js'
import { Volume } from '../../src/volume/volume.js'
import { collect } from '../native/garbage.js'
import {
  BLOCK,
  bytesOf,
  contentOf,
  fails,
  MIB,
  newVolume,
  same,
  scattered,
} from './mapping_support.js'

const CYCLES = 3000
/** Where a cycle takes milliseconds. */
const FEW_CYCLES = 600
/** Cycles between two collections of garbage. */
const A_WHILE = 100
/**
 * Long enough to begin at an address where a huge page may, and no multiple of it: the kernel
 * cannot make one mapping of two of these that lie side by side.
 */
const LONG_FILE = 2 * MIB + 5 * BLOCK
/** Mappings that wait, and what the engine takes for itself meanwhile. */
const MORE_MAX = 250

function mappingsOfProcess(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('\n').length - 1
}

/** Runs a cycle many times; the process has about as many mappings as before. */
function cycles(t: TestContext, count: number, cycle: (i: number) => void): void {
  collect()
  const before = mappingsOfProcess()
  const pieces = piecesLeft()
  for (let i = 0; i < count; i++) {
    cycle(i)
    if (i % A_WHILE === 0) collect()
  }
  collect()
  const more = mappingsOfProcess() - before
  t.diagnostic(`${count} cycles: ${more} mappings more`)
  assert.ok(more < MORE_MAX, `${more} mappings more after ${count} cycles`)
  assert.equal(piecesLeft(), pieces)
}

for (const write of [false, true]) {
  const how = write ? 'for writing' : 'for reading'

  test(`mapped ${how}, looked at and unmapped`, (t) => {
    const { volume } = newVolume(t)
    const file = scattered(volume, '/f', 20)
    file.allocate(0, LONG_FILE)
    cycles(t, CYCLES, (i) => {
      const mapping = file.map({ write, populate: i % 10 === 0 })
      assert.equal(bytesOf(mapping).length, LONG_FILE)
      mapping.unmap()
    })
  })

  test(`mapped ${how}, and the file is cut, punched and written while it is`, (t) => {
    const { volume } = newVolume(t)
    const file = volume.open('/f', 'w+')
    const one = new Uint8Array(BLOCK).fill(7)
    cycles(t, CYCLES, (i) => {
      file.truncate(0)
      for (const at of [0, 1, 2, 5]) file.write(one, at * BLOCK)
      file.allocate(0, LONG_FILE)
      const mapping = file.map({ write })
      const bytes = bytesOf(mapping)
      mapping.window(BLOCK, 64)
      if (i % 3 === 0) file.truncate(2 * BLOCK)
      else if (i % 3 === 1) file.punch(BLOCK, BLOCK)
      else file.collapse(BLOCK, BLOCK)
      if (write || i % 3 !== 1) assert.equal(bytes.length, 0, 'detached')
      mapping.unmap()
    })
  })
}

test('mapped, and ended by the close of the volume', (t) => {
  const { region, volume } = newVolume(t)
  volume.writeFile('/f', new Uint8Array(LONG_FILE).fill(1))
  volume.close()
  cycles(t, FEW_CYCLES, () => {
    const again = Volume.mount(region)
    const bytes = bytesOf(again.open('/f', 'r').map())
    again.close()
    assert.equal(bytes.length, 0)
  })
})

test('refused: nothing there, no pieces left, no space for the holes', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 200)
  file.allocate(0, LONG_FILE)
  const sparse = volume.open('/sparse', 'w+')
  sparse.truncate(1 << 30)
  cycles(t, CYCLES, (i) => {
    if (i % 3 === 0) {
      fails('EINVAL', () => file.map({ offset: 1000 * BLOCK }))
    } else if (i % 3 === 1) {
      const taken = piecesLeft() - 100
      takePieces(taken)
      fails('ENOMEM', () => file.map())
      givePieces(taken)
    } else {
      fails('ENOSPC', () => sparse.map({ write: true }))
    }
  })
})

test('stored to where it is not for writing, and unmapped', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 3)
  file.truncate(LONG_FILE)
  const expected = contentOf(file)
  cycles(t, CYCLES, () => {
    const mapping = file.map()
    bytesOf(mapping)[BLOCK] = 1
    fails('EACCES', () => mapping.check())
    mapping.unmap()
  })
  same(contentOf(file), expected, 'no store came through')
})

test('windows that are garbage before the mapping ends', (t) => {
  if ('transfer' in ArrayBuffer.prototype) {
    t.skip('an engine that moves ArrayBuffers has to say first that they are gone')
    return
  }
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 3)
  file.truncate(LONG_FILE)
  cycles(t, FEW_CYCLES, () => {
    const mapping = file.map()
    mapping.window(0, 64)
    collect({ type: 'minor' })
    mapping.unmap()
  })
})
