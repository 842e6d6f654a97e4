/** What the tests of the addon share. */
import assert from 'node:assert/strict'
import { closeSync, ftruncateSync } from 'node:fs'
import { MapFlag, native, type MemoryId } from '../../src/native/native.js'

export const pageBytes = 4096

/**
 * A generator that gives the same numbers for the same seed; prints the seed so that a failure
 * repeats.
 */
export function seeded(what: string): () => number {
  let state = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 0x7fffffff) | 0
  process.stderr.write(`${what}: HOLDFAST_SEED=${state}\n`)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

export function randomBytes(random: () => number, length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, () => random() & 255)
}

export function viewOf(memory: MemoryId): Uint8Array<ArrayBuffer> {
  return new Uint8Array(native.view(memory, 0, native.byteLength(memory)))
}

/** A memory over a fresh memory file; `close` unmaps and closes, `shrink` truncates the file. */
export function mapped(length: number, flags: number = MapFlag.read | MapFlag.write) {
  const fd = native.memfd('holdfast-test', length, false)
  const memory = native.reserve(length)
  native.map(memory, 0, fd, 0, length, flags)
  return {
    fd,
    memory,
    shrink: (to: number) => ftruncateSync(fd, to),
    close: () => {
      native.unmap(memory)
      closeSync(fd)
    },
  }
}

export function fails(code: string, action: () => unknown): void {
  assert.throws(action, (error: Error & { code?: string; errno?: number; syscall?: string }) => {
    assert.equal(error.code, code, error.message)
    if (code.startsWith('ERR_')) return true
    assert.ok((error.errno ?? 0) > 0, 'errno is a positive number')
    assert.equal(typeof error.syscall, 'string')
    assert.match(error.message, /; /, 'the message says what to do')
    return true
  })
}
