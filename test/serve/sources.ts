/** Sources of files, as a server makes them, and accesses to them, as the RNIC makes them. */
import type { HoldfastError } from '../../src/base/errors.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { LayoutVolume } from '../../src/layout/volume.js'
import { Pieces } from '../../src/rdma/pieces.js'
import { Fault, type MemorySource } from '../../src/rdma/source.js'
import { FileSource } from '../../src/serve/file_source.js'

/** A file that is looked up at each access; what an access was refused for goes to `refused`. */
export function followed(
  volume: LayoutVolume,
  file: LayoutFile,
  length: number,
  refused: HoldfastError[] = [],
): FileSource {
  return new FileSource(volume, file, { length, refused: (error) => refused.push(error) })
}

const pieces = new Pieces()

/** What a peer reads; a fault instead of bytes. */
export function fetch(source: MemorySource, offset: number, length: number): Buffer | Fault {
  pieces.clear()
  if (offset + length > source.length) return Fault.bounds
  const fault = source.translate(offset, length, false, pieces)
  if (fault !== Fault.none) return fault
  if (pieces.bytes !== length) throw new Error(`${pieces.bytes} bytes, and not ${length}`)
  const bytes = Buffer.alloc(length)
  pieces.read(bytes, 0)
  const found = source.fetched!(offset, length)
  return found === Fault.none ? bytes : found
}

/** What a peer writes. */
export function store(source: MemorySource, offset: number, bytes: Uint8Array): Fault {
  pieces.clear()
  if (offset + bytes.length > source.length) return Fault.bounds
  const fault = source.translate(offset, bytes.length, true, pieces)
  if (fault !== Fault.none) return fault
  if (pieces.bytes !== bytes.length) throw new Error(`${pieces.bytes} bytes of ${bytes.length}`)
  pieces.write(bytes, 0)
  source.stored!(offset, bytes.length)
  return fault
}
