/** Who a session is: what the kernel, or a key, says of the other end. */
import { HoldfastError } from '../base/errors.js'
import type { Credentials } from '../base/filesystem.js'

export interface Principal {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  /** May ask in the name of others, evict, and see everything: root, and who owns the server. */
  readonly privileged: boolean
  /** Nothing may be changed. */
  readonly readOnly: boolean
  /** Where it is: 'process 1234 (node)', '10.0.0.7:40022 (key nic0)'. */
  readonly peer: string
}

/**
 * In whose name a call is made: the session's own user unless it says another. EPERM when it may
 * not.
 */
export function credentialsOf(
  principal: Principal,
  as: Credentials | undefined,
  umask: number,
): Credentials {
  const { uid, gid, groups, privileged } = principal
  if (as === undefined) return { uid, gid, groups, umask }
  if (privileged) return as
  if (as.decided === true) {
    throw new HoldfastError('EPERM', 'only root and the owner of the server decide for others')
  }
  const mine = [gid, ...groups]
  const asked = [as.gid, ...(as.groups ?? [])]
  if (as.uid === uid && asked.every((group) => mine.includes(group))) return as
  throw new HoldfastError(
    'EPERM',
    `uid ${uid} asks in the name of uid ${as.uid}, gid ${as.gid}: only root and the owner of the ` +
      'server do',
  )
}
