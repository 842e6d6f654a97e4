/** Verbs on what is known of files: stat, modes, owners, times, attributes, flags. */
import type { Time } from '../../base/filesystem.js'
import { withTarget } from '../target.js'
import type { Some } from './some.js'

const UNCHANGED = 0xffff_ffff
const idOf = (id: number) => (id === UNCHANGED ? -1 : id)

type Said =
  { readonly at: Exclude<Time, number | Date | string> } | { readonly word: 'now' | 'omit' }
const timeOf = (said: Said): Time => ('at' in said ? said.at : said.word)

export const attributeVerbs: Some<
  | 'stat'
  | 'find'
  | 'truncate'
  | 'chmod'
  | 'chown'
  | 'utimes'
  | 'getXattr'
  | 'setXattr'
  | 'removeXattr'
  | 'listXattrs'
  | 'inodeFlags'
  | 'setInodeFlags'
  | 'statfs'
> = {
  stat: (session, { target }, call) => {
    const { volume } = session
    const as = session.credentials(call)
    return withTarget(session, target, {
      path: (path, follow) => (follow ? volume.stat(path, as) : volume.lstat(path, as)),
      file: (file) => file.stat(),
    })
  },

  find: (session, { path }, call) => {
    const stats = session.volume.lstat(path, session.credentials(call))
    return { stats, key: session.server.handleKeys.keyOf(stats.ino, stats.generation) }
  },

  truncate: async (session, { target, size, options }, call) => {
    const as = session.credentials(call)
    const run = withTarget(session, target, {
      path: (path) => () => session.volume.truncate(path, size, as),
      file: (file) => () => file.truncate(size),
    })
    await session.settle(call, options, run)
    return {}
  },

  chmod: async (session, { target, mode }, call) => {
    const as = session.credentials(call)
    const run = withTarget(session, target, {
      path: (path) => () => session.volume.chmod(path, mode, as),
      file: (file) => () => file.chmod(mode),
    })
    await session.settle(call, null, run)
    return {}
  },

  chown: async (session, { target, uid, gid }, call) => {
    const as = session.credentials(call)
    const [user, group] = [idOf(uid), idOf(gid)]
    const run = withTarget(session, target, {
      path: (path, follow) => () => session.volume.chown(path, user, group, { follow }, as),
      file: (file) => () => file.chown(user, group),
    })
    await session.settle(call, null, run)
    return {}
  },

  utimes: async (session, { target, atime, mtime }, call) => {
    const as = session.credentials(call)
    const [a, m] = [timeOf(atime), timeOf(mtime)]
    const run = withTarget(session, target, {
      path: (path, follow) => () => session.volume.utimes(path, a, m, { follow }, as),
      file: (file) => () => file.utimes(a, m),
    })
    await session.settle(call, null, run)
    return {}
  },

  getXattr: (session, { target, name }, call) => {
    const as = session.credentials(call)
    const value = withTarget(session, target, {
      path: (path, follow) => session.volume.getXattr(path, name, { follow }, as),
      file: (file) => file.getXattr(name),
    })
    return { value }
  },

  setXattr: async (session, { target, name, value, mode }, call) => {
    const as = session.credentials(call)
    const how = mode === undefined ? {} : { mode }
    const run = withTarget(session, target, {
      path: (path, follow) => () =>
        session.volume.setXattr(path, name, value, { follow, ...how }, as),
      file: (file) => () => file.setXattr(name, value, mode),
    })
    await session.settle(call, null, run)
    return {}
  },

  removeXattr: async (session, { target, name }, call) => {
    const as = session.credentials(call)
    const run = withTarget(session, target, {
      path: (path, follow) => () => session.volume.removeXattr(path, name, { follow }, as),
      file: (file) => () => file.removeXattr(name),
    })
    await session.settle(call, null, run)
    return {}
  },

  listXattrs: (session, { target }, call) => {
    const as = session.credentials(call)
    const names = withTarget(session, target, {
      path: (path, follow) => session.volume.listXattrs(path, { follow }, as),
      file: (file) => file.listXattrs(),
    })
    return { names }
  },

  inodeFlags: (session, { path }, call) => {
    const { policy, ...flags } = session.volume.inodeFlags(path, session.credentials(call))
    return { ...flags, policy: policy ?? undefined }
  },

  setInodeFlags: async (session, { path, append, immutable }, call) => {
    const as = session.credentials(call)
    const flags = {
      ...(append === undefined ? {} : { append }),
      ...(immutable === undefined ? {} : { immutable }),
    }
    await session.settle(call, null, () => session.volume.setInodeFlags(path, flags, as))
    return {}
  },

  statfs: (session) => {
    void session.layout
    return session.volume.statfs()
  },
}
