/** What many messages are made of. */
import { NAME_BYTES_MAX, PATH_BYTES_MAX, XATTR_VALUE_BYTES_MAX } from '../base/limits.js'
import type { HoldInfo } from '../base/layout.js'
import { isPathAt, type PathAt } from '../base/path.js'
import { Stats } from '../base/stats.js'
import {
  ERROR_BYTES_MAX,
  ERROR_HOLDS_MAX,
  GROUPS_MAX,
  HANDLE_KEY_BYTES,
  ITEMS_MAX,
  RANGES_MAX,
  WORDS_BYTES_MAX,
} from './limits.js'
import {
  bool,
  choice,
  either,
  fixed,
  list,
  long,
  named,
  opaque,
  optional,
  size,
  struct,
  text,
  u32,
} from './schema.js'
import type { Of, Schema } from './schema.js'

/** What opens a file again by its number (OPEN_HANDLE), and lets a path begin at it. */
export const handleKey = named('handle_key', fixed(HANDLE_KEY_BYTES))

/** Longer ones are let through, so that they have the errno that they have everywhere. */
const pathBytes = opaque(2 * PATH_BYTES_MAX, 'ENAMETOOLONG')
export const linkContent = named('link_content', pathBytes)
const inodeRef = struct('inode_ref', {
  ino: u32,
  generation: u32,
  /** FIND and OPEN answer it. */
  key: optional(handleKey),
})
const pathFields = struct('path', { at: optional(inodeRef), bytes: pathBytes })

/** A path as it is sent: its text as bytes. */
export type WirePath = Uint8Array | (PathAt & { readonly path: Uint8Array })
/** From the root, or from an inode, for those who may open files by number. */
export const path: Schema<WirePath> = {
  ...pathFields,
  write: (out, value) => {
    const at = isPathAt(value) ? value : undefined
    pathFields.write(out, { at, bytes: isPathAt(value) ? value.path : value })
  },
  read: (from) => {
    const { at, bytes } = pathFields.read(from)
    return at === undefined ? bytes : { ...at, path: bytes }
  },
}
export const fileName = named('file_name', opaque(2 * NAME_BYTES_MAX))
export const words = named('words', text(WORDS_BYTES_MAX))
/** A file that the session has open. */
export const handle = named('handle', u32)

/** A file by its path, or an open one. */
export const target = either('target', {
  path: struct('by_path', { path, follow: bool }),
  handle,
})
export type Target = Of<typeof target>

export const credentials = struct('credentials', {
  uid: u32,
  gid: u32,
  groups: list(u32, GROUPS_MAX),
  umask: u32,
  /** What they may do was decided by who asks (a kernel, for its users): of privileged sessions. */
  decided: optional(bool),
})

export const timestamp = struct('timestamp', { seconds: long, nanoseconds: u32 })
/** As utimensat(2) has them. */
export const time = either('set_time', {
  at: timestamp,
  word: choice('time_word', 'now', 'omit'),
})

// ---- files
// ---------------------------------------------------------------------------------------

const statFields = struct('stat', {
  ino: u32,
  generation: u32,
  mode: u32,
  nlink: u32,
  uid: u32,
  gid: u32,
  rdev: u32,
  size,
  blocks: size,
  blksize: u32,
  atimeSeconds: long,
  atimeNanoseconds: u32,
  mtimeSeconds: long,
  mtimeNanoseconds: u32,
  ctimeSeconds: long,
  ctimeNanoseconds: u32,
  birthtimeSeconds: long,
  birthtimeNanoseconds: u32,
})
/** stat(2). The message that is sent most: field by field, in the order of `statFields`. */
export const stats: Schema<Stats> = {
  ...statFields,
  write: (out, stats) => {
    out.u32(stats.ino)
    out.u32(stats.generation)
    out.u32(stats.mode)
    out.u32(stats.nlink)
    out.u32(stats.uid)
    out.u32(stats.gid)
    out.u32(stats.rdev)
    out.size(stats.size)
    out.size(stats.blocks)
    out.u32(stats.blksize)
    out.long(stats.atimeSeconds)
    out.u32(stats.atimeNanoseconds)
    out.long(stats.mtimeSeconds)
    out.u32(stats.mtimeNanoseconds)
    out.long(stats.ctimeSeconds)
    out.u32(stats.ctimeNanoseconds)
    out.long(stats.birthtimeSeconds)
    out.u32(stats.birthtimeNanoseconds)
  },
  read: (from) => {
    const stats = new Stats()
    stats.ino = from.u32()
    stats.generation = from.u32()
    stats.mode = from.u32()
    stats.nlink = from.u32()
    stats.uid = from.u32()
    stats.gid = from.u32()
    stats.rdev = from.u32()
    stats.size = from.size()
    stats.blocks = from.size()
    stats.blksize = from.u32()
    stats.atimeSeconds = from.long()
    stats.atimeNanoseconds = from.u32()
    stats.mtimeSeconds = from.long()
    stats.mtimeNanoseconds = from.u32()
    stats.ctimeSeconds = from.long()
    stats.ctimeNanoseconds = from.u32()
    stats.birthtimeSeconds = from.long()
    stats.birthtimeNanoseconds = from.u32()
    return stats
  },
}

