/**
 * Numbers of ioctl(2): those of every filesystem (linux/fs.h), and those of this one, of type 'H'.
 * A number says how many bytes there are and which way they go (asm-generic/ioctl.h).
 */
import { defineStruct } from '../../base/struct.js'

const WRITE = 1
const READ = 2

const numberOf = (way: number, type: string, number: number, size: number) =>
  ((way << 30) | (size << 16) | (type.charCodeAt(0) << 8) | number) >>> 0

export const FsXattr = defineStruct('fsxattr', 28, 'FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR', {
  xflags: [0, 4, 'FsXflag'],
  extsize: [4, 4, 'zero: there are no extent hints'],
  nextents: [8, 4, 'extents; not to be set'],
  projid: [12, 4, 'zero: there are no projects'],
  cowextsize: [16, 4, 'zero'],
  reserved: [20, 8, 'zero'],
})

export const CloneRange = defineStruct('file_clone_range', 32, 'HOLDFAST_IOC_CLONE', {
  srcFd: [0, 8, 'descriptor of the caller, open for reading on the same mount'],
  srcOffset: [8, 8, 'first byte, of a block'],
  srcLength: [16, 8, 'bytes; 0: to the end'],
  destOffset: [24, 8, 'first byte, of a block'],
})

export const PinRange = defineStruct('holdfast_pin', 24, 'HOLDFAST_IOC_PIN, HOLDFAST_IOC_UNPIN', {
  offset: [0, 8, 'first byte'],
  length: [8, 8, 'bytes'],
  id: [16, 8, 'of the pin: answered by PIN, asked by UNPIN'],
})

export const EXTENTS_MAX = 170
export const ExtentList = defineStruct('holdfast_extents', 4112, 'HOLDFAST_IOC_EXTENTS', {
  from: [0, 8, 'asked: first byte in question'],
  epoch: [8, 8, 'mount epoch, half of the layout id'],
  generation: [16, 8, 'layout generation, the other half'],
  count: [24, 4, 'extents that follow'],
  more: [28, 4, '1: there are others behind the last'],
  extents: [32, 4080, 'offset in the file, offset in the region, length; bytes, 8 each'],
})

export const Ioctl = {
  getFlags: numberOf(READ, 'f', 1, 8),
  setFlags: numberOf(WRITE, 'f', 2, 8),
  getVersion: numberOf(READ, 'v', 1, 8),
  getXattr: numberOf(READ, 'X', 31, FsXattr.size),
  setXattr: numberOf(WRITE, 'X', 32, FsXattr.size),
  clone: numberOf(WRITE, 'H', 1, CloneRange.size),
  pin: numberOf(WRITE | READ, 'H', 2, PinRange.size),
  unpin: numberOf(WRITE, 'H', 3, PinRange.size),
  extents: numberOf(WRITE | READ, 'H', 4, ExtentList.size),
} as const

/** FS_IOC_GETFLAGS: FS_IMMUTABLE_FL, FS_APPEND_FL. */
export const FsFlag = { immutable: 0x10, append: 0x20 } as const
/** FS_XFLAG_IMMUTABLE, FS_XFLAG_APPEND. */
export const FsXflag = { immutable: 0x8, append: 0x10 } as const
