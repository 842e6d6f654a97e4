/**
 * The regions of the guest that are written to when its power goes: device-DAX, a file on ext4 and
 * one on xfs with DAX, an ordinary file on a disk.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createRegion, openRegion } from '../../../src/region/file_region.js'
import type { MemoryRegion } from '../../../src/region/memory_region.js'
import type { SyncMode } from '../../../src/volume/transaction.js'
import { mountFilesystem, type DaxFilesystem, type PersistentMemory } from './namespaces.js'

const REGION_BYTES = 64 << 20

export interface Target {
  readonly name: string
  readonly kind: string
  readonly path: string
}

/** Mounts what is to be mounted (a journal is replayed then). */
export function findTargets(memory: PersistentMemory): Target[] {
  const onDax = (type: DaxFilesystem) => ({
    name: type,
    kind: 'fsdax',
    path: join(mountFilesystem(memory, type), 'volume.hf'),
  })
  return [
    { name: 'devdax', kind: 'devdax', path: memory.dax },
    onDax('ext4'),
    onDax('xfs'),
    { name: 'disk', kind: 'file', path: '/mnt/disk/volume.hf' },
  ]
}

function ofKind(region: MemoryRegion, target: Target): MemoryRegion {
  if (region.kind === target.kind) return region
  throw new Error(`${target.path} is a region of kind ${region.kind}, not ${target.kind}`)
}

export function openTarget(target: Target): MemoryRegion {
  return ofKind(openRegion(target.path), target)
}

/** A file is made anew: its blocks are allocated, and not yet written. */
export function makeTarget(target: Target): MemoryRegion {
  if (target.kind !== 'devdax' && existsSync(target.path)) rmSync(target.path)
  return ofKind(createRegion(target.path, REGION_BYTES), target)
}

/**
 * How a round is written. An ordinary file always in groups: to wait for the disk at every
 * operation would leave few of them.
 */
export function syncOf(target: Target, round: number): SyncMode {
  return target.kind === 'file' || round % 2 === 1 ? 'group' : 'always'
}
