/** connect(): a server by where it is. */
import { HoldfastError } from '../base/errors.js'
import type { KeySecret } from '../control/handshake.js'
import type { Client, ClientOptions } from './client.js'
import { loadKey } from './key.js'
import { connectLocal } from './local.js'
import { connectRemote } from './remote.js'
import { socketOf } from '../region/server_socket.js'
import { readUuid } from './uuid.js'
import type { Device } from '../rdma/index.js'

/** Port of a server that was given none. */
export const PORT = 7174

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
  return connectRemote(remote.host, remote.port, { ...rest, key })
}

/** The host and port of a URL; null: it is none. */
export function remoteOf(where: string): { host: string; port: number } | null {
  if (!where.startsWith('hf://')) return null
  const parts = /^hf:\/\/(\[[0-9A-Fa-f:.%\w]+\]|[^:/[\]]+)(?::(\d{1,5}))?\/?$/.exec(where)
  const port = parts?.[2] === undefined ? PORT : Number(parts[2])
  if (parts === null || port < 1 || port > 0xffff) {
    throw new HoldfastError('EINVAL', `${where}: a server is hf://HOST:PORT`)
  }
  return { host: parts[1]!.replace(/^\[|\]$/g, ''), port }
}