export const fileType = choice(
  'file_type',
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character',
  'block',
)

export const opened = struct('opened', {
  handle,
  ino: u32,
  generation: u32,
  key: handleKey,
})

export const entry = struct('entry', { name: fileName, ino: u32, type: fileType, cookie: size })

export const xattrName = named('xattr_name', text(2 * NAME_BYTES_MAX))
export const xattrValue = opaque(XATTR_VALUE_BYTES_MAX + 1, 'E2BIG')

/** `length` 0: to the end. `owner` left out: the handle. */
export const rangeLock = struct('range_lock', {
  type: choice('lock_type', 'read', 'write'),
  start: size,
  length: size,
  owner: optional(size),
})

export const extent = struct('extent', { fileBlock: u32, regionBlock: u32, count: u32 })
/** Mount epoch and layout generation. */
export const layoutId = struct('layout_id', { epoch: size, generation: size })

// ---- layout contract
// -----------------------------------------------------------------------------

export const policy = choice('policy', 'busy', 'wait', 'defer')
export const share = choice('share_mode', 'strict', 'copy')
export const unshare = choice('unshare_mode', 'self', 'others')
export const holdKind = choice('hold_kind', 'pin', 'seal', 'lease')
export const iomode = choice('iomode', 'read', 'rw')
export const change = choice(
  'layout_change',
  'grow',
  'shrink',
  'punch',
  'shareInto',
  'share',
  'unshare',
  'move',
  'shift',
)
export const holdState = choice('hold_state', 'held', 'recalled', 'deferred', 'fenced')

export const byteRange = struct('byte_range', { offset: size, length: size })
export const holdOwner = struct('hold_owner', { session: u32, name: words, uid: u32 })
const holdFields = struct('hold', {
  id: size,
  kind: holdKind,
  iomode: optional(iomode),
  ino: u32,
  deleted: optional(bool),
  ranges: list(byteRange, RANGES_MAX),
  owner: holdOwner,
  reason: words,
  since: size,
  deadline: optional(size),
  state: holdState,
  bytes: size,
})
/** A hold as it is listed; of one with very many ranges the first ones. */
export const hold: Schema<HoldInfo> = {
  ...holdFields,
  write: (out, info) => {
    const { iomode: mode, deadline, ranges, since } = info
    holdFields.write(out, {
      ...info,
      ranges: ranges.slice(0, RANGES_MAX),
      since: Math.round(since),
      iomode: mode ?? undefined,
      deadline: deadline === null ? undefined : Math.max(0, Math.ceil(deadline)),
    })
  },
  read: (from) => {
    const info = holdFields.read(from)
    return { ...info, iomode: info.iomode ?? null, deadline: info.deadline ?? null }
  },
}

/** How a change goes about what is held. */
export const changeOptions = struct('change_options', {
  policy: optional(policy),
  share: optional(share),
  timeout: optional(u32),
  deadline: optional(u32),
  force: bool,
})
export type ChangeWish = Of<typeof changeOptions>

/** What a hold is asked for. `length` left out: to the end of the file. */
export const holdWish = struct('hold_wish', {
  handle,
  offset: size,
  length: optional(size),
  reason: words,
  unshare: optional(unshare),
  timeout: optional(u32),
  deadline: optional(u32),
})

/** What was granted: where the blocks are, in file order; holes are left out. */
export const granted = struct('granted', {
  id: size,
  layout: layoutId,
  offset: size,
  length: size,
  extents: list(extent, ITEMS_MAX),
  /** More extents follow: HELD_EXTENTS has them. */
  more: bool,
})
export type Granted = Of<typeof granted>

// ---- who and what
// --------------------------------------------------------------------------------

/** What a client needs to know of the region to map parts of it. */
export const regionFacts = struct('region', {
  kind: words,
  path: text(4096),
  bytes: size,
  grain: u32,
  persistence: choice('persistence', 'flush', 'fence', 'sync'),
  coherent: bool,
  mappable: bool,
})

export const sessionInfo = struct('session_info', {
  id: u32,
  name: words,
  uid: u32,
  kind: choice('session_kind', 'local', 'mapping', 'remote', 'plain'),
  /** Process, or host and port. */
  peer: words,
  since: size,
  /** Milliseconds since anything came from it. */
  idle: size,
  holds: u32,
  handles: u32,
  registrations: u32,
  connections: u32,
  state: choice('session_state', 'alive', 'gone', 'reclaiming'),
})

// ---- errors
// --------------------------------------------------------------------------------------

const place = named('place', text(ERROR_BYTES_MAX))
/** An error: its errno (ERRORS.md), what is wrong, and what is in the way. */
export const failure = struct('failure', {
  errno: u32,
  detail: text(ERROR_BYTES_MAX),
  syscall: optional(words),
  path: optional(place),
  destination: optional(place),
  holds: list(hold, ERROR_HOLDS_MAX),
})
