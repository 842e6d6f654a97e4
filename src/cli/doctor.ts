/**
 * What a region is and can do, measured where it can be, and what to do about each shortcoming.
 * Nothing is locked or changed: it works while another process has the volume open.
 */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  statSync,
  type Stats as HostStats,
} from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { native } from '../native/native.js'
import { openRegion } from '../region/file_region.js'
import { describeProcess } from '../region/owner.js'
import type { Region } from '../region/region.js'
import { inspectVolume, type VolumeSummary } from '../layout/embedded.js'
import { formatSize } from './arguments.js'
import {
  holdsSwap,
  hugeBytes,
  memlockLimit,
  mountOf,
  shellWord,
  transparentHugePages,
} from './host_facts.js'

/** 'note': as it should be for this kind, and worth to know; 'failure': it cannot be used. */
export type Verdict = 'good' | 'note' | 'warning' | 'failure'

export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  readonly found: string
  /** A command to run, or what to do. */
  readonly fix: string | null
}

interface Patient {
  readonly path: string
  /** As a word of a shell. */
  readonly word: string
  readonly stat: HostStats
  readonly region: Region
  readonly summary: VolumeSummary | null
  /** Why there is no volume. */
  readonly noVolume: string
}

const good = (check: string, found: string): Finding => ({
  check,
  verdict: 'good',
  found,
  fix: null,
})
const note = (check: string, found: string, fix: string | null = null): Finding => ({
  check,
  verdict: 'note',
  found,
  fix,
})
const warning = (check: string, found: string, fix: string): Finding => ({
  check,
  verdict: 'warning',
  found,
  fix,
})
const failure = (check: string, found: string, fix: string): Finding => ({
  check,
  verdict: 'failure',
  found,
  fix,
})

export function examine(path: string): Finding[] {
  const region = openRegion(path, { readOnly: true })
  try {
    let summary: VolumeSummary | null = null
    let noVolume = ''
    try {
      summary = inspectVolume(path)
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      noVolume = error.detail
    }
    const patient = { path, word: shellWord(path), stat: statSync(path), region, summary, noVolume }
    return CHECKS.map((check) => check(patient))
  } finally {
    region.close()
  }
}

const KINDS: Readonly<Record<string, string>> = {
  tmpfs: 'memory of this machine, a file in tmpfs',
  memfd: 'memory of this machine, a memory file',
  hugetlbfs: 'memory of this machine in huge pages',
  devdax: 'a device-DAX node',
  fsdax: 'a file on a filesystem with DAX',
  file: 'an ordinary file, through the page cache',
}

const IN_MEMORY = ['tmpfs', 'memfd', 'hugetlbfs']

function kind({ region }: Patient): Finding {
  const { kind: name, byteLength } = region
  return good('kind', `${name}: ${KINDS[name] ?? name}, ${formatSize(byteLength)}`)
}

function volume({ region, summary, noVolume, word }: Patient): Finding {
  if (summary === null)
    return failure('volume', noVolume.replace(/; holdfast mkfs.*/, ''), `holdfast mkfs ${word}`)
  const bytes = summary.blocks * summary.blockSize
  const name = summary.label === '' ? summary.uuid : `'${summary.label}'`
  const unused = region.byteLength - bytes
  if (unused < summary.blockSize) return good('volume', `${name}, all of the region`)
  const text = `${name}, ${formatSize(bytes)}; ${formatSize(unused)} of the region are not used`
  return note('volume', text, `holdfast resize ${word}`)
}

function owner({ summary, word }: Patient): Finding {
  const last = summary?.owner ?? null
  if (last === null) return good('owner', 'nobody has it open')
  if (last.alive) return note('owner', `open in ${describeProcess(last)}`)
  const text = `${describeProcess(last)} did not close it; the next one to open it replays the log`
  return note('owner', text, `holdfast fsck ${word}`)
}

function permissions({ path, word, stat }: Patient): Finding {
  const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
  const text = `mode ${mode}, owner ${stat.uid}:${stat.gid}`
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
  } catch {
    const fix = `sudo chown $(id -u) ${word} && chmod 600 ${word}`
    return failure('permissions', `${text}: this user may not write to it`, fix)
  }
  const others = stat.mode & 0o077
  if (others === 0) return good('permissions', text)
  const may = (others & 0o022) !== 0 ? 'write to' : 'read'
  const why = `other users may ${may} all of it, whatever the modes of the files in it say`
  return warning('permissions', `${text}: ${why}`, `chmod 600 ${word}`)
}

function persistence({ region, word }: Patient): Finding {
  const how = { flush: 'cache lines written back', fence: 'a fence', sync: 'fdatasync' }
  const durable = `made durable by ${how[region.persistence]}`
  if (!IN_MEMORY.includes(region.kind))
    return good('persistence', `survives power cuts; ${durable}`)
  return note(
    'persistence',
    `until the machine restarts; ${durable}`,
    `to keep it: cp --sparse=never ${word} DISK, with the volume closed; or a region on a disk`,
  )
}

function flushInstruction({ region }: Patient): Finding {
  const { flush, stream, crc32c } = native.cpu
  const text = `write back ${flush}, stores ${stream}, CRC32C ${crc32c}`
  if (region.persistence !== 'flush' || flush === 'clwb' || flush === 'dc cvap') {
    return good('processor', text)
  }
  if (flush === 'none') {
    return failure('processor', `${text}: it cannot write cache lines back`, 'use another machine')
  }
  return note('processor', `${text}: lines leave the cache when they are written back`)
}

