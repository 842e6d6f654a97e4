/** What a server tells without being asked. */
import { bool, choice, list, nothing, optional, size, struct, u32 } from './schema.js'
import { byteRange, change, fileName, hold, words } from './types.js'
import { EVENT_HOLDS_MAX, ITEMS_MAX } from './limits.js'
import { noticeType } from './verb.js'

export const NOTICES = {
  recall: noticeType(
    1,
    'RECALL',
    'A lease is asked back: all of a range, before the deadline (milliseconds).',
    struct('recall_notice', { id: size, ino: u32, wanted: byteRange, change, deadline: u32 }),
  ),
  fence: noticeType(
    2,
    'FENCE',
    'A hold was not given back in time. What it had registered is no longer reached; bytes that ' +
      'are stored through a mapping may be lost to the file.',
    struct('fence_notice', { id: size, stags: list(u32, ITEMS_MAX) }),
  ),
  ended: noticeType(
    3,
    'ENDED',
    'The session ends: the server stops, or somebody evicts it. Nothing comes after it.',
    struct('ended_notice', { why: words, stops: bool }),
  ),
  changed: noticeType(
    4,
    'CHANGED',
    'A change of the volume, for who watches.',
    struct('changed_notice', {
      kind: choice(
        'changed_kind',
        'create',
        'remove',
        'rename',
        'exchange',
        'link',
        'attributes',
        'content',
        'layout',
      ),
      ino: u32,
      parent: optional(u32),
      name: optional(fileName),
      oldParent: optional(u32),
      oldName: optional(fileName),
    }),
  ),
  holding: noticeType(
    5,
    'HOLDING',
    'What happens to holds, for who watches.',
    struct('holding_notice', {
      kind: choice(
        'holding_kind',
        'grant',
        'release',
        'refuse',
        'recall',
        'return',
        'fence',
        'defer',
        'lost',
      ),
      holds: list(hold, EVENT_HOLDS_MAX),
      change: optional(change),
      wanted: optional(byteRange),
    }),
  ),
  lost: noticeType(
    6,
    'LOST',
    'Events that a watcher was too slow for were dropped; what it keeps of the volume is stale.',
    struct('lost_notice', { events: u32 }),
  ),
  progress: noticeType(
    7,
    'PROGRESS',
    'A long call goes on: bytes moved so far.',
    struct('progress_notice', { call: u32, moved: size }),
  ),
  graceOver: noticeType(
    8,
    'GRACE_OVER',
    'The grace period is over: nothing more is reclaimed.',
    nothing,
  ),
  unplaced: noticeType(
    9,
    'UNPLACED',
    'An access on demand could not be served, and has ended its data connection.',
    struct('unplaced_notice', { stag: u32, why: words }),
  ),
  released: noticeType(
    10,
    'RELEASED',
    'A hold has ended without being given back: a change that its own session asked for took it.',
    struct('released_notice', { id: size }),
  ),
  sized: noticeType(
    11,
    'SIZED',
    'A file that the session has a lease of has another size.',
    struct('sized_notice', { ino: u32, size }),
  ),
  storing: noticeType(
    12,
    'STORING',
    'Another session is about to store to a file past all calls. Who keeps pages of it writes them ' +
      'back, drops them, and says DROPPED; the other waits for that, but not for ever.',
    struct('storing_notice', { ino: u32, token: u32 }),
  ),
} as const

export type NoticeName = keyof typeof NOTICES
