/** Requests about names, and directory entries. A name follows its structure, ended by a zero. */
import { defineStruct } from '../../base/struct.js'

export const MknodIn = defineStruct('fuse_mknod_in', 16, 'MKNOD', {
  mode: [0, 4, 'type and permissions'],
  rdev: [4, 4, 'of a device, as new_encode_dev has it'],
  umask: [8, 4, 'of who asks'],
  reserved: [12, 4, 'zero'],
})

export const MkdirIn = defineStruct('fuse_mkdir_in', 8, 'MKDIR', {
  mode: [0, 4, 'permissions'],
  umask: [4, 4, 'of who asks'],
})

export const RenameIn = defineStruct('fuse_rename_in', 8, 'RENAME', {
  newdir: [0, 8, 'directory of the new name'],
})

export const Rename2In = defineStruct('fuse_rename2_in', 16, 'RENAME2', {
  newdir: [0, 8, 'directory of the new name'],
  flags: [8, 4, 'of renameat2(2)'],
  reserved: [12, 4, 'zero'],
})

export const LinkIn = defineStruct('fuse_link_in', 8, 'LINK', {
  oldnodeid: [0, 8, 'what gets one name more'],
})

export const ForgetIn = defineStruct('fuse_forget_in', 8, 'FORGET', {
  nlookup: [0, 8, 'answers with this inode that the kernel lets go of'],
})

/** The name follows, and zeros up to a multiple of 8 bytes. */
export const Dirent = defineStruct('fuse_dirent', 24, 'an entry of READDIR', {
  ino: [0, 8, 'inode number'],
  off: [8, 8, 'where to go on after it'],
  namelen: [16, 4, 'bytes of the name'],
  type: [20, 4, 'upper bits of the mode, DT_ of readdir(3)'],
})
