/** INIT: what this kernel and this server do together. */
import type { Exchange } from './exchange.js'
import { DATA_BYTES_MAX } from './exchange.js'
import type { FuseOptions } from './session.js'
import { FUSE_MAJOR, FUSE_MINOR, FUSE_MINOR_MIN } from './wire/header.js'
import { InitFlag as F, InitFlag2, InitIn, InitOut } from './wire/init.js'

const PAGE = 4096
const BACKGROUND = 64
const READAHEAD = 1 << 20

/** Of all mounts. */
const ALWAYS =
  F.asyncRead |
  F.posixLocks |
  F.atomicOpenTruncate |
  F.bigWrites |
  F.flockLocks |
  F.ioctlDirectories |
  F.readdirPlus |
  F.readdirPlusAuto |
  F.asyncDirect |
  F.parallelDirectories |
  F.abortError |
  F.maxPages |
  F.cacheSymlinks |
  F.handleKillPrivileges |
  F.setxattrExtended |
  F.initExtended

export function answerInit(x: Exchange, { mode, tells, decides }: FuseOptions): number {
  const asked = InitIn.word
  const w = InitOut.word
  const offered = x.u32(asked.flags)
  const wanted =
    ALWAYS |
    // Else the umask is the kernel's to apply: calls are not in the name of who has it.
    (decides ? F.posixAcl | F.dontMask : 0) |
    (tells ? F.explicitInvalidate : F.autoInvalidate) |
    (mode === 'exclusive' ? F.writebackCache : 0)
  x.clear(0, InitOut.size)
  x.put32(w.major, FUSE_MAJOR)
  const minor = x.u32(asked.minor)
  // An older one asks again, in words of its own (fs/fuse/inode.c), and is refused by its mount.
  x.put32(w.minor, minor >= FUSE_MINOR_MIN ? Math.min(minor, FUSE_MINOR) : FUSE_MINOR_MIN)
  x.put32(w.maxReadahead, Math.min(x.u32(asked.maxReadahead), READAHEAD))
  x.put32(w.flags, offered & wanted)
  x.put32(w.maxBackground, BACKGROUND | ((BACKGROUND - (BACKGROUND >> 2)) << 16))
  x.put32(w.maxWrite, DATA_BYTES_MAX)
  x.put32(w.timeGran, 1)
  x.put32(w.maxPages, DATA_BYTES_MAX / PAGE)
  const extended = (offered & F.initExtended) !== 0
  const direct = mode === 'exclusive' ? 0 : InitFlag2.directMmap
  x.put32(w.flags2, extended ? x.u32(asked.flags2) & direct : 0)
  return InitOut.size
}
