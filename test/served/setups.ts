/** The filesystem as clients of a server have it: on the same machine, and through RDMA. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { connect, type Client } from '../../src/client/index.js'
import { formatSecret } from '../../src/control/keys.js'
import { createVolume } from '../../src/layout/embedded.js'
import { openRegion } from '../../src/region/file_region.js'
import { Log } from '../../src/serve/log.js'
import { Service } from '../../src/serve/service.js'
import type { Setup } from '../suite/ground.js'

const KEY = { id: 'suite', secret: new Uint8Array(32).map((_, i) => 7 * i + 1) }

/** A server of its own for each time that the volume is opened, and one client of it. */
async function open(directory: string, remote: boolean, readOnly: boolean): Promise<Client> {
  const keys = join(directory, 'keys')
  writeFileSync(keys, `${formatSecret(KEY)} uid=0 gid=0 rw\n`, { mode: 0o600 })
  const service = await Service.start({
    region: join(directory, 'volume.hf'),
    open: { readOnly },
    socket: join(directory, 'socket'),
    timers: systemTimers,
    log: new Log({ timers: systemTimers, level: 'error', write: (line) => console.error(line) }),
    crypto: systemCrypto,
    ...(remote ? { listen: { host: '127.0.0.1', port: 0, keys } } : {}),
  })
  const where = remote ? `hf://127.0.0.1:${service.address!.port}` : service.local.path
  const client = await connect(where, { key: KEY, patience: 0 })
  const close = client.close.bind(client)
  client.close = async () => {
    await close()
    await service.stop()
  }
  return client
}

function served(name: string, remote: boolean): Setup {
  return {
    name,
    slow: true,
    lends: remote,
    make(bytes) {
      const directory = mkdtempSync('/dev/shm/holdfast-served-')
      createVolume(join(directory, 'volume.hf'), bytes, { label: 'suite' })
      return {
        open: (readOnly = false) => open(directory, remote, readOnly),
        look(use) {
          const region = openRegion(join(directory, 'volume.hf'))
          try {
            use(region)
          } finally {
            region.close()
          }
        },
        remove: () => rmSync(directory, { recursive: true }),
      }
    },
  }
}

export const local = served('a server, through its socket', false)
export const remote = served('a server, through RDMA', true)
