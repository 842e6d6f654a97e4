/** INIT: what kernel and server can do. */
import { defineStruct } from '../../base/struct.js'

export const InitIn = defineStruct('fuse_init_in', 64, 'what the kernel can do', {
  major: [0, 4, 'of the protocol'],
  minor: [4, 4, 'of the protocol'],
  maxReadahead: [8, 4, 'bytes'],
  flags: [12, 4, 'InitFlag, the lower half'],
  flags2: [16, 4, 'the upper half, with INIT_EXT'],
  reserved: [20, 44, 'zero'],
})

export const InitOut = defineStruct('fuse_init_out', 64, 'what of it is used', {
  major: [0, 4, 'of the protocol'],
  minor: [4, 4, 'of the protocol'],
  maxReadahead: [8, 4, 'bytes'],
  flags: [12, 4, 'InitFlag, the lower half'],
  maxBackground: [16, 2, 'requests that may be under way in the background'],
  congestionThreshold: [18, 2, 'from so many on, the kernel takes it easy'],
  maxWrite: [20, 4, 'bytes of one WRITE'],
  timeGran: [24, 4, 'nanoseconds between two times'],
  maxPages: [28, 2, 'pages of one request'],
  mapAlignment: [30, 2, 'of DAX windows, which are not used'],
  flags2: [32, 4, 'the upper half, with INIT_EXT'],
  maxStackDepth: [36, 4, 'of passthrough, which is not used'],
  requestTimeout: [40, 2, 'seconds; 0: none'],
  reserved: [42, 22, 'zero'],
})

/** Bits of `flags`. */
export const InitFlag = {
  asyncRead: 1 << 0,
  posixLocks: 1 << 1,
  atomicOpenTruncate: 1 << 3,
  exportSupport: 1 << 4,
  bigWrites: 1 << 5,
  dontMask: 1 << 6,
  flockLocks: 1 << 10,
  ioctlDirectories: 1 << 11,
  autoInvalidate: 1 << 12,
  readdirPlus: 1 << 13,
  readdirPlusAuto: 1 << 14,
  asyncDirect: 1 << 15,
  writebackCache: 1 << 16,
  parallelDirectories: 1 << 18,
  posixAcl: 1 << 20,
  abortError: 1 << 21,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23,
  explicitInvalidate: 1 << 25,
  handleKillPrivileges: 1 << 28,
  setxattrExtended: 1 << 29,
  initExtended: 1 << 30,
} as const

/** Bits of `flags2`. */
export const InitFlag2 = {
  /** FUSE_DIRECT_IO_ALLOW_MMAP: bit 36 of all. */
  directMmap: 1 << 4,
} as const
