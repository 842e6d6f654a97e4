/** Requests about locks and extended attributes. */
import { defineStruct } from '../../base/struct.js'

export const LockIn = defineStruct('fuse_lk_in', 48, 'GETLK, SETLK, SETLKW', {
  fh: [0, 8, 'handle'],
  owner: [8, 8, 'whose lock it is'],
  start: [16, 8, 'first byte'],
  end: [24, 8, 'last byte, itself included; 2^63 - 1: to the end'],
  type: [32, 4, 'LockType'],
  pid: [36, 4, 'process'],
  lkFlags: [40, 4, '1: of flock(2)'],
  reserved: [44, 4, 'zero'],
})

export const LockOut = defineStruct('fuse_lk_out', 24, 'the answer to GETLK', {
  start: [0, 8, 'first byte'],
  end: [8, 8, 'last byte, itself included'],
  type: [16, 4, 'LockType'],
  pid: [20, 4, 'process'],
})

export const LockType = { read: 0, write: 1, unlock: 2 } as const

export const SetxattrIn = defineStruct('fuse_setxattr_in', 16, 'SETXATTR; name and value follow', {
  size: [0, 4, 'bytes of the value'],
  flags: [4, 4, 'XATTR_CREATE 1, XATTR_REPLACE 2'],
  setxattrFlags: [8, 4, '1: the set-group-id bit goes'],
  reserved: [12, 4, 'zero'],
})

export const GetxattrIn = defineStruct('fuse_getxattr_in', 8, 'GETXATTR, LISTXATTR', {
  size: [0, 4, 'bytes at most; 0: how many are there'],
  reserved: [4, 4, 'zero'],
})

export const GetxattrOut = defineStruct('fuse_getxattr_out', 8, 'how many bytes there are', {
  size: [0, 4, 'bytes'],
  reserved: [4, 4, 'zero'],
})
