/** Answers that come in several replies. */
import type { DirectoryEntry, Extent, Layout } from '../base/filesystem.js'
import type { MoveOptions } from '../base/layout.js'
import type { CallOptions } from '../control/caller.js'
import { ITEMS_MAX } from '../control/limits.js'
import type { ResultOf } from '../control/verb.js'
import type { VERBS } from '../control/verbs/index.js'

/** Times that a layout which changes meanwhile is looked at again. */
const LAYOUT_TRIES = 8

/** At most `limit` entries after `cookie`. */
export async function listDirectory(
  list: (cookie: number, limit: number) => Promise<ResultOf<typeof VERBS.readdir>>,
  cookie: number,
  limit: number,
): Promise<DirectoryEntry[]> {
  const entries: DirectoryEntry[] = []
  for (let from = cookie; entries.length < limit;) {
    const some = await list(from, Math.min(ITEMS_MAX, limit - entries.length))
    entries.push(...some.entries)
    const last = some.entries.at(-1)
    if (some.end || last === undefined) break
    from = last.cookie
  }
  return entries
}

/** All extents of a file, of one layout. */
export async function allExtents(
  look: (from: number) => Promise<ResultOf<typeof VERBS.extents>>,
): Promise<Layout> {
  for (let tries = 1; ; tries++) {
    const extents: Extent[] = []
    const first = await look(0)
    let part = first
    extents.push(...part.extents)
    const same = () => part.layout.generation === first.layout.generation
    while (part.more && same()) {
      const last = extents.at(-1)!
      part = await look(last.fileBlock + last.count)
      extents.push(...part.extents)
    }
    if (same() || tries === LAYOUT_TRIES) return { ...first.layout, extents }
  }
}

/** How a call that moves blocks is made. */
export const moveCall = ({ signal, onProgress }: MoveOptions): CallOptions => ({
  signal,
  onProgress,
})
