/** connect(): a server by where it is. */
import { HoldfastError } from '../base/errors.js'
import type { KeySecret } from '../control/handshake.js'
import type { Client, ClientOptions } from './client.js'
import { loadKey } from './key.js'
import { connectLocal } from './local.js'
import { socketOf } from '../region/server_socket.js'
import { remoteOf } from './url.js'
import { readUuid } from './uuid.js'
import type { Device } from '../rdma/index.js'

export interface ConnectOptions extends ClientOptions {
  /** Of a remote server: FILE or FILE#ID, or the key itself; HOLDFAST_KEY unless given. */
  readonly key?: string | KeySecret
  readonly device?: Device
}

/**
 * Connects to a server: `hf://HOST:PORT`, the path of its region, or that of its socket. What is
 * opened of it is a FileSystem; who is trusted maps files (`file.map()`).
 */
export async function connect(where: string, options: ConnectOptions = {}): Promise<Client> {
  const remote = remoteOf(where)
  if (remote === null) return connectLocal(socketOf(where, readUuid), options)
  const { key: said, ...rest } = options
  const key = said === undefined || typeof said === 'string' ? loadKey(said) : said
  if (key === null) {
    throw new HoldfastError(
      'EACCES',
      `${where} wants a key: pass { key: FILE }, or set HOLDFAST_KEY to the path of a key file`,
    )
  }
  // With the RNIC, which who stays on this host does without.
  const { connectRemote } = await import('./remote.js')
  return connectRemote(remote.host, remote.port, { ...rest, key })
}
