/** holdfast sessions and evict: who is connected to the server of a volume. */
import type { Command } from 'commander'
import { oneLine } from '../../base/errors.js'
import { parseVolume } from '../arguments.js'
import { demandServer } from '../connection.js'
import { timeText } from '../display.js'
import { inVolume } from '../failure.js'
import { examples, JSON_OPTION, parseNumber, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { printableTable, SERVED } from './holds.js'

export function sessionsCommand(program: Command): Command {
  return program
    .command('sessions')
    .summary('list who is connected to a served volume')
    .description(
      'Lists the clients of the server of VOLUME: local ones, those that map files, remote ones; what ' +
        'each has open and holds, and how long ago it was heard of. A client is gone when its connection ' +
        'is and its mappings are not. This command is one of them.',
    )
    .argument(...SERVED, parseVolume)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast sessions v.hf', 'holdfast sessions --json hf://10.0.0.7'))
    .action(list)
}

async function list(volume: string, options: JsonOption): Promise<void> {
  await using client = await demandServer(volume)
  await inVolume(volume, async () => {
    const own = client.hello.session
    const sessions = await client.sessions()
    if (options.json === true) {
      return printJson(sessions.map((one) => ({ ...one, self: one.id === own })))
    }
    const head = ['id', 'kind', 'name', 'uid', 'peer', 'since', 'idle', 'files', 'holds', 'state']
    const rows = sessions.map((one) => [
      String(one.id),
      one.kind,
      oneLine(one.name),
      String(one.uid),
      oneLine(one.peer),
      timeText(one.since),
      `${(one.idle / 1000).toFixed(1)}s`,
      String(one.handles),
      String(one.holds),
      one.id === own ? 'this one' : one.state,
    ])
    await print(printableTable([head, ...rows], [0, 3, 6, 7, 8]))
  })
}

export function evictCommand(program: Command): Command {
  return program
    .command('evict')
    .summary('end a session and all that it holds')
    .description(
      'Ends a session of the server of VOLUME (holdfast sessions shows them) and all that it holds, ' +
        'whether or not it answers. What a remote client had registered is not reached any more. Of a ' +
        'client that maps files the blocks stay its own until its mappings are gone. Root may, and who ' +
        'runs the server.',
    )
    .argument('<session>', 'its id', parseNumber)
    .argument(...SERVED, parseVolume)
    .addHelpText(...examples('holdfast evict 3 v.hf'))
    .action(evict)
}

async function evict(session: number, volume: string): Promise<void> {
  await using client = await demandServer(volume)
  await inVolume(volume, () => client.evict(session))
}
