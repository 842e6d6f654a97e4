/** Local clients: over a Unix socket, known by what the kernel says of them. */
import type { PeerCredentials } from '../base/byte_stream.js'
import type { UnixStream } from '../native/unix_stream.js'
import { describePid } from '../region/owner.js'
import { serveConnection } from './connection.js'
import type { Principal } from './principal.js'
import type { Server } from './server.js'

/** Serves a connection that has come; leaves it when there are too many. */
export function serveLocal(server: Server, stream: UnixStream, owner: number): void {
  try {
    server.demandRoom()
  } catch (error) {
    server.metrics.refused()
    server.log.warn('connection refused', { peer: stream.peer, error: error as Error })
    stream.close()
    return
  }
  serveConnection(server, { stream, principal: principalOf(stream.credentials, owner) })
}

/** `owner`: the user that the server runs as, who could open the region itself. */
function principalOf({ pid, uid, gid, groups }: PeerCredentials, owner: number): Principal {
  const privileged = uid === 0 || uid === owner
  return { uid, gid, groups, privileged, readOnly: false, peer: describePid(pid) }
}
