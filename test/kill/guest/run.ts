/**
 * `npm run test:guest`: a machine that loses its power while it writes to an ordinary file on a
 * disk.
 *
 * A guest writes to a region on ext4 on a virtio disk, sync=group, and says on its console what it
 * has made durable. qemu is killed, so that the page cache of the guest is gone, as in a power cut.
 * Then the disk is repaired (e2fsck replays the journal of ext4), and the volume is checked,
 * mounted and compared with the model: nothing that was acknowledged may be missing.
 *
 * SEED repeats the operations (not the moment of the kill), KILLS is their number.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { Prng } from '../../../src/base/prng.js'
import { Checker } from '../../../src/check/checker.js'
import { formatReport } from '../../../src/check/report.js'
import { native } from '../../../src/native/native.js'
import { createRegion } from '../../../src/region/file_region.js'
import { Volume } from '../../../src/volume/volume.js'
import { deleteAll } from '../../model/compare.js'
import type { Operation } from '../../model/operations.js'
import { findState } from '../expected.js'
import { sequenceOf } from '../sequence.js'
import { bootAndKill } from './machine.js'
import { CannotRun, makeDisk, setUpGuest, withSbin, type Guest } from './setup.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const kills = Number(process.env['KILLS'] ?? 12)
const OPERATIONS = 900
/** Guests without hardware support boot slowly. */
const PATIENCE_MS = 120_000
const prng = new Prng(seed)

/** Boots, kills at the `after`-th acknowledgement; returns operations that were acknowledged. */
async function killGuest(
  guest: Guest,
  disk: string,
  round: number,
  after: number,
): Promise<number> {
  let syncs = 0
  const { lines, killed } = await bootAndKill({
    guest,
    disk,
    round,
    patience: PATIENCE_MS,
    delay: prng.below(100),
    onLine: (line) => /^SYNC \d+$/.test(line) && ++syncs >= after,
  })
  assert(killed, `the guest ended by itself:\n${lines.slice(-20).join('\n')}`)
  const acknowledged = lines
    .map((line) => /^SYNC (\d+)$/.exec(line)?.[1])
    .filter((n) => n !== undefined)
  return Number(acknowledged[acknowledged.length - 1])
}

/** The region as the disk has it: e2fsck replays the journal, debugfs reads the file. */
function takeRegion(disk: string, to: string): void {
  const repaired = spawnSync('e2fsck', ['-fy', disk], { encoding: 'utf8', env: withSbin() })
  // 0: nothing to do, 1: errors corrected (the journal replayed).
  assert(repaired.status === 0 || repaired.status === 1, `e2fsck: ${repaired.stdout}`)
  rmSync(to, { force: true })
  const dumped = spawnSync('debugfs', ['-R', `dump /v.hf ${to}`, disk], {
    encoding: 'utf8',
    env: withSbin(),
  })
  assert.equal(dumped.status, 0, `debugfs: ${dumped.stderr}`)
}

function checkRegion(path: string, operations: Operation[], acknowledged: number): string {
  const region = createRegion(path, 0)
  const checker = new Checker((bytes, start, length, crc) =>
    native.crc32cOf(bytes, start, length, crc),
  )
  const assertClean = (when: string) => {
    const report = checker.check(region)
    assert.equal(report.state, 'clean', `fsck ${when}:\n${formatReport(report)}`)
  }
  assertClean('of what the disk has')
  const volume = Volume.mount(region)
  const state = findState(volume, operations, acknowledged, operations.length)
  deleteAll(volume)
  volume.sync()
  assert.equal(volume.statfs().files, 1, 'inodes when everything is deleted')
  volume.close()
  assertClean('after everything was deleted')
  region.close()
  return `${acknowledged} operations acknowledged, ${state} found, ${volume.replayed} records replayed`
}

async function main(): Promise<void> {
  const start = performance.now()
  const sequences = fc.sample(sequenceOf(OPERATIONS, 8), { seed, numRuns: kills })
  const guest = setUpGuest(sequences.map((operations) => JSON.stringify(operations)))
  const disk = makeDisk(join(guest.tools, '../disk.img'), 160)
  const region = join(guest.tools, '../v.hf')
  for (let round = 0; round < kills; round++) {
    const acknowledged = await killGuest(guest, disk, round, 1 + prng.below(60))
    takeRegion(disk, region)
    console.log(`kill ${round + 1}: ${checkRegion(region, sequences[round]!, acknowledged)}`)
  }
  rmSync(region)
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  console.log(
    `${kills} kills of a guest, nothing acknowledged is missing; ${seconds} s, SEED=${seed}`,
  )
}

try {
  await main()
} catch (error) {
  if (!(error instanceof CannotRun)) {
    console.log(`SEED=${seed}`)
    throw error
  }
  console.log(`SKIPPED: ${error.message}`)
}
