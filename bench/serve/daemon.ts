/**
 * A daemon in a process of its own: a volume on tmpfs with two files of a size, one of them with
 * the content of the bench, served on a Unix socket and on loopback as `holdfast serve` does. Its
 * first line says where; then each line of its input is a question: `memory`, `counters`. The end
 * of that is its end.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { createVolume } from '../../src/layout/embedded.js'
import type { LayoutVolume } from '../../src/layout/volume.js'
import { Log } from '../../src/serve/log.js'
import { Service } from '../../src/serve/service.js'
import { answer, job, memory } from '../child.js'
import type { DaemonJob, ServedPlace } from './served.js'

const SPARE_BYTES = 64 << 20
const KEY_BYTES = 32

function makeFiles(volume: LayoutVolume, content: Buffer): void {
  for (const [path, bytes] of [
    ['/fixed', content],
    ['/changing', Buffer.alloc(content.length)],
  ] as const) {
    const file = volume.open(path, 'wx')
    file.write(bytes, 0)
    file.close()
  }
}

function makeKeys(path: string): string {
  const key = Buffer.alloc(KEY_BYTES)
  systemCrypto.entropy.fill(key)
  const secret = key.toString('base64url')
  writeFileSync(path, `bench ${secret} uid=0 gid=0 rw\n`, { mode: 0o600 })
  return path
}

async function serve({ directory, content, spare = SPARE_BYTES }: DaemonJob): Promise<Service> {
  const region = `${directory}/served.hf`
  const bytes = readFileSync(content)
  createVolume(region, 2 * bytes.length + spare)
  const keys = makeKeys(`${directory}/keys`)
  const service = await Service.start({
    region,
    socket: `${directory}/socket`,
    listen: { host: '127.0.0.1', port: 0, keys },
    timers: systemTimers,
    crypto: systemCrypto,
    log: new Log({ timers: systemTimers, format: 'json', level: 'error', write: tell }),
  })
  makeFiles(service.server.files.volume, bytes)
  const place: ServedPlace = { socket: service.local.path, port: service.address!.port, keys }
  answer(place)
  return service
}

const tell = (line: string) => void process.stderr.write(line)

const service = await serve(job() as DaemonJob)
const { volume } = service.server.files
for await (const question of createInterface({ input: process.stdin })) {
  if (question === 'memory') answer(memory())
  else answer({ ...volume.region.counters })
}
await service.stop()
process.exit(0)
