/**
 * A server that hostile clients connect to: `hostile_server.js DIRECTORY MAX_SESSIONS`. It answers
 * lines with lines: what memory it has, what its log said, that it has stopped.
 */
import { createInterface } from 'node:readline'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { join } from 'node:path'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { createVolume } from '../../src/layout/embedded.js'
import { Log } from '../../src/serve/log.js'
import { Service } from '../../src/serve/service.js'

const REGION_BYTES = 48 << 20
const [directory, maxSessions] = process.argv.slice(2) as [string, string]
const region = join(directory, 'region')
createVolume(region, REGION_BYTES)

const ROOT = { uid: 0, gid: 0 }
const lines: string[] = []
const log = new Log({
  timers: systemTimers,
  format: 'text',
  level: 'debug',
  burst: 10_000,
  burstOfAll: 10_000,
  write: (line) => lines.push(line),
})
const service = await Service.start({
  region,
  socket: join(directory, 'socket'),
  listen: { host: '127.0.0.1', port: 0, keys: join(directory, 'keys') },
  maxSessions: Number(maxSessions),
  timers: systemTimers,
  crypto: systemCrypto,
  log,
})

/** Whose file, its mode and its name. */
const FILES = [
  [0, 0o600, '/secret'],
  [1000, 0o600, '/ada'],
  [1001, 0o600, '/bob'],
  [0, 0o644, '/locked/open'],
  [0, 0o644, '/public'],
] as const
const { files } = service.server
await files.mkdir('/locked', 0o755, ROOT)
await files.mkdir('/shared', 0o777, ROOT)
await files.chmod('/shared', 0o777, ROOT)
for (const [uid, mode, path] of FILES) {
  const file = await files.open(path, 'w', 0o600, ROOT)
  await file.write(Buffer.alloc(8192, `the content of ${path} `), 0)
  await file.close()
  await files.chown(path, uid, uid, {}, ROOT)
  await files.chmod(path, mode, ROOT)
}
await files.chmod('/locked', 0o700, ROOT)
await files.sync()

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const say = (what: unknown) => process.stdout.write(`${JSON.stringify(what)}\n`)

async function memory() {
  for (let i = 0; i < 3; i++) {
    gc!()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return { heap: heapUsed, external: Math.max(external, arrayBuffers) }
}

const commands: Record<string, () => unknown> = {
  memory,
  log: () => lines.splice(0),
  /** Milliseconds that the loop was late at most since it was asked for last. */
  delay: () => {
    const most = delay.max / 1e6
    delay.reset()
    return most
  },
  reload: () => service.reload(),
  counts: () => {
    const { server } = service
    const { sessions, connections } = server
    const holds = server.files.volume.holds().length
    return { sessions: sessions.size, connections, holds }
  },
  stop: () => service.stop(1000),
}
const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  void Promise.resolve(commands[line]!()).then((answer) => say(answer ?? null))
})
input.on('close', () => process.exit(0))
say({ port: service.address!.port })
