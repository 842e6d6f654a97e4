/**
 * A thread that adds to one word and looks at another, in memory that a peer changes meanwhile:
 * shared memory of the engine, or a file that both have mapped.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { MapFlag, native } from '../../src/native/native.js'

/** Words of the memory that is changed. */
export const WORD = { adding: 4, looking: 5 } as const
/** Words of the control memory: what the thread is to do, and how it stands. */
export const CONTROL = { stopAdding: 0, stopLooking: 1, adds: 2 } as const

export interface WordThread {
  /** What is changed; null: what `fd` has, mapped once more. */
  readonly words: SharedArrayBuffer | null
  readonly fd: number
  readonly bytes: number
  readonly control: SharedArrayBuffer
  /** What the word that is looked at may be. */
  readonly patterns: readonly bigint[]
}

export interface Looked {
  /** What was never written, as a word; null: no such was seen. */
  readonly torn: bigint | null
  readonly looks: number
  readonly seen: number
}

function wordsOf({ words, fd, bytes }: WordThread): BigUint64Array {
  if (words !== null) return new BigUint64Array(words)
  const memory = native.reserve(bytes)
  native.map(memory, 0, fd, 0, bytes, MapFlag.read | MapFlag.write)
  return new BigUint64Array(native.view(memory, 0, bytes))
}

function run(thread: WordThread): Looked {
  const words = wordsOf(thread)
  const control = new Int32Array(thread.control)
  while (Atomics.load(control, CONTROL.stopAdding) === 0) {
    Atomics.add(words, WORD.adding, 1n)
    Atomics.add(control, CONTROL.adds, 1)
  }
  const seen = new Set<bigint>()
  let looks = 0
  while (Atomics.load(control, CONTROL.stopLooking) === 0) {
    const value = Atomics.load(words, WORD.looking)
    looks++
    seen.add(value)
    if (!thread.patterns.includes(value)) return { torn: value, looks, seen: seen.size }
  }
  return { torn: null, looks, seen: seen.size }
}

// Its names are imported by who starts it.
if (!isMainThread) parentPort!.postMessage(run(workerData as WordThread))
