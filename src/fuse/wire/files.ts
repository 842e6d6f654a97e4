/** Requests about files that are open, and those that open them. */
import { defineStruct } from '../../base/struct.js'

export const OpenIn = defineStruct('fuse_open_in', 8, 'OPEN, OPENDIR', {
  flags: [0, 4, 'of open(2)'],
  openFlags: [4, 4, '1: set-id bits go'],
})

export const CreateIn = defineStruct('fuse_create_in', 16, 'CREATE, TMPFILE; a name follows', {
  flags: [0, 4, 'of open(2)'],
  mode: [4, 4, 'permissions'],
  umask: [8, 4, 'of who asks'],
  openFlags: [12, 4, '1: set-id bits go'],
})

export const OpenOut = defineStruct('fuse_open_out', 16, 'a handle', {
  fh: [0, 8, 'what later requests call it'],
  openFlags: [8, 4, 'OpenReply'],
  backingId: [12, 4, 'zero: no passthrough'],
})

export const OpenReply = {
  /** No page cache between. */
  direct: 1,
  /** What is cached of it is as it should be. */
  keepCache: 2,
  /** Writes need not wait for each other. */
  parallelDirectWrites: 64,
} as const

export const ReleaseIn = defineStruct('fuse_release_in', 24, 'RELEASE, RELEASEDIR', {
  fh: [0, 8, 'handle'],
  flags: [8, 4, 'of open(2)'],
  releaseFlags: [12, 4, '2: the whole-file lock of the handle ends'],
  lockOwner: [16, 8, 'of locks that end'],
})

export const FlushIn = defineStruct('fuse_flush_in', 24, 'FLUSH: one descriptor was closed', {
  fh: [0, 8, 'handle'],
  reserved: [8, 8, 'zero'],
  lockOwner: [16, 8, 'whose locks on the file end'],
})

export const ReadIn = defineStruct('fuse_read_in', 40, 'READ, READDIR, READDIRPLUS', {
  fh: [0, 8, 'handle'],
  offset: [8, 8, 'first byte, or where a listing goes on'],
  size: [16, 4, 'bytes at most'],
  readFlags: [20, 4, '2: lockOwner is one'],
  lockOwner: [24, 8, 'who may read where a mandatory lock is'],
  flags: [32, 4, 'of open(2)'],
  reserved: [36, 4, 'zero'],
})

export const WriteIn = defineStruct('fuse_write_in', 40, 'WRITE; the bytes follow', {
  fh: [0, 8, 'handle'],
  offset: [8, 8, 'first byte'],
  size: [16, 4, 'bytes'],
  writeFlags: [20, 4, 'WriteFlag'],
  lockOwner: [24, 8, 'who may write where a mandatory lock is'],
  flags: [32, 4, 'of open(2)'],
  reserved: [36, 4, 'zero'],
})

export const WriteFlag = {
  /** From the page cache, later: the handle is a guess, and who writes is nobody. */
  cache: 1,
  /** Who writes may not keep set-id bits. */
  killSetIds: 4,
} as const

export const WriteOut = defineStruct('fuse_write_out', 8, 'the answer to WRITE', {
  size: [0, 4, 'bytes written'],
  reserved: [4, 4, 'zero'],
})

export const FsyncIn = defineStruct('fuse_fsync_in', 16, 'FSYNC, FSYNCDIR', {
  fh: [0, 8, 'handle'],
  fsyncFlags: [8, 4, '1: fdatasync(2)'],
  reserved: [12, 4, 'zero'],
})

export const FallocateIn = defineStruct('fuse_fallocate_in', 32, 'FALLOCATE', {
  fh: [0, 8, 'handle'],
  offset: [8, 8, 'first byte'],
  length: [16, 8, 'bytes'],
  mode: [24, 4, 'of fallocate(2)'],
  reserved: [28, 4, 'zero'],
})

export const LseekIn = defineStruct('fuse_lseek_in', 24, 'LSEEK', {
  fh: [0, 8, 'handle'],
  offset: [8, 8, 'from where'],
  whence: [16, 4, 'SEEK_DATA 3 or SEEK_HOLE 4'],
  reserved: [20, 4, 'zero'],
})

export const LseekOut = defineStruct('fuse_lseek_out', 8, 'the answer to LSEEK', {
  offset: [0, 8, 'where it is'],
})

export const CopyRangeIn = defineStruct('fuse_copy_file_range_in', 56, 'COPY_FILE_RANGE, and 64', {
  fhIn: [0, 8, 'handle that is read'],
  offIn: [8, 8, 'first byte'],
  nodeidOut: [16, 8, 'inode that is written'],
  fhOut: [24, 8, 'handle that is written'],
  offOut: [32, 8, 'first byte'],
  len: [40, 8, 'bytes'],
  flags: [48, 8, 'zero'],
})

export const CopyRangeOut = defineStruct('fuse_copy_file_range_out', 8, 'of COPY_FILE_RANGE_64', {
  bytesCopied: [0, 8, 'bytes'],
})

export const IoctlIn = defineStruct('fuse_ioctl_in', 32, 'IOCTL; the argument follows', {
  fh: [0, 8, 'handle'],
  flags: [8, 4, '16: a directory'],
  cmd: [12, 4, 'number, as asm-generic/ioctl.h has it'],
  arg: [16, 8, 'address of the argument'],
  inSize: [24, 4, 'bytes that follow'],
  outSize: [28, 4, 'bytes that are answered at most'],
})

export const IoctlOut = defineStruct('fuse_ioctl_out', 16, 'the answer to IOCTL; bytes follow', {
  result: [0, 4, 'what ioctl(2) returns'],
  flags: [4, 4, 'zero'],
  inIovs: [8, 4, 'zero'],
  outIovs: [12, 4, 'zero'],
})

export const InterruptIn = defineStruct('fuse_interrupt_in', 8, 'INTERRUPT', {
  unique: [0, 8, 'of the request that is given up'],
})
