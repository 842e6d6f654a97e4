/** Every verb of the control protocol, one a file. */
import { ping } from './ping.js'
import { hello } from './hello.js'
import { descriptor } from './descriptor.js'
import { open } from './open.js'
import { openHandle } from './open_handle.js'
import { close } from './close.js'
import { read } from './read.js'
import { write } from './write.js'
import { find } from './find.js'
import { stat } from './stat.js'
import { truncate } from './truncate.js'
import { access } from './access.js'
import { mkdir } from './mkdir.js'
import { rmdir } from './rmdir.js'
import { unlink } from './unlink.js'
import { rename } from './rename.js'
import { link } from './link.js'
import { symlink } from './symlink.js'
import { readlink } from './readlink.js'
import { mknod } from './mknod.js'
import { readdir } from './readdir.js'
import { chmod } from './chmod.js'
import { chown } from './chown.js'
import { utimes } from './utimes.js'
import { getXattr } from './get_xattr.js'
import { setXattr } from './set_xattr.js'
import { removeXattr } from './remove_xattr.js'
import { listXattrs } from './list_xattrs.js'
import { inodeFlags } from './inode_flags.js'
import { setInodeFlags } from './set_inode_flags.js'
import { extents } from './extents.js'
import { fix } from './fix.js'
import { unfix } from './unfix.js'
import { sealWrites } from './seal_writes.js'
import { setPolicy } from './set_policy.js'
import { reflink } from './reflink.js'
import { showMapping } from './show_mapping.js'
import { snapshot } from './snapshot.js'
import { defragment } from './defragment.js'
import { evacuate } from './evacuate.js'
import { statfs } from './statfs.js'
import { sync } from './sync.js'
import { allocate } from './allocate.js'
import { punch } from './punch.js'
import { zeroRange } from './zero_range.js'
import { collapse } from './collapse.js'
import { insert } from './insert.js'
import { seek } from './seek.js'
import { copyRange } from './copy_range.js'
import { reflinkRange } from './reflink_range.js'
import { lock } from './lock.js'
import { unlock } from './unlock.js'
import { testLock } from './test_lock.js'
import { flock } from './flock.js'
import { pin } from './pin.js'
import { seal } from './seal.js'
import { layoutGet } from './layout_get.js'
import { layoutReturn } from './layout_return.js'
import { layoutCommit } from './layout_commit.js'
import { heldExtents } from './held_extents.js'
import { reclaim } from './reclaim.js'
import { reclaimDone } from './reclaim_done.js'
import { holds } from './holds.js'
import { sessions } from './sessions.js'
import { recall } from './recall.js'
import { evict } from './evict.js'
import { register } from './register.js'
import { deregister } from './deregister.js'
import { commit } from './commit.js'
import { watch } from './watch.js'
import { dropped } from './dropped.js'
import { statistics } from './statistics.js'
import { summary } from './summary.js'

export const VERBS = {
  ping,
  hello,
  descriptor,
  open,
  openHandle,
  close,
  read,
  write,
  stat,
  find,
  truncate,
  access,
  mkdir,
  rmdir,
  unlink,
  rename,
  link,
  symlink,
  readlink,
  mknod,
  readdir,
  chmod,
  chown,
  utimes,
  getXattr,
  setXattr,
  removeXattr,
  listXattrs,
  inodeFlags,
  setInodeFlags,
  extents,
  fix,
  unfix,
  sealWrites,
  setPolicy,
  reflink,
  snapshot,
  defragment,
  evacuate,
  statfs,
  sync,
  allocate,
  punch,
  zeroRange,
  collapse,
  insert,
  seek,
  copyRange,
  reflinkRange,
  lock,
  unlock,
  testLock,
  flock,
  pin,
  seal,
  layoutGet,
  layoutReturn,
  layoutCommit,
  heldExtents,
  reclaim,
  reclaimDone,
  showMapping,
  holds,
  sessions,
  recall,
  evict,
  register,
  deregister,
  commit,
  watch,
  dropped,
  statistics,
  summary,
} as const

export type VerbName = keyof typeof VERBS
