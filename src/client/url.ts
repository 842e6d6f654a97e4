/** Where a server is, as users write it: hf://HOST:PORT. */
import { HoldfastError } from '../base/errors.js'

/** Port of a server that was given none. */
export const PORT = 7174

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
