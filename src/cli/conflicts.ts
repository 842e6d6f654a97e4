/** Options of commands that change layouts: how they go about what is held. */
import { Option, type Command } from 'commander'
import type { ConflictOptions } from '../base/filesystem.js'
import type { LayoutPolicy } from '../base/layout.js'
import { parseDuration } from './arguments.js'

export interface ConflictFlags {
  readonly policy?: LayoutPolicy
  readonly timeout?: number
  readonly deadline?: number
}

/** Gives a command its options. */
export function takesConflictOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--policy <what>',
        'where blocks are pinned: fail, wait for the pins to end, or leave the blocks to them ' +
          '(default: as `holdfast policy` says)',
      ).choices(['busy', 'wait', 'defer']),
    )
    .option(
      '--timeout <time>',
      'how long --policy wait waits, as 500ms, 10s, 2m (default: 10s)',
      parseDuration,
    )
    .option(
      '--deadline <time>',
      'how long those who lease the blocks have to give them back (default: 5s)',
      parseDuration,
    )
}

export function conflictOptions({ policy, timeout, deadline }: ConflictFlags): ConflictOptions {
  return { policy, timeout, deadline }
}
