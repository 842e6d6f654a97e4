/**
 * Runs in the guest: does the operations of a file on a region that is an ordinary file on the
 * disk, sync=group, and prints `SYNC n` when everything up to operation n has been made durable.
 */
import { existsSync, readFileSync, writeSync } from 'node:fs'
import { createRegion, openRegion } from '../../../src/region/file_region.js'
import type { Operation } from '../../model/operations.js'
import { Pair, testMemory } from '../../model/pair.js'

const REGION_BYTES = 64 << 20
const [path, operationsPath] = process.argv.slice(2)
const operations = JSON.parse(readFileSync(operationsPath!, 'utf8')) as Operation[]
const current = existsSync(path!) ? openRegion(path!) : createRegion(path!, REGION_BYTES)
if (current.kind !== 'file') throw new Error(`the region is of kind ${current.kind}, not file`)
const pair = new Pair({ current, reopen: () => current }, 'group', testMemory())
pair.volume.sync()
writeSync(1, 'READY\n')
operations.forEach((operation, i) => {
  pair.step(operation)
  if (operation.do === 'sync') writeSync(1, `SYNC ${i + 1}\n`)
})
if (pair.refused > 0) throw new Error(`${pair.refused} operations found no space`)
writeSync(1, 'DONE\n')
