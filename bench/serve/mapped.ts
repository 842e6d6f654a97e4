/**
 * Bytes of a file that a client on this machine has mapped, and as many of its heap: each is copied
 * to the same place, in the same order.
 */
import { slotsOf, type Round, type Worker } from '../rdma/work.js'
import { connectLocally, type ServedPlace } from './served.js'

/** By their `form`. */
export const MEMORIES = ['mapped file', 'heap'] as const

export async function connectMapped(place: ServedPlace, content: Buffer): Promise<Worker> {
  const client = await connectLocally(place)
  const file = await client.open('/fixed', 'r+')
  const mapping = await file.map({ direct: true, write: true, populate: true })
  const memories = [Buffer.from(mapping.buffer), Buffer.from(content)] as const
  const into = Buffer.alloc(1 << 20)
  return {
    prepare: () => Promise.resolve(void into.fill(0)),
    run({ form = 0, bytes, count }: Round) {
      const memory = memories[form]!
      const slots = slotsOf(bytes)
      for (let i = 0; i < count; i++) {
        const at = (i % slots) * bytes
        memory.copy(into, 0, at, at + bytes)
      }
      return Promise.resolve(false)
    },
    verify({ bytes, count }: Round) {
      const at = ((count - 1) % slotsOf(bytes)) * bytes
      const same = content.compare(into, 0, bytes, at, at + bytes) === 0
      return same ? Promise.resolve() : Promise.reject(new Error('other bytes came'))
    },
    async close() {
      mapping.unmap()
      await client.close()
    },
  }
}
