/** Verbs on names: paths, directories, links. */
import { linkTargetOf, withTarget } from '../target.js'
import type { Some } from './some.js'

/** Bytes that directory entries of one reply may take. */
const ENTRIES_BYTES = 64 << 10
/** Of an entry, besides its name. */
const ENTRY_BYTES = 28
const ENTRIES_STEP = 256

export const nameVerbs: Some<
  | 'access'
  | 'mkdir'
  | 'rmdir'
  | 'unlink'
  | 'rename'
  | 'link'
  | 'symlink'
  | 'readlink'
  | 'mknod'
  | 'readdir'
> = {
  access: (session, { path, want }, call) => {
    session.volume.access(path, want, session.credentials(call))
    return {}
  },

  mkdir: async (session, { path, mode }, call) => {
    const as = session.credentials(call)
    await session.settle(call, null, () => session.volume.mkdir(path, mode, as))
    return {}
  },

  rmdir: async (session, { path }, call) => {
    const as = session.credentials(call)
    await session.settle(call, null, () => session.volume.rmdir(path, as))
    return {}
  },

  unlink: async (session, { path, options }, call) => {
    const as = session.credentials(call)
    await session.settle(call, options, () => session.volume.unlink(path, as))
    return {}
  },

  rename: async (session, { from, to, noReplace, exchange, options }, call) => {
    const as = session.credentials(call)
    const how = { noReplace, exchange }
    await session.settle(call, options, () => session.volume.rename(from, to, how, as))
    return {}
  },

  link: async (session, { target, path }, call) => {
    const as = session.credentials(call)
    const link = linkTargetOf(session, target)
    await session.settle(call, null, () => link(path, as))
    return {}
  },

  symlink: async (session, { content, path }, call) => {
    const as = session.credentials(call)
    await session.settle(call, null, () => session.volume.symlink(content, path, as))
    return {}
  },

  readlink: (session, { path }, call) => ({
    content: session.volume.readlink(path, session.credentials(call)),
  }),

  mknod: async (session, { path, mode, device }, call) => {
    const as = session.credentials(call)
    await session.settle(call, null, () => session.volume.mknod(path, mode, device, as))
    return {}
  },

  readdir: (session, { target, cookie, limit }, call) => {
    const as = session.credentials(call)
    const list = withTarget(session, target, {
      path: (path) => (after: number, most: number) =>
        session.volume.readdir(path, after, most, as),
      file: (file) => (after: number, most: number) => file.readdir(after, most),
    })
    const entries = []
    let bytes = 0
    for (let after = cookie; entries.length < limit;) {
      const wanted = Math.min(ENTRIES_STEP, limit - entries.length)
      const some = list(after, wanted)
      for (const entry of some) {
        bytes += ENTRY_BYTES + entry.name.length
        if (bytes > ENTRIES_BYTES && entries.length > 0) return { entries, end: false }
        entries.push(entry)
        after = entry.cookie
      }
      if (some.length < wanted) return { entries, end: true }
    }
    return { entries, end: false }
  },
}
