/** Steps: the server is killed while a client writes through its mapping; and how it all ends. */
import { formatReport, exitCode } from '../../check/report.js'
import { checkVolume } from '../../check/checker.js'
import { native } from '../../native/native.js'
import { openRegion } from '../../region/file_region.js'
import type { Extent } from '../../base/filesystem.js'
import { demand, Differs, refusal, same, type Step } from './step.js'
import type { Stage } from './stage.js'

const BLOCKS = 2048
const APPENDED_MIN = 200
const LOOK_MS = 10
const WAIT_MS = 20_000

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + WAIT_MS; !(await holds()); await wait(LOOK_MS)) {
    if (performance.now() > end) throw new Differs(`it never came: ${what}`)
  }
}

/** Waits until so many more blocks were written through the mapping. */
async function written({ alice }: Stage, more: number): Promise<number> {
  const begin = await alice.ask<number>('written')
  await until(async () => (await alice.ask<number>('written')) >= begin + more, 'its writes')
  return alice.ask<number>('written')
}

export const kill: Step = {
  name: 'kill',
  title: 'the server is killed while a client writes, and starts again',
  linux:
    'When the server of a FUSE mount dies, calls are ENOTCONN ("Transport endpoint is not ' +
    'connected") until it is mounted anew, and pages that are not cached are SIGBUS.',
  async run(stage, told) {
    const { alice, bob, nic } = stage
    const file = { path: '/live.bin', seed: 9, count: BLOCKS }
    const log = { path: '/log.bin', seed: 10 }
    await alice.ask('create', file)
    await alice.ask('map', file)
    const extents = await alice.ask<Extent[]>('extents', file)
    await alice.ask('beginWriting', file)
    const appending = bob.ask<number>('append', log)
    await until(async () => (await sizeOf(nic, log.path)) >= APPENDED_MIN * 4096, 'the appends')
    await stage.server.kill()
    const said = await appending
    const before = await alice.ask<number>('written')
    const alone = (await written(stage, BLOCKS)) - before
    told.did(
      `SIGKILL, while alice writes through her mapping and bob appends (${said} blocks said to be there)`,
    )
    told.verified(
      `with no server at all, alice writes ${alone} blocks more: her mapping is good memory`,
    )
    await stage.startServer()
    const grace = await alice.event<boolean>('connected')
    demand(grace, 'the new server knows of no mapping: there was no grace period')
    await Promise.all([bob.event('connected'), nic.event('connected')])
    const [hold] = await alice.ask<{ kind: string; owner: { name: string } }[]>('holds')
    demand(hold?.kind === 'seal' && hold.owner.name === 'alice', 'alice has not reclaimed her seal')
    await refusal('ETXTBSY', 'truncating it', () => bob.ask('truncate', file))
    told.verified(
      'the next server finds the lock of her mapping, and waits; alice reclaims her seal',
    )
    await compare(stage, file, log, said, extents)
    told.verified(
      `${BLOCKS} blocks of hers by mapping, socket and RDMA, and ${said} of bob: all equal`,
    )
  },
}

async function sizeOf(actor: Stage['nic'], path: string): Promise<number> {
  return actor.ask<number>('size', { path }).catch(() => 0)
}

/** All blocks, seen by everybody, after others have filled what was free. */
async function compare(
  { alice, bob, nic }: Stage,
  file: { path: string; seed: number; count: number },
  log: { path: string; seed: number },
  said: number,
  extents: readonly Extent[],
): Promise<void> {
  const filler = { path: '/after.bin', seed: 11, count: 4 * BLOCKS }
  await bob.ask('create', filler)
  const { versions } = await alice.ask<{ versions: number[] }>('endWriting')
  same('her mapping', await alice.ask('look', { ...file, versions }))
  await Promise.all([bob.ask('open', file), nic.ask('open', file), nic.ask('open', log)])
  same('bob, by the socket', await bob.ask('read', { ...file, versions }))
  same('nic, by RDMA', await nic.ask('read', { ...file, versions }))
  same('what bob was told is there', await nic.ask('read', { ...log, count: said }))
  same('what bob wrote since', await bob.ask('read', filler))
  const now = await bob.ask('extents', file)
  demand(JSON.stringify(now) === JSON.stringify(extents), 'blocks under the mapping have moved')
  await alice.ask('unmap', file)
}

export const stop: Step = {
  name: 'stop',
  title: 'everybody leaves, the server stops, and the volume is checked',
  linux: 'umount(8) is EBUSY while a file is open, or leaves it to the last user (umount -l).',
  async run({ alice, bob, nic, server, region }, told) {
    await Promise.all([alice, bob, nic].map((actor) => actor.finish()))
    const code = await server.stop()
    demand(code === 0, `the server ended with exit code ${String(code)}: ${server.said}`)
    const opened = openRegion(region, { readOnly: true })
    try {
      const report = checkVolume(opened, { crc32cOf: native.crc32cOf })
      if (exitCode(report) !== 0) throw new Differs(formatReport(report))
    } finally {
      opened.close()
    }
    told.verified('closed in order; fsck finds nothing')
  },
}
