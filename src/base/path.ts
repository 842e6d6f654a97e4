/** What names a file: a path from the root, or one from a file that is known by its number. */
import type { InodeHandle } from './layout.js'

/** As openat(2) has it: `path` begins at that file. Empty: the file itself, a symlink as well. */
export interface PathAt extends InodeHandle {
  readonly path: string | Uint8Array
  /** What its server told with it (`Stats.key`): who has that was shown the file. */
  readonly key?: Uint8Array | undefined
  /** Somebody has looked at the key. Without, only the privileged begin a path at a number. */
  readonly proven?: boolean | undefined
}

export type Path = string | Uint8Array | PathAt

/** Whether it is one at all: not every caller has a compiler that looked. */
export function isPath(path: unknown): path is Path {
  if (typeof path === 'string' || path instanceof Uint8Array) return true
  if (typeof path !== 'object' || path === null || !('path' in path)) return false
  return typeof path.path === 'string' || path.path instanceof Uint8Array
}

export const isPathAt = (path: Path): path is PathAt =>
  typeof path !== 'string' && !(path instanceof Uint8Array)
