/**
 * How the command line names a volume: by the path of its region, or, on another host, by that of
 * its server, hf://HOST:PORT.
 *
 * A path in it comes after a colon, and in a URL after the host: bytes as they are, nothing is
 * encoded.
 */
import { InvalidArgumentError } from 'commander'
import { HoldfastError } from '../base/errors.js'
import { remoteOf } from '../client/url.js'

const SCHEME = 'hf://'

/** Whether a volume is reached through a network. */
export const isRemote = (volume: string): boolean => volume.startsWith(SCHEME)

/** The server in a URL, and the path after it; null: it is none. */
export function splitUrl(text: string): { volume: string; path: string } | null {
  if (!isRemote(text)) return null
  const slash = text.indexOf('/', SCHEME.length)
  const volume = slash < 0 ? text : text.slice(0, slash)
  demandUrl(volume)
  return { volume, path: slash < 0 ? '/' : text.slice(slash) }
}

export function demandUrl(volume: string): void {
  try {
    remoteOf(volume)
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    throw new InvalidArgumentError(
      'a server is hf://HOST:PORT, or hf://HOST for port 7174; an IPv6 address is in brackets',
    )
  }
}

/** What is the same for two names of one server. */
export function serverKey(volume: string): string {
  const { host, port } = remoteOf(volume)!
  return `${SCHEME}${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** A file as the command line has it. */
export function fileName(volume: string, path: string): string {
  const rooted = path.startsWith('/') ? path : `/${path}`
  return isRemote(volume) ? volume + rooted : `${volume}:${rooted}`
}
