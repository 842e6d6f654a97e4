/** A server in a process of its own, which says how long its event loop kept others waiting. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { Log } from '../../src/serve/log.js'
import { LOOP_PERIOD_MS } from '../../src/serve/loop_delay.js'
import { Service } from '../../src/serve/service.js'
import { serve } from '../processes/serve.js'

const SAMPLES = 8

let service: Service | null = null

serve({
  start: async ({ region, socket, keys }: { region: string; socket: string; keys?: string }) => {
    const log = new Log({ timers: systemTimers, write: (line) => process.stderr.write(line) })
    service = await Service.start({
      region,
      socket,
      ...(keys === undefined ? {} : { listen: { host: '127.0.0.1', port: 0, keys } }),
      watchLoop: true,
      timers: systemTimers,
      log,
      crypto: systemCrypto,
    })
    return service.address?.port ?? 0
  },
  /** Delays since it was asked last; those of a moment ago are counted after some more samples. */
  delays: async () => {
    for (let i = 0; i < SAMPLES; i++) await sleep(LOOP_PERIOD_MS)
    const { loop } = service!
    const { delay, gc } = loop!.summary()
    loop!.reset()
    return { delay, gc }
  },
  stop: () => service!.stop(),
})
