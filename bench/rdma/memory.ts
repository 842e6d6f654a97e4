/**
 * What a server's memory region is of, with both areas: memory of the process; a pinned file of a
 * volume; a file that is looked up at each access.
 */
import { LayoutVolume } from '../../src/layout/volume.js'
import type { MemorySource } from '../../src/rdma/index.js'
import { memfdRegion } from '../../src/region/file_region.js'
import { FileSource } from '../../src/serve/file_source.js'
import { HeldSource } from '../../src/serve/held_source.js'
import { formatVolume } from '../../src/volume/format.js'

export type MemoryKind = 'plain' | 'held' | 'on demand'

/** Twice as long as the content, which its first half is. */
export function memoryFor(kind: MemoryKind, content: Buffer): Uint8Array | MemorySource {
  const length = 2 * content.length
  if (kind === 'plain') {
    const memory = new Uint8Array(length)
    memory.set(content)
    return memory
  }
  const region = memfdRegion(length + (16 << 20))
  formatVolume(region)
  const volume = LayoutVolume.mount(region)
  const file = volume.open('/content', 'wx+')
  file.write(content, 0)
  file.write(new Uint8Array(content.length), content.length)
  if (kind === 'held') return new HeldSource(volume, file.pin({ reason: 'a memory region' }))
  return new FileSource(volume, file, { length })
}
