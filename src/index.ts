/** The package: an embedded volume, its parts, and fsck. */
export type { Timers } from './base/timers.js'
export { HoldfastError, type ErrorCode } from './base/errors.js'
export type {
  Credentials,
  DirectoryEntry,
  Extent,
  FileHandle,
  FileSystem,
  FileType,
  Layout,
  OpenFlags,
  Path,
  StatFs,
  Stats,
} from './base/filesystem.js'
export type {
  ByteRange,
  ChangeOptions,
  Defragmented,
  Evacuated,
  HoldInfo,
  HoldKind,
  HoldState,
  InodeHandle,
  Iomode,
  LayoutChange,
  LayoutId,
  LayoutPolicy,
  MoveOptions,
  ShareMode,
  ShareOptions,
  Shrunk,
  UnshareMode,
  WaitOptions,
} from './base/layout.js'
export type { FileMapping, MapOptions } from './base/mapping.js'
export { checkVolume } from './check/checker.js'
export { exitCode, formatReport, type Report } from './check/report.js'
export type { HoldEvent } from './layout/events.js'
export type { LayoutFile } from './layout/file.js'
export { VolumeFileSystem } from './layout/filesystem.js'
export type { HoldOptions, LeaseOptions } from './layout/grants.js'
export type { HeldRun, Hold } from './layout/hold.js'
export type { PinLimitOptions } from './layout/limits.js'
export type { LayoutPromises, SettleOptions } from './layout/promises.js'
export type { HeldExtent, ReclaimOptions } from './layout/reclaim.js'
export type { Session, SessionOptions } from './layout/session.js'

export type { Transfer } from './layout/transfers.js'
export { LayoutVolume, type LayoutOptions } from './layout/volume.js'
export { createRegion, memfdRegion, openRegion } from './region/file_region.js'
export { heapRegion } from './region/memory_region.js'
export type { Persistence, Region, RegionCounters } from './region/region.js'
export {
  createVolume,
  EmbeddedVolume as Volume,
  growVolume,
  inspectVolume,
  openVolume,
  shrinkVolume,
  type ShrinkOptions,
} from './layout/embedded.js'
export { formatVolume, type FormatOptions } from './volume/format.js'
export type { MountOptions } from './volume/mount.js'
export type { OpenFile } from './volume/open_file.js'
export type { SyncMode } from './volume/transaction.js'
