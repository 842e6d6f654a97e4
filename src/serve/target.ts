/** The file that a verb is about: by its path, or an open one. */
import { HoldfastError } from '../base/errors.js'
import type { Credentials } from '../base/filesystem.js'
import type { Target, WirePath } from '../control/types.js'
import type { LayoutFile } from '../layout/file.js'
import type { ClientSession } from './client_session.js'

export function withTarget<T>(
  session: ClientSession,
  target: Target,
  ways: {
    readonly path: (path: WirePath, follow: boolean) => T
    readonly file: (file: LayoutFile) => T
  },
): T {
  if ('handle' in target) return ways.file(session.file(target.handle))
  return ways.path(target.path.path, target.path.follow)
}

/** What gives a file one name more. */
export function linkTargetOf(
  session: ClientSession,
  target: Target,
): (path: WirePath, as: Credentials) => void {
  return withTarget(session, target, {
    path: (existing, follow) => (path, as) => session.volume.link(existing, path, { follow }, as),
    file: (file) => (path, as) => file.link(path, as),
  })
}

/** EINVAL for a verb that knows files by their path alone. */
export const byPathOnly = () =>
  new HoldfastError('EINVAL', 'this verb takes a path, not an open file')
