/** What commands that speak RDMA have in common: addresses, and how they connect. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Offer } from '../rdma/index.js'

export interface HostPort {
  readonly host: string
  readonly port: number
}

const PORT_MAX = 0xffff

/** 'HOST:PORT', ':PORT' or '[::1]:PORT'. Without a host it is this machine alone. */
export function parseHostPort(text: string): HostPort {
  const found = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(text)
  if (found === null) throw new InvalidArgumentError('an address is HOST:PORT, as 127.0.0.1:7174')
  const port = parsePort(found[3]!)
  const host = found[1] ?? found[2]!
  return { host: host === '' ? '127.0.0.1' : host, port }
}

export function parsePort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(port <= PORT_MAX)) throw new InvalidArgumentError(`a port is a number up to ${PORT_MAX}`)
  return port
}

/** For texts: an address of IPv6 in brackets. */
export const formatHostPort = ({ host, port }: HostPort) =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

export interface OfferOptions {
  readonly crc: boolean
  readonly markers?: boolean
  readonly mpa: '1' | '2'
  /** Of who connects; who is connected to does as it is asked. */
  readonly peerToPeer?: boolean
  readonly rtr?: 'write' | 'read' | 'send'
}

/** Adds the options of MPA's connection setup. */
export function addOffer(command: Command): Command {
  return command
    .option('--no-crc', 'do not ask for a CRC of each frame; the peer may')
    .option('--markers', 'have markers in what comes in (RFC 5044, 4.3)')
    .addOption(
      new Option('--mpa <revision>', 'revision of the connection setup')
        .choices(['1', '2'])
        .default('2'),
    )
    .addOption(
      new Option('--rtr <kind>', 'the first message where either side may speak first').choices([
        'write',
        'read',
        'send',
      ]),
    )
}

export function offerOf(options: OfferOptions): Offer {
  const { crc, markers = false, mpa, peerToPeer = true, rtr } = options
  const revision = mpa === '1' ? 1 : 2
  return {
    crc,
    markers,
    revision,
    peerToPeer: peerToPeer && revision === 2,
    ...(rtr === undefined ? {} : { rtrs: [rtr] }),
  }
}
