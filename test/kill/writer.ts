/**
 * The process that is killed: does the operations of a file, one after the other, and says after
 * each that it is done, by one byte on its standard output.
 *
 *     node writer.js REGION OPERATIONS SYNC
 */
import { readFileSync, writeSync } from 'node:fs'
import { openRegion } from '../../src/region/file_region.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import type { Operation } from '../model/operations.js'
import { Pair, testMemory } from '../model/pair.js'

const [regionPath, operationsPath, sync] = process.argv.slice(2)
const current = openRegion(regionPath!)
const done = new Uint8Array([0x2e])
const pair = new Pair({ current, reopen: () => current }, sync as SyncMode, testMemory())
for (const operation of JSON.parse(readFileSync(operationsPath!, 'utf8')) as Operation[]) {
  pair.step(operation)
  writeSync(1, done)
}
// Not killed in time: what was done was done.
if (pair.refused > 0) throw new Error(`${pair.refused} operations found no space`)
