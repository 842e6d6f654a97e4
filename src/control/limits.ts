/** Bounds of the control protocol. */

/** Version of the protocol that this end speaks, and the oldest that it understands. */
export const PROTOCOL_VERSION = 1
export const PROTOCOL_VERSION_MIN = 1

/** Bytes that one READ or WRITE moves, at most. */
export const DATA_BYTES_MAX = 256 << 10
/** Bytes of a message; with the data of a READ or WRITE, and all that goes with it. */
export const MESSAGE_BYTES_MAX = DATA_BYTES_MAX + (8 << 10)
/** Bytes of a message before the other end has said who it is. */
export const GREETING_BYTES_MAX = 1 << 10

/** Calls of one session that may be under way at a time. */
export const CALLS_MAX = 256
/** Calls of one session that wait for those under way, and bytes of them, before one is refused. */
export const DEFERRED_MAX = 4096
export const DEFERRED_BYTES_MAX = 1 << 20
/** Malformed messages that are answered; one more ends the connection. */
export const STRIKES_MAX = 8
/** Bytes of events that wait for a client; what comes beyond is dropped, and it is told so. */
export const EVENT_BYTES_MAX = 1 << 20

/** Bytes of names and reasons, and of the texts of errors. */
export const WORDS_BYTES_MAX = 512
export const ERROR_BYTES_MAX = 4096
/** Holds that an error lists. */
export const ERROR_HOLDS_MAX = 64
/** Ranges of a hold that a list shows: as many holds as one message has fit into it. */
export const RANGES_MAX = 32
/** Items of one reply: directory entries, extents. */
export const ITEMS_MAX = 4096
/** Holds of one reply, and sessions. */
export const LISTED_MAX = 128
/** Holds that an event lists. */
export const EVENT_HOLDS_MAX = 64
/** Names of extended attributes: as many as their bytes have room for. */
export const XATTR_NAMES_MAX = 16_384
/** Bytes of what opens a file again by its number. */
export const HANDLE_KEY_BYTES = 16
/** Extents of a hold that is taken again: so many at once. */
export const RECLAIM_EXTENTS_MAX = 512
/** Descriptors of the region that one session may have, and show to the next server. */
export const SLOTS_MAX = 64
/** Supplementary groups (NGROUPS_MAX is 65536; an NFS server takes 16). */
export const GROUPS_MAX = 1024
/** Milliseconds that a call may take at most. */
export const CALL_MILLISECONDS_MAX = 3_600_000
