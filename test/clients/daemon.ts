/** The daemon of a test: serves a region, says what it knows of its clients, and dies when told. */
import { randomBytes } from 'node:crypto'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { Log } from '../../src/serve/log.js'
import { Service } from '../../src/serve/service.js'
import { serve, tell } from '../processes/serve.js'
import type { Report } from './report.js'

interface Start {
  readonly region: string
  readonly socket: string
  /** File of keys: remote clients are served, too. */
  readonly keys?: string
  /** Of remote clients: one that is free unless given. */
  readonly port?: number
}

let service!: Service

async function start({ region, socket, keys, port = 0 }: Start): Promise<{ port: number }> {
  const log = new Log({
    timers: systemTimers,
    format: 'json',
    level: process.env['HOLDFAST_TEST_LOG'] === undefined ? 'warn' : 'debug',
    write: (line) => {
      process.stderr.write(line)
      // What a server must never have to say fails the test.
      if (line.includes('"level":"error"')) tell('wrong', line)
    },
  })
  const listen = keys === undefined ? undefined : { host: '127.0.0.1', port, keys }
  service = await Service.start({
    region,
    socket,
    listen,
    timers: systemTimers,
    log,
    crypto: systemCrypto,
  })
  return { port: service.address?.port ?? 0 }
}

function report(): Report {
  const { volume } = service.server.files
  return {
    sessions: service.server.list(),
    holds: volume.holds(),
    limbo: volume.core.limbo.blocks,
    grace: volume.inGrace,
    // Limbo is open always.
    open: volume.core.opens.count - 1,
    free: volume.statfs().blocksFree,
    statfs: volume.statfs(),
  }
}

/** Nothing else runs for so long. */
function busy({ milliseconds }: { milliseconds: number }): void {
  tell('busy')
  const end = performance.now() + milliseconds
  while (performance.now() < end) randomBytes(1)
}

serve({
  start,
  report,
  busy,
  stop: () => service.stop(1000),
  evict: ({ id }: { id: number }) => service.server.evict(id),
})