function defaultSync({ summary }: Patient): Finding {
  if (summary === null) return note('default sync', 'none without a volume')
  const meaning = {
    always: 'an operation is durable when it returns',
    group: 'operations are durable after sync, fsync, or within five seconds',
  }
  return good('default sync', `${summary.sync}: ${meaning[summary.sync]}`)
}

function mapSync({ path, region }: Patient): Finding {
  const fd = openSync(path, 'r')
  try {
    if (native.canMapSync(fd)) return good('MAP_SYNC', 'works (measured)')
  } finally {
    closeSync(fd)
  }
  if (IN_MEMORY.includes(region.kind)) return good('MAP_SYNC', 'no (measured), and not needed')
  if (region.kind === 'devdax') return good('MAP_SYNC', 'no (measured); a device needs none')
  return note(
    'MAP_SYNC',
    'no (measured): stores become durable by fdatasync only',
    'mount a filesystem on persistent memory with DAX: mount -o dax /dev/pmem0 DIRECTORY',
  )
}

function directMap({ region }: Patient): Finding {
  const { grain, unmappable } = region
  if (unmappable !== null) {
    return note('direct map', `no: ${unmappable}`, 'put the region in /dev/shm, or on DAX')
  }
  const memory = native.reserve(grain)
  try {
    region.mapInto(memory, 0, 0, grain, { write: false, populate: false })
    const where = region.persistence === 'sync' ? ', in the page cache' : ''
    return good('direct map', `works (measured)${where}`)
  } catch (error) {
    const { message } = error as Error
    return warning(
      'direct map',
      `no (measured): ${message}`,
      'put the region in /dev/shm, or on DAX',
    )
  } finally {
    native.unmap(memory)
  }
}

function mapGrain({ region }: Patient): Finding {
  const text = `${formatSize(region.grain)}: the unit in which it is mapped`
  if (region.grain === 4096) return good('grain', text)
  return note('grain', `${text}; parts of files that are not aligned to it are copied, not mapped`)
}

function hardwarePin({ region }: Patient): Finding {
  if (region.kind === 'file') {
    const text = 'no: the page cache of a file cannot stay where it is'
    return note('hardware pin', text, 'put the region in /dev/shm, on hugetlbfs, or on device-DAX')
  }
  if (region.kind === 'fsdax') {
    return note('hardware pin', 'only with on-demand paging of the adapter', 'use device-DAX')
  }
  return good('hardware pin', `${region.kind} memory can be registered`)
}

function memlock({ region }: Patient): Finding {
  const { bytes, exempt } = memlockLimit()
  const text = bytes === Infinity ? 'unlimited' : formatSize(bytes)
  if (exempt) return good('RLIMIT_MEMLOCK', `${text}; this user is exempt (CAP_IPC_LOCK)`)
  if (bytes >= region.byteLength) return good('RLIMIT_MEMLOCK', text)
  return warning(
    'RLIMIT_MEMLOCK',
    `${text}, less than the region: pinning all of it fails with ENOMEM`,
    "ulimit -l unlimited; for good: echo '* - memlock unlimited' | sudo tee -a /etc/security/limits.conf",
  )
}

const TOUCH_EVERY = 2 << 20
const TOUCHES_MAX = 512

function hugePages({ path, region }: Patient): Finding {
  if (region.kind === 'hugetlbfs' || region.kind === 'devdax') {
    return good('huge pages', `${formatSize(region.grain)} (by kind)`)
  }
  if (region.kind !== 'tmpfs')
    return note('huge pages', `none: a ${region.kind} region has 4 KiB pages`)
  const byte = new Uint8Array(1)
  const touched = Math.min(TOUCHES_MAX, Math.ceil(region.byteLength / TOUCH_EVERY))
  for (let i = 0; i < touched; i++) region.read(i * TOUCH_EVERY, byte, 0, 1)
  const huge = hugeBytes(path)
  if (huge > 0) {
    const of = Math.min(region.byteLength, touched * TOUCH_EVERY)
    return good('huge pages', `${formatSize(huge)} of the first ${formatSize(of)} (measured)`)
  }
  if (region.byteLength < TOUCH_EVERY) return note('huge pages', 'none: smaller than one')
  const { point, options } = mountOf(path)
  const now = /(?:^|,)(huge=\w+)/.exec(options)?.[1] ?? 'huge=never'
  return note(
    'huge pages',
    `none (measured): ${point} has ${now}, the kernel says ${transparentHugePages()} for shared memory`,
    `sudo mount -o remount,huge=within_size ${shellWord(point)}, then copy the region to a new file; or hugetlbfs`,
  )
}

function sparse({ stat, word }: Patient): Finding {
  if (!stat.isFile()) return good('sparse', 'no: a device has all its bytes')
  const there = stat.blocks * 512
  if (there >= stat.size) return good('sparse', 'no: every block is there')
  return warning(
    'sparse',
    `${formatSize(stat.size - there)} are holes: a store there fails when the host has no space left`,
    `fallocate -l ${stat.size} ${word}`,
  )
}

function swap({ region }: Patient): Finding {
  if (region.kind !== 'tmpfs' || !holdsSwap()) return good('swap', 'the region is not swapped out')
  return note(
    'swap',
    'the kernel may swap tmpfs out: slow, and on a disk',
    'sudo swapoff -a, or hugetlbfs',
  )
}

const CHECKS: ReadonlyArray<(patient: Patient) => Finding> = [
  kind,
  volume,
  owner,
  permissions,
  persistence,
  flushInstruction,
  defaultSync,
  mapSync,
  directMap,
  mapGrain,
  hardwarePin,
  memlock,
  hugePages,
  sparse,
  swap,
]
