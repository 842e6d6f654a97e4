/** Memories of a process that has all the mappings that the kernel allows. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** An engine that wants no memory of its own for compiled code, or on other threads. */
const QUIET = ['--single-threaded', '--no-opt', '--no-sparkplug']

async function run(): Promise<Map<string, string>> {
  const script = fileURLToPath(new URL('exhausted.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [...QUIET, script])
  return new Map(stdout.split('\n').map((line) => line.split(': ', 2) as [string, string]))
}

test('at the limit of mappings addresses are cut off, or all stays as it was', async () => {
  const results = await run()
  const is = (what: string, expected: string) => assert.equal(results.get(what), expected, what)
  is('eaten', 'ENOMEM')
  is('overlay', 'done')
  is('covered', '0')
  is('beside it', '14')
  is('head', 'done')
  is('at the head', '0')
  is('unmap', 'done')
  is('detached', '0')
  assert.match(results.get('in the end')!, /^hole of 0x1000 bytes at 0x[0-9a-f]+ of memory/)
  assert.match(results.get('refused')!, /^overlay of 0x1000 bytes at 0x3000 of memory/)
  is('as it was', '7')
  is('unmap all the same', 'done')
  is('detached all the same', '0')
  is('room again', 'done')
})
