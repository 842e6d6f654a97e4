/**
 * The hot calls of the addon. Arguments of Node-API cost 7 ns each and a call without any 12, so
 * these write their numbers into registers, memory that the addon shares with this thread, and read
 * the result from there. The addon checks what it finds as strictly as it would arguments:
 * something that is not a number has become NaN, which fits nowhere.
 */
import type { Parts } from '../base/byte_stream.js'
import type { Native, ScanEnd } from './native.js'

type Call = () => void
type CallWithBytes = (bytes: Uint8Array) => void
type CallWithParts = (parts: Parts) => void
type CallWithTwo = (target: Uint8Array, source: Uint8Array) => void

/** `addon.hot`: what src/native/addon.h lists as HOT_METHODS. */
export interface HotAddon {
  readonly registers: Float64Array
  readonly copyOut: CallWithBytes
  readonly copyIn: CallWithBytes
  readonly streamIn: CallWithBytes
  readonly copy: Call
  readonly stream: Call
  readonly zero: Call
  readonly streamZero: Call
  readonly store8: Call
  readonly touch: Call
  readonly flush: Call
  readonly evict: Call
  readonly fence: Call
  readonly gatherLines: Call
  readonly writePages: Call
  readonly storeLines: Call
  readonly scanRecords: Call
  readonly crc32c: Call
  readonly crc32cOf: CallWithBytes
  readonly crc32cPortable: CallWithBytes
  readonly sealBatch: Call
  readonly copyBytes: CallWithTwo
  readonly atomic8: Call
  readonly atomic8Of: CallWithBytes
  readonly store8Of: CallWithBytes
  readonly watch: Call
  readonly send: CallWithBytes
  readonly receive: CallWithBytes
  readonly sendParts: CallWithParts
  readonly receiveParts: CallWithParts
  readonly readRequest: Call
  readonly writeReply: Call
  readonly writeReplyParts: CallWithParts
}

export type HotCalls = Pick<Native, Exclude<keyof HotAddon, 'registers'>>

type Bytes = Pick<Native, 'copyOut' | 'copyIn' | 'streamIn' | 'copy' | 'stream'>

function byteCalls(hot: HotAddon): Bytes {
  const r = hot.registers
  const { copyOut, copyIn, streamIn, copy, stream } = hot
  return {
    copyOut(memory, offset, target, start, length) {
      r[0] = memory
      r[1] = offset
      r[2] = start
      r[3] = length
      copyOut(target)
    },
    copyIn(memory, offset, source, start, length) {
      r[0] = memory
      r[1] = offset
      r[2] = start
      r[3] = length
      copyIn(source)
    },
    streamIn(memory, offset, source, start, length) {
      r[0] = memory
      r[1] = offset
      r[2] = start
      r[3] = length
      streamIn(source)
    },
    copy(target, targetOffset, source, sourceOffset, length) {
      r[0] = target
      r[1] = targetOffset
      r[2] = source
      r[3] = sourceOffset
      r[4] = length
      copy()
    },
    stream(target, targetOffset, source, sourceOffset, length) {
      r[0] = target
      r[1] = targetOffset
      r[2] = source
      r[3] = sourceOffset
      r[4] = length
      stream()
    },
  }
}

type Stores = Pick<Native, 'zero' | 'streamZero' | 'store8' | 'flush' | 'evict' | 'fence' | 'touch'>

function storeCalls(hot: HotAddon): Stores {
  const r = hot.registers
  const { zero, streamZero, store8, flush, evict, fence, touch } = hot
  return {
    zero(memory, offset, length) {
      r[0] = memory
      r[1] = offset
      r[2] = length
      zero()
    },
    streamZero(memory, offset, length) {
      r[0] = memory
      r[1] = offset
      r[2] = length
      streamZero()
    },
    store8(memory, offset, low, high) {
      r[0] = memory
      r[1] = offset
      r[2] = low
      r[3] = high
      store8()
    },
    flush(memory, offset, length) {
      r[0] = memory
      r[1] = offset
      r[2] = length
      flush()
      return r[0]
    },
    evict(memory, offset, length) {
      r[0] = memory
      r[1] = offset
      r[2] = length
      evict()
    },
    fence,
    touch(memory, offset, length) {
      r[0] = memory
      r[1] = offset
      r[2] = length
      touch()
    },
  }
}

type Pages = Pick<Native, 'gatherLines' | 'writePages' | 'storeLines' | 'sealBatch'>

function pageCalls(hot: HotAddon): Pages {
  const r = hot.registers
  const { gatherLines, writePages, storeLines, sealBatch } = hot
  return {
    gatherLines(target, targetOffset, source, commands, commandsOffset, count) {
      r[0] = target
      r[1] = targetOffset
      r[2] = source
      r[3] = commands
      r[4] = commandsOffset
      r[5] = count
      gatherLines()
      return r[0]
    },
    writePages(target, source, commands, commandsOffset, count, mode) {
      r[0] = target
      r[1] = source
      r[2] = commands
      r[3] = commandsOffset
      r[4] = count
      r[5] = mode
      writePages()
      return r[0]
    },
    storeLines(target, source, commands, commandsOffset, count, mode) {
      r[0] = target
      r[1] = source
      r[2] = commands
      r[3] = commandsOffset
      r[4] = count
      r[5] = mode
      storeLines()
      return r[0]
    },
    sealBatch(memory, commands, commandsOffset, count) {
      r[0] = memory
      r[1] = commands
      r[2] = commandsOffset
      r[3] = count
      sealBatch()
    },
  }
}

