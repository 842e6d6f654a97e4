/**
 * The regions of the guest that are written to when its power goes: device-DAX, a file on ext4 and
 * one on xfs with DAX, an ordinary file on a disk.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createRegion, openRegion } from '../../../src/region/file_region.js'
import type { MemoryRegion } from '../../../src/region/memory_region.js'
import type { SyncMode } from '../../../src/volume/transaction.js'
import { mountFilesystem, type PersistentMemory } from './namespaces.js'

const REGION_BYTES = 64 << 20

/** In the order in which they are written. */
export const TARGETS = [
  { name: 'devdax', kind: 'devdax' },
  { name: 'ext4', kind: 'fsdax' },
  { name: 'xfs', kind: 'fsdax' },
  { name: 'disk', kind: 'file' },
] as const

export type Target = (typeof TARGETS)[number] & { readonly path: string }

/** Mounts what is to be mounted (a journal is replayed then). */
export function findTargets(memory: PersistentMemory): Target[] {
  const paths = {
    devdax: memory.dax,
    ext4: join(mountFilesystem(memory, 'ext4'), 'volume.hf'),
    xfs: join(mountFilesystem(memory, 'xfs'), 'volume.hf'),
    disk: '/mnt/disk/volume.hf',
  }
  return TARGETS.map((target) => ({ ...target, path: paths[target.name] }))
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
export function syncOf(target: (typeof TARGETS)[number], round: number): SyncMode {
  return target.kind === 'file' || round % 2 === 1 ? 'group' : 'always'
}
