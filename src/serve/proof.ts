/**
 * Paths that begin at an inode: whoever has its key was shown it once, and reaches it again;
 * numbers alone are for the privileged, as everybody can guess them.
 */
import { isPathAt, type PathAt } from '../base/path.js'
import type { Target } from '../control/types.js'
import type { ClientSession } from './client_session.js'

type Handler = (session: ClientSession, args: never, call: never) => unknown

/** What a verb has of paths. */
interface Paths {
  readonly path?: unknown
  readonly from?: unknown
  readonly to?: unknown
  readonly target?: Target
}

/** EACCES for a key that is not that of the inode. */
function prove(session: ClientSession, path: unknown): void {
  if (typeof path !== 'object' || path === null || !isPathAt(path as PathAt)) return
  const at = path as { -readonly [K in keyof PathAt]: PathAt[K] }
  if (at.key === undefined) return
  session.server.handleKeys.demand(at.ino, at.generation, at.key)
  at.proven = true
}

/** The same verbs, with the keys of their paths looked at before. */
export function proving<V extends Record<string, Handler>>(verbs: V): V {
  const wrapped = Object.entries(verbs).map(([name, handler]) => {
    const run = (session: ClientSession, args: Paths, call: never) => {
      prove(session, args.path)
      prove(session, args.from)
      prove(session, args.to)
      if (args.target !== undefined && 'path' in args.target) prove(session, args.target.path.path)
      return handler(session, args as never, call)
    }
    return [name, run]
  })
  return Object.fromEntries(wrapped) as V
}
