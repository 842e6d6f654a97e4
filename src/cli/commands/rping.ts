/** holdfast rping: client and server of rping's exchange. */
import { InvalidArgumentError, type Command } from 'commander'
import {
  acceptPeer,
  connectPeer,
  Device,
  type ConnectionRequest,
  type Peer,
} from '../../rdma/index.js'
import { parseSize } from '../arguments.js'
import { Stopped, untilStopped } from '../interrupt.js'
import { examples, JSON_OPTION, parseNumber, type JsonOption } from '../options.js'
import { print, printJson, printJsonLine } from '../output.js'
import { addOffer, formatHostPort, offerOf, parsePort, type OfferOptions } from '../rdma_options.js'
import { pingClient, pingServer, SIZE_DEFAULT, SIZE_MAX, SIZE_MIN, textOf } from '../rping.js'

interface Options extends OfferOptions, JsonOption {
  readonly server?: boolean
  readonly client?: boolean
  readonly address?: string
  readonly port: number
  readonly verbose?: boolean
  readonly validate?: boolean
  readonly size: number
  readonly count: number
  readonly persistent?: boolean
}

/** rping's own. */
const PORT = 7174
/** A client that is told to stop waits so long for its last answer. */
const STOP_MS = 1000
/** Times of pings that are kept for the report. */
const TIMES_KEPT = 100_000

export function rpingCommand(program: Command): Command {
  const command = program
    .command('rping')
    .summary('ping over RDMA, with rping or with itself at the other end')
    .description(
      'The exchange of rping(1): the client tells where a text is, the server reads it by RDMA ' +
        'Read, and writes it back by RDMA Write. It speaks iWARP over TCP: the other end is ' +
        'another holdfast, or rping on any machine with an iWARP device, siw among them.',
    )
    .option('-s, --server', 'be the server')
    .option('-c, --client', 'be the client')
    .option(
      '-a, --address <host>',
      'where to connect to; of a server, where to listen (default: 127.0.0.1)',
    )
    .option('-p, --port <port>', 'TCP port; 0: a free one', parsePort, PORT)
    .option(
      '-S, --size <bytes>',
      `of a client: bytes of a text, ${SIZE_MIN} to 16M (rping: to 65535)`,
      parsePingSize,
      SIZE_DEFAULT,
    )
    .option(
      '-C, --count <pings>',
      'of a client: how many pings; 0: until it is stopped',
      parseNumber,
      0,
    )
    .option('-v, --verbose', 'show each text')
    .option('-V, --validate', 'of a client: compare what comes back')
    .option('-P, --persistent', 'of a server: serve one client after the other')
    .option('--no-peer-to-peer', 'of a client: only this side may speak first (RFC 6581)')
  return addOffer(command)
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast rping -s -v                              # in one terminal',
        'holdfast rping -c -C 10 -v -V                     # in another',
        'holdfast rping -s -P -a 0.0.0.0                   # for other machines, until ^C',
        'rping -c -a 10.0.0.7 -C 10 -v -V                  # on a machine with siw or an iWARP card',
        'holdfast rping -c -a 10.0.0.8 -C 10 -V -S 60000   # of rping -s -a 10.0.0.8 there',
      ),
    )
    .action(rping)
}

function parsePingSize(text: string): number {
  const size = parseSize(text)
  if (size >= SIZE_MIN && size <= SIZE_MAX) return size
  throw new InvalidArgumentError(`a text has ${SIZE_MIN} to ${SIZE_MAX} bytes`)
}

async function rping(options: Options, command: Command): Promise<void> {
  if ((options.server === true) === (options.client === true)) {
    return command.error('error: either -s, to be the server, or -c, to be the client')
  }
  using device = new Device()
  await untilStopped((signal) =>
    options.server === true ? serve(device, options, signal) : ping(device, options, signal),
  )
}

async function ping(device: Device, options: Options, signal: AbortSignal): Promise<void> {
  const { address: host = '127.0.0.1', port, size, count, validate = false } = options
  const peer = await connectPeer(device, { host, port, signal, ...offerOf(options) })
  const times: number[] = []
  let pings = 0
  // The ping that is under way is finished, so that the server sees an end and no failure.
  let patience: NodeJS.Timeout | undefined
  const stopped = () => (patience = setTimeout(() => peer.abort(), STOP_MS))
  signal.addEventListener('abort', stopped)
  try {
    await pingAll()
    await peer.close()
  } finally {
    signal.removeEventListener('abort', stopped)
    clearTimeout(patience)
    if (pings > 0) await report(options, pings, times)
  }

  async function pingAll(): Promise<void> {
    try {
      await pingClient(peer, { size, count, validate, signal, ping: show })
    } catch (error) {
      if (!(error instanceof Stopped)) throw error
    }
  }

  async function show(text: Uint8Array, milliseconds: number): Promise<void> {
    // Of those that go on for days, the last ones.
    times[pings++ % TIMES_KEPT] = milliseconds
    if (options.verbose === true) await print(`ping data: ${textOf(text)}\n`)
  }
}

async function report(options: Options, pings: number, times: number[]): Promise<void> {
  const sorted = times.sort((a, b) => a - b)
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!
  const microseconds = { p50: at(0.5) * 1000, p99: at(0.99) * 1000, max: at(1) * 1000 }
  const { size } = options
  if (options.json === true) return printJson({ pings, size, microseconds })
  const { p50, p99, max } = microseconds
  const each = [`p50 ${p50.toFixed(0)}`, `p99 ${p99.toFixed(0)}`, `max ${max.toFixed(0)}`]
  await print(`${pings} pings of ${size} bytes: ${each.join(', ')} us\n`)
}

async function serve(device: Device, options: Options, signal: AbortSignal): Promise<void> {
  const { address: host = '127.0.0.1', port } = options
  using listener = await device.listen({ host, port })
  const stopped = () => listener.close()
  signal.addEventListener('abort', stopped)
  const where = { host: listener.host, port: listener.port }
  if (options.json === true) await printJsonLine({ listening: where })
  else await print(`listening on ${formatHostPort(where)}\n`)
  for await (const request of listener) {
    try {
      await serveOne(device, request, options, signal)
    } catch (error) {
      // One client that fails is no reason not to serve the next.
      if (options.persistent !== true || signal.aborted) throw error
      process.stderr.write(`holdfast: rping: ${request.peer}: ${(error as Error).message}\n`)
    }
    if (options.persistent !== true) return
  }
}

async function serveOne(
  device: Device,
  request: ConnectionRequest,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const peer = acceptPeer(device, request, offerOf(options))
  const leave = () => peer.abort()
  signal.addEventListener('abort', leave)
  try {
    await pingBack(peer, request.peer, options)
  } finally {
    signal.removeEventListener('abort', leave)
    // Whoever failed is not kept waiting; who has left is gone already.
    leave()
  }
}

async function pingBack(peer: Peer, who: string, options: Options): Promise<void> {
  const pings = await pingServer(peer, {
    size: SIZE_MAX,
    async ping(text) {
      if (options.verbose === true) await print(`server ping data: ${textOf(text)}\n`)
    },
  })
  await peer.close()
  if (options.json === true) await printJsonLine({ client: who, pings })
  else await print(`${who}: ${pings} pings\n`)
}
