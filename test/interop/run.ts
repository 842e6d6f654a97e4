/**
 * `npm run test:interop`: the RNIC of src/rdma against siw, the iWARP of the Linux kernel, in a
 * guest that is booted once.
 *
 * An argument, as `setups`, runs only that. SEED repeats the sizes that are random. The console of
 * the guest is kept in build/interop.
 */
import { after } from 'node:test'
import { CannotRun } from '../machine/needs.js'
import { testCommands } from './commands.js'
import { testDeaths } from './deaths.js'
import { testErrors } from './errors.js'
import { bootGuest } from './guest.js'
import { makeImage } from './image.js'
import { testMessages } from './messages.js'
import { testServed } from './served.js'
import { testSetups } from './setups.js'
import { testTransfers } from './transfers.js'
import { World } from './world.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))

async function main(only: string | undefined): Promise<void> {
  const start = performance.now()
  const guest = await bootGuest(makeImage())
  console.log(
    `the guest is up after ${((performance.now() - start) / 1000).toFixed(0)} s; SEED=${seed}`,
  )
  after(() => guest.stop())
  const world = new World(guest)
  const suites = {
    setups: () => testSetups(world),
    transfers: () => testTransfers(world, seed),
    messages: () => testMessages(world),
    errors: () => testErrors(world),
    deaths: () => testDeaths(world),
    commands: () => testCommands(world),
    served: () => testServed(world),
  }
  for (const [name, suite] of Object.entries(suites)) {
    if (only === undefined || only === name) suite()
  }
}

try {
  await main(process.argv[2])
} catch (error) {
  if (!(error instanceof CannotRun)) throw error
  console.log(`SKIPPED: ${error.message}`)
}
