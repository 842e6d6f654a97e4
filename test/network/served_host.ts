/** A server of a volume, as a program on a host (served.test.ts). */
import { existsSync } from 'node:fs'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { createVolume } from '../../src/layout/embedded.js'
import { Log } from '../../src/serve/log.js'
import { parseExposure } from '../../src/serve/plain.js'
import { Service } from '../../src/serve/service.js'
import { patternOf } from '../interop/pattern.js'
import { serve } from '../processes/serve.js'
import { digest } from './served.js'

const IO_BYTES = 4 << 20
const BLOCK = 4096

interface Start {
  readonly directory: string
  readonly host: string
  readonly port: number
  readonly bytes: number
  readonly keepalive?: number
  /** What plain clients reach. */
  readonly plain?: string
}

let service!: Service
const volume = () => service.server.files.volume

async function start(options: Start): Promise<{ port: number; plain: number | null }> {
  const { directory, host, port, bytes, keepalive, plain } = options
  const region = `${directory}/region`
  if (!existsSync(region)) createVolume(region, bytes)
  const write = (line: string) => void process.stderr.write(line)
  const log = new Log({ timers: systemTimers, format: 'text', level: 'info', write })
  service = await Service.start({
    region,
    socket: `${directory}/socket`,
    listen: { host, port, keys: `${directory}/keys` },
    ...(plain === undefined ? {} : { plain: { host, port: 0, expose: [parseExposure(plain)] } }),
    ...(keepalive === undefined ? {} : { keepalive }),
    ...{ timers: systemTimers, crypto: systemCrypto, log },
  })
  return { port: service.address!.port, plain: service.plain?.port ?? null }
}

interface Range {
  readonly path: string
  readonly offset?: number
  readonly length: number
}

serve({
  start,
  stop: () => service.stop(),
  holds: () => volume().holds(),
  sessions: () => service.server.list(),
  /** A file of so many bytes of a pattern; without a seed, of nothing. */
  make: ({ path, length, seed }: Range & { readonly seed?: number }) => {
    using file = volume().open(path, 'w')
    file.truncate(length)
    if (seed !== undefined) file.write(patternOf(seed, length), 0)
  },
  /** Every block that is free gets a byte of its own; how many bytes the file has then. */
  fill: ({ path, byte }: { path: string; byte: number }) => {
    using file = volume().open(path, 'w')
    let size = 0
    for (let step = 1 << 20; step >= BLOCK;) {
      try {
        size += file.write(new Uint8Array(step).fill(byte), size)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        step = step === BLOCK ? 0 : BLOCK
      }
    }
    return size
  },
  /** What others wait for: it asks leases back, and waits for their ends. */
  truncate: async ({ path, size, deadline }: { path: string; size: number; deadline: number }) => {
    const { promises, arbiter } = volume()
    const began = performance.now()
    const run = () => arbiter.during({}, () => volume().truncate(path, size))
    await promises.settle(run, { deadline, timeout: deadline, policy: 'wait' })
    return performance.now() - began
  },
  rename: ({ from, to }: { from: string; to: string }) => volume().rename(from, to),
  reflink: ({ from, to }: { from: string; to: string }) => volume().reflink(from, to),
  defragment: ({ path }: { path: string }) => volume().promises.defragment(path),
  size: ({ path }: { path: string }) => volume().stat(path).size,
  digest: ({ path, offset = 0, length }: Range) => {
    using file = volume().open(path, 'r')
    return digest((bytes, at) => file.read(bytes, at), offset, length, IO_BYTES)
  },
})
