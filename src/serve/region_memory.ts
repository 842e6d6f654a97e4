/** The memory that a volume's sources lead to. */
import { HoldfastError } from '../base/errors.js'
import type { MemoryId } from '../native/native.js'
import type { Region } from '../region/region.js'

/** EOPNOTSUPP of a region whose bytes are reached by its calls alone. */
export function memoryOf({ memory, kind, path }: Region): MemoryId {
  if (memory !== null) return memory
  throw new HoldfastError(
    'EOPNOTSUPP',
    `${path} (${kind}) is no memory that a peer can be led to; open the volume for writing`,
  )
}
