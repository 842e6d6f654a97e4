/** Regions of every kind that a machine has without special hardware, for tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRegion, memfdRegion, openRegion } from '../../src/region/file_region.js'
import { heapRegion, type MemoryRegion } from '../../src/region/memory_region.js'

export type RegionName = 'heap' | 'tmpfs' | 'memfd' | 'file'
export const REGION_NAMES: readonly RegionName[] = ['heap', 'tmpfs', 'memfd', 'file']

/** A region that can be closed and opened again, as another process would. */
export class TestRegion {
  readonly name: RegionName
  /** The file behind it, '' none. */
  readonly path: string
  current: MemoryRegion
  readonly #directory: string

  constructor(name: RegionName, byteLength: number) {
    this.name = name
    const parent = name === 'tmpfs' ? '/dev/shm' : tmpdir()
    this.#directory =
      name === 'tmpfs' || name === 'file' ? mkdtempSync(join(parent, 'hf-test-')) : ''
    this.path = this.#directory === '' ? '' : join(this.#directory, 'region')
    if (name === 'heap') this.current = heapRegion(byteLength)
    else if (name === 'memfd') this.current = memfdRegion(byteLength)
    // Where the temporary directory is a tmpfs, the page cache is asked for in so many words.
    else if (name === 'file') {
      this.current = createRegion(this.path, byteLength, { persistence: 'sync' })
    } else this.current = createRegion(this.path, byteLength)
  }

  /** Unmaps and maps again; a region without a file stays as it is. */
  reopen(): MemoryRegion {
    if (this.path !== '') {
      this.current.close()
      this.current = openRegion(this.path, this.name === 'file' ? { persistence: 'sync' } : {})
    }
    return this.current
  }

  close(): void {
    this.current.close()
    if (this.#directory !== '') rmSync(this.#directory, { recursive: true })
  }
}
