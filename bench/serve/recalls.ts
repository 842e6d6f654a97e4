/**
 * A file that shrinks where somebody else may have lent it: the process that shrinks it, and the
 * one that gives it back at once when it is asked to.
 */
import type { Client, ClientHold, HoldingFile, RemoteFile } from '../../src/client/index.js'
import type { Round, Worker } from '../rdma/work.js'
import { connectLocally, connectRemotely, type ServedPlace } from './served.js'

const BYTES = 64 << 10
const PATH = '/lent'

/** Who has lent it, by the `form` of the holder. */
export const HOLDERS = ['nobody', 'a local client', 'a remote client'] as const

/** Shrinks it: each round once. */
export async function connectShrinking(place: ServedPlace): Promise<Worker> {
  const client = await connectLocally(place)
  const file = await client.open(PATH, 'w+')
  const bytes = new Uint8Array(BYTES)
  return {
    prepare: async () => void (await file.write(bytes, 0)),
    async run(_: Round, each: Float64Array) {
      const start = performance.now()
      await file.truncate(0)
      each[0] = (performance.now() - start) * 1e6
      return true
    },
    async verify() {
      if ((await file.stat()).size !== 0) throw new Error('it has not shrunk')
    },
    close: () => client.close(),
  }
}

/** Has it lent before each round, and gives it back when it is asked to. */
export async function connectHolding(place: ServedPlace): Promise<Worker> {
  const clients: readonly Client[] = [await connectLocally(place), await connectRemotely(place)]
  const [local, remote] = await Promise.all(clients.map((client) => client.open(PATH, 'r+')))
  let hold: ClientHold | null = null
  let asked = 0
  const onRecall = () => void asked++
  const take = async (form: number) => {
    if (form === 1) return (local as HoldingFile).lease({ onRecall })
    const layout = await (remote as RemoteFile).layout({ iomode: 'rw', onRecall })
    await layout.read(0, BYTES)
    return layout.hold
  }
  return {
    async prepare({ form = 0 }: Round) {
      asked = 0
      hold = form === 0 ? null : await take(form)
    },
    run: () => Promise.resolve(false),
    async verify() {
      if (hold === null) return
      if ((await hold.over) !== 'released' || asked !== 1) throw new Error('it was not asked back')
    },
    async close() {
      for (const client of clients) await client.close()
    },
  }
}