type Records = Pick<Native, 'scanRecords'>

function recordCalls(hot: HotAddon): Records {
  const r = hot.registers
  const { scanRecords } = hot
  return {
    scanRecords(memory, offset, length, expected, commands) {
      r[0] = memory
      r[1] = offset
      r[2] = length
      r[3] = expected.position
      r[4] = expected.sequence
      r[5] = expected.linesToEnd
      r[6] = expected.seed
      r[7] = expected.firstBlock
      r[8] = expected.endBlock
      r[9] = expected.stateBlock
      r[10] = commands
      scanRecords()
      return {
        lines: r[0],
        records: r[1],
        sequence: r[2],
        end: r[3] as ScanEnd,
        detail: r[4],
        commands: r[5],
      }
    },
  }
}

type Checksums = Pick<Native, 'crc32c' | 'crc32cOf' | 'crc32cPortable'>

function checksumCalls(hot: HotAddon): Checksums {
  const r = hot.registers
  const { crc32c, crc32cOf, crc32cPortable } = hot
  return {
    crc32c(memory, offset, length, seed) {
      r[0] = memory
      r[1] = offset
      r[2] = length
      r[3] = seed
      crc32c()
      return r[0]
    },
    crc32cOf(bytes, start, length, seed) {
      r[0] = start
      r[1] = length
      r[2] = seed
      crc32cOf(bytes)
      return r[0]
    },
    crc32cPortable(bytes, start, length, seed) {
      r[0] = start
      r[1] = length
      r[2] = seed
      crc32cPortable(bytes)
      return r[0]
    },
  }
}

type Words = Pick<Native, 'copyBytes' | 'atomic8' | 'atomic8Of' | 'store8Of'>

function wordCalls(hot: HotAddon): Words {
  const r = hot.registers
  const { copyBytes, atomic8, atomic8Of, store8Of } = hot
  function putChange(operation: number, change: Uint32Array): void {
    r[2] = operation
    for (let i = 0; i < 8; i++) r[3 + i] = change[i]!
  }
  function takeOriginal(change: Uint32Array): boolean {
    if (r[2] === 0) return false
    change[0] = r[0]!
    change[1] = r[1]!
    return true
  }
  return {
    copyBytes(target, targetStart, source, sourceStart, length) {
      r[0] = targetStart
      r[1] = sourceStart
      r[2] = length
      copyBytes(target, source)
    },
    atomic8(memory, offset, operation, change) {
      r[0] = memory
      r[1] = offset
      putChange(operation, change)
      atomic8()
      return takeOriginal(change)
    },
    atomic8Of(bytes, start, operation, change) {
      r[0] = start
      r[1] = 8
      putChange(operation, change)
      atomic8Of(bytes)
      return takeOriginal(change)
    },
    store8Of(bytes, start, low, high) {
      r[0] = start
      r[1] = 8
      r[2] = low
      r[3] = high
      store8Of(bytes)
      return r[0] !== 0
    },
  }
}

type Polled = Pick<Native, 'watch' | 'send' | 'receive' | 'sendParts' | 'receiveParts'>

function pollCalls(hot: HotAddon): Polled {
  const r = hot.registers
  const { watch, send, receive, sendParts, receiveParts } = hot
  return {
    watch(poll, readable, writable) {
      r[0] = poll
      r[1] = (readable ? 1 : 0) + (writable ? 2 : 0)
      watch()
    },
    send(poll, bytes, start, length) {
      r[0] = poll
      r[1] = start
      r[2] = length
      send(bytes)
      return r[0]
    },
    receive(poll, bytes, start, length) {
      r[0] = poll
      r[1] = start
      r[2] = length
      receive(bytes)
      return r[0]
    },
    sendParts(poll, parts, count) {
      r[0] = poll
      r[1] = count
      sendParts(parts)
      return r[0]
    },
    receiveParts(poll, parts, count) {
      r[0] = poll
      r[1] = count
      receiveParts(parts)
      return r[0]
    },
  }
}

type Requests = Pick<Native, 'readRequest' | 'writeReply' | 'writeReplyParts'>

function fuseCalls(hot: HotAddon): Requests {
  const r = hot.registers
  const { readRequest, writeReply, writeReplyParts } = hot
  return {
    readRequest(device, memory, offset, length) {
      r[0] = device
      r[1] = memory
      r[2] = offset
      r[3] = length
      readRequest()
      return r[0]
    },
    writeReply(device, memory, offset, length, dataMemory, dataOffset, dataLength) {
      r[0] = device
      r[1] = memory
      r[2] = offset
      r[3] = length
      r[4] = dataMemory
      r[5] = dataOffset
      r[6] = dataLength
      writeReply()
      return r[0]
    },
    writeReplyParts(device, parts, count) {
      r[0] = device
      r[1] = count
      writeReplyParts(parts)
      return r[0]
    },
  }
}

export function hotCalls(hot: HotAddon): HotCalls {
  return {
    ...byteCalls(hot),
    ...storeCalls(hot),
    ...pageCalls(hot),
    ...recordCalls(hot),
    ...checksumCalls(hot),
    ...wordCalls(hot),
    ...pollCalls(hot),
    ...fuseCalls(hot),
  }
}
