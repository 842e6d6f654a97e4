/**
 * Bytes of a file that a client on this machine has mapped, and as many of its heap: each is copied
 * to the same place, in the same order, one piece after the other or shuffled. A file of the
 * kernel's own, in memory and mapped (memfd), shows what of the difference is the volume's.
 */
import { native } from '../../src/native/native.js'
import { memfdRegion } from '../../src/region/file_region.js'
import { memoryOf } from '../../src/serve/region_memory.js'
import { slotsOf, type Round, type Worker } from '../rdma/work.js'
import { connectLocally, type ServedPlace } from './served.js'

/** By their `form`: with SHUFFLED added, the same in another order. */
export const MEMORIES = ['mapped file', 'heap', 'file of the kernel'] as const
export const SHUFFLED = MEMORIES.length
/** Prime: each piece has its turn. */
const STRIDE = 7919

export async function connectMapped(place: ServedPlace, content: Buffer): Promise<Worker> {
  const client = await connectLocally(place)
  const file = await client.open('/fixed', 'r+')
  const mapping = await file.map({ direct: true, write: true, populate: true })
  const plain = memfdRegion(content.length)
  const kernels = Buffer.from(native.view(memoryOf(plain), 0, content.length))
  content.copy(kernels)
  const memories = [Buffer.from(mapping.buffer), Buffer.from(content), kernels] as const
  const into = Buffer.alloc(1 << 20)
  return {
    prepare: () => Promise.resolve(void into.fill(0)),
    run({ form = 0, bytes, count }: Round) {
      const memory = memories[form % SHUFFLED]!
      const stride = strideOf(form)
      const slots = slotsOf(bytes)
      for (let i = 0; i < count; i++) {
        const at = ((i * stride) % slots) * bytes
        memory.copy(into, 0, at, at + bytes)
      }
      return Promise.resolve(false)
    },
    verify({ form = 0, bytes, count }: Round) {
      const at = (((count - 1) * strideOf(form)) % slotsOf(bytes)) * bytes
      const same = content.compare(into, 0, bytes, at, at + bytes) === 0
      return same ? Promise.resolve() : Promise.reject(new Error('other bytes came'))
    },
    async close() {
      mapping.unmap()
      await client.close()
    },
  }
}

const strideOf = (form: number) => (form < SHUFFLED ? 1 : STRIDE)
