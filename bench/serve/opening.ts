/**
 * Opening a file of a server on another host, until its first bytes are there; and what the wire
 * alone takes for it: as many round trips of a call that does nothing.
 */
import { VERBS } from '../../src/control/verbs/index.js'
import type { Round, Worker } from '../rdma/work.js'
import { connectRemotely, type ServedPlace } from './served.js'

const BYTES = 4096
/** OPEN and READ: the first bytes come with an answer of the server. */
const ROUND_TRIPS = 2

/** By their `form`. */
export const OPENINGS = [
  'open and read 4 KiB',
  'two round trips of NULL',
  'connect, open and read 4 KiB',
  'open, read one-sided twice',
] as const

export async function connectOpening(place: ServedPlace, content: Buffer): Promise<Worker> {
  const client = await connectRemotely(place)
  const into = new Uint8Array(BYTES)
  const openAndRead = async (of = client, times = 1) => {
    const file = await of.open('/fixed', 'r')
    for (let i = 0; i < times; i++) await file.read(into, i * BYTES)
    return file
  }
  const pings = async () => {
    for (let i = 0; i < ROUND_TRIPS; i++) await client.connection.call(VERBS.ping, {})
    return null
  }
  const anew = async () => {
    const another = await connectRemotely(place)
    await openAndRead(another)
    return another
  }
  const forms = [openAndRead, pings, anew, () => openAndRead(client, 2)] as const
  return {
    prepare: () => Promise.resolve(void into.fill(0)),
    async run({ form = 0, count }: Round, each: Float64Array) {
      for (let i = 0; i < count; i++) {
        const start = performance.now()
        const opened = await (forms[form] as () => Promise<{ close(): Promise<void> } | null>)()
        each[i] = (performance.now() - start) * 1e6
        await opened?.close()
      }
      return true
    },
    verify({ form = 0 }: Round) {
      const at = form === 3 ? BYTES : 0
      const good = form === 1 || content.compare(into, 0, BYTES, at, at + BYTES) === 0
      return good ? Promise.resolve() : Promise.reject(new Error('other bytes came'))
    },
    close: () => client.close(),
  }
}
