/** holdfast holds and recall: what is held of a served volume, and asking it back. */
import { oneLine } from '../../base/errors.js'
import type { HoldInfo } from '../../base/layout.js'
import type { Command } from 'commander'
import type { Client } from '../../client/index.js'
import { formatSize, parseDuration, parseVolume } from '../arguments.js'
import { demandServer } from '../connection.js'
import { displayName, printable, timeText } from '../display.js'
import { inVolume } from '../failure.js'
import { examples, JSON_OPTION, parseNumber, type JsonOption } from '../options.js'
import { print, printJson, table } from '../output.js'
import { walk } from '../walk.js'

export const SERVED = ['<volume>', 'path of a region that is served, or hf://HOST:PORT'] as const

interface Options extends JsonOption {
  readonly paths?: boolean
}

export function holdsCommand(program: Command): Command {
  return program
    .command('holds')
    .summary('list what is held of a volume, by whom, and why')
    .description(
      'Lists pins, seals and leases of all clients of the server of VOLUME. Files are shown by their ' +
        'inodes; --paths looks for their names, in the whole volume.',
    )
    .argument(...SERVED, parseVolume)
    .option('--paths', 'names of the files')
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples('holdfast holds v.hf', 'holdfast holds --paths --json hf://10.0.0.7:7174'),
    )
    .action(list)
}

async function list(volume: string, options: Options): Promise<void> {
  await using client = await demandServer(volume)
  await inVolume(volume, async () => {
    const holds = await client.holds()
    const paths = options.paths === true ? await pathsOf(client, holds) : null
    if (options.json === true) {
      return printJson(
        holds.map((hold) => ({ ...hold, ...(paths && { paths: paths.get(hold.ino) ?? [] }) })),
      )
    }
    const head = [
      'id',
      'kind',
      'file',
      'range',
      'size',
      'session',
      'uid',
      'since',
      'state',
      'reason',
    ]
    const rows = holds.map((hold) => [
      String(hold.id),
      hold.iomode === null ? hold.kind : `${hold.iomode} ${hold.kind}`,
      paths?.get(hold.ino)?.[0] ?? `inode ${hold.ino}${hold.deleted === true ? ' (deleted)' : ''}`,
      rangesText(hold),
      formatSize(hold.bytes),
      `${hold.owner.session} ${oneLine(hold.owner.name)}`,
      String(hold.owner.uid),
      timeText(hold.since),
      stateText(hold),
      oneLine(hold.reason),
    ])
    await print(printableTable([head, ...rows], [0, 4, 6]))
  })
}

export const printableTable = (rows: readonly (readonly string[])[], right: readonly number[]) =>
  table(
    rows.map((row) => row.map(printable)),
    right,
  )

/** 'OFFSET:LENGTH', as --range takes it. */
function rangesText({ ranges }: HoldInfo): string {
  if (ranges.length === 0) return '-'
  const first = ranges.slice(0, 3).map(({ offset, length }) => `${offset}:${length}`)
  return first.join(' ') + (ranges.length > 3 ? ' ...' : '')
}

function stateText({ state, deadline }: HoldInfo): string {
  return deadline === null ? state : `${state}, ${(deadline / 1000).toFixed(1)}s left`
}

/** Names of the files that are held; those that have none were removed. */
async function pathsOf(client: Client, holds: readonly HoldInfo[]): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>(holds.map(({ ino }) => [ino, []]))
  for await (const { path, stats } of walk(client, Buffer.from('/'))) {
    found.get(stats.ino)?.push(displayName(path))
  }
  return found
}

interface RecallOptions extends JsonOption {
  readonly deadline?: number
}

export function recallCommand(program: Command): Command {
  return program
    .command('recall')
    .summary('ask a lease back')
    .description(
      'Asks the lease ID (holdfast holds shows it) back, waits, and says how that ended: returned, or ' +
        'fenced, as its holder has not answered before the deadline. Pins and seals are not asked back; ' +
        'holdfast evict ends a session with all that it holds.',
    )
    .argument('<id>', 'of the lease', parseNumber)
    .argument(...SERVED, parseVolume)
    .option(
      '--deadline <time>',
      'how long the holder has, as 500ms, 5s, 1m (default: 5s)',
      parseDuration,
    )
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples('holdfast recall 12 v.hf', 'holdfast recall 12 hf://10.0.0.7 --deadline 1s'),
    )
    .action(recall)
}

async function recall(id: number, volume: string, options: RecallOptions): Promise<void> {
  await using client = await demandServer(volume)
  await inVolume(volume, async () => {
    const { deadline } = options
    const outcome = await client.recall(id, deadline === undefined ? {} : { deadline })
    if (options.json === true) await printJson({ id, outcome })
    else await print(`lease ${id} was ${outcome}\n`)
  })
}
