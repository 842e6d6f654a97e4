/**
 * The enumerator is only worth what it catches. Each test plants one bug, by replacing a method of
 * the running volume or of its region, and asks that a program of a few calls gives it away; the
 * same program without the bug must pass.
 */
import { checksumOf, type Bytes } from '../../src/base/bytes.js'
import { LogRecord, RECORD_MAGIC, tornRecord } from '../../src/media/log.js'
import { native, type MemoryId } from '../../src/native/native.js'
import type { RegionListener, TracedRegion } from '../../src/region/traced_region.js'
import { readGeometry } from '../../src/volume/geometry.js'
import { readTail } from '../../src/volume/log.js'
import { SuperblockPair } from '../../src/volume/superblock.js'
import type { Volume } from '../../src/volume/volume.js'
import type { Call } from './model.js'
import { planted, replace } from './planting.js'

/** Runs `body` while the listener of the region does not hear of flushes. */
function withoutFlushes(region: TracedRegion, body: () => void): void {
  const listener = region.listener
  if (listener === null) return body()
  const deaf: RegionListener = {
    beforeStore: () => {},
    stored: (offset, length, streamed) => listener.stored(offset, length, streamed),
    flushed: () => {},
    fenced: () => listener.fenced(),
    synced: (offset, length) => listener.synced(offset, length),
  }
  region.listener = deaf
  try {
    body()
  } finally {
    region.listener = listener
  }
}

const append = (path: string, length: number): Call => ({ op: 'append', path, length })
const create = (path: string): Call => ({ op: 'create', path })

planted({
  name: 'a flush of home lines is dropped',
  calls: [create('/x'), { op: 'checkpoint' }, create('/y')],
  setting: {
    plant: (_, region) =>
      replace(region, 'storePages', (original) => (...args) => {
        withoutFlushes(region, () => original(...args))
      }),
  },
})

planted({
  name: 'the fence behind a record is dropped',
  calls: [create('/x'), create('/y')],
  setting: { plant: (_, region) => replace(region, 'fence', () => () => {}) },
})

planted({
  name: 'home is written before the log',
  calls: [create('/x'), { op: 'rename', path: '/a', to: '/d/f' }],
  setting: {
    plant: ({ core }) =>
      replace(core.log, 'flush', (original) => (data) => {
        core.transaction.writeHome()
        original(data)
      }),
  },
})

planted({
  name: 'the log space is given up before home is fenced',
  calls: [create('/x'), { op: 'checkpoint' }],
  setting: {
    plant: ({ core }) =>
      replace(core.transaction, 'writeHome', (original) => () => {
        core.log.moveTail()
        original()
      }),
  },
})

planted({
  name: 'a freed metadata page is handed out while records can still write it',
  before: [],
  calls: [
    { op: 'mkdir', path: '/m' },
    create('/m/x'),
    { op: 'unlink', path: '/m/x' },
    { op: 'rmdir', path: '/m' },
    create('/c'),
    append('/c', 6 * 4096),
    create('/z'),
  ],
  setting: {
    sample: 20,
    plant: ({ core }) =>
      replace(core.allocator, 'release', (original) => (start, count) => {
        original(start, count, false)
      }),
  },
})

planted({
  name: 'a freed block is handed out before its free is durable',
  calls: [{ op: 'unlink', path: '/a' }, create('/c'), append('/c', 3 * 4096), { op: 'sync' }],
  setting: {
    sync: 'group',
    plant: ({ core }) => replace(core.allocator, 'committed', (original) => () => original(true)),
  },
})

planted({
  name: 'content comes after the record that maps it',
  calls: [append('/b', 3 * 4096)],
  setting: {
    plant: ({ core }) => replace(core.log, 'flush', (original) => () => original(false)),
  },
})

planted({
  name: 'a size covers bytes that are not there',
  calls: [append('/a', 50)],
  setting: { plant: ({ core }) => replace(core.transaction, 'wroteData', () => () => {}) },
})

planted({
  name: 'a rename deletes what it replaces first',
  calls: [{ op: 'rename', path: '/a', to: '/d/f' }],
  setting: {
    plant: (volume: Volume) =>
      replace(volume, 'rename', (original) => (from, to) => {
        volume.unlink(to)
        original(from, to)
      }),
  },
})

planted({
  name: 'both superblock copies are written together',
  calls: [{ op: 'remount' }],
  setting: {
    plant: (_, region) => {
      let superblock = false
      const stream = replace(region, 'stream', (original) => (offset, ...rest) => {
        superblock = offset === 0 || offset === 4096
        original(offset, ...rest)
      })
      const fence = replace(region, 'fence', (original) => () => {
        if (!superblock) original()
      })
      return () => {
        stream()
        fence()
      }
    },
  },
})

planted({
  name: 'the tail is stored in two halves',
  calls: [create('/x'), { op: 'checkpoint' }],
  setting: {
    plant: (_, region) =>
      replace(region, 'store8', (original) => (offset, low, high) => {
        const old = new DataView(region.u8.buffer).getUint32(offset + 4, true)
        original(offset, low, old)
        original(offset, low, high)
      }),
  },
})

