/** Real data between hosts: a tree of real files there and back, and files that are large. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Actor } from '../processes/actor.js'
import { fieldTest, LONG, type Field } from './served.js'

const HOLDFAST = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
/** Of the project: what a package manager has made, or (short) sources. */
const TREE = LONG ? 'node_modules' : 'src/control'
const TREE_BYTES = LONG ? 1 << 30 : 32 << 20
const GIB = 2 ** 30
const LARGE_BYTES = 10 * GIB
const SECONDS = LONG ? 900 : 240

/** Runs a command of holdfast on a host of a client, to its end. */
async function holdfast(field: Field, ...words: readonly string[]): Promise<void> {
  const env = { HOLDFAST_KEY: field.keys }
  const command = [process.execPath, HOLDFAST, ...words]
  const at = { place: field.hosts[0]!, env, seconds: SECONDS }
  const { status } = await field.programs.start(`holdfast ${words[0]}`, command, at).ended()
  assert.equal(status, 0, field.programs.said())
}

describe('real data', () => {
  fieldTest(
    `${TREE} goes to another host and comes back the same`,
    { bytes: TREE_BYTES, seconds: SECONDS },
    async (field, t) => {
      const back = mkdtempSync(join(tmpdir(), 'holdfast-tree-'))
      t.after(() => rmSync(back, { recursive: true }))
      const there = `hf://${field.place.host}:${field.place.port}/tree`
      await holdfast(field, 'cp', '-r', TREE, there)
      await holdfast(field, 'cp', '-r', there, join(back, 'tree'))
      execFileSync('diff', ['-r', '--no-dereference', TREE, join(back, 'tree')])
    },
  )

  fieldTest(
    'a file of 10 GiB on a disk is written and read by another host',
    { bytes: LARGE_BYTES + GIB, base: tmpdir(), seconds: SECONDS, skip: noRoom() },
    async (field) => {
      const client = await field.client()
      await largeFile(field, client)
    },
  )
})

/** Why there is no file of 10 GiB, in the words of scripts/test_needs.ts. */
function noRoom(): string | false {
  if (!LONG) return 'it is of the long run: HOLDFAST_LONG=1, or npm run test:long'
  const { bavail, bsize } = statfsSync(tmpdir())
  return bavail * bsize > 2 * LARGE_BYTES ? false : `${tmpdir()} has no 20 GiB free`
}

async function largeFile(field: Field, client: Actor): Promise<void> {
  await client.call('open', { path: '/large', flags: 'w+' })
  const args = { path: '/large', length: LARGE_BYTES, seed: field.seed }
  const written = await client.call<string>('writeLarge', args)
  const read = await client.call<string>('readLarge', args)
  assert.equal(read, written)
  assert.equal(await field.digest('/large', 2 * LARGE_BYTES), `${LARGE_BYTES} bytes ${written}`)
}
