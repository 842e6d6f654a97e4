/** holdfast info: what a volume is. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { StatFs } from '../../base/filesystem.js'
import { describeProcess } from '../../region/owner.js'
import { inspectVolume, type VolumeSummary } from '../../volume/embedded.js'
import { formatSize, parseRegion } from '../arguments.js'
import { print, printJson, table } from '../output.js'
import { withSession } from '../session.js'

export function infoCommand(program: Command): Command {
  return program
    .command('info')
    .summary('show what a volume is, and how full')
    .description('Shows what the volume in REGION is, how full, and who has it open.')
    .argument('<region>', 'path of the region', parseRegion)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast info /dev/shm/v.hf\n  holdfast info --json ./disk.hf',
    )
    .action(showInfo)
}

async function showInfo(path: string, options: { readonly json?: boolean }): Promise<void> {
  const summary = inspectVolume(path)
  const space = await readSpace(path)
  if (options.json === true) return printJson(asJson(path, summary, space))
  const rows = [
    ['region', path],
    [
      'kind',
      `${summary.regionKind}, made durable by ${HOW[summary.persistence] ?? summary.persistence}`,
    ],
    ['label', summary.label === '' ? '-' : summary.label],
    ['uuid', summary.uuid],
    ['size', `${formatSize(summary.blocks * summary.blockSize)} in ${summary.blocks} blocks`],
    ['log', formatSize(summary.logBytes)],
    ['sync', summary.sync],
    ['made', new Date(summary.createdMs).toISOString()],
    ['mounts', String(summary.epoch)],
    ['owner', ownerText(summary, space)],
  ]
  if (space !== null) {
    rows.push(
      [
        'free',
        `${formatSize(space.blocksAvailable * space.blockSize)} in ${space.blocksAvailable} blocks`,
      ],
      ['inodes', `${space.files} used, ${space.filesFree} can be made`],
    )
  }
  await print(table(rows, []))
}

const HOW: Readonly<Record<string, string>> = {
  flush: 'writing cache lines back',
  fence: 'a fence (until the machine restarts)',
  sync: 'fdatasync',
}

function ownerText(summary: VolumeSummary, space: StatFs | null): string {
  const { owner } = summary
  // Opened a moment ago: whoever stands there has gone without closing.
  if (space !== null)
    return owner === null ? 'none' : `none (process ${owner.pid} did not close it)`
  return owner === null ? 'unknown' : describeProcess(owner)
}

function asJson(path: string, summary: VolumeSummary, space: StatFs | null): unknown {
  const { owner, createdMs, ...rest } = summary
  return {
    region: path,
    ...rest,
    created: new Date(createdMs).toISOString(),
    owner:
      owner === null
        ? null
        : { ...owner, bootId: Buffer.from(owner.bootId).toString('hex'), alive: owner.alive },
    space,
  }
}

/** How full it is; null when another process has it open, or it may not be opened. */
async function readSpace(path: string): Promise<StatFs | null> {
  let space: StatFs | null = null
  try {
    await withSession(async (session) => {
      space = await session.volume(path).statfs()
    })
  } catch (error) {
    const code = error instanceof HoldfastError ? error.code : ''
    if (!['EBUSY', 'EACCES', 'EPERM', 'EROFS'].includes(code)) throw error
  }
  return space
}
