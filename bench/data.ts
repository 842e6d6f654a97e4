/**
 * What do reads and writes cost, against the kernel's tmpfs through node:fs synchronous calls, and
 * against a plain copy over the same addresses?
 *
 * Peer: fs.writeSync and fs.readSync on an open descriptor, with a position (append: without), on
 * tmpfs. Floor: one copy by the addon between the same buffer and the same offsets of a region of
 * its own (non-temporal to the region, as file data is written; cached from it), nothing else.
 * Working set: the same number of bytes on all three, walked in the same order.
 */
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import type { MemoryRegion } from '../src/region/memory_region.js'
import type { OpenFile } from '../src/volume/open_file.js'
import type { Volume } from '../src/volume/volume.js'
import type { Comparison, Side } from './pairs.js'

export interface DataSetting {
  readonly volume: Volume
  /** A directory on tmpfs for the peer. */
  readonly directory: string
  /** A region of the same kind, at least `workingSet` bytes, for the floor. */
  readonly plain: MemoryRegion
  readonly workingSet: number
}

function appending(setting: DataSetting, block: Uint8Array): Comparison {
  const { volume, directory, plain, workingSet } = setting
  const path = `${directory}/append`
  let file: OpenFile
  let fd: number
  const count = Math.floor(workingSet / 4 / block.length)
  return {
    question: `append ${block.length / 1024} KiB`,
    count,
    wantRatio: 2,
    ours: {
      name: 'holdfast',
      prepare: () => (file = volume.open('/append', 'wx')),
      run: (n) => {
        for (let i = 0; i < n; i++) file.write(block)
      },
      cleanUp: () => {
        file.close()
        volume.unlink('/append')
      },
    },
    peer: {
      name: 'node:fs tmpfs',
      prepare: () => (fd = openSync(path, 'wx')),
      run: (n) => {
        for (let i = 0; i < n; i++) writeSync(fd, block)
      },
      cleanUp: () => {
        closeSync(fd)
        unlinkSync(path)
      },
    },
    floor: copyInFloor(plain, block),
  }
}

function copyInFloor(plain: MemoryRegion, block: Uint8Array): Side {
  return {
    name: 'plain copy',
    run: (n) => {
      for (let i = 0; i < n; i++) plain.stream(i * block.length, block, 0, block.length)
    },
  }
}

function copyOutFloor(plain: MemoryRegion, block: Uint8Array): Side {
  return {
    name: 'plain copy',
    run: (n) => {
      for (let i = 0; i < n; i++) plain.read(i * block.length, block, 0, block.length)
    },
  }
}

/** Reads and overwrites in place of a file of the whole working set. */
function inPlace(setting: DataSetting, block: Uint8Array, wantFloor: number): Comparison[] {
  const { volume, directory, plain, workingSet } = setting
  const size = block.length
  const count = Math.floor(workingSet / size)
  const file = volume.open(`/data${size}`, 'w+')
  const fd = openSync(`${directory}/data${size}`, 'w+')
  for (let i = 0; i < count; i++) {
    file.write(block, i * size)
    writeSync(fd, block, 0, size, i * size)
  }
  const unit = size >= 1024 * 1024 ? `${size / 1024 / 1024} MiB` : `${size / 1024} KiB`
  const oursWrite: Side = {
    name: 'holdfast',
    run: (n) => {
      for (let i = 0; i < n; i++) file.write(block, i * size)
    },
  }
  const peerWrite: Side = {
    name: 'node:fs tmpfs',
    run: (n) => {
      for (let i = 0; i < n; i++) writeSync(fd, block, 0, size, i * size)
    },
  }
  const oursRead: Side = {
    name: 'holdfast',
    run: (n) => {
      for (let i = 0; i < n; i++) file.read(block, i * size)
    },
  }
  const peerRead: Side = {
    name: 'node:fs tmpfs',
    run: (n) => {
      for (let i = 0; i < n; i++) readSync(fd, block, 0, size, i * size)
    },
  }
  const wish = { count, wantRatio: 2, wantFloor, wantBoth: size >= 1024 * 1024 }
  const floorIn = copyInFloor(plain, block)
  const floorOut = copyOutFloor(plain, block)
  return [
    { question: `overwrite ${unit}`, ...wish, ours: oursWrite, peer: peerWrite, floor: floorIn },
    { question: `read ${unit}`, ...wish, ours: oursRead, peer: peerRead, floor: floorOut },
  ]
}

export function dataComparisons(setting: DataSetting): Comparison[] {
  const small = new Uint8Array(4096).fill(0x5a)
  const large = new Uint8Array(1024 * 1024).fill(0xa5)
  return [
    appending(setting, small),
    ...inPlace(setting, small, 1.5),
    ...inPlace(setting, large, 1.3),
  ]
}
