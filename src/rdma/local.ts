/**
 * Local memory of a work request, as a list: bytes of this process, or parts of memory regions.
 * Messages are gathered from it and scattered to it, a segment at a time.
 */
import { hex } from '../base/struct.js'
import type { MemoryRegion, ProtectionDomain } from './memory_region.js'
import { Pieces } from './pieces.js'
import { Access, Fault, type MemorySource } from './source.js'

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

const moved = new Pieces()

/**
 * Copies bytes [at, at + length) of the list to `bytes`, or from there. False, and nothing is
 * touched: they are not there any more, or not for this.
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
  moved.clear()
  if (!findLocal(local, domain, at, length, store, moved)) return false
  if (!store) {
    moved.read(bytes, start)
    return true
  }
  moved.write(bytes, start)
  storedLocal(local, at, length)
  return true
}

/** Adds to `pieces` where bytes [at, at + length) of the list are. False: not all are there. */
export function findLocal(
  local: Local,
  domain: ProtectionDomain,
  at: number,
  length: number,
  store: boolean,
  pieces: Pieces,
): boolean {
  if (!isList(local)) return findElement(local, domain, at, length, store, pieces)
  let from = at
  let done = 0
  for (let i = 0; i < local.length && done < length; i++) {
    const sge = local[i]!
    if (from >= sge.length) {
      from -= sge.length
      continue
    }
    const count = Math.min(sge.length - from, length - done)
    if (!findElement(sge, domain, from, count, store, pieces)) return false
    done += count
    from = 0
  }
  return done === length
}

function findElement(
  sge: Sge,
  domain: ProtectionDomain,
  at: number,
  length: number,
  store: boolean,
  pieces: Pieces,
): boolean {
  if (length === 0) return true
  if (sge instanceof Uint8Array) {
    if (at + length > sge.length) return false
    pieces.add(sge, at, length)
    return true
  }
  if (invalidElement(sge, domain, store) !== '') return false
  const { region, offset } = sge
  return region.translate(offset + at, length, store, pieces) === Fault.none
}

/** Calls `visit` with each part of a region that bytes [at, at + length) of the list touch. */
function eachSource(
  local: Local,
  at: number,
  length: number,
  visit: (source: MemorySource, offset: number, length: number) => void,
): void {
  let from = at
  let done = 0
  const count = isList(local) ? local.length : 1
  for (let i = 0; i < count && done < length; i++) {
    const sge = isList(local) ? local[i]! : local
    const bytes = Math.max(0, Math.min(sge.length - from, length - done))
    if (bytes > 0 && !(sge instanceof Uint8Array)) {
      visit(sge.region.source, sge.offset + from, bytes)
    }
    done += bytes
    from = Math.max(0, from - sge.length)
  }
}

/** Sources of the list are told that bytes [at, at + length) were stored. */
export function storedLocal(local: Local, at: number, length: number): void {
  eachSource(local, at, length, tellStored)
}

const tellStored = (source: MemorySource, offset: number, length: number) =>
  source.stored?.(offset, length)

/** Whether bytes [at, at + length) of the list, which were read, were what is there. */
export function fetchedLocal(local: Local, at: number, length: number): boolean {
  fetched = true
  eachSource(local, at, length, askFetched)
  return fetched
}

let fetched = true
function askFetched(source: MemorySource, offset: number, length: number): void {
  if ((source.fetched?.(offset, length) ?? Fault.none) !== Fault.none) fetched = false
}
