/**
 * A process that has all the mappings that the kernel allows cuts memories off from their file.
 * Run by exhausted.test.ts, apart from the test runner: an engine that gets no memory ends the
 * process. So everything is made first, and nothing is printed before there is room again.
 */
import { readFileSync } from 'node:fs'
import { MapFlag, native } from '../../src/native/native.js'

const PAGE = 4096
const both = MapFlag.read | MapFlag.write
const max = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'))

const fd = native.memfd('holdfast-exhausted', 8 * PAGE, false)
function fileMemory() {
  const memory = native.reserve(8 * PAGE)
  native.map(memory, 0, fd, 0, 8 * PAGE, both)
  return { memory, bytes: new Uint8Array(native.view(memory, 0, 8 * PAGE)) }
}
function attempt(call: () => void): string {
  try {
    call()
    return 'done'
  } catch (error) {
    return (error as Error).message
  }
}
const first = fileMemory()
first.bytes.fill(7)
const second = fileMemory()
const third = fileMemory()
const eater = native.reserve(2 * max * PAGE)
const results: Array<[string, string | number]> = []
const note = (what: string, result: string | number) => results.push([what, result])

/** A file at every second page, until the kernel gives no more. */
function eat(from: number): number {
  for (let i = from; ; i++) {
    try {
      native.map(eater, 2 * i * PAGE, fd, 0, PAGE, both)
    } catch (error) {
      note('eaten', (error as { code: string }).code)
      return i
    }
  }
}

const eaten = eat(0)
note(
  'overlay',
  attempt(() => native.overlay(first.memory, 3 * PAGE, PAGE)),
)
note('covered', first.bytes[3 * PAGE]!)
note('beside it', first.bytes[2 * PAGE]! + first.bytes[4 * PAGE]!)
note(
  'head',
  attempt(() => native.hole(second.memory, 0, PAGE)),
)
note('at the head', second.bytes[0]!)
note(
  'unmap',
  attempt(() => native.unmap(first.memory)),
)
note('detached', first.bytes.length)
eat(eaten)

// All that was set aside is used up, too.
let message = ''
for (let i = 0; message === '' && i < 1000; i++) {
  const result = attempt(() => native.hole(eater, (2 * i + 1) * PAGE + max * PAGE, PAGE))
  if (result !== 'done') message = result
}
note('in the end', message)
const refused = attempt(() => native.overlay(third.memory, 3 * PAGE, PAGE))
note('refused', refused)
note('as it was', third.bytes[3 * PAGE]!)
note(
  'unmap all the same',
  attempt(() => native.unmap(third.memory)),
)
note('detached all the same', third.bytes.length)

native.unmap(eater)
native.unmap(second.memory)
note(
  'room again',
  attempt(() => native.unmap(fileMemory().memory)),
)
for (const [what, result] of results) console.log(`${what}: ${result}`)
