/** What a server says of itself, to its tests. */
import type { StatFs } from '../../src/base/filesystem.js'
import type { HoldInfo } from '../../src/base/layout.js'
import type { Server } from '../../src/serve/server.js'

export interface Report {
  readonly sessions: ReturnType<Server['list']>
  readonly holds: readonly HoldInfo[]
  /** Blocks that no file owns, and somebody may still use. */
  readonly limbo: number
  readonly grace: boolean
  /** Inodes that are open. */
  readonly open: number
  readonly free: number
  readonly statfs: StatFs
}
