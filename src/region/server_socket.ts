/**
 * Where the server of a region listens, for clients on the same machine.
 *
 * The socket is in a directory of the server's user, by the uuid of the volume, so that whoever may
 * read the superblock finds it. A server is believed when it is root's, the client's own, or that
 * of the owner of the region: others could only pretend.
 */
import { existsSync, lstatSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { HoldfastError } from '../base/errors.js'

/** Directories for the sockets of a user, the first that there is. */
export function socketDirectories(uid: number): string[] {
  if (uid === 0) return ['/run/holdfast']
  return [`/run/user/${uid}/holdfast`, `/tmp/holdfast-${uid}`]
}

export const socketName = (uuid: string) => `${uuid}.sock`

/** The socket of a server by its path, or by that of the region. ENOENT when there is none. */
export function socketOf(where: string, uuidOf: (path: string) => string): string {
  const stat = statSync(where, { throwIfNoEntry: false })
  if (stat?.isSocket() === true) return where
  if (stat === undefined) throw new HoldfastError('ENOENT', `there is no ${where}`)
  const name = socketName(uuidOf(where))
  const users = [...new Set([process.getuid?.() ?? 0, stat.uid, 0])]
  for (const uid of users) {
    for (const directory of socketDirectories(uid)) {
      const path = join(directory, name)
      if (isTrusted(directory, uid) && existsSync(path)) return path
    }
  }
  throw new HoldfastError('ENOENT', `no server of ${where} was found; holdfast serve starts one`)
}

/** Only the user whose directory it is may have made what is in it. */
function isTrusted(directory: string, uid: number): boolean {
  const stat = lstatSync(directory, { throwIfNoEntry: false })
  return stat !== undefined && stat.isDirectory() && stat.uid === uid && (stat.mode & 0o022) === 0
}

/** Where a server of this user listens: the directory is made where it is not. */
export function ownSocket(uuid: string): string {
  const uid = process.getuid?.() ?? 0
  const [first, second] = socketDirectories(uid)
  const directory = second === undefined || existsSync(`/run/user/${uid}`) ? first! : second
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  if (!isTrusted(directory, uid)) {
    throw new HoldfastError(
      'EACCES',
      `${directory} is not a directory of this user alone: correct its owner and mode, or say --socket`,
    )
  }
  return join(directory, socketName(uuid))
}
