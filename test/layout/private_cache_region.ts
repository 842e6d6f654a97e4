/**
 * A region whose memory is not coherent with what devices write: this side has a cache of its own,
 * 64-byte lines that go back, or are dropped, when it says so and not before. Two memories: what
 * the program stores and reads, and what devices see.
 */
import { LINE_BYTES } from '../../src/base/limits.js'
import { native } from '../../src/native/native.js'
import { MemoryRegion } from '../../src/region/memory_region.js'
import type { DeviceSync } from '../../src/region/region.js'

export class PrivateCacheRegion extends MemoryRegion {
  /** What a device finds. */
  readonly device: Uint8Array
  flushes = 0
  invalidations = 0

  constructor(byteLength: number) {
    super({
      kind: 'private cache',
      path: 'private cache',
      memory: native.anonymous(byteLength),
      byteLength,
      persistence: 'fence',
      grain: 4096,
      fd: -1,
      mapFlags: 0,
      coherent: false,
      onClose: () => {},
    })
    this.device = new Uint8Array(byteLength)
  }

  override syncDevice(what: DeviceSync, from: number, bytes: number): void {
    const offset = from - (from % LINE_BYTES)
    const length = Math.ceil((from + bytes) / LINE_BYTES) * LINE_BYTES - offset
    if (what === 'flush') {
      this.flushes++
      native.copyOut(this.memory, offset, this.device, offset, length)
    } else {
      this.invalidations++
      native.copyIn(this.memory, offset, this.device, offset, length)
    }
  }
}
