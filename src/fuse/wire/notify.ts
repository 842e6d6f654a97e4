/** Notifications: what the kernel has cached is not so any more. */
import { defineStruct } from '../../base/struct.js'

export const NotifyCode = { inode: 2, entry: 3, delete: 6 } as const

export const NotifyInode = defineStruct('fuse_notify_inval_inode_out', 24, 'of an inode', {
  ino: [0, 8, 'node'],
  off: [8, 8, 'first byte of its data; negative: attributes alone'],
  len: [16, 8, 'bytes; 0: to the end'],
})

export const NotifyEntry = defineStruct('fuse_notify_inval_entry_out', 16, 'of a name', {
  parent: [0, 8, 'node of the directory'],
  namelen: [8, 4, 'bytes of the name, which follows, ended by a zero'],
  flags: [12, 4, 'zero'],
})
