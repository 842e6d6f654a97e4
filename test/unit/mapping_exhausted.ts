/**
 * A process that has nearly all the pieces of address space that the kernel allows, and maps a file
 * in ten thousand extents. Run by mapping_limits.test.ts, apart from the test runner: an engine
 * that gets no memory ends the process.
 */
import { readFileSync } from 'node:fs'
import { HoldfastError } from '../../src/base/errors.js'
import type { FileMapping } from '../../src/base/mapping.js'
import { native } from '../../src/native/native.js'
import { memfdRegion } from '../../src/region/file_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'

const BLOCK = 4096
const EXTENTS = 10_000
/** Pieces left to the engine and to the smaller mappings. */
const LEFT = 4000

const region = memfdRegion(64 << 20)
formatVolume(region)
const volume = Volume.mount(region)
const file = volume.open('/f', 'w+')
for (let i = EXTENTS - 1; i >= 0; i--) file.write(Buffer.alloc(BLOCK, `${i}`), i * BLOCK)
const sparse = volume.open('/sparse', 'w+')
sparse.truncate(2 * LEFT * BLOCK)
const watched = sparse.map()
const window = new Uint8Array(watched.window(0, BLOCK))

function report(what: string, run: () => string): void {
  try {
    console.log(`${what}: ${run()}`)
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    console.log(`${what}: ${error.message}`)
  }
}

function compare(mapping: FileMapping): string {
  const found = Buffer.from(mapping.buffer)
  const expected = Buffer.alloc(found.length)
  file.read(expected, mapping.offset)
  const equal = found.equals(expected)
  mapping.unmap()
  return equal ? 'equal' : 'NOT equal'
}

const max = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'))
const taken = readFileSync('/proc/self/maps', 'utf8').split('\n').length
const eaten = Math.floor((max - taken - LEFT) / 2)
const eater = native.reserve(2 * eaten * BLOCK)
for (let i = 0; i < eaten; i++) native.hole(eater, 2 * i * BLOCK, BLOCK)

report('all of it', () => compare(file.map()))
report('a smaller one', () => compare(file.map({ length: 1000 * BLOCK })))
report('a change that cannot be followed', () => {
  const one = Buffer.alloc(1, 1)
  for (let i = 0; i < LEFT; i++) sparse.write(one, (2 * i + 1) * BLOCK)
  watched.window(0, 8)
  return 'was followed'
})
console.log(`its window has ${window.length} bytes`)
native.unmap(eater)
report('all of it, when there is room again', () => compare(file.map()))
volume.close()
region.close()
