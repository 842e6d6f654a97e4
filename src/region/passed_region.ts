/**
 * A region as a client has it: a descriptor that its owner passed, and what the owner says of it.
 * Nothing of it is mapped but the pieces that the client was granted, each in a stitched mapping.
 *
 * Invariants:
 * - what the owner says is compared with what the kernel says of the descriptor: a wrong unit or
 *   size would put pieces of other files under a mapping;
 * - the descriptor is its own and closed with it; mappings made before live on.
 */
import { closeSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { MapFlag, native } from '../native/native.js'
import { probe, type Kind } from './kind.js'
import { MappableFile } from './mappable_file.js'
import type { DeviceSync, Persistence } from './region.js'
import { systemCall } from '../base/system_call.js'

/** What the owner of a region says of it. */
export interface ToldRegion {
  /** For messages: where the owner has it. */
  readonly path: string
  readonly kind: string
  readonly byteLength: number
  readonly grain: number
  readonly persistence: Persistence
  readonly coherent: boolean
}

export class PassedRegion extends MappableFile {
  #closed = false

  /** Owns `fd` from now on, also when it throws: EPROTO, it is not what was said. */
  constructor(fd: number, told: ToldRegion) {
    try {
      const found = probe(fd, told.path)
      compare(told, found)
      super({ ...told, fd, mapFlags: found.mapFlags })
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Where nothing is mapped, at the same offset of a reservation, for as long as it takes. */
  syncDevice(what: DeviceSync, offset: number, length: number): void {
    if (this.coherent || length === 0) return
    const from = Math.floor(offset / this.grain) * this.grain
    const end = Math.ceil((offset + length) / this.grain) * this.grain
    const memory = systemCall('mmap', this.path, () => native.reserve(this.byteLength))
    try {
      const flags = this.mapFlags | MapFlag.read
      systemCall('mmap', this.path, () =>
        native.map(memory, from, this.fd, from, end - from, flags),
      )
      this.syncDeviceIn(memory, what, offset, length)
    } finally {
      native.unmap(memory)
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.fd)
  }
}

function compare(told: ToldRegion, found: Kind): void {
  const { byteLength, grain } = told
  const good =
    told.kind === found.kind &&
    grain === found.grain &&
    Number.isSafeInteger(byteLength) &&
    byteLength > 0 &&
    byteLength % grain === 0 &&
    byteLength <= found.byteLength
  if (good) return
  const text = (of: { kind: string; byteLength: number; grain: number }) =>
    `${of.kind} of ${of.byteLength} bytes in pages of ${of.grain}`
  throw new HoldfastError(
    'EPROTO',
    `${told.path}: its owner says ${text(told)}, and the descriptor is ${text(found)}`,
  )
}
