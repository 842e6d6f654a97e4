/**
 * Local memory of a work request, as a list: bytes of this process, or parts of memory regions.
 * Messages are gathered from it and scattered to it, a segment at a time.
 */
import { hex } from '../base/struct.js'
import { native } from '../native/native.js'
import type { MemoryRegion, ProtectionDomain } from './memory_region.js'
import { Pieces } from './pieces.js'
import { Access, Fault } from './source.js'

/** Part of a memory region, in bytes from its beginning. */
export interface RegionPart {
  readonly region: MemoryRegion
  readonly offset: number
  readonly length: number
}

/** One element of the list (ibv_sge). Bytes need no registration: they are copied here. */
export type Sge = Uint8Array | RegionPart
export type Local = Sge | readonly Sge[]

const isList = (local: Local): local is readonly Sge[] => Array.isArray(local)

/** Bytes of all elements. */
export function localBytes(local: Local): number {
  if (!isList(local)) return local.length
  let sum = 0
  for (let i = 0; i < local.length; i++) sum += local[i]!.length
  return sum
}

/** Why not all elements are good for this: '' when they are. */
export function invalidLocal(local: Local, domain: ProtectionDomain, store: boolean): string {
  if (!isList(local)) return invalidElement(local, domain, store)
  for (let i = 0; i < local.length; i++) {
    const why = invalidElement(local[i]!, domain, store)
    if (why !== '') return why
  }
  return ''
}

function invalidElement(sge: Sge, domain: ProtectionDomain, store: boolean): string {
  if (sge instanceof Uint8Array) return ''
  const { region, offset, length } = sge
  if (!region.valid) return `STag ${hex(region.stag)} was invalidated`
  if (region.domain !== domain) return `STag ${hex(region.stag)} is of another protection domain`
  if (store && (region.access & Access.localWrite) === 0)
    return `STag ${hex(region.stag)}: no localWrite`
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
  if (whole && offset >= 0 && length >= 0 && offset + length <= region.length) return ''
  return `${length} bytes at ${offset} of STag ${hex(region.stag)}, which has ${region.length}`
}

const pieces = new Pieces()

/**
 * Copies bytes [at, at + length) of the list to `target`, or from it. False: they are not there any
 * more. Nothing of an element that is not good is touched.
 */
export function moveLocal(
  local: Local,
  domain: ProtectionDomain,
  at: number,
  store: boolean,
  bytes: Uint8Array,
  start: number,
  length: number,
): boolean {
  if (!isList(local)) return moveElement(local, domain, at, store, bytes, start, length)
  let from = at
  let done = 0
  for (let i = 0; i < local.length && done < length; i++) {
    const sge = local[i]!
    if (from >= sge.length) {
      from -= sge.length
      continue
    }
    const count = Math.min(sge.length - from, length - done)
    if (!moveElement(sge, domain, from, store, bytes, start + done, count)) return false
    done += count
    from = 0
  }
  return done === length
}

function moveElement(
  sge: Sge,
  domain: ProtectionDomain,
  at: number,
  store: boolean,
  bytes: Uint8Array,
  start: number,
  length: number,
): boolean {
  if (length === 0) return true
  if (sge instanceof Uint8Array) {
    if (at + length > sge.length) return false
    if (store) native.copyBytes(sge, at, bytes, start, length)
    else native.copyBytes(bytes, start, sge, at, length)
    return true
  }
  const { region, offset } = sge
  if (invalidElement(sge, domain, store) !== '') return false
  if (region.translate(offset + at, length, store, pieces) !== Fault.none) return false
  if (store) {
    pieces.write(bytes, start)
    region.source.stored?.(offset + at, length)
  } else {
    pieces.read(bytes, start)
  }
  return true
}
