/** What is known of inodes, as it is told and as it is changed. */
import { defineStruct } from '../../base/struct.js'

export const Attr = defineStruct('fuse_attr', 88, 'what stat(2) says', {
  ino: [0, 8, 'inode number'],
  size: [8, 8, 'bytes'],
  blocks: [16, 8, 'units of 512 bytes'],
  atime: [24, 8, 'seconds'],
  mtime: [32, 8, 'seconds'],
  ctime: [40, 8, 'seconds'],
  atimensec: [48, 4, 'nanoseconds'],
  mtimensec: [52, 4, 'nanoseconds'],
  ctimensec: [56, 4, 'nanoseconds'],
  mode: [60, 4, 'type and permissions'],
  nlink: [64, 4, 'names'],
  uid: [68, 4, 'owner'],
  gid: [72, 4, 'group'],
  rdev: [76, 4, 'of a device, as new_encode_dev has it'],
  blksize: [80, 4, 'bytes'],
  flags: [84, 4, 'zero'],
})

/** Bytes before the attributes of an entry, and of the answer to GETATTR. */
export const ENTRY_ATTR_AT = 40
export const ATTR_ATTR_AT = 16

export const EntryOut = defineStruct('fuse_entry_out', 128, 'an inode that a name leads to', {
  nodeid: [0, 8, 'what the kernel calls it; 0: there is none'],
  generation: [8, 8, 'with it, no other inode ever'],
  entryValid: [16, 8, 'seconds that the name may be kept'],
  attrValid: [24, 8, 'seconds that the attributes may be kept'],
  entryValidNsec: [32, 4, 'nanoseconds'],
  attrValidNsec: [36, 4, 'nanoseconds'],
  attr: [40, 88, 'fuse_attr'],
})

export const AttrOut = defineStruct('fuse_attr_out', 104, 'attributes', {
  attrValid: [0, 8, 'seconds that they may be kept'],
  attrValidNsec: [8, 4, 'nanoseconds'],
  reserved: [12, 4, 'zero'],
  attr: [16, 88, 'fuse_attr'],
})

export const GetattrIn = defineStruct('fuse_getattr_in', 16, 'GETATTR', {
  getattrFlags: [0, 4, '1: by its handle'],
  reserved: [4, 4, 'zero'],
  fh: [8, 8, 'handle'],
})

export const SetattrIn = defineStruct('fuse_setattr_in', 88, 'SETATTR', {
  valid: [0, 4, 'what is to be changed (SetattrValid)'],
  reserved: [4, 4, 'zero'],
  fh: [8, 8, 'handle'],
  size: [16, 8, 'bytes'],
  lockOwner: [24, 8, 'who may write where a mandatory lock is'],
  atime: [32, 8, 'seconds'],
  mtime: [40, 8, 'seconds'],
  ctime: [48, 8, 'seconds'],
  atimensec: [56, 4, 'nanoseconds'],
  mtimensec: [60, 4, 'nanoseconds'],
  ctimensec: [64, 4, 'nanoseconds'],
  mode: [68, 4, 'type and permissions'],
  reserved2: [72, 4, 'zero'],
  uid: [76, 4, 'owner'],
  gid: [80, 4, 'group'],
  reserved3: [84, 4, 'zero'],
})

export const SetattrValid = {
  mode: 1,
  uid: 2,
  gid: 4,
  size: 8,
  atime: 16,
  mtime: 32,
  handle: 64,
  atimeNow: 128,
  mtimeNow: 256,
  ctime: 1024,
  killSetIds: 2048,
} as const

export const StatxIn = defineStruct('fuse_statx_in', 24, 'STATX', {
  getattrFlags: [0, 4, '1: by its handle'],
  reserved: [4, 4, 'zero'],
  fh: [8, 8, 'handle'],
  sxFlags: [16, 4, 'of statx(2)'],
  sxMask: [20, 4, 'of statx(2)'],
})

/** The last part of `fuse_statx_out` is `fuse_statx`, from byte 32 on. */
export const StatxOut = defineStruct('fuse_statx_out', 288, 'the answer to STATX', {
  attrValid: [0, 8, 'seconds that they may be kept'],
  attrValidNsec: [8, 4, 'nanoseconds'],
  flags: [12, 4, 'zero'],
  reserved: [16, 16, 'zero'],
  mask: [32, 4, 'what is told, as statx(2) has it'],
  blksize: [36, 4, 'bytes'],
  attributes: [40, 8, 'of statx(2)'],
  nlink: [48, 4, 'names'],
  uid: [52, 4, 'owner'],
  gid: [56, 4, 'group'],
  mode: [60, 2, 'type and permissions'],
  reserved2: [62, 2, 'zero'],
  ino: [64, 8, 'inode number'],
  size: [72, 8, 'bytes'],
  blocks: [80, 8, 'units of 512 bytes'],
  attributesMask: [88, 8, 'those attributes that are known'],
  atime: [96, 8, 'seconds'],
  atimeNsec: [104, 4, 'nanoseconds'],
  reserved3: [108, 4, 'zero'],
  btime: [112, 8, 'seconds'],
  btimeNsec: [120, 4, 'nanoseconds'],
  reserved4: [124, 4, 'zero'],
  ctime: [128, 8, 'seconds'],
  ctimeNsec: [136, 4, 'nanoseconds'],
  reserved5: [140, 4, 'zero'],
  mtime: [144, 8, 'seconds'],
  mtimeNsec: [152, 4, 'nanoseconds'],
  reserved6: [156, 4, 'zero'],
  rdevMajor: [160, 4, 'of a device'],
  rdevMinor: [164, 4, 'of a device'],
  devMajor: [168, 4, 'zero: the kernel knows'],
  devMinor: [172, 4, 'zero: the kernel knows'],
  reserved7: [176, 112, 'zero'],
})

export const StatfsOut = defineStruct('fuse_statfs_out', 80, 'what statfs(2) says', {
  blocks: [0, 8, 'of all'],
  bfree: [8, 8, 'free'],
  bavail: [16, 8, 'free, and not kept back'],
  files: [24, 8, 'inodes'],
  ffree: [32, 8, 'that can still be made'],
  bsize: [40, 4, 'bytes of a block'],
  namelen: [44, 4, 'bytes of a name at most'],
  frsize: [48, 4, 'bytes of a block'],
  reserved: [52, 28, 'zero'],
})

export const AccessIn = defineStruct('fuse_access_in', 8, 'ACCESS', {
  mask: [0, 4, 'sum of R_OK 4, W_OK 2, X_OK 1'],
  reserved: [4, 4, 'zero'],
})
