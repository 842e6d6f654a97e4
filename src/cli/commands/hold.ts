/** holdfast pin, seal, lease: a hold on a file while a command runs, or until ^C. */
import { constants } from 'node:os'
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { ClientHold } from '../../client/index.js'
import { parseDuration, parseRange, parseVolumeTarget, type VolumeTarget } from '../arguments.js'
import { holdFile, type HoldingOptions } from '../holding.js'
import { examples, JSON_OPTION } from '../options.js'

const UNTIL =
  'With a COMMAND it is held until that ends, and its exit code is passed on, as flock(1) does; ' +
  'without one, until ^C. What is held is printed, to standard error where a COMMAND runs, which ' +
  'has the id in HOLDFAST_HOLD. The volume must be served (holdfast serve).'

export function pinCommand(program: Command): Command {
  const command = program
    .command('pin')
    .summary('keep the blocks of a file where they are')
    .description(
      'Pins a file: its blocks stay where they are and stay its own, whatever others ask for, as for ' +
        `DMA that cannot fault. ${UNTIL}`,
    )
  return holdOptions(command, 'pin').addHelpText(
    ...examples(
      'holdfast pin v.hf:/weights --reason "NIC 0"',
      'holdfast pin v.hf:/weights --range 0:2M -- ./train --steps 100',
      'holdfast pin hf://10.0.0.7/weights',
    ),
  )
}

export function sealCommand(program: Command): Command {
  const command = program
    .command('seal')
    .summary('map a file, and keep its layout as it is')
    .description(
      'Maps a file in place, as MAP_DIRECT has it: as long as the mapping is there nothing changes the ' +
        `layout under it (ETXTBSY). Only on the host of the region. ${UNTIL}`,
    )
  return holdOptions(command, 'seal').addHelpText(
    ...examples('holdfast seal v.hf:/table', 'holdfast seal v.hf:/table -- sleep 60'),
  )
}

export function leaseCommand(program: Command): Command {
  const command = program
    .command('lease')
    .summary('borrow the layout of a file, until it is asked back')
    .description(
      'Leases the layout of a file. Whoever changes it asks the lease back first, and takes it when ' +
        'that is not answered in time. Unless --on-recall says otherwise it is given back at once, ' +
        `which is said on standard error; a COMMAND goes on. ${UNTIL}`,
    )
    .addOption(
      new Option('--iomode <mode>', 'for reading, or for writing too: then holes get blocks')
        .choices(['read', 'rw'])
        .default('read'),
    )
    .option(
      '--on-recall <what>',
      'a SIGNAL for COMMAND, whose end gives the lease back; or ignore, to have it taken',
      parseReaction,
    )
  return holdOptions(command, 'lease').addHelpText(
    ...examples(
      'holdfast lease v.hf:/a --iomode rw',
      'holdfast lease v.hf:/a --on-recall TERM -- ./worker',
    ),
  )
}

function holdOptions(command: Command, kind: ClientHold['facts']['kind']): Command {
  command
    .argument('<volume:path>', 'file', parseVolumeTarget)
    .argument('[command...]', 'after --: a command that runs meanwhile')
    .usage('[options] VOLUME:PATH [-- COMMAND [ARGUMENTS]]')
    .option('--range <offset:length>', 'bytes of it, as 0:2M (default: all)', parseRange)
    .option('--reason <text>', 'why, for whoever is in the way')
  if (kind !== 'seal') {
    command.addOption(
      new Option(
        '--unshare <who>',
        'where blocks are shared with clones: this file gets others, or the clones do',
      ).choices(['self', 'others']),
    )
    command.option('--timeout <time>', 'how long it may wait, as 500ms, 10s', parseDuration)
  }
  return command
    .option(
      '--on-loss <signal>',
      'what COMMAND is sent when the hold is gone, or ignore (default: TERM)',
      parseReaction,
    )
    .option(...JSON_OPTION)
    .action((target: VolumeTarget, run: string[], options: HoldingOptions) =>
      holdFile(kind, target, run, options),
    )
}

/** 'TERM', 'SIGTERM', '15', or 'ignore'. */
function parseReaction(text: string): NodeJS.Signals | 'ignore' {
  if (text === 'ignore') return text
  const name = text.toUpperCase().replace(/^(SIG)?/, 'SIG')
  const known = Object.entries(constants.signals).find(
    ([signal, number]) => signal === name || String(number) === text,
  )
  if (known !== undefined) return known[0] as NodeJS.Signals
  throw new InvalidArgumentError('a signal is wanted, as TERM or USR1, or ignore')
}
