/** holdfast serve: a volume for other processes and hosts. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { HoldfastError } from '../../base/errors.js'
import { LEVELS, LOG_FORMATS } from '../../serve/log.js'
import type { MapGroup } from '../../serve/mapping.js'
import { parseExposure, type Exposure } from '../../serve/plain.js'
import { groupId } from '../accounts.js'
import { parseRegion } from '../arguments.js'
import { examples, JSON_OPTION, parseNumber } from '../options.js'
import { addMountWords } from '../mount_options.js'
import { parseHostPort } from '../rdma_options.js'
import { runServer, type ServeOptions } from '../serve.js'

const STOP_SECONDS = 5
const STOP_SECONDS_MAX = 3600

export function serveCommand(program: Command): Command {
  return program
    .command('serve')
    .summary('serve a volume to other processes and hosts')
    .description(
      'Opens the volume of a region and serves it until it is stopped: to processes of this machine ' +
        'through a socket, which map files where they are trusted with that, and with --listen to ' +
        'other hosts by RDMA. Clients find the socket by the path of the region. When clients can ' +
        'come it prints a line. SIGTERM and SIGINT stop it: leases are asked back, clients are told ' +
        'and have --stop-timeout to let go, then the volume is closed; a second signal does not ' +
        'wait. SIGHUP reads the keys again. Under systemd it tells when it is ready (Type=notify) ' +
        'and that it is alive (WatchdogSec=), and takes a socket that was made for it.',
    )
    .argument('<region>', 'region with a volume', parseRegion)
    .option('--listen <host:port>', 'take remote clients there; needs --keys', parseHostPort)
    .option('--keys <file>', 'keys of remote clients (holdfast keys make)')
    .option('--socket <path>', 'socket for local clients (default: by the uuid of the volume)')
    .option(
      '--map-group <group>',
      'its members may map the region, all of it; GROUP:ro to read alone',
      parseMapGroup,
    )
    .option(
      '--plain <host:port>',
      'let clients there that speak verbs alone, rping say, reach files of --expose; nobody asks ' +
        'who they are',
      parseHostPort,
    )
    .option(
      '--expose <path[:ro|rw][:pin|fault]>',
      'file for --plain: read only unless rw; pinned while one is connected, or found at each ' +
        'access; again for more',
      addExposure,
    )
    .option('--mount <directory>', 'show the volume there, to every program of this host')
    .option('--mount-options <list>', 'of --mount: those of holdfast mount -o', addMountWords)
    .option('--http <host:port>', 'metrics and health over HTTP; :PORT is 127.0.0.1', parseHostPort)
    .option('--max-clients <n>', 'clients at a time (default: 4096)', parseClients)
    .addOption(
      new Option('--stop-timeout <seconds>', 'time that clients have to let go when it stops')
        .argParser(parseSeconds)
        .default(STOP_SECONDS),
    )
    .addOption(
      new Option(
        '--log-format <format>',
        'of the log, on stderr (default: text on a terminal, else json)',
      ).choices(LOG_FORMATS),
    )
    .addOption(new Option('--log-level <level>', 'what is logged').choices(LEVELS).default('info'))
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast serve /dev/shm/v.hf',
        'holdfast keys make --id nic0 --uid 1000 --gid 1000 keys',
        'holdfast serve --plain 127.0.0.1:7175 --expose /a.bin:rw:fault /dev/shm/v.hf',
        'holdfast serve --listen 10.0.0.7:7174 --keys keys /dev/shm/v.hf',
      ),
    )
    .action((region: string, options: ServeOptions, command: Command) => {
      if ((options.listen === undefined) !== (options.keys === undefined)) {
        return command.error('error: --listen and --keys go together')
      }
      if ((options.plain === undefined) !== (options.expose === undefined)) {
        return command.error('error: --plain and --expose go together')
      }
      return runServer(region, options)
    })
}

function addExposure(text: string, before: readonly Exposure[] = []): Exposure[] {
  try {
    return [...before, parseExposure(text)]
  } catch (error) {
    throw new InvalidArgumentError((error as HoldfastError).detail)
  }
}

function parseMapGroup(text: string): MapGroup {
  const readOnly = text.endsWith(':ro')
  return { gid: groupId(readOnly ? text.slice(0, -':ro'.length) : text), readOnly }
}

function parseClients(text: string): number {
  const count = parseNumber(text)
  if (count > 0) return count
  throw new InvalidArgumentError('at least one client')
}

function parseSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  if (seconds <= STOP_SECONDS_MAX) return seconds
  throw new InvalidArgumentError(`seconds, up to ${STOP_SECONDS_MAX}`)
}
