/**
 * Runs in a guest that loses its power: checks what the round before has left, then writes to every
 * region, and says on the console what is durable:
 *
 *     DURABLE name n     the first n operations on that region
 *
 *     node power_off.js ROUND N N N N     what the round before said last, in the order of targets
 *
 * A round without operations only checks.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeSync } from 'node:fs'
import { Checker } from '../../../src/check/checker.js'
import { formatReport } from '../../../src/check/report.js'
import { native } from '../../../src/native/native.js'
import { Volume } from '../../../src/volume/volume.js'
import { findState } from '../../kill/expected.js'
import { deleteAll } from '../../model/compare.js'
import type { Operation } from '../../model/operations.js'
import { Pair, testMemory } from '../../model/pair.js'
import { DAX_FILESYSTEMS, makeFilesystem, persistentMemory } from './namespaces.js'
import { Stamps } from './stamps.js'
import { findTargets, makeTarget, openTarget, syncOf, type Target } from './targets.js'

const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

function say(text: string): void {
  writeSync(1, `${text}\n`)
}

function operationsOf(round: number): Operation[] | null {
  const path = `/app/operations-${round}.json`
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Operation[]) : null
}

function check(target: Target, operations: Operation[], durable: number): void {
  const region = openTarget(target)
  const assertClean = (when: string) => {
    const report = checker.check(region)
    assert.equal(report.state, 'clean', `fsck ${target.name} ${when}:\n${formatReport(report)}`)
  }
  assertClean('as the power cut left it')
  const volume = Volume.mount(region)
  const state = findState(volume, operations, durable, operations.length)
  deleteAll(volume)
  volume.sync()
  assert.equal(volume.statfs().files, 1, 'inodes when everything is deleted')
  const { replayed } = volume
  volume.close()
  assertClean('after everything was deleted')
  region.close()
  let control = 0
  if (target.kind === 'fsdax') {
    const lost = Stamps.lost(target.path, durable)
    assert.equal(lost.mapped, 0, `stamps lost of a mapped file on ${target.name}`)
    control = lost.control
  }
  const found = `durable=${durable} state=${state} replayed=${replayed} control=${control}`
  say(`FOUND ${target.name} ${found}`)
}

function write(targets: readonly Target[], operations: Operation[], round: number): void {
  const writers = targets.map((target) => {
    const current = makeTarget(target)
    const sync = syncOf(target, round)
    const pair = new Pair({ current, reopen: () => current }, sync, testMemory())
    pair.volume.sync()
    const stamps = target.kind === 'fsdax' ? new Stamps(target.path) : null
    return { target, sync, pair, stamps }
  })
  for (const { target } of writers) say(`DURABLE ${target.name} 0`)
  operations.forEach((operation, i) => {
    for (const { target, sync, pair, stamps } of writers) {
      pair.step(operation)
      stamps?.next()
      if (sync === 'always' || operation.do === 'sync') say(`DURABLE ${target.name} ${i + 1}`)
    }
  })
  for (const { pair } of writers) {
    if (pair.refused > 0) throw new Error(`${pair.refused} operations found no space`)
  }
}

const [round = 0, ...durable] = process.argv.slice(2).map(Number)
const memory = persistentMemory()
const before = operationsOf(round - 1)
if (before === null) for (const type of DAX_FILESYSTEMS) makeFilesystem(memory, type)
const targets = findTargets(memory)
if (before !== null) targets.forEach((target, i) => check(target, before, durable[i]!))
const operations = operationsOf(round)
if (operations !== null) write(targets, operations, round)
