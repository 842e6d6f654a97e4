/** Headers of requests and replies, and the numbers of operations (linux/fuse.h, 7.45). */
import { defineStruct } from '../../base/struct.js'

/** What this speaks; an older kernel (7.31 on, Linux 5.4) is met with what it has. */
export const FUSE_MAJOR = 7
export const FUSE_MINOR = 45
export const FUSE_MINOR_MIN = 31
/** The node of the root directory. */
export const ROOT_NODE = 1

export const InHeader = defineStruct('fuse_in_header', 40, 'begins every request', {
  len: [0, 4, 'bytes of the request, with this header'],
  opcode: [4, 4, 'what is asked for (Opcode)'],
  unique: [8, 8, 'names the request; the reply has it, too'],
  nodeid: [16, 8, 'the inode that it is about'],
  uid: [24, 4, 'who asks, with the filesystem user (credentials(7))'],
  gid: [28, 4, 'and group'],
  pid: [32, 4, 'thread that asks; 0: of another pid namespace, or the kernel'],
  totalExtlen: [36, 2, 'bytes of extensions, in units of 8'],
  reserved: [38, 2, 'zero'],
})

export const OutHeader = defineStruct(
  'fuse_out_header',
  16,
  'begins every reply and notification',
  {
    len: [0, 4, 'bytes of the reply, with this header'],
    error: [4, 4, 'a negative errno, or 0; of a notification: its code'],
    unique: [8, 8, 'of the request; 0: a notification'],
  },
)

export const Opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  getlk: 31,
  setlk: 32,
  setlkw: 33,
  access: 34,
  create: 35,
  interrupt: 36,
  bmap: 37,
  destroy: 38,
  ioctl: 39,
  poll: 40,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
  copyFileRange: 47,
  syncfs: 50,
  tmpfile: 51,
  statx: 52,
  copyFileRange64: 53,
} as const
