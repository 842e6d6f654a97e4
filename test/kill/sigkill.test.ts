/**
 * A writer killed with SIGKILL at random moments, and the volume that it leaves.
 *
 * What this shows is recovery from the death of the process: stores that were made are there, those
 * that were not are not. It shows nothing of power loss, where stores that were made are lost: that
 * is what test/crash enumerates.
 *
 * SEED repeats the operations (not the moment of the kill), KILLS is their number.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import { createRegion } from '../../src/region/file_region.js'
import type { MemoryRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { releaseMemory } from '../../src/volume/mount.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { Volume } from '../../src/volume/volume.js'
import { deleteAll } from '../model/compare.js'
import type { Operation } from '../model/operations.js'
import { testMemory } from '../model/pair.js'
import { findState, lastSync } from './expected.js'
import { sequenceOf } from './sequence.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const kills = Number(process.env['KILLS'] ?? 200)
const REGION_BYTES = 24 << 20
const OPERATIONS = 400
/** Kills that share a sequence of operations. */
const KILLS_A_SEQUENCE = 10
const WRITER = fileURLToPath(new URL('writer.js', import.meta.url))
const prng = new Prng(seed)
const memory = testMemory()
const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

/**
 * Starts the writer, kills it when it has acknowledged `after` operations, and counts all of them.
 */
async function killWriter(
  region: string,
  operations: string,
  sync: SyncMode,
  after: number,
): Promise<{ acknowledged: number; killed: boolean }> {
  const writer = spawn(process.execPath, [WRITER, region, operations, sync], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let acknowledged = 0
  let problem = ''
  writer.stdout.on('data', (dots: Buffer) => {
    acknowledged += dots.length
    if (acknowledged >= after) writer.kill('SIGKILL')
  })
  writer.stderr.on('data', (text: Buffer) => (problem += text.toString()))
  const signal = await new Promise((resolve) => writer.on('close', (_, by) => resolve(by)))
  if (signal !== 'SIGKILL') assert.equal(problem, '', 'the writer failed by itself')
  return { acknowledged, killed: signal === 'SIGKILL' && acknowledged < OPERATIONS }
}

function assertClean(region: MemoryRegion, when: string): void {
  const report = checker.check(region)
  assert.equal(report.state, 'clean', `fsck ${when}:\n${formatReport(report)}`)
}

/** A region file; returns the free blocks of a new volume in it. */
function makeRegion(path: string): number {
  const region = createRegion(path, REGION_BYTES)
  formatVolume(region)
  const volume = Volume.mount(region, { memory })
  const free = volume.statfs().blocksFree
  volume.close()
  region.close()
  return free
}

/**
 * Sound, as it was, writable, and whole again when everything is deleted. Returns the state found.
 */
function checkVolume(
  path: string,
  operations: Operation[],
  acknowledged: number,
  sync: SyncMode,
  freeAtFirst: number,
): { state: number; replayed: number } {
  const region = createRegion(path, 0)
  try {
    assertClean(region, 'of what the killed process left')
    const volume = Volume.mount(region, { sync, memory })
    const durable = sync === 'always' ? acknowledged : lastSync(operations, acknowledged)
    const state = findState(volume, operations, durable, acknowledged + 1)
    volume.writeFile('/written after the kill', new Uint8Array(10_000).fill(7))
    assert.deepEqual(volume.readFile('/written after the kill'), new Uint8Array(10_000).fill(7))
    deleteAll(volume)
    volume.sync()
    const { blocksFree, files } = volume.statfs()
    volume.close()
    assertClean(region, 'after everything was deleted')
    assert.equal(blocksFree, freeAtFirst, 'free blocks when everything is deleted')
    assert.equal(files, 1, 'inodes when everything is deleted')
    return { state, replayed: volume.replayed }
  } finally {
    region.close()
  }
}

for (const sync of ['always', 'group'] as const) {
  test(`what a killed writer acknowledged is there, sync=${sync}`, async (t) => {
    const directory = mkdtempSync(join('/dev/shm', 'hf-kill-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const counts = { kills: 0, acknowledged: 0, replayed: 0, behind: 0 }
    const sequences = fc.sample(sequenceOf(OPERATIONS, 30), {
      seed: seed + (sync === 'always' ? 0 : 1),
      numRuns: Math.ceil(kills / 2 / KILLS_A_SEQUENCE),
    })
    const jobs = Array.from({ length: Math.ceil(kills / 2) }, (_, i) => i)
    const worker = async (name: string) => {
      const path = join(directory, `region-${name}`)
      const file = join(directory, `operations-${name}`)
      const freeAtFirst = makeRegion(path)
      for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
        const operations = sequences[Math.floor(job / KILLS_A_SEQUENCE)]!
        writeFileSync(file, JSON.stringify(operations))
        const after = 1 + prng.below(OPERATIONS / 2)
        const { acknowledged, killed } = await killWriter(path, file, sync, after)
        const { state, replayed } = checkVolume(path, operations, acknowledged, sync, freeAtFirst)
        if (killed) counts.kills++
        counts.acknowledged += acknowledged
        counts.replayed += replayed
        counts.behind += Math.max(0, acknowledged - state)
      }
    }
    await Promise.all([worker('a'), worker('b')])
    t.diagnostic(
      `${counts.kills} kills, ${counts.acknowledged} operations acknowledged, of the last ` +
        `${counts.behind} not durable yet, ${counts.replayed} log records replayed, SEED=${seed}`,
    )
    assert(counts.kills >= kills / 2 / 2, 'most writers are killed before they are done')
  })
}

test.after(() => releaseMemory(memory))