planted({
  name: 'a truncate leaves its old tail where the file grows again',
  before: [create('/a'), append('/a', 3000)],
  calls: [
    { op: 'truncate', path: '/a', size: 100 },
    { op: 'truncate', path: '/a', size: 2000 },
  ],
  setting: {
    plant: (_, region) => replace(region, 'streamZero', () => () => {}),
  },
})

planted({
  name: 'an unlinked open file is not recorded as an orphan',
  calls: [{ op: 'openUnlink', path: '/a' }, create('/x')],
  setting: {
    plant: ({ core }) => replace(core.orphans, 'add', () => () => {}),
  },
})

// ---- bugs of recovery
// ------------------------------------------------------------------------------

interface Expected {
  position: number
  sequence: number
}

/** Whether the record in the region at `offset` is whole, by itself. */
function isWhole(region: TracedRegion, offset: number, lines: number, seed: number): boolean {
  const u8 = region.u8.slice(offset, offset + lines * 64)
  const bytes: Bytes = {
    u8,
    u32: new Uint32Array(u8.buffer),
    crc32c: (at, length, from) => native.crc32cOf(u8, at, length, from),
  }
  return u8.length === lines * 64 && tornRecord(bytes, 0, seed) === null
}

const views = new Map<MemoryId, ArrayBuffer>()

/** The bytes [start, start + length) of a memory of the addon. */
function bytesIn(memory: MemoryId, start: number, length: number): Bytes {
  let buffer = views.get(memory)
  if (buffer === undefined) {
    buffer = native.view(memory, 0, native.byteLength(memory))
    views.set(memory, buffer)
  }
  return {
    u8: new Uint8Array(buffer, start, length),
    u32: new Uint32Array(buffer, start, length / 4),
    crc32c: (at, n, from) => native.crc32c(memory, start + at, n, from),
  }
}

/** Records as recovery loads them, and a chance to make them acceptable. */
function forgiving(
  region: TracedRegion,
  forgive: (bytes: Bytes, expected: Expected, seed: number, offset: number) => void,
): () => void {
  const pair = new SuperblockPair(region)
  pair.read()
  const seed = pair.logSeed
  const geometry = readGeometry(pair.u32, 0)
  const ring = geometry.logStart * 4096
  const end = ring + geometry.logBlocks * 4096
  const position = readTail(region, geometry.tailBlock, pair.uuidCrc)
  /** What is expected where, by offset in the region. */
  const expected = new Map<number, Expected>()
  expected.set(ring + (position % geometry.logLines) * 64, { position, sequence: -1 })
  const at = LogRecord.word
  return replace(region, 'load', (original) => (offset, memory, to, length) => {
    original(offset, memory, to, length)
    if (offset < ring || offset >= end) return
    for (let i = 0; i < length;) {
      const bytes = bytesIn(memory, to + i, length - i)
      const next = expected.get(offset + i)
      if (next === undefined || bytes.u32[at.magic] !== RECORD_MAGIC) return
      forgive(bytes, next, seed, offset + i)
      const lines = bytes.u32[at.lines]!
      if (lines === 0) return
      i += lines * 64
      const after = ring + ((offset + i - ring) % (end - ring))
      const sequence = bytes.u32[at.sequence]! + 1
      expected.set(after, { position: next.position + lines, sequence })
    }
  })
}

planted({
  name: 'recovery does not look at the checksums of records',
  calls: [create('/x'), append('/x', 100)],
  setting: {
    plantRecovery: (mount, region) => {
      const restore = forgiving(region, (bytes, _, seed) => {
        const length = bytes.u32[LogRecord.word.lines]! * 64
        if (length > bytes.u8.length) return
        bytes.u32[LogRecord.word.checksum] = checksumOf(bytes, 0, LogRecord, length, seed)
      })
      try {
        return mount()
      } finally {
        restore()
      }
    },
  },
})

/** Calls that fill the ring more than once. */
const LAPS: readonly Call[] = Array.from({ length: 130 }, (_, i): Call[] => [
  create(`/lap${i}`),
  { op: 'unlink', path: `/lap${i}` },
]).flat()

planted({
  name: 'recovery takes a valid record of an older lap',
  before: LAPS,
  calls: [create('/x'), create('/y')],
  setting: {
    plantRecovery: (mount, region) => {
      const restore = forgiving(region, (bytes, { position, sequence }, seed, offset) => {
        const at = LogRecord.word
        const length = bytes.u32[at.lines]! * 64
        if (length > bytes.u8.length || !isWhole(region, offset, length / 64, seed)) return
        bytes.u32[at.position] = position
        if (sequence >= 0) bytes.u32[at.sequence] = sequence
        bytes.u32[at.checksum] = checksumOf(bytes, 0, LogRecord, length, seed)
      })
      try {
        return mount()
      } finally {
        restore()
      }
    },
  },
})
