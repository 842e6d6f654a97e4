/** What a check has to find: every suite that can is shown content with one bit that is another. */
import assert from 'node:assert/strict'
import { chmodSync, closeSync, openSync, readSync, writeSync } from 'node:fs'

/** A bit of a file becomes another. */
export function flipBit(path: string, at: number): void {
  chmodSync(path, 0o644)
  const file = openSync(path, 'r+')
  const byte = new Uint8Array(1)
  assert.equal(readSync(file, byte, 0, 1, at), 1)
  writeSync(
    file,
    byte.map((value) => value ^ 1),
    0,
    1,
    at,
  )
  closeSync(file)
}
