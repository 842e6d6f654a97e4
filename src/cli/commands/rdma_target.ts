/** holdfast rdma-target: memory for RDMA clients that know nothing of Holdfast. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { memfdRegion, openRegion } from '../../region/file_region.js'
import type { MemoryRegion } from '../../region/memory_region.js'
import { serveMemory } from '../../rdma/exposed.js'
import { Device, type AccessName, type ConnectionRequest, type Listener } from '../../rdma/index.js'
import { findVolume } from '../../layout/embedded.js'
import { formatSize, parseRegion, parseSize } from '../arguments.js'
import { Stopped, untilStopped } from '../interrupt.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJsonLine } from '../output.js'
import {
  addOffer,
  formatHostPort,
  offerOf,
  parseHostPort,
  type HostPort,
  type OfferOptions,
} from '../rdma_options.js'
import { RegionSource } from '../rdma_target.js'

interface Options extends OfferOptions, JsonOption {
  readonly memory?: number
  readonly listen: HostPort
  readonly write?: boolean
  readonly once?: boolean
}

const READ: readonly AccessName[] = ['remoteRead']
const WRITE: readonly AccessName[] = ['localWrite', 'remoteRead', 'remoteWrite', 'remoteAtomic']
const LISTEN: HostPort = { host: '127.0.0.1', port: 7174 }

export function rdmaTargetCommand(program: Command): Command {
  const command = program
    .command('rdma-target')
    .summary('let RDMA clients read and write a file, or memory, one-sided')
    .description(
      'Serves FILE, or new memory, to clients that speak iWARP over TCP and nothing else. Each ' +
        'client is told what it may reach, an STag of its own, with the Reply of its connection ' +
        '(20 bytes: address and length, 64 bits each, STag, 32 bits) and in answer to each ' +
        'message that it sends (16 bytes: address, STag, length of 32 bits), which comes when ' +
        'all that it wrote before is durable. Clients are not asked who they are: whoever ' +
        'reaches the address reads, and with --write writes.',
    )
    .argument('[file]', 'path of a file, or of a device-DAX node', parseRegion)
    .option('--memory <bytes>', 'instead of a file, so much new memory', parseMemory)
    .addOption(
      new Option(
        '--listen <host:port>',
        'where; other machines reach it if you name an address of the network',
      )
        .argParser(parseHostPort)
        .default(LISTEN, formatHostPort(LISTEN)),
    )
    .option('--write', 'clients may write, and change words by atomics')
    .option('--once', 'end when the first client has left')
  return addOffer(command)
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast rdma-target --memory 1G --write',
        'holdfast rdma-target --listen 10.0.0.7:7174 /dev/shm/weights.bin',
      ),
    )
    .action(target)
}

function parseMemory(text: string): number {
  const size = parseSize(text)
  if (size === 0) throw new InvalidArgumentError('memory has at least one byte')
  return size
}

async function target(file: string | undefined, options: Options, command: Command): Promise<void> {
  if ((file === undefined) === (options.memory === undefined)) {
    return command.error('error: either a FILE, or --memory with its size')
  }
  const region = openMemory(file, options)
  try {
    using device = new Device()
    await untilStopped((signal) => serve(device, region, options, signal))
  } finally {
    region.close()
  }
}

function openMemory(file: string | undefined, options: Options): MemoryRegion {
  if (file === undefined) return memfdRegion(options.memory!)
  const write = options.write === true
  const region = openRegion(file, { whole: true, readOnly: !write, shared: true })
  if (findVolume(region) === null) return region
  region.close()
  const detail = 'it has a volume, which clients would see through and, with --write, destroy'
  throw new HoldfastError('EBUSY', detail, { path: file })
}

async function serve(
  device: Device,
  region: MemoryRegion,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  using listener = await device.listen(options.listen)
  const stopped = () => device.close()
  signal.addEventListener('abort', stopped)
  const { host, port } = listener
  const write = options.write === true
  const size = region.byteLength
  const rights = write ? 'read and write' : 'read only'
  const text = `listening on ${formatHostPort({ host, port })}: ${formatSize(size)}, ${rights}`
  await tell(options, text, { listening: { host, port }, bytes: size, write })
  await serveAll(device, listener, new RegionSource(region), options)
}

async function serveAll(
  device: Device,
  listener: Listener,
  source: RegionSource,
  options: Options,
): Promise<void> {
  const clients = new Set<Promise<void>>()
  for await (const request of listener) {
    const client = serveOne(device, request, source, options)
    clients.add(client)
    const leave = () => void clients.delete(client)
    client.then(leave, leave)
    if (options.once === true) listener.close()
  }
  await Promise.all(clients)
}

/** One client that fails is no reason not to serve the others. */
async function serveOne(
  device: Device,
  request: ConnectionRequest,
  source: RegionSource,
  options: Options,
): Promise<void> {
  const who = request.peer
  try {
    const write = options.write === true
    const region = device.protectionDomain().register(source, { access: write ? WRITE : READ })
    const { stag } = region
    const served = serveMemory(device, request, { region, source, offer: offerOf(options) })
    const tag = `0x${stag.toString(16).padStart(8, '0')}`
    await tell(options, `${who} connected, STag ${tag}`, { client: who, stag })
    const { cause, detail } = await served.left
    const why = detail === '' ? cause : `${cause}: ${detail}`
    await tell(options, `${who} left, ${why}`, { client: who, left: cause, detail })
  } catch (error) {
    if (error instanceof Stopped) return
    const { message } = error as Error
    await tell(options, `${who} failed: ${message}`, { client: who, failed: message })
  }
}

/** A line of text, or of JSON. */
const tell = (options: Options, text: string, event: object) =>
  options.json === true ? printJsonLine(event) : print(`${text}\n`)
