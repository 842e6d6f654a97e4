/** Every limit, in one place, enforced at the door. */

/** Bytes of a block, the unit of allocation, and of a metadata page. */
export const BLOCK_BYTES = 4096
export const BLOCK_SHIFT = 12
/** Bytes of a cache line, the grain of the log. */
export const LINE_BYTES = 64
export const LINES_PER_BLOCK = BLOCK_BYTES / LINE_BYTES

/** Block numbers are u32 and 0xffffffff is never one. */
export const BLOCK_COUNT_MAX = 0xffff_ffff
/**
 * The smallest volume that mkfs makes: superblocks, state, a log, maps, and room for a few files.
 */
export const REGION_BYTES_MIN = 512 * 1024

/** Bytes of one name (NAME_MAX). */
export const NAME_BYTES_MAX = 255
/** Bytes of a path (PATH_MAX, without the NUL). */
export const PATH_BYTES_MAX = 4095
/**
 * Names of one directory that share a hash; the 32-bit hash is keyed, so only chance gets there.
 */
export const HASH_COLLISIONS_MAX = 0xffff
/** Bytes of an extended attribute's value (XATTR_SIZE_MAX), and of all names (XATTR_LIST_MAX). */
export const XATTR_VALUE_BYTES_MAX = 65_536
export const XATTR_LIST_BYTES_MAX = 65_536
/** Values up to this many bytes stand in slabs, longer ones in blocks of their own. */
export const SLAB_VALUE_BYTES_MAX = 512
/** Bytes of a symlink's target (PATH_MAX, without the NUL). */
export const TARGET_BYTES_MAX = 4095
/** Symlinks followed on one walk (fs/namei.c, MAXSYMLINKS). */
export const SYMLINKS_MAX = 40
/** Links of one inode (as XFS has it). */
export const LINKS_MAX = 0x7fff_ffff
/** Bytes of a file: file block numbers are u32. */
export const FILE_BYTES_MAX = 0xffff_ffff * BLOCK_BYTES
/** Handles open at a time on one volume. */
export const HANDLES_MAX = 1 << 20
/** Advisory locks held at a time on one volume, and waits for them. */
export const LOCKS_MAX = 1 << 20
/** Holds at a time on one volume. */
export const HOLDS_MAX = 1 << 20
/** Levels of a tree: 237 records a node at worst half full hold 2^32 keys in 5 levels. */
export const TREE_LEVELS_MAX = 8
/** Bytes of a volume label. */
export const LABEL_BYTES_MAX = 32

/** Smallest and largest log ring, in bytes. */
export const LOG_BYTES_MIN = 128 * 1024
export const LOG_BYTES_MAX = 8 * 1024 * 1024

/**
 * Metadata pages kept in memory, unless the opener says otherwise: 48 MiB, used as touched. With
 * the memory of the log that is below the 64 MiB at which the engine collects garbage at mount.
 */
export const CACHE_PAGES_DEFAULT = 12_288
export const CACHE_PAGES_MIN = 256

/**
 * Blocks kept back so that what frees space always works on a full volume: a punch in the middle of
 * an extent may split nodes at every level of two trees, and leave an orphan record.
 */
export const RESERVE_BLOCKS = 24
